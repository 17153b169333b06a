"""A key is read from the environment, sent to its server, and found nowhere afterwards."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import traceback
from pathlib import Path

import fault_server as fs
import pytest

from ctxbench import ModelError, Prompt, Store
from ctxbench_openai.keys import Key

KEY = "sk-planted/Zq8+xW3vB6nM1"
ESCAPED = KEY.replace("/", "\\u002f")
CTXBENCH = Path(sys.executable).with_name("ctxbench")

CONFIG = """
models: [{{name: "openai:served@{url}", api_key_env: PLANTED_KEY, cache: cache, retries: 1, prices: {{input: 1, output: 1}}}}]
tasks: [needle]
codecs: [text, codebook]
augmentations: [clean]
buckets: [64]
samples: 6
run: {{images: all, channel: false, executor: {{name: local, workers: 0}}}}
"""


def echo(number: int, body: object) -> fs.Fault:
    """Servers that give the key back in every way that there is: as an answer, plain and escaped, in errors, and in what is no JSON."""
    usage = {"prompt_tokens": 5, "completion_tokens": 5}
    kinds = [
        lambda handler, _: handler.answer(f"you sent {handler.headers['Authorization']}", usage),
        lambda handler, _: handler.send(200, '{"model": "KEY", "choices": [{"message": {"content": "KEY"}}]}'.replace("KEY", ESCAPED)),
        lambda handler, _: handler.send(400, json.dumps({"error": {"message": f"bad {handler.headers['Authorization']}"}})),
        lambda handler, _: handler.send(500, f"trace: {handler.headers['Authorization']}", "text/plain", X_Key=KEY),
        lambda handler, _: handler.send(200, f"<html>{KEY}</html>", "text/html"),
        lambda handler, _: handler.send(200, json.dumps({"error": {"message": KEY, "code": KEY, "type": KEY}})),
        lambda handler, _: handler.send(429, json.dumps({KEY: KEY}), Retry_After="0.01"),
    ]
    return kinds[number % len(kinds)]


def files_with(folder: Path, secret: str) -> list[Path]:
    """Files that hold a text, as UTF-8 or as UTF-16, or the JSON escape of it."""
    needles = [secret.encode(), secret.encode("utf-16-le"), json.dumps(secret).encode()[1:-1], ESCAPED.encode()]
    return [path for path in folder.rglob("*") if path.is_file() and any(needle in path.read_bytes() for needle in needles)]


def test_a_planted_key_is_found_nowhere(server, tmp_path):
    """A run whose server gives the key back in every way, with logs on: store, pages, cache and output do not hold it."""
    server.script = echo
    (tmp_path / "c.yaml").write_text(CONFIG.format(url=server.url))
    env = {**os.environ, "PLANTED_KEY": KEY, "OPENAI_LOG": "debug"}

    done = subprocess.run([str(CTXBENCH), "run", "c.yaml"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    authorizations = {arrival.headers["authorization"] for arrival in server.arrivals}
    assert authorizations == {f"Bearer {KEY}"}
    with Store.open_read_only(tmp_path / "ctxbench.duckdb") as store:
        rows = store.query("SELECT prediction, error_message FROM results").rows
        text = str(store.query("SELECT * FROM results").rows) + str(store.query("SELECT * FROM runs").rows)
    assert len(rows) == 12
    assert any("you sent Bearer ***" in (prediction or "") for prediction, _ in rows)
    assert any("***" in (message or "") for _, message in rows)
    assert "HTTP" in done.stderr  # the logs are on
    assert KEY not in done.stdout + done.stderr + text
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "cache").rglob("*.json"))
    assert files_with(tmp_path, KEY) == []


@pytest.mark.parametrize("number", range(7))
def test_neither_reading_nor_logs_nor_repr_hold_it(server, served, monkeypatch, caplog, number):
    """Every log of every library at its most talkative, the model's repr and config, and whatever the readings say."""
    monkeypatch.setenv("PLANTED_KEY", KEY)
    server.script = lambda n, body: echo(number, body)
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "httpx2", "httpcore2", "httpx", "httpcore", "asyncio"):
        caplog.set_level(logging.DEBUG, name)
    model = served(api_key_env="PLANTED_KEY", retries=1, patience=1)
    readings = model.read([Prompt((), "?")])
    held = [repr(readings), repr(model), str(model.config), repr(model._held), caplog.text, *map(str, caplog.records)]
    assert not any(KEY in text for text in held)
    assert "***" in repr(readings) or number == 6


def test_a_traceback_does_not_hold_it(monkeypatch):
    """What is wrong with a key is said without it, through the whole chain of exceptions."""
    monkeypatch.setenv("PLANTED_KEY", KEY + "ü")
    with pytest.raises(ModelError, match="the environment variable PLANTED_KEY holds characters that no HTTP header can carry") as caught:
        Key.read("PLANTED_KEY")
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert KEY not in repr(Key("X", KEY))


def test_a_placeholder_is_no_secret():
    """``EMPTY``, which local servers are given for a key, stays a word of answers."""
    assert Key("X", "EMPTY").hide("the box is EMPTY") == "the box is EMPTY"

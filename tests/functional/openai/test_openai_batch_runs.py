"""Runs through the Batch API that are cut off: the same command finds the same batch, and no request is submitted twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import attrs
import fault_server as fs
import pytest
from click.testing import CliRunner

import ctxbench
from ctxbench import BudgetReached, CtxbenchError
from ctxbench.config import make_config
from ctxbench.engine import RunReport
from ctxbench_openai import asking, batch_api, batch_records
from ctxbench_openai.commands import batches

KEY = "sk-planted/Zq8+xW3vB6nM1"
CTXBENCH = Path(sys.executable).with_name("ctxbench")
PRICES = {"input": 100.0, "output": 1000.0, "batch": 0.5}

CONFIG = """
models:
  - {{name: "openai:served@{url}", api_key_env: PLANTED_KEY, probe: false, batch_api: true, batch_requests: {requests}, batch_folder: open}}
tasks: [needle]
codecs: [text, codebook]
augmentations: [clean]
buckets: [64]
samples: 6
run: {{channel: false, batch_size: 1, executor: {{name: local, workers: 0}}}}
"""


@pytest.fixture
def command(server, tmp_path):
    """``command(*words)`` starts ctxbench beside a config of twelve prompts; what still runs at the end is killed."""
    server.desk.steps = ("validating", "completed")
    (tmp_path / "c.yaml").write_text(CONFIG.format(url=server.url, requests=12))
    env = {**os.environ, "PLANTED_KEY": KEY}
    started = []

    def start(*words: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        process = subprocess.Popen([str(CTXBENCH), *words], cwd=tmp_path, env=env, stdout=pipe, stderr=pipe, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait for a condition, as long as a process runs."""
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def stored(folder: Path) -> list[tuple[str, int]]:
    with ctxbench.Store.open_read_only(folder / "ctxbench.duckdb") as store:
        rows = store.query("SELECT status, count(*) FROM results GROUP BY ALL ORDER BY ALL").rows
        assert store.query("SELECT count(DISTINCT trial_id) FROM results").rows == [(sum(n for _, n in rows),)]
    return rows


def asked_once(server: fs.FaultServer, number: int) -> bool:
    times = Counter(json.dumps(body["messages"]) for body in server.desk.asked)
    return len(times) == number and set(times.values()) == {1}


def test_a_kill_between_submission_and_result(server, command, tmp_path):
    """The batch is picked up by the same command: twelve answers, one batch, nothing asked twice, and no record and no key is left."""
    server.desk.held.set()
    killed = command("run", "c.yaml")
    until(lambda: any(method == "GET" for method, _ in server.desk.calls), killed)
    killed.kill()
    killed.communicate()
    (record,) = (tmp_path / "open").glob("*.json")
    assert KEY not in record.read_text()
    assert json.loads(record.read_text())["batch"] == "batch_0"
    server.desk.held.clear()
    out, err = command("run", "c.yaml").communicate()
    assert "ctxbench: batch batch_0 of " in err, out + err
    assert "is picked up: 12 of its requests are wanted" in err
    assert stored(tmp_path) == [("ok", 12)]
    assert len(server.desk.batches) == 1
    assert asked_once(server, 12)
    assert list((tmp_path / "open").iterdir()) == []


def test_a_kill_before_the_server_has_said_the_batchs_name(server, command, tmp_path):
    """The batch was made and the process died before it knew: the batch is found by its mark."""
    server.desk.after = {"POST /batches": [lambda handler, body: server.ended.wait()]}
    killed = command("run", "c.yaml")
    until(lambda: server.desk.batches, killed)
    killed.kill()
    killed.communicate()
    (record,) = (tmp_path / "open").glob("*.json")
    assert json.loads(record.read_text())["batch"] is None
    command("run", "c.yaml").communicate()
    assert stored(tmp_path) == [("ok", 12)]
    assert [call for call in server.desk.calls if call == ("POST", "/batches")] == [("POST", "/batches")]
    assert asked_once(server, 12)


@pytest.mark.long
def test_a_kill_before_the_batch_was_made(server, command, tmp_path):
    """The server has the file and no batch: the requests are submitted by the next run, and asked once."""
    server.desk.before = {"POST /batches": [lambda handler, body: server.ended.wait()]}
    killed = command("run", "c.yaml")
    until(lambda: ("POST", "/batches") in server.desk.calls, killed)
    killed.kill()
    killed.communicate()
    command("run", "c.yaml").communicate()
    assert stored(tmp_path) == [("ok", 12)]
    assert len(server.desk.batches) == 1
    assert asked_once(server, 12)


@pytest.mark.long
def test_a_kill_after_some_batches_have_ended(server, command, tmp_path):
    """Of three batches the first is answered and the second open: whatever was stored of the first, each request is answered once.

    What the killed run had stored of the first batch stays noted: nothing tells this from answers that were lost.
    """
    (tmp_path / "c.yaml").write_text(CONFIG.format(url=server.url, requests=4))
    killed = command("run", "c.yaml")
    until(lambda: len(server.desk.batches) == 1, killed)
    until(lambda: len(server.desk.batches) == 2, killed)
    server.desk.held.set()
    killed.kill()
    killed.communicate()
    server.desk.held.clear()
    command("run", "c.yaml").communicate()
    assert stored(tmp_path) == [("ok", 12)]
    assert sum(batch.total for batch in server.desk.batches.values()) == 12
    assert asked_once(server, 12)
    left = [request for record in batch_records.Records(tmp_path / "open").all() for request in record.requests]
    first = {line["custom_id"] for line in server.desk.lines(server.desk.batches["batch_0"])}
    assert len(left) < 4
    assert set(left) <= first


def test_an_interrupt_leaves_the_batch_running(server, command, tmp_path, monkeypatch):
    """Ctrl-C says which batch goes on and how to end it; the batch is listed, cancelled, and what was answered by then is stored."""
    server.desk.held.set()
    server.desk.answered_first = 5
    stopped = command("run", "c.yaml")
    until(lambda: any(method == "GET" for method, _ in server.desk.calls), stopped)
    stopped.send_signal(signal.SIGINT)
    _, err = stopped.communicate()
    assert stopped.returncode == 130
    assert f"ctxbench: batch batch_0 (12 requests) goes on at {server.url}; the same command picks its answers up" in err
    assert "ctxbench batches --cancel batch_0" in err
    assert "Traceback" not in err
    assert server.desk.batches["batch_0"].status in ("validating", "in_progress")
    monkeypatch.setenv("PLANTED_KEY", KEY)
    assert told(tmp_path).startswith("batch_0  in_progress, 0 of 12 answered  12 wanted  ")
    assert told(tmp_path, "--cancel", "batch_0") == "batch_0: cancelled, 5 of 12 answered\n"
    command("run", "c.yaml").communicate()
    assert stored(tmp_path) == [("error", 7), ("ok", 5)]
    assert told(tmp_path) == "no batch is open\n"
    assert asked_once(server, 5)


def told(folder: Path, *words: str) -> str:
    """What ``ctxbench batches`` prints about the records in a folder."""
    return CliRunner().invoke(batches, ["--folder", str(folder / "open"), *words], catch_exceptions=False).stdout


def test_the_command_about_a_batch_that_is_not_there(tmp_path, monkeypatch):
    """A wrong id is one line, and so are a server that is away, a key that is not set, and a batch that may never have been made."""
    monkeypatch.setattr(asking, "BASE", 0.001)
    monkeypatch.setenv("PLANTED_KEY", KEY)
    kept = batch_records.Records(tmp_path / "open")
    away = batch_records.Record("n", "http://127.0.0.1:9/v1", "PLANTED_KEY", "m", ("1",), time.time(), "batch_9")
    kept.write(away)
    kept.write(attrs.evolve(away, nonce="o", batch=None, created=away.created + 1))
    with pytest.raises(CtxbenchError, match=r"batch_8: no such batch in .*open; 'ctxbench batches' lists them"):
        told(tmp_path, "--cancel", "batch_8")
    with pytest.raises(CtxbenchError, match=r"http://127\.0\.0\.1:9/v1: no connection: "):
        told(tmp_path, "--cancel", "batch_9")
    with pytest.raises(CtxbenchError, match="o: it is not known whether the server got this batch"):
        told(tmp_path, "--cancel", "o")
    first, second = told(tmp_path).splitlines()
    assert first.startswith("batch_9  unknown (http://127.0.0.1:9/v1: no connection: ")
    assert second.startswith("o  perhaps not submitted  1 wanted  ")
    monkeypatch.delenv("PLANTED_KEY")
    assert "batch_9  unknown (the environment variable PLANTED_KEY holds no key" in told(tmp_path)
    assert told(tmp_path, "--forget", "batch_9").startswith("batch_9: forgotten here")
    assert [record.nonce for record in kept.all()] == ["o"]


def experiment(server, tmp_path, **changes):
    """Twelve needles in text through batches of at most five."""
    model = {"name": f"openai:served@{server.url}", "prices": PRICES, "batch_api": True, "batch_requests": 5}
    model["batch_folder"] = str(tmp_path / "open")
    run = {"executor": {"name": "local", "workers": 0}, "channel": False, "batch_size": 1, **changes}
    settings = {"samples": 12, "buckets": [64], "tasks": ["needle"], "codecs": ["text"], "augmentations": ["clean"]}
    return make_config({"models": [model], **settings, "run": run, "store": str(tmp_path / "s.duckdb")})


def test_the_engine_fills_batches(server, tmp_path, monkeypatch):
    """Twelve prompts make three batches, whatever the batch size of local models; the price is half."""
    monkeypatch.setattr(batch_api, "FIRST", 0.001)
    report = RunReport()
    ctxbench.run(experiment(server, tmp_path), report=report).close()
    assert [batch.total for batch in server.desk.batches.values()] == [5, 5, 2]
    spent = sum((fs.usage_of(body)["prompt_tokens"] * 100 + 3 * 1000) / 2e6 for body in server.desk.asked)
    assert report.spent_usd == pytest.approx(spent)
    batch_records.settle()


def test_a_budget_is_kept_before_a_batch_is_submitted(server, tmp_path, monkeypatch):
    """No batch is submitted that could cost more than is left; smaller ones go on until not even one request fits."""
    monkeypatch.setattr(batch_api, "FIRST", 0.001)
    report = RunReport()
    with pytest.raises(BudgetReached):
        ctxbench.run(experiment(server, tmp_path, budget=0.1), report=report).close()
    assert 0 < report.spent_usd <= 0.1
    assert report.finished == len(server.desk.asked) < 12
    batch_records.settle()

"""A server that is not ours: ``transformers serve`` with the embedded model, pages included."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import ctxbench
from ctxbench.config import make_config
from ctxbench_tiny.model import base_folder

pytest.importorskip("fastapi", reason="transformers[serving] is not installed")
pytest.importorskip("uvicorn", reason="transformers[serving] is not installed")

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running server."""
    folder = tmp_path_factory.mktemp("serve")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.serve_tiny", "serve", "--host", "127.0.0.1", "--port", str(port)]
    env = {**os.environ, "HF_HOME": str(folder), "HF_HUB_OFFLINE": "1"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--device", "cpu", "--dtype", "float32"], cwd=ROOT, env=env, stdout=log, stderr=log)
    try:
        while not healthy(port):
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait()


def healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as answer:
            return answer.status == 200
    except (urllib.error.URLError, ConnectionError):
        return False


def test_the_same_answers_and_counts_as_in_process(url, tmp_path):
    """Text and pages through a real server: what ``tiny`` says and what its processor counts, token for token, and no count is flagged.

    A page that is scaled, a text that is put in another place, or a wrong split of a server's total would show here.
    """
    served = {
        "name": f"openai:{base_folder()}",
        "label": "served",
        "base_url": url,
        "family": "qwen2-vl",
        "max_new_tokens": 8,
        "timeout": 3000,
    }
    settings = {
        "models": [{"name": "tiny", "device": "cpu", "dtype": "float32", "max_new_tokens": 8}, served],
        "tasks": ["needle"],
        "codecs": ["text", "render"],
        "augmentations": ["clean", "light"],
        "buckets": [64],
        "samples": 1,
        "run": {"executor": {"name": "local", "workers": 0}, "channel": False, "models_held": 2},
        "store": str(tmp_path / "s.duckdb"),
    }
    columns = "codec, augmentation, prediction, outcome, prompt_tokens, carrier_visual_tokens, carrier_marker_tokens, completion_tokens"
    with ctxbench.run(make_config(settings)) as store:
        assert store.query("SELECT error_message FROM results WHERE status = 'error'").rows == []
        by_model = {
            model: store.query(f"SELECT {columns} FROM results WHERE model = '{model}' ORDER BY ALL").rows for model in ("tiny", "served")
        }
        assert len(by_model["tiny"]) == 4
        assert by_model["served"] == by_model["tiny"]
        flags = store.query("SELECT DISTINCT token_source, token_flag FROM results WHERE model = 'served' AND codec = 'text'").rows
        assert flags == [("server", None)]
        assert store.query("SELECT count(*) FROM results WHERE token_flag LIKE '%count_mismatch%'").rows == [(0,)]


def test_the_servers_refusal_is_one_line(url):
    """FastAPI's ``detail`` is quoted: this server takes no field that it does not know."""
    model = ctxbench.load_plugins().model(f"openai:{base_folder()}", base_url=url, extra={"mm_processor_kwargs": {"max_pixels": 50176}})
    (reading,) = model.read([ctxbench.Prompt((), "?")])
    model.close()
    assert reading.error[0] == "RequestRefused"
    assert "HTTP 422: " in reading.error[1]
    assert "mm_processor_kwargs" in reading.error[1]

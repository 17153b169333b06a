"""Components that die, hang, cheat or hide: each costs its own trial and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from engine_parts import config, rows

from ctxbench.engine import RunReport, run

WORKERS = {"executor": {"name": "local", "workers": 1}}

DEADLY = """
import signal, time
@attrs.frozen
class Bad(Codec):
    how: str = "exit"
    def encode(self, text):
        if self.how == "exit": os._exit(9)
        if self.how == "segfault": os.kill(os.getpid(), signal.SIGSEGV)
        if self.how == "hang": time.sleep(600)
        return Carrier(text=text)
    def decode(self, carrier):
        if self.how == "decode-exit": os._exit(7)
        if self.how == "decode-hang": time.sleep(600)
        return carrier.text
@hookimpl
def ctxbench_codecs(): yield CodecRecord("bad", "s", Bad)
"""


@pytest.mark.parametrize(
    ("how", "stage", "kind", "message"),
    [
        ("exit", "encode", "WorkerDied", "ended with exit code 9"),
        ("segfault", "encode", "WorkerDied", "SIGSEGV"),
        ("hang", "encode", "TimeLimit", "encode took longer than 5 s (run.limits.encode)"),
        ("decode-exit", "channel", "WorkerDied", "the decoder's process died (exit code 7)"),
        ("decode-hang", "channel", "TimeLimit", "channel took longer than 5 s (run.limits.channel)"),
    ],
)
def test_a_codec_that_ends_or_hangs_its_process_costs_its_own_trials(parts, bad_parts, tmp_path, how, stage, kind, message):
    """Whatever happens to the process, the other codec's trials are stored and the run ends as finished."""
    bad_parts(DEADLY)
    limits = {"encode": 5, "channel": 5} if "hang" in how else {}
    report = RunReport()
    codecs = ["text", {"name": "bad", "how": how}]
    with run(config(tmp_path, codecs=codecs, augmentations=["clean"], run={**WORKERS, "limits": limits}), report=report) as store:
        found = rows(store, "codec, status, error_stage, error_type, error_message", "codec, sample_index")
        assert store.query("SELECT status, finished, errors FROM runs").rows == [("finished", 4, 2)]
    assert [row[:2] for row in found[2:]] == [("text", "ok")] * 2
    for row in found[:2]:
        assert row[1:4] == ("error", stage, kind)
        assert message in row[4]


def test_a_codec_that_hangs_in_this_process(parts, bad_parts, tmp_path):
    """Without workers the alarm reaches the codec through every boundary that catches what components raise."""
    bad_parts(DEADLY)
    codecs = ["text", {"name": "bad", "how": "hang"}]
    with run(config(tmp_path, codecs=codecs, samples=1, augmentations=["clean"], run={"limits": {"encode": 5}})) as store:
        found = rows(store, "codec, status, error_stage, error_type, error_message", "codec")
    assert found == [
        ("bad", "error", "encode", "TimeLimit", "encode took longer than 5 s (run.limits.encode)"),
        ("text", "ok", None, None, None),
    ]


def test_a_model_that_hangs_is_stopped_by_its_limit(parts, bad_parts, tmp_path):
    """Off by default; with ``run.limits.read`` its trials are errors and the other model's are right."""
    bad_parts("""
import time
@attrs.frozen
class Bad(Model):
    def read(self, prompts):
        for _ in range(6000): time.sleep(0.1)
@hookimpl
def ctxbench_models(): yield ModelRecord("bad", "s", Bad)
""")
    settings = {"models": ["bad", "picky"], "samples": 1, "augmentations": ["clean"], "run": {"limits": {"read": 0.5}}}
    with run(config(tmp_path, **settings)) as store:
        found = rows(store, "model, status, error_stage, error_type", "model")
    assert found == [("bad", "error", "read", "TimeLimit"), ("picky", "ok", None, None)]


def test_a_codec_that_remembers_its_texts_is_not_believed(parts, bad_parts, tmp_path):
    """It draws nothing and decodes from memory; decoding happens where nothing was encoded, in this process and in workers."""
    bad_parts("""
MEMORY = {}
class Bad(Codec):
    def encode(self, text):
        MEMORY["text"] = text
        return Carrier(pages=[Image.new("RGB", (28, 28))])
    def decode(self, carrier):
        if "text" not in MEMORY: raise DecodeError("nothing to remember")
        return MEMORY["text"]
@hookimpl
def ctxbench_codecs(): yield CodecRecord("bad", "s", Bad)
""")
    for number, settings in enumerate(({}, {"run": WORKERS})):
        folder = tmp_path / str(number)
        folder.mkdir()
        with run(config(folder, codecs=["bad"], models=["channel"], **settings)) as store:
            found = rows(store, "DISTINCT channel_ok, channel_error, outcome")
        assert found == [(False, "nothing to remember", "abstained")]


def test_secrets_reach_the_component_and_nothing_else(parts, bad_parts, tmp_path, capfd):
    """A planted key is found in no table, message, log or id; two keys are one and the same experiment."""
    bad_parts("""
@attrs.frozen
class Bad(Model):
    key: str = ctxbench.secret()
    speed: int = 1
    def read(self, prompts):
        if self.speed == 2: raise RuntimeError("refused: " + self.key)
        return [Reading("ok " + self.key, metadata={"header": "Bearer " + self.key, "length": len(self.key)}) for _ in prompts]
@hookimpl
def ctxbench_models():
    yield ModelRecord("bad", "s", Bad)
    yield ModelRecord("plain", "s", lambda key, speed=1: Bad(key, speed), secrets=("key",))
""")
    key = "sk-planted-4821973"
    models = [{"name": "bad", "key": key}, {"name": "bad", "label": "raises", "key": key, "speed": 2}, {"name": "plain", "key": key}]
    with run(config(tmp_path, models=models), command=f"ctxbench run --set models.0.key={key}") as store:
        assert rows(store, "DISTINCT reading_metadata->>'length'", "1") == [(str(len(key)),), (None,)]
        assert rows(store, "DISTINCT error_message", "1") == [("refused: ***",), (None,)]
        assert rows(store, "DISTINCT model_config->>'speed', model_config->>'key'") == [("1", None), ("2", None)]
        text = json.dumps([store.query(f"SELECT * FROM {table}").rows for table in ("runs", "trials", "scores", "pages")], default=str)
    assert key not in text
    assert "sk-planted" not in "".join(capfd.readouterr())
    for file in tmp_path.rglob("*"):
        if file.is_file() and "site" not in file.parts:
            assert key.encode() not in file.read_bytes(), file
    report = RunReport()
    other = [{**model, "key": "another-key"} for model in models]
    run(config(tmp_path, models=other), report=report).close()
    assert report.stored_before == report.planned  # the key is in no id


def test_a_secret_in_a_planning_error_is_hidden(parts, bad_parts, tmp_path):
    """A component that quotes its key when it refuses it does not get it past the error message."""
    from ctxbench import ConfigError

    bad_parts("""
@attrs.frozen
class Bad(Model):
    key: str = ctxbench.secret()
    def __attrs_post_init__(self): raise ValueError("bad key " + self.key)
    def read(self, prompts): return []
@hookimpl
def ctxbench_models(): yield ModelRecord("bad", "s", Bad)
""")
    with pytest.raises(ConfigError) as caught:
        run(config(tmp_path, models=[{"name": "bad", "key": "sk-planted-1"}]))
    assert "bad key ***" in str(caught.value)
    assert "sk-planted" not in str(caught.value)


def test_limits_are_checked_as_the_rest_of_a_config(parts, tmp_path):
    """A limit of nothing or of text is an error with its key path."""
    from ctxbench import ConfigError

    for value, message in ((0, "run.limits.encode: must be above 0, got 0"), ("x", "run.limits.encode: must be a number, got 'x'")):
        with pytest.raises(ConfigError, match=message):
            config(Path(tmp_path), run={"limits": {"encode": value}})

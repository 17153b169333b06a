"""The channel stage runs beside: no model waits for a decoder, and the rows are those of a run in which each waits for the other."""

from __future__ import annotations

from typing import Any

import pytest
from engine_parts import config, rows

from ctxbench.engine import RunReport, joining, run, shelf
from ctxbench.executors import LocalExecutor
from ctxbench.plugin import ExecutorRecord

SLOW = """
import pathlib, time
FOLDER = pathlib.Path(os.environ["PARTS_LOG"]).parent

@attrs.frozen
class Slow(Codec):
    '''Its decoder waits for a file, if it is to; every third text is too much for it, and every fourth a bug.'''
    wait: str = ""
    fail: bool = False
    def encode(self, text):
        number = int(text.split()[-1])
        return Carrier(pages=[Image.new("RGB", (28, 28), (number % 251, number // 251 % 251, number // 63001 % 251))])
    def decode(self, carrier):
        for _ in range(3000):
            if not self.wait or (FOLDER / self.wait).exists(): break
            time.sleep(0.02)
        else:
            raise RuntimeError("waited in vain")
        red, green, blue = carrier.pages[0].getpixel((9, 9))
        if self.fail and red % 4 == 3: raise ZeroDivisionError("a bug")
        if self.fail and red % 3 == 2: raise DecodeError(f"too red: {red}")
        return f"the number is {red}"

@attrs.frozen
class Notes(Model):
    '''Leaves a file once it has read; is interrupted at a batch.'''
    interrupted_at: int = 0
    beside = True
    def read(self, prompts):
        count = len(list(FOLDER.glob("read*"))) + 1
        if count == self.interrupted_at: raise KeyboardInterrupt
        (FOLDER / f"read{count}").write_text("")
        return [Reading(str(sum(p.pages[0].getpixel((9, 9)))) if p.pages else p.text[-3:]) for p in prompts]

@attrs.frozen
class Listens(Model):
    '''Stands for the channel, and says what it was asked with.'''
    needs_channel = True
    instant = True
    def read(self, prompts):
        return [Reading(f"{p.channel.text} {p.channel.error} {len(p.pages)} {len(prompts)}") for p in prompts]

@hookimpl
def ctxbench_codecs(): yield CodecRecord("slow", "s", Slow)
@hookimpl
def ctxbench_models():
    yield ModelRecord("notes", "s", Notes)
    yield ModelRecord("listens", "s", Listens)
"""

WORKERS = {"executor": {"name": "local", "workers": 2}}


class AtOnce(LocalExecutor):
    """An executor that knows nothing of pauses, as those of other distributions: each sample's work is one job."""

    pauses = False


@pytest.fixture
def slow(parts, bad_parts):
    """The codec and the models above."""
    bad_parts(SLOW)


def everything(store: Any) -> list[tuple[Any, ...]]:
    """All that decides numbers: trials without times, their scores and their pages."""
    found: list[tuple[Any, ...]] = []
    for table in ("trials", "scores", "pages"):
        names = store.query(f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}'").rows
        kept = ", ".join(name for (name,) in names if not name.endswith(("_seconds", "_at")) and name != "run_id")
        found += [tuple(row) for row in store.query(f"SELECT {kept} FROM {table} ORDER BY ALL").rows]
    return found


def test_a_model_does_not_wait_for_the_decoder(slow, tmp_path):
    """No page is decoded before the last batch is read: a run in which reading waits for decoding would end with errors."""
    codecs = [{"name": "slow", "wait": "read3"}]
    settings = {"models": ["notes"], "codecs": codecs, "augmentations": ["clean"], "samples": 6, "run": {**WORKERS, "batch_size": 2}}
    with run(config(tmp_path, **settings)) as store:
        assert rows(store, "DISTINCT status, channel_error") == [("ok", None)]
        assert rows(store, "count(*), count(channel_ok), count(channel_seconds)") == [(6, 6, 6)]


@pytest.mark.parametrize("images", ["none", "all"])
def test_rows_are_those_of_jobs_that_hold_everything(slow, tmp_path, monkeypatch, images):
    """Verdicts, failures of the decoder, pages and scores; also where pages wait on disk, and where next to none may wait."""
    codecs = [{"name": "slow", "fail": True}, "text"]
    models = ["notes", "listens", "channel"]
    settings = {"models": models, "codecs": codecs, "samples": 8, "augmentations": ["clean", "noise"]}
    found = []
    for number, executor in enumerate(["whole", "local", "local"]):
        if number == 2:
            monkeypatch.setattr(shelf, "MEMORY_BYTES", 0)
            monkeypatch.setattr(joining, "MOST_JOBS", 1)
        folder = tmp_path / str(number)
        folder.mkdir()
        wanted = config(folder, **settings, run={"executor": {"name": executor, "workers": 2}, "images": images, "batch_size": 3})
        with run(wanted, components=[ExecutorRecord("whole", "s", AtOnce)]) as store:
            found.append(everything(store))
            statuses = rows(store, "DISTINCT status, error_stage, error_type", "ALL")
            assert store.query("SELECT count(path) > 0 FROM pages").rows == [(images == "all",)]
            heard = rows(store, "DISTINCT prediction", "1")
        assert statuses == [("error", "channel", "ZeroDivisionError"), ("ok", None, None)]
        assert any("too red" in prediction for (prediction,) in heard if prediction)
    assert found[0] == found[1] == found[2]


def test_an_interrupt_keeps_answers_whose_pages_are_not_decoded(slow, tmp_path):
    """They are stored without a verdict, which the next run fills in without asking the model again."""
    codecs = [{"name": "slow", "wait": "go"}]
    settings = {"codecs": codecs, "augmentations": ["clean"], "samples": 6, "run": {**WORKERS, "batch_size": 2}}
    stopped = config(tmp_path, models=[{"name": "notes", "interrupted_at": 3}], **settings)
    with pytest.raises(KeyboardInterrupt):
        run(stopped)
    (tmp_path / "go").write_text("")
    for path in tmp_path.glob("read*"):
        path.unlink()
    report = RunReport()
    with run(stopped, report=report) as store:
        assert (report.stored_before, report.finished, report.filled) == (4, 2, 4)
        assert rows(store, "count(*), count(channel_ok)", "1") == [(6, 6)]
        assert rows(store, "DISTINCT status") == [("ok",)]
        assert store.query("SELECT status, finished FROM runs ORDER BY started_at").rows == [("interrupted", 4), ("finished", 2)]


def test_verdicts_come_in_the_order_of_the_plan(slow, tmp_path):
    """A model that stands for the channel gets full batches, although pages of the first samples are decoded last."""
    settings = {
        "models": ["listens", "notes"],
        "codecs": ["slow"],
        "samples": 7,
        "augmentations": ["clean"],
        "run": {**WORKERS, "batch_size": 3},
    }
    with run(config(tmp_path, **settings)) as store:
        told = store.query("SELECT prediction FROM results WHERE model = 'listens' ORDER BY sample_index").rows
        found = [prediction.split()[-2:] for (prediction,) in told]
    assert found == [["1", "3"]] * 6 + [["1", "1"]]


def test_fill_in_goes_beside_as_well(slow, tmp_path):
    """Stored answers get their verdict while new ones are read; a decoder's failure is a note and leaves the answer."""
    codecs = [{"name": "slow", "fail": True}]
    settings = {"models": ["notes"], "codecs": codecs, "augmentations": ["clean"]}
    run(config(tmp_path, **settings, samples=8, run={**WORKERS, "channel": False})).close()
    report = RunReport()
    with run(config(tmp_path, **settings, samples=12, run=WORKERS), report=report) as store:
        ((stored, filled, errors),) = rows(store, "count(*), count(channel_ok), count(*) FILTER (status = 'error')", "1")
    broken = sum("ZeroDivisionError" in note for note in report.notes)
    assert (stored, broken) == (12, 1)
    assert 0 < report.filled < 8
    assert filled == report.filled + 4 - errors

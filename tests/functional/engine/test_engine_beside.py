"""A model that reads in a thread of its own: while it reads, what comes next is prepared, and nothing in the results differs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

from ctxbench import Carrier, Codec, CodecRecord, Model, ModelRecord, Prompt, Reading, Sample, Task, TaskRecord
from ctxbench.config import make_config
from ctxbench.engine import RunReport, run


class Asks(Task):
    sized = False

    def sample(self, bucket: int, seed: int) -> Sample:
        return Sample(f"text {seed}", "?", str(seed), bucket)

    def solve(self, context: str, question: str) -> str:
        return context.split()[-1]


class Plain(Codec):
    verbatim = True

    def encode(self, text: str) -> Carrier:
        return Carrier(text=text)

    def decode(self, carrier: Carrier) -> str:
        return carrier.text or ""


@attrs.frozen
class Alone(Model):
    """Notes the batches that it reads."""

    batches: ClassVar[list[list[str]]] = []

    def read(self, prompts: Sequence[Prompt]) -> list[Reading]:
        self.batches.append([prompt.text for prompt in prompts])
        return [Reading(prompt.text.split()[1]) for prompt in prompts]


class Beside(Alone):
    """The same in a thread; the first batch is not done before the third is announced."""

    beside = True
    announced: ClassVar[list[int]] = []
    second: ClassVar[threading.Event] = threading.Event()
    threads: ClassVar[set[str]] = set()

    def ahead(self, prompts: Sequence[Prompt]) -> None:
        self.announced.append(len(prompts))
        if len(self.announced) == 2:
            self.second.set()

    def read(self, prompts: Sequence[Prompt]) -> list[Reading]:
        self.threads.add(threading.current_thread().name)
        if not self.second.wait(120):
            raise RuntimeError("nothing was prepared meanwhile")
        return super().read(prompts)


RECORDS = (
    TaskRecord("asks", "s", Asks),
    CodecRecord("plain", "s", Plain),
    ModelRecord("alone", "s", Alone),
    ModelRecord("beside", "s", Beside),
)


@pytest.fixture(autouse=True)
def fresh() -> None:
    """No notes of another test."""
    for notes in (Alone.batches, Beside.announced, Beside.threads):
        notes.clear()
    Beside.second.clear()


def results(tmp_path: Path, model: str, **settings: Any) -> tuple[list[tuple[Any, ...]], list[list[str]], RunReport, float | None]:
    """Rows in the order of samples, batches in the order of reading, the report, and the run's idle share as stored."""
    config = make_config(
        {
            "models": [model],
            "tasks": ["asks"],
            "codecs": ["plain"],
            "augmentations": ["clean"],
            "buckets": [8],
            "samples": 7,
            "store": str(tmp_path / f"{model}.duckdb"),
            "run": {"batch_size": 2, "executor": {"name": "local", "workers": 0}, **settings},
        }
    )
    report = RunReport()
    Alone.batches.clear()
    with run(config, components=RECORDS, report=report) as store:
        rows = [tuple(row) for row in store.query("SELECT status, prediction, error_message FROM results ORDER BY sample_index").rows]
        (idle,) = store.query("SELECT idle_share FROM runs").rows[0]
    return rows, list(Alone.batches), report, idle


def test_the_next_batch_is_prepared_while_the_model_reads(tmp_path: Path) -> None:
    """The first read waits for the second batch to be announced: a run that reads and prepares by turns would wait for ever."""
    rows, batches, _, _ = results(tmp_path, "beside")
    assert [row[0] for row in rows] == ["ok"] * 7
    assert Beside.announced == [2, 2, 2, 1]
    assert len(Beside.threads) == 1
    assert Beside.threads != {threading.current_thread().name}
    assert (rows, batches) == results(tmp_path, "alone")[:2]


def test_a_model_with_a_time_limit_reads_in_the_main_thread(tmp_path: Path) -> None:
    """Time limits end what runs there, and nothing else."""
    Beside.second.set()
    rows, _, _, _ = results(tmp_path, "beside", limits={"read": 60})
    assert [row[0] for row in rows] == ["ok"] * 7
    assert Beside.threads == {threading.current_thread().name}
    assert Beside.announced == []


def test_an_error_of_a_read_is_its_batchs_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes from another thread and must end up in the rows of the right trials."""
    inner = Alone.read

    def fails(self: Alone, prompts: Sequence[Prompt]) -> list[Reading]:
        if len(self.batches) == 1:
            self.batches.append([])
            raise ValueError("no luck")
        return inner(self, prompts)

    monkeypatch.setattr(Alone, "read", fails)
    rows, _, report, _ = results(tmp_path, "beside")
    assert [row[0] for row in rows] == ["ok", "ok", "error", "error", "ok", "ok", "ok"]
    assert rows[2][2] == "no luck"
    assert report.errors == 2


def test_the_run_says_how_much_of_the_time_models_waited(tmp_path: Path) -> None:
    """A share between 0 and 1, stored and reported; models that take no time have none."""
    _, _, report, idle = results(tmp_path, "alone")
    assert idle is not None
    assert 0 <= idle <= 1
    assert report.idle_share == pytest.approx(idle)
    assert results(tmp_path, "channel")[3] is None

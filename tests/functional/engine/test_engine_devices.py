"""Replicas: a copy of a model on each device, in processes of their own. Who reads changes nothing in the results."""

from __future__ import annotations

import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from engine_parts import config, rows

from ctxbench import ConfigError
from ctxbench.engine import RunReport, run
from ctxbench.executors import LocalExecutor
from ctxbench.plugin import ExecutorRecord
from ctxbench.replicas import Answers, Batch, Host, Replica
from ctxbench.store import Store

PLACED = """
import ctypes, pathlib, signal, time
FOLDER = pathlib.Path(os.environ["PARTS_LOG"]).parent
READ = []  # by this process

@attrs.frozen
class Placed(Model):
    '''Says what was in its batch, and notes where it read it.'''
    device: str = "auto"
    how: str = ""
    wide: bool = False
    beside = True
    key: str = ctxbench.secret(default="")
    @property
    def shares(self): return "weights"
    @property
    def runtime(self): return {"device": "cpu" if self.device == "auto" else self.device.partition(":")[0]}
    def placed(self, device):
        if device == "cuda:7": raise ConfigError("there is no cuda:7: this machine has 2")
        return None if self.wide else {"device": device}
    def read(self, prompts):
        numbers = [p.text.split()[-1] for p in prompts]
        (FOLDER / f"pid-{os.getpid()}-{self.device.replace(':', '.')}").touch()
        with (FOLDER / "batches").open("a") as file: file.write(" ".join(numbers) + "\\n")
        # Both replicas have read before anyone reads on: otherwise one might be done with everything before the other has started.
        while self.how == "meet" and len(list(FOLDER.glob("pid-*"))) < 2: time.sleep(0.02)
        if self.how == "die" and "0" in numbers[0][-1:]: os.kill(os.getpid(), signal.SIGKILL)
        READ.append(numbers)
        if self.how == "interrupt" and len(READ) > 1:
            while not (FOLDER / "scored").exists() or len((FOLDER / "scored").read_text().splitlines()) < 4: time.sleep(0.02)
            try: (FOLDER / "sent").open("x")
            except FileExistsError: pass
            else: os.kill(os.getppid(), signal.SIGINT)
            ctypes.PyDLL(None).sleep(600)
        if self.how == "hang": time.sleep(600)
        if self.how == "raise": raise RuntimeError("no memory")
        return [Reading("+".join(numbers), metadata={"n": len(numbers), "key": len(self.key)}) for _ in prompts]

@attrs.frozen
class Seen(Metric):
    def score(self, prediction, sample):
        with (FOLDER / "scored").open("a") as file: file.write("one\\n")
        return {"seen": 1.0}

@hookimpl
def ctxbench_models(): yield ModelRecord("placed", "s", Placed)
@hookimpl
def ctxbench_metrics(): yield MetricRecord("seen", "s", Seen)
"""


@pytest.fixture
def placed(parts, bad_parts, tmp_path):
    """``placed("die", devices=["cpu", "cpu"])``: the config of a run of eight trials, two a batch."""
    bad_parts(PLACED)

    def make(how: str = "", *, folder: Path = tmp_path, models: list[Any] | None = None, **settings: Any):
        for name in ("batches", "scored", "sent"):
            (tmp_path / name).unlink(missing_ok=True)
        for path in tmp_path.glob("pid-*"):
            path.unlink()
        folder.mkdir(exist_ok=True)
        changes = {
            "models": models or [{"name": "placed", "how": how}],
            "samples": 8,
            "augmentations": ["clean"],
            "metrics": ["same", "seen"],
        }
        return config(folder, **changes, run={"batch_size": 2, **settings})

    return make


def answers(store: Any) -> list[tuple[Any, ...]]:
    """What decides numbers, and which trial it is."""
    return rows(store, "trial_id, status, prediction, reading_metadata, channel_ok, error_type", "sample_index")


def readers(folder: Path) -> set[tuple[int, str]]:
    """Process and device of everyone who read."""
    return {(int(path.name.split("-")[1]), path.name.split("-")[2]) for path in folder.glob("pid-*")}


def alive(pid: int) -> bool:
    """Whether a process is there; it may take a moment to go."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.05)
    return True


def test_results_do_not_depend_on_who_reads(placed, tmp_path):
    """Same ids, same batches in the order of the plan, same answers with none and with two devices; each replica is on its own."""
    with run(placed(folder=tmp_path / "alone")) as store:
        alone = answers(store)
    assert {pid for pid, _ in readers(tmp_path)} == {os.getpid()}
    batches = (tmp_path / "batches").read_text().splitlines()
    report = RunReport()
    models = [{"name": "placed", "how": "meet"}]
    with run(placed(folder=tmp_path / "two", models=models, devices=["cpu:0", "cpu:1"]), report=report) as store:
        two = answers(store)
        written = store.query("SELECT sample_index FROM trials ORDER BY rowid").rows
        assert store.query("SELECT idle_share FROM runs").rows[0][0] == pytest.approx(report.idle_share)
    assert report.idle_share is not None
    assert 0 <= report.idle_share <= 1
    assert [row[1:] for row in two] == [row[1:] for row in alone]
    assert sorted((tmp_path / "batches").read_text().splitlines()) == sorted(batches)
    assert written == [(index,) for index in range(8)]
    found = readers(tmp_path)
    assert {device for _, device in found} == {"cpu.0", "cpu.1"}
    assert len({pid for pid, _ in found} - {os.getpid()}) == 2
    assert not any(alive(pid) for pid, _ in found)


def test_devices_are_in_no_id(placed, tmp_path):
    """A run goes on with other devices, or none, from where it stopped."""
    report = RunReport()
    run(placed()).close()
    run(placed(devices=["cpu"]), report=report).close()
    assert (report.planned, report.stored_before) == (8, 8)


def test_a_replica_that_dies_costs_its_batch(placed, tmp_path):
    """Error rows that name the signal; its successor reads the rest, also where it is the only place."""
    with run(placed("die", devices=["cpu"])) as store:
        found = rows(store, "status, error_stage, error_type, error_message, expected", "sample_index")
    dead = [i for i in range(0, 8, 2) if found[i][4].endswith("0")]
    for i in range(8):
        if i - i % 2 in dead:
            assert found[i][:3] == ("error", "read", "WorkerDied")
            assert "was killed by SIGKILL" in found[i][3]
        else:
            assert found[i][0] == "ok"


def test_an_interrupt_ends_replicas_and_keeps_what_was_read(placed, tmp_path):
    """Both replicas hang in C code when Ctrl-C comes: nobody waits for them, and no error rows are made of their batches."""
    with pytest.raises(KeyboardInterrupt):
        run(placed("interrupt", devices=["cpu", "cpu"]))
    assert not any(alive(pid) for pid, _ in readers(tmp_path))
    with Store.open_read_only(tmp_path / "s.duckdb") as store:
        ((status, finished, errors),) = store.query("SELECT status, finished, errors FROM runs").rows
        assert (status, errors) == ("interrupted", 0)
        assert finished in (3, 4)  # the fourth was perhaps just being scored
        assert store.query("SELECT sample_index, status FROM trials ORDER BY 1").rows == [(index, "ok") for index in range(finished)]


@pytest.mark.parametrize(
    ("how", "limits", "kind"), [("hang", {"read": 0.5}, "TimeLimit"), ("raise", {}, "RuntimeError")], ids=["hang", "raise"]
)
def test_errors_and_limits_are_those_of_a_model_in_this_process(placed, how, limits, kind):
    """A limit ends a read there as here, and the replica goes on."""
    with run(placed(how, devices=["cpu"], limits=limits)) as store:
        assert rows(store, "DISTINCT status, error_stage, error_type") == [("error", "read", kind)]


def test_models_that_take_no_device_say_so(placed, tmp_path):
    """In one line, with where: alone it is an error, beside others a note, and they read in this process."""
    for models in (["mock"], ["picky"], [{"name": "placed", "wide": True}]):
        with pytest.raises(ConfigError, match=r"^run\.devices: model '\w+': cannot be told on which device to compute$"):
            run(placed(models=models, devices=["cpu"]))
    report = RunReport()
    with run(placed(models=["placed", "picky", "channel"], devices=["cpu"]), report=report) as store:
        assert rows(store, "DISTINCT status") == [("ok",)]
    assert "model 'picky', model 'channel': cannot be told on which device to compute, so read in this process" in report.notes
    assert {device for _, device in readers(tmp_path)} == {"cpu"}


def test_a_device_that_is_not_there_or_computes_otherwise(placed):
    """Ids say on what kind of device answers were made: a plan for another is refused before anything runs."""
    with pytest.raises(ConfigError, match=r"^run\.devices: there is no cuda:7: this machine has 2$"):
        run(placed(devices=["cuda:0", "7"]))
    with pytest.raises(
        ConfigError, match=r"^run\.devices: cuda:1: model 'placed' is planned with device cpu and would have device cuda there"
    ):
        run(placed(devices=["1"]))
    for device in ("", "gpu 1", True, 1.5):
        with pytest.raises(ConfigError, match=r"run\.devices\[0\]: must be a device such as 0, cuda:1 or cpu"):
            placed(devices=[device])
    assert placed(devices=[0, "3", "cpu", "xpu:1"]).run.devices == ("cuda:0", "cuda:3", "cpu", "xpu:1")


def test_an_executor_may_offer_places(placed, tmp_path):
    """As one for a cluster does: the models that share memory go there together, secrets included, and the answers are the same."""
    started: list[set[str]] = []

    class Elsewhere(Replica):
        def __init__(self, specs):
            started.append(set(specs))
            self.host, self.thread = Host(specs), ThreadPoolExecutor(1)

        alive = True

        def submit(self, batch: Batch) -> Future[Answers]:
            return self.thread.submit(self.host.read, batch)

        def close(self) -> None:
            self.thread.shutdown(cancel_futures=True)
            self.host.close()

    class Cluster(LocalExecutor):
        def replicas(self, specs):
            return [lambda: Elsewhere(specs)] * 2

    models = [{"name": "placed", "key": "sk-1"}, {"name": "placed", "label": "other", "how": "x", "key": "sk-22"}, "picky", "mock"]
    wanted = placed(folder=tmp_path / "cluster", models=models, executor={"name": "cluster", "workers": 0}, models_held=1)
    with run(wanted, components=[ExecutorRecord("cluster", "s", Cluster)]) as store:
        there = rows(store, "trial_id, model, prediction, reading_metadata", "model, sample_index")
    with run(placed(folder=tmp_path / "here", models=models)) as store:
        assert rows(store, "trial_id, model, prediction, reading_metadata", "model, sample_index") == there
    assert {len(keys) for keys in started} == {1, 2}

"""The executor ``ray`` against a real Ray: the rules of every executor, and what becomes of jobs whose process or actor dies."""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import psutil
import pytest
from PIL import Image

import ctxbench
from ctxbench import Augmenter, AugmenterRecord, CtxbenchError, Lost, Model, ModelRecord, Prompt, Reading
from ctxbench.config import make_config
from ctxbench.engine import RunReport
from ctxbench.replicas import Batch, ModelSpec, ReplicaDied
from ctxbench.session import Session
from ctxbench.store import Store
from ctxbench.testing import ExecutorContract
from ctxbench.testing.executor_rules import ExecutorGiven
from ctxbench_ray import executor as module
from ctxbench_ray import fleet, readers
from ctxbench_ray.cluster import Cluster, join
from ctxbench_ray.executor import RayExecutor
from ctxbench_ray.place import Unusable, surroundings
from tests.functional.test_executors_ends import take_all, until
from tests.functional.worker_functions import Do, run, traces

pytestmark = [pytest.mark.usefixtures("cluster"), pytest.mark.filterwarnings("ignore:::ray")]


class TestRay(ExecutorContract):
    """The rules of every executor."""

    @pytest.fixture
    def executor(self) -> RayExecutor:
        return RayExecutor(workers=1)

    def given(self) -> ExecutorGiven:
        """Fewer calls, as each starts an actor."""
        return ExecutorGiven(cases=((0, 2), (20, 3)))


def lost(results: list[Any]) -> list[Lost]:
    return sorted((result for result in results if isinstance(result, Lost)), key=lambda item: item.job.number)


def kept(results: list[Any]) -> list[Any]:
    return sorted(result for result in results if not isinstance(result, Lost))


def alone(log: list[str], number: int) -> bool:
    """Whether nothing else ran while a job ran for the last time. Jobs that had died by then may wait for a second time of their own."""
    at = len(log) - 1 - log[::-1].index(f"begin {number}")
    end = log.index(f"end {number}", at) if f"end {number}" in log[at:] else at + 1
    after = {line.split()[1]: line.split()[0] for line in reversed(log[at + 1 :])}  # what came next of each job
    begun = Counter(line.split()[1] for line in log[:at] if line.startswith("begin"))
    under_way = [i for i, next_of in after.items() if next_of == "end" and begun[i] and i != str(number)]
    return end == at + 1 and not under_way


WRONG = {3: "exit", 7: "system exit", 11: "hang", 15: "odd", 19: "die once", 23: "kill parent 1", 27: "lambda", 29: "keyboard"}
NEIGHBOURS = (18, 20)
"""Jobs that would still be found beside one that must run alone."""


def test_whatever_happens_every_job_has_its_outcome(tmp_path):
    """As on one machine: a process that dies, an actor that is killed, a stage that takes too long, what cannot be pickled.

    The job over which a process or an actor died runs once more, alone; nothing else that was answered is run twice, and nothing is lost or
    doubled.
    """
    usual = ["linger" if i in NEIGHBOURS else "square" for i in range(40)]
    jobs = [Do(WRONG.get(i, usual[i]), i, str(tmp_path), "channel" if i == 11 else "encode") for i in range(40)]
    results = []
    for result in RayExecutor(workers=2).map(run, jobs, window=8, limits={"channel": 1.0}):
        results.append(result)
        Do(number=result.job.number if isinstance(result, Lost) else math.isqrt(result), folder=str(tmp_path)).trace("answered")
    found = lost(results)
    assert [(item.job.number, item.stage, item.type) for item in found] == [
        (3, "encode", "WorkerDied"),
        (7, "encode", "SystemExit"),
        (11, "channel", "TimeLimit"),
        (15, "", "ValueError"),
        (27, "encode", "AttributeError"),
        (29, "encode", "KeyboardInterrupt"),
    ]
    assert found[0].message == "the worker process ended with exit code 5, also when it ran this job alone"
    assert found[2].message == "channel took longer than 1 s (run.limits.channel)"
    assert all(item.job is jobs[item.job.number] for item in found)
    assert kept(results) == sorted(i**2 for i in range(40) if i not in WRONG or i in (19, 23))
    log = [line for line in traces(tmp_path) if not line.startswith("answered")]
    assert {i: log.count(f"begin {i}") for i in range(40)} == {i: 2 if i in (3, 19, 23) else 1 for i in range(40)}
    assert all(alone(log, i) for i in (3, 19, 23))


def test_a_job_that_takes_its_actor_along_every_time_is_lost(tmp_path, monkeypatch):
    """It would end actor after actor, and with them all other jobs."""
    monkeypatch.setattr(fleet, "MOVES", 2)
    jobs = [Do("kill parent 9", 1, str(tmp_path)), Do("square", 2), Do("square", 3)]
    results = list(RayExecutor(workers=1, same_versions=False).map(run, jobs, window=4))
    assert [(item.type, item.job.number) for item in lost(results)] == [("WorkerDied", 1)]
    assert lost(results)[0].message.startswith("2 Ray actors ended while they ran this job")
    assert kept(results) == [4, 9]
    assert traces(tmp_path) == ["begin 1", "begin 1"]


def processes(belongs: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    """Living processes of which this is true; others come and go meanwhile."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and belongs(process):
                found.append(process)
    return found


def places() -> list[psutil.Process]:
    """The actors, and the processes below them."""
    return processes(lambda process: any(each.name().startswith("ray::Place") for each in [process, *process.parents()]))


@pytest.mark.parametrize("where", ["caller", "wait"])
def test_an_interrupt_keeps_what_has_finished(tmp_path, where):
    """Three jobs are done and the fourth hangs: the three are yielded, then the interrupt comes, and actor and process are gone."""
    jobs = [*(Do("square", i, str(tmp_path)) for i in (2, 3, 4)), Do("hang", 5, str(tmp_path)), Do("square", 6, str(tmp_path))]
    results = RayExecutor(workers=1).map(run, jobs, window=4)
    found: list[int] = []

    def interrupt() -> None:
        until(lambda: "begin 5" in traces(tmp_path))
        time.sleep(1)  # the answer before it is on its way
        os.kill(os.getpid(), signal.SIGINT)

    if where == "wait":
        threading.Thread(target=interrupt).start()

    with pytest.raises(KeyboardInterrupt):
        take_all(results, found, interrupt if where == "caller" else None)
    assert found == [4, 9, 16]
    until(lambda: not places())
    assert "begin 6" not in traces(tmp_path)


def test_it_listens_on_this_machine_alone_and_asks_for_a_token(cluster: Cluster):
    """Whoever reaches a Ray may run code as its user."""
    mine = processes(lambda process: str(cluster.folder) in " ".join(process.cmdline()))
    listening = {at.laddr.ip for process in [psutil.Process(), *mine] for at in process.net_connections("inet") if at.status == "LISTEN"}
    assert len(mine) >= 2
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1"}
    assert not (Path.home() / ".ray").exists() or "RAY_AUTH_TOKEN_PATH" not in os.environ
    assert cluster.ray.get(cluster.ray.remote(lambda: os.environ["RAY_AUTH_MODE"]).remote()) == "token"
    assert cluster.ray.cluster_resources()["object_store_memory"] == 100 * 2**20


def test_machines_with_other_versions_are_refused(monkeypatch):
    """Their pages would differ, and nothing in a row would tell."""
    monkeypatch.setattr(module, "_versions", lambda: {"ctxbench-core": "0.0.9", "attrs": "1", "no-such-thing": "1"})
    with pytest.raises(CtxbenchError, match=r"other versions than this machine.*core 0\.1\.0 \(here 0\.0\.9\), attrs .*install the same"):
        list(RayExecutor(workers=1).map(run, [Do()], window=4))


def test_what_is_compared_are_the_distributions_that_decide_results():
    """Core, plugins, and what they require: Pillow draws the pages."""
    assert {"ctxbench-core", "ctxbench-render", "numpy", "pillow"} <= set(module._versions())
    assert not {"ruff", "no-such-thing"} & set(module._versions())


def test_as_many_at_once_as_the_cluster_has_cpus(cluster: Cluster):
    """A run keeps twice as many jobs on the way, however few cores the driver has."""
    made = RayExecutor(address="auto")
    assert (made.at_once, RayExecutor(workers=70).at_once, RayExecutor(address="auto", cpus=0.5).at_once) == (2, 70, 4)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "no Ray at 127.0.0.1:1: .*refused; ray start --head"),
        ("ray://head:10001", "no Ray Client; run ctxbench on a machine of the cluster"),
        ("head", "expected host:port"),
    ],
)
def test_a_wrong_address_is_told_at_once(monkeypatch, address, said):
    """Ray itself waits for more than a minute, and then ends the program."""
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(CtxbenchError, match=said):
        join(address, None, 100)


def test_a_process_that_is_connected_elsewhere_is_told():
    """It would run on another cluster than the one that was named."""
    with pytest.raises(CtxbenchError, match=r"connected to Ray at 127\.0\.0\.1:.* already"):
        join("10.0.0.1:6379", None, 100)


@attrs.frozen
class KillsOnce(Augmenter):
    """Leaves pages as they are. Where a file ``armed`` lies in the folder, it is taken away, and the process above ends."""

    folder: str = ""

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """The page."""
        try:
            Path(self.folder, "armed").unlink()
        except OSError:
            return image.copy()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)
        raise AssertionError


def rows(store: Store, table: str) -> list[tuple[Any, ...]]:
    """A table's rows without what differs from run to run: its id, and times."""
    names = [str(name) for name in store.query(f"SELECT * FROM {table} LIMIT 0").columns]
    same = [name for name in names if name != "run_id" and not name.endswith(("seconds", "_at", "_s"))]
    return [tuple(row) for row in store.query(f"SELECT {', '.join(same)} FROM {table} ORDER BY ALL").rows]


def test_a_run_gives_the_very_rows_that_it_gives_on_one_machine(tmp_path):
    """Ids, pages' hashes, channel, answers, scores; also when an actor is killed half way, and with a component of no installed plugin."""
    config = {
        "samples": 3,
        "buckets": [96],
        "tasks": ["needle", "json_restore"],
        "codecs": ["text", "codebook", "codebook_external"],
        "augmentations": ["light", {"name": "kills", "folder": str(tmp_path)}],
        "models": ["channel", "mock"],
    }
    stores = []
    for number, executor in enumerate(({"name": "local", "workers": 0}, {"name": "ray", "workers": 2})):
        if number:
            (tmp_path / "armed").touch()
        whole = make_config({**config, "run": {"executor": executor}, "store": str(tmp_path / f"{number}.duckdb")})
        report = RunReport()
        stores.append(ctxbench.run(whole, components=[AugmenterRecord("kills", "Kills once.", KillsOnce)], report=report))
        assert (report.planned, report.finished, report.errors) == (72, 72, 0)
    assert not (tmp_path / "armed").exists()
    for table in ("trials", "scores", "pages"):
        here, there = (rows(store, table) for store in stores)
        assert len(here) >= 72 * (table != "pages")
        assert here == there
    for store in stores:
        store.close()


@attrs.frozen
class Echo(Model):
    """Answers with the last word of a prompt. Where a file ``armed`` lies in the folder, the process ends, the first time or ``again``."""

    folder: str = ""
    again: bool = False
    neutral_options = frozenset({"folder", "again"})

    @property
    def runtime(self) -> dict[str, Any]:
        """Where it computes."""
        return {"device": "cpu"}

    def read(self, prompts: Sequence[Prompt]) -> list[Reading]:
        """The last words."""
        path = Path(self.folder, "armed")
        if path.exists():
            if not self.again:
                path.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        with Path(self.folder, "readers").open("a") as file:
            file.write(f"{os.getpid()}\n")
        return [Reading(prompt.text.split()[-1]) for prompt in prompts]


def test_models_are_read_by_actors_with_the_same_rows(tmp_path):
    """The batch whose actor is killed is read again by the next one; no row is lost, doubled or an error."""
    config = {"samples": 6, "buckets": [64], "tasks": ["needle"], "codecs": ["text", "codebook"], "augmentations": ["light"]}
    stores, pids = [], []
    for number, executor in enumerate(({"name": "local", "workers": 0}, {"name": "ray", "workers": 1, "readers": 1, "gpus": 0})):
        folder = tmp_path / str(number)
        folder.mkdir()
        if number:
            (folder / "armed").touch()
        run = {"executor": executor, "batch_size": 4}
        models = [{"name": "echo", "folder": str(folder)}]
        whole = make_config({**config, "models": models, "run": run, "store": str(folder / "a.duckdb")})
        report = RunReport()
        stores.append(ctxbench.run(whole, components=[ModelRecord("echo", "Echoes.", Echo)], report=report))
        assert (report.finished, report.errors) == (12, 0)
        pids.append({int(line) for line in (folder / "readers").read_text().split()})
    assert pids[0] == {os.getpid()}
    assert len(pids[1]) == 1
    assert pids[1] != pids[0]
    assert not (tmp_path / "1" / "armed").exists()
    for table in ("trials", "scores"):
        assert rows(stores[0], table) == rows(stores[1], table)
    for store in stores:
        store.close()


def echo(folder: Path, **options: Any) -> dict[str, ModelSpec]:
    """What an executor is given to place the model elsewhere."""
    recipe = Session.of(components=[ModelRecord("echo", "Echoes.", Echo)]).recipe()
    return {"m": ModelSpec(recipe, "echo", None, {"folder": str(folder), **options})}


def test_an_actor_that_dies_for_good_is_told(cluster: Cluster, tmp_path, monkeypatch):
    """The engine makes rows of it and starts another."""
    monkeypatch.setattr(readers, "RESTARTS", 0)
    (tmp_path / "armed").touch()
    (start,) = RayExecutor(readers=1, gpus=0).replicas(echo(tmp_path, again=True)) or ()
    replica = start()
    batch = Batch("m", (Prompt((), "what"),))
    with pytest.raises(ReplicaDied, match="the model's actor ended: "):
        replica.submit(batch).result(600)
    assert not replica.alive
    with pytest.raises(ReplicaDied):
        replica.submit(batch).result(0)
    replica.close()


def test_a_model_that_would_compute_otherwise_is_refused(tmp_path):
    """On a machine with a GPU, a model planned for a CPU would give rows of another trial than their ids say."""
    given = pickle.dumps(Batch("m", (Prompt((), "what"),)))
    right = readers.Reader(surroundings({}), pickle.dumps(echo(tmp_path)), {"m": {"device": "cpu"}})
    wrong = readers.Reader(surroundings({}), pickle.dumps(echo(tmp_path)), {"m": {"device": "cuda", "dtype": "bfloat16"}})
    assert pickle.loads(right.read(given)).found == {0: Reading("what")}
    for _ in range(2):
        answer = wrong.read(given)
        assert isinstance(answer, Unusable)
        assert "planned with device cuda, dtype bfloat16 and would have device cpu, dtype None" in answer.message
    assert (tmp_path / "readers").read_text().count("\n") == 1


def test_without_gpus_models_are_read_here(cluster: Cluster, tmp_path):
    """Nobody said otherwise, and the cluster has none."""
    assert RayExecutor().replicas(echo(tmp_path)) is None
    assert RayExecutor(readers=0).replicas(echo(tmp_path)) is None
    assert len(RayExecutor(readers=3).replicas(echo(tmp_path)) or ()) == 3


def test_without_ray_one_line_says_how_to_get_it(monkeypatch):
    """Ray is an extra: a run that names the executor without it must not end in a traceback."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(CtxbenchError, match=r"needs Ray, which is not installed: pip install 'ctxbench-ray\[ray\]'"):
        join(None, 1, 80)

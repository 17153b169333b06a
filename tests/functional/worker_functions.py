"""What tests run in worker processes. A module of its own, so that workers import little."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import attrs

from ctxbench.executors import report_stage


@attrs.frozen
class Do:
    """A job: what to do, in which stage, under which name, and a folder where it leaves traces."""

    what: str = "square"
    number: int = 0
    folder: str = ""
    stage: str = ""

    def trace(self, event: str) -> None:
        """Append a line ``event number`` to the log."""
        if self.folder:
            with (Path(self.folder) / "log").open("a", encoding="utf-8") as file:
                file.write(f"{event} {self.number}\n")


def traces(folder: Path) -> list[str]:
    """The log of all jobs so far, whole lines only."""
    path = folder / "log"
    return path.read_text("utf-8").splitlines() if path.exists() else []


class Odd:
    """Can be pickled, but not unpickled."""

    def __reduce__(self) -> Any:
        return (int, ("no number",))


def run(job: Do) -> Any:
    """Do the job."""
    report_stage(job.stage)
    job.trace("begin")
    result = ACTIONS[job.what](job)
    job.trace("end")
    return result


def _raise(error: BaseException) -> None:
    raise error


def _die_once(job: Do) -> int:
    path = Path(job.folder) / f"died-{job.number}"
    if not path.exists():
        path.touch()
        os._exit(7)
    return job.number**2


def _kill_parent(job: Do) -> int:
    """End the process that started this worker, and this one with it, as often as the job's name says; then answer.

    What ended before has been answered by then, if the caller notes answers: an answer on its way is lost with the process that sends it.
    """
    times = int(job.what.rpartition(" ")[2])
    path = Path(job.folder) / f"killed-{job.number}-{sum(1 for _ in Path(job.folder).glob(f'killed-{job.number}-*'))}"
    if path.name.endswith(f"-{times}"):
        return job.number**2
    path.touch()
    ended = {line.split()[1] for line in traces(path.parent) if line.startswith("end")}
    deadline = time.monotonic() + 60
    while any(f"answered {number}" not in traces(path.parent) for number in ended) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)
    return -1


def _slow(job: Do) -> int:
    """Ends when three other jobs have begun, or after a while."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and len(traces(Path(job.folder))) < 8:
        time.sleep(0.01)
    return job.number**2


def _wait(job: Do) -> int:
    """Ends when five jobs numbered from 10 on have ended: they have to go by."""
    deadline = time.monotonic() + 60
    while sum(line.startswith("end 1") and len(line) > 5 for line in traces(Path(job.folder))) < 5:
        if time.monotonic() > deadline:
            raise TimeoutError("nobody went by")
        time.sleep(0.01)
    return job.number**2


def _spin(job: Do) -> None:
    while True:
        try:
            while True:
                pass
        except Exception:
            pass


def _nap(job: Do) -> int:
    """Long enough that another job would most likely run beside it."""
    time.sleep(0.2)
    return job.number**2


def _linger(job: Do) -> int:
    """Ends when the job before or after it has begun twice, or after a while."""
    deadline = time.monotonic() + 3
    beside = [f"begin {job.number - 1}", f"begin {job.number + 1}"]
    while time.monotonic() < deadline and all(traces(Path(job.folder)).count(line) < 2 for line in beside):
        time.sleep(0.01)
    return job.number**2


ACTIONS: dict[str, Any] = {
    "square": lambda job: job.number**2,
    "pid": lambda job: os.getpid(),
    "environment": lambda job: os.environ.get("OMP_NUM_THREADS"),
    "bytes": lambda job: bytes([job.number]) * 3_000_000,
    "exit": lambda job: os._exit(5),
    "segv": lambda job: os.kill(os.getpid(), signal.SIGSEGV),
    "killed": lambda job: os.kill(os.getpid(), signal.SIGKILL),
    "die once": _die_once,
    "kill parent 1": _kill_parent,
    "kill parent 9": _kill_parent,
    "system exit": lambda job: sys.exit("enough"),
    "keyboard": lambda job: _raise(KeyboardInterrupt()),
    "generator": lambda job: _raise(GeneratorExit("odd")),
    "error": lambda job: _raise(ValueError("wrong\n  number")),
    "lambda": lambda job: lambda: 0,
    "odd": lambda job: Odd(),
    "hang": lambda job: time.sleep(600),
    "spin": _spin,
    "hang in C": lambda job: ctypes.PyDLL(None).sleep(600),  # with the interpreter's lock held: no Python code runs
    "nap": _nap,
    "linger": _linger,
    "slow": _slow,
    "wait": _wait,
}

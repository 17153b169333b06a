"""A distribution of parts that fail on purpose, installed for one test, and what tests of killed runs need."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PARTS = '''
import ctypes, os, pathlib, time, zlib
import attrs
from ctxbench import *

FOLDER = pathlib.Path(os.environ["FAULTY_FOLDER"])
FAULT, _, ARGUMENT = os.environ.get("FAULT", "").partition(":")

def note(line):
    with (FOLDER / "log").open("a") as file:
        file.write(line + "\\n")

def spared():
    """The plan's first n texts. Rows come in the order of the plan, so a text that hangs early would hold up those that follow."""
    return (FOLDER / "plan").read_text().split()[:int(ARGUMENT)]

@attrs.frozen
class Faulty(Codec):
    """Hands the text on, unless it is to hang from the plan's n-th text on, or to end its process at every n-th text."""
    def encode(self, text):
        if FAULT == "hang" and str(zlib.crc32(text.encode())) not in spared():
            note("hangs")
            ctypes.PyDLL(None).sleep(600)  # holds the interpreter's lock
        if FAULT in ("exit", "system exit") and zlib.crc32(text.encode()) % int(ARGUMENT) == 0:
            note(f"ends {zlib.crc32(text.encode())}")
            if FAULT == "system exit":
                raise SystemExit("enough")
            os._exit(9)
        note("encoded")
        return Carrier(text)
    def decode(self, carrier):
        return carrier.text

@attrs.frozen
class Noted(Metric):
    """Runs in the process that stores."""
    def score(self, prediction, sample):
        note(f"scored {zlib.crc32(sample.context.encode())}")
        return {"noted": 1.0}

@attrs.frozen
class Ends(Model):
    """Ends the process, as a library under a model may."""
    def read(self, prompts):
        if FAULT == "model":
            os._exit(3)
        return [Reading("x") for prompt in prompts]

@hookimpl
def ctxbench_codecs(): yield CodecRecord("faulty", "Fails on purpose.", Faulty)
@hookimpl
def ctxbench_metrics(): yield MetricRecord("noted", "Leaves a note.", Noted)
@hookimpl
def ctxbench_models(): yield ModelRecord("ends", "Ends the process.", Ends)
'''


def until(condition: Callable[[], object], seconds: float = 600) -> None:
    """Wait for a condition that must come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Faulty:
    """The parts, installed under ``folder``; the command finds them through ``PYTHONPATH``.

    Args:
        plan: of the run that is to hang, from :func:`plan_of`.
    """

    def __init__(self, folder: Path, plan: str = "") -> None:
        self.folder = folder
        site = folder / "site"
        (folder / "plan").write_text(plan, "utf-8")
        information = site / "faulty-1.0.dist-info"
        information.mkdir(parents=True)
        (site / "faulty_parts.py").write_text(PARTS, "utf-8")
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n", "utf-8")
        (information / "entry_points.txt").write_text("[ctxbench]\nfaulty = faulty_parts\n", "utf-8")
        self.environment = {"PYTHONPATH": str(site), "FAULTY_FOLDER": str(folder), "NO_COLOR": "1"}

    @contextlib.contextmanager
    def start(self, *arguments: str, fault: str = "") -> Iterator[subprocess.Popen[str]]:
        """Start the command in ``folder``, in a process group of its own, as a shell does. Nothing of it outlives the block."""
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("ctxbench")), *arguments],
            cwd=self.folder,
            env={**os.environ, **self.environment, "FAULT": fault},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.kill()
            for other in self.processes():
                with contextlib.suppress(OSError):
                    os.kill(other, signal.SIGKILL)
            process.communicate()

    def notes(self, word: str) -> list[str]:
        """The lines that the parts have written and that begin with ``word``."""
        path = self.folder / "log"
        return [line for line in path.read_text("utf-8").splitlines() if line.startswith(word)] if path.exists() else []

    def processes(self) -> set[int]:
        """Living processes of commands that were started here, whoever their parent is now (Linux)."""
        mark = f"FAULTY_FOLDER={self.folder}\0".encode()
        found = set()
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                    found.add(int(entry.name))
        return found


def plan_of(folder: Path, *run: str) -> str:
    """What tells the texts of a run apart, in the order of the plan: a line for each. The run is done once, in a folder of its own."""
    whole = Faulty(folder)
    with whole.start(*run) as process:
        process.communicate(timeout=600)
    return "\n".join(dict.fromkeys(note.split()[1] for note in whole.notes("scored")))  # one text is scored twice: answer and channel


def handles_signals(process: subprocess.Popen[str]) -> bool:
    """True once the program has said what a SIGTERM means, or has ended; before that Python itself answers (Linux)."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text("utf-8")
    except OSError:
        return True
    caught = next((line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")), "0")
    return bool(int(caught, 16) >> 14 & 1) or process.poll() is not None

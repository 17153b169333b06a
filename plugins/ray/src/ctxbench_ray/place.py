"""What a Ray actor runs. Every machine of a cluster imports it, and so does each worker process, which needs no Ray."""

from __future__ import annotations

import importlib.metadata
import os
import pickle
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from ctxbench import CtxbenchError, Lost
from ctxbench.executors import Pool


@attrs.frozen
class Surroundings:
    """What a worker process on this machine would inherit, and one on another machine is given.

    Attributes:
        folder: the working directory, which relative paths in options begin at.
        path: ``sys.path``.
        environment: variables whose names begin with ``CTXBENCH_``.
        versions: distributions that decide results, and their versions; empty to accept any.
    """

    folder: str
    path: tuple[str, ...]
    environment: Mapping[str, str]
    versions: Mapping[str, str]

    def take_over(self) -> None:
        """Make them this process's own, as far as this machine has them."""
        if Path(self.folder).is_dir():
            os.chdir(self.folder)
        sys.path.extend(entry for entry in self.path if entry not in sys.path)
        os.environ.update(self.environment)

    def differences(self) -> tuple[str, ...]:
        """``name 1.1 (here 1.0)`` for each distribution that this machine has in another version."""
        found = {name: version_of(name) for name in self.versions}
        return tuple(f"{name} {found[name]} (here {here})" for name, here in self.versions.items() if found[name] not in ("", here))


def version_of(distribution: str) -> str:
    """The public version of an installed distribution, without a build's label (``+cpu``); empty if it is not installed."""
    try:
        return importlib.metadata.version(distribution).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return ""


@attrs.frozen
class Arrived:
    """What an actor says first: the id of its node, the machine's name, and what is installed there in another version."""

    node: str
    machine: str
    differences: tuple[str, ...]


@attrs.frozen
class NoResult:
    """A job that has no result: the fields of its :class:`ctxbench.Lost`, without the job."""

    stage: str
    type: str
    message: str


@attrs.frozen
class Unusable:
    """No job can be run on this machine."""

    message: str


@attrs.frozen
class Packed:
    """Runs a function on a pickled job and pickles its result, so that nothing on the way has to know what is in them."""

    function: Callable[[Any], Any]

    def __call__(self, job: bytes) -> bytes:
        """The pickled result."""
        return pickle.dumps(self.function(pickle.loads(job)), pickle.HIGHEST_PROTOCOL)


@attrs.frozen
class Sealed:
    """A pickled function on its way: unpickled, it is :class:`Packed`. The actor need not import what only its worker process runs."""

    function: bytes

    def __call__(self, job: bytes) -> bytes:
        """Never called: a worker process has it unpickled."""
        return _open(self.function)(job)

    def __reduce__(self) -> Any:
        return _open, (self.function,)


def _open(function: bytes) -> Packed:
    return Packed(pickle.loads(function))


class Place:
    """Watches over one worker process, which starts with the first job.

    The process is one of core's own pool, so time limits, a decoder's process and every kind of end are what they are on one machine, and
    nothing that a plugin does reaches Ray.
    """

    def __init__(self, surroundings: Surroundings, function: bytes, limits: Mapping[str, float]) -> None:
        surroundings.take_over()
        # Else every worker process would run the file that Ray's own workers are started with.
        vars(sys.modules["__main__"]).pop("__file__", None)
        self._surroundings = surroundings
        self._machine = socket.gethostname()
        self._function = function
        self._limits = dict(limits)
        self._pool: Pool | None = None

    def hello(self) -> Arrived:
        """Where this is."""
        import ray

        return Arrived(ray.get_runtime_context().get_node_id(), self._machine, self._surroundings.differences())

    def do(self, job: bytes) -> bytes | NoResult | Unusable:
        """Run a job: its pickled result, or why there is none."""
        try:
            if self._pool is None:
                self._pool = Pool(Sealed(self._function), 1, self._limits, tries=1)
            self._pool.submit(job)
            outcome = self._pool.take()
        except Exception as error:
            # The pool has failed: whatever it was given cannot be run here.
            where = f"on {self._machine}"
            return Unusable(f"{where}: {error}" if isinstance(error, CtxbenchError) else f"{where}: {type(error).__name__}: {error}")
        if isinstance(outcome, Lost):
            return NoResult(outcome.stage, outcome.type, outcome.message)
        return bytes(outcome)


def surroundings(distributions: Mapping[str, str]) -> Surroundings:
    """Those of this process."""
    own = {name: value for name, value in os.environ.items() if name.startswith("CTXBENCH_")}
    return Surroundings(str(Path.cwd()), tuple(str(Path(entry).absolute()) for entry in sys.path), own, distributions)


def last_line(error: BaseException) -> str:
    """The last line of an error's message, which is the reason after Ray's own traceback and explanations."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__

"""Models as actors: each has its GPUs, holds the models that a run has in memory together, and reads one batch after the other."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from ctxbench import CtxbenchError, load_plugins
from ctxbench.replicas import Answers, Batch, Host, ModelSpec, Replica, ReplicaDied
from ctxbench_ray.place import Surroundings, Unusable, last_line

RESTARTS = 2
"""Times that Ray starts an actor anew, perhaps on another machine, and has it read again what it had not answered."""


class Reader:
    """What the actor runs. Its methods run in the main thread, where a time limit can end them."""

    def __init__(self, surroundings: Surroundings, specs: bytes, runtimes: Mapping[str, Mapping[str, Any]]) -> None:
        surroundings.take_over()
        self._differences = surroundings.differences()
        self._specs = specs
        self._runtimes = dict(runtimes)
        self._host: Host | None = None

    def read(self, batch: bytes) -> bytes | Unusable:
        """The pickled answers to a pickled batch."""
        if self._differences:
            return Unusable(f"its machine has other versions than the driver's: {', '.join(self._differences)}")
        if self._host is None:
            load_plugins().manager.quiet = True  # the driver has told what was left out
            self._host = Host(pickle.loads(self._specs))
        given: Batch = pickle.loads(batch)
        try:
            self._check(given.model)
        except CtxbenchError as error:
            return Unusable(str(error))
        answers = self._host.read(given)
        try:
            return pickle.dumps(answers, pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            failure = Answers(failure=(type(error).__name__, last_line(error)), seconds=answers.seconds)
            return pickle.dumps(failure, pickle.HIGHEST_PROTOCOL)

    def _check(self, key: str) -> None:
        """Refuse a model that would compute otherwise here than its trials' ids say, before it reads for the first time."""
        if key not in self._runtimes:
            return
        planned, made = self._runtimes.pop(key), pickle.loads(self._specs)[key].make()
        try:
            here = dict(made.runtime)
        finally:
            made.close()
        if here != planned:
            keys = [name for name in {**planned, **here} if planned.get(name) != here.get(name)]
            was, would = (", ".join(f"{name} {found.get(name)}" for name in keys) for found in (planned, here))
            self._runtimes[key] = planned
            raise CtxbenchError(
                f"the model is planned with {was} and would have {would} on its actor; run ctxbench on a machine like the actors', "
                "or name device and dtype in the model's options"
            )


def runtimes(specs: Mapping[str, ModelSpec]) -> dict[str, dict[str, Any]]:
    """What decides answers beside weights and options, as it is planned on this machine."""
    found = {}
    for key, spec in specs.items():
        made = spec.make()
        found[key] = dict(made.runtime)
        made.close()
    return found


class RayReplica(Replica):
    """The driver's side of one actor.

    An actor that dies is started anew by Ray and reads again what it had not answered; only after some deaths is the replica lost.

    Args:
        owner: kept alive, and with it the connection to Ray.
        gpus: set aside for the actor; Ray shows it no others.
    """

    def __init__(self, owner: object, ray: Any, specs: Mapping[str, ModelSpec], surroundings: Surroundings, gpus: float) -> None:
        self._owner, self._ray = owner, ray
        options = {"num_cpus": 0, "num_gpus": gpus, "max_restarts": RESTARTS, "max_task_retries": RESTARTS}
        self._actor = (
            ray.remote(Reader).options(**options).remote(surroundings, pickle.dumps(dict(specs), pickle.HIGHEST_PROTOCOL), runtimes(specs))
        )
        self._dead: str | None = None
        self._waiting: set[Future[Answers]] = set()

    def submit(self, batch: Batch) -> Future[Answers]:
        """See :meth:`ctxbench.replicas.Replica.submit`."""
        future: Future[Answers] = Future()
        future.set_running_or_notify_cancel()
        if self._dead is not None:
            future.set_exception(ReplicaDied(self._dead))
            return future
        try:
            data = pickle.dumps(batch, pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            future.set_result(Answers(failure=(type(error).__name__, last_line(error))))
            return future
        self._waiting.add(future)
        self._actor.read.remote(data).future().add_done_callback(lambda came: self._settle(future, came))
        return future

    @property
    def alive(self) -> bool:
        """Whether the actor can still answer."""
        return self._dead is None

    def close(self) -> None:
        """Kill the actor."""
        self._end("the run has ended")
        with contextlib.suppress(Exception):  # it has ended already
            self._ray.kill(self._actor)

    def _settle(self, future: Future[Answers], came: Future[bytes | Unusable]) -> None:
        error = came.exception()
        given = None if error is not None else came.result()
        if isinstance(given, bytes):
            if future in self._waiting:
                self._waiting.discard(future)
                future.set_result(pickle.loads(given))
            return
        self._end(f"the model's actor ended: {last_line(error)}" if error is not None else given.message if given is not None else "")

    def _end(self, why: str) -> None:
        self._dead = self._dead or why
        while self._waiting:
            self._waiting.pop().set_exception(ReplicaDied(self._dead))

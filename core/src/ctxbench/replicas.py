"""Copies of models that read elsewhere: in a process with a GPU of its own, or on another machine.

The engine forms batches in the order of the plan and hands each to the replica that is free first, so that a batch's composition does not
depend on who reads it. Each replica holds the models that a run has in memory together (:class:`ModelSpec`, by key)::

    engine                                   elsewhere
    replica = start()                        host = Host(specs)
    replica.submit(batch) -> Future  ----->  host.ahead(batch); host.read(batch) -> Answers

:meth:`ctxbench.Executor.replicas` offers them. Where an executor offers none, ``run.devices`` starts processes on this machine.
"""

from __future__ import annotations

import abc
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import attrs

from ctxbench.errors import CtxbenchError, message_of
from ctxbench.interfaces import Model
from ctxbench.records import Prompt
from ctxbench.session import Recipe
from ctxbench.time_limit import time_limit


class ReplicaDied(CtxbenchError):  # noqa: N818 - rows name it WorkerDied, as they do every process that ends
    """A replica ended before it answered; the message says how."""


@attrs.frozen
class ModelSpec:
    """How to make a model of an experiment in another process. It can be pickled, and holds secret options: never store or log it.

    Attributes:
        name: as configs name it, a reference after a colon.
    """

    recipe: Recipe = attrs.field(repr=False)
    name: str
    adapter: str | None = None
    options: Mapping[str, Any] = attrs.field(factory=dict, repr=False)

    def make(self) -> Model:
        """The model; its weights are read when it first answers.

        Raises:
            ConfigError, ModelError: it cannot be made here.
        """
        session = self.recipe.session()
        with session.active():
            return session.registry.model(self.name, adapter=self.adapter, **self.options)


@attrs.frozen(eq=False)
class Batch:
    """Prompts for one model.

    Attributes:
        model: key of the model among the replica's specs.
        limit: seconds that reading may take for each prompt; ``None`` for any.
    """

    model: str
    prompts: tuple[Prompt, ...]
    limit: float | None = None


@attrs.frozen(eq=False)
class Answers:
    """What came of a batch.

    Attributes:
        found: what the model gave, by the place of its prompt in the batch; the engine checks that these are readings.
        failure: (type, message) of what ended the batch, which concerns the prompts that are not in ``found``.
        seconds: wall time of reading, without the way to the replica and back.
        interrupted: the batch was ended by an interrupt of this process.
    """

    found: dict[int, object] = attrs.field(factory=dict)
    failure: tuple[str, str] | None = None
    seconds: float = 0.0
    interrupted: bool = False


class Replica(abc.ABC):
    """The engine's side of one place that reads batches, one after the other. The engine calls it from one thread."""

    @abc.abstractmethod
    def submit(self, batch: Batch) -> Future[Answers]:
        """Have a batch read after those that were submitted before; never waits for them, and raises nothing.

        The engine submits one batch more than is being read, so that the place has something to do at once when it is done. The future ends
        with :class:`ReplicaDied` if the place is lost before it answered, which makes error rows of its trials: a place that can begin
        anew by itself, and read the batch again, does so first.
        """

    @property
    @abc.abstractmethod
    def alive(self) -> bool:
        """False once the place is lost for good: the engine then closes it and starts another."""

    @abc.abstractmethod
    def close(self) -> None:
        """End it at once, whatever it is doing, and free what it holds; within two seconds. May be called again.

        Futures that are not done end with :class:`ReplicaDied`.
        """


class Host:
    """The far side: the models of a replica, each made when it is first asked. Its methods may run in different threads.

    ``read`` belongs into the main thread, where a time limit can end it, and is called for one batch at a time. ``ahead`` may be called
    meanwhile with the very batch that is read next: a model that reads ``beside`` then begins with its own preprocessing.
    """

    def __init__(self, specs: Mapping[str, ModelSpec]) -> None:
        self._specs = dict(specs)
        self._models: dict[str, Model] = {}

    def read(self, batch: Batch) -> Answers:
        """Let the model read; whatever it raises is part of the answer."""
        start = time.perf_counter()
        try:
            model = self._model(batch.model)
        except Exception as error:
            return Answers(failure=(type(error).__name__, message_of(error)), seconds=time.perf_counter() - start)
        return attrs.evolve(read_batch(model, batch.prompts, batch.limit), interrupted=False)

    def ahead(self, batch: Batch) -> None:
        """Begin what comes before reading a batch, if its model has been made."""
        model = self._models.get(batch.model)
        if model is not None and model.beside:
            model.ahead(batch.prompts)

    def close(self) -> None:
        """Free the models."""
        while self._models:
            self._models.popitem()[1].close()

    def _model(self, key: str) -> Model:
        if key not in self._models:
            self._models[key] = self._specs[key].make()
        return self._models[key]


def read_batch(model: Model, prompts: Sequence[Prompt], limit: float | None = None) -> Answers:
    """Let a model read, for at most ``limit`` seconds a prompt. Raises nothing; what had arrived when it failed half-way is kept."""
    found: dict[int, object] = {}
    failure = None
    total = (limit or 0) * len(prompts)
    start = time.perf_counter()
    try:
        with time_limit(total or None, f"read took longer than {total:g} s (run.limits.read)"):
            for index, given in _each(model, prompts):
                found[index] = given
    except BaseException as error:
        failure = (type(error).__name__, message_of(error))
    return Answers(found, failure, time.perf_counter() - start, failure is not None and failure[0] == "KeyboardInterrupt")


def _each(model: Model, prompts: Sequence[Prompt]) -> Iterator[tuple[int, object]]:
    """The readings of a model, each with the index of its prompt. One that reads in batches gives all or nothing."""
    from ctxbench.engine import checks  # which imports this module

    if type(model).read_each is Model.read_each:
        return enumerate(checks.readings(model.read(prompts), len(prompts)))
    return checks.answers(model.read_each(prompts), len(prompts))


__all__ = ["Answers", "Batch", "Host", "ModelSpec", "Replica", "ReplicaDied", "read_batch"]

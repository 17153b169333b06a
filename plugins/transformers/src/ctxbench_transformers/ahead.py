"""The processor's work, done in a thread while the model answers what came before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from ctxbench import Prompt

T = TypeVar("T")


class Ahead(Generic[T]):
    """Makes a model's inputs of prompts that will be read soon, in one thread of its own.

    ``make`` must use nothing that another thread uses meanwhile: tokenizers are not for two threads at a time. Held is what was announced
    and nobody has taken yet: as many batches as the engine announces, two.
    """

    def __init__(self, make: Callable[[Prompt], T]) -> None:
        self._make = make
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ctxbench-encode")
        self._made: dict[int, tuple[Prompt, Future[T]]] = {}

    def announce(self, prompts: Sequence[Prompt]) -> None:
        """Begin with these; does not wait."""
        for prompt in prompts:
            self._made[id(prompt)] = (prompt, self._thread.submit(self._make, prompt))

    def take(self, prompt: Prompt) -> T:
        """A model's inputs: those that were made ahead, or made now.

        Raises:
            Exception: as ``make`` raises for this prompt, :class:`~ctxbench.ModelError` for one that the processor cannot take.
        """
        found = self._made.pop(id(prompt), None)
        if found is None or found[0] is not prompt:
            found = (prompt, self._thread.submit(self._make, prompt))
        return found[1].result()

    def close(self) -> None:
        """Drop what nobody took."""
        self._made.clear()
        self._thread.shutdown(wait=True, cancel_futures=True)

"""The processor's work, done in a thread while the model answers what came before."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from ctxbench import Prompt
from ctxbench_transformers.encoding import Encoded, Encoder


class Ahead:
    """Encodes prompts that will be read soon. It has a processor of its own: tokenizers are not for two threads at a time.

    It holds what it was told of and nobody has taken yet: as many batches as the engine announces, two.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = Encoder(copy.deepcopy(encoder.processor))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ctxbench-encode")
        self._made: dict[int, tuple[Prompt, Future[Encoded]]] = {}

    def announce(self, prompts: Sequence[Prompt]) -> None:
        """Begin with these; does not wait."""
        for prompt in prompts:
            self._made[id(prompt)] = (prompt, self._thread.submit(self._encoder.encode_prompt, prompt))

    def take(self, prompt: Prompt) -> Encoded:
        """A model's inputs: those that were made ahead, or made now.

        Raises:
            ModelError: the processor cannot take the prompt.
        """
        found = self._made.pop(id(prompt), None)
        if found is None or found[0] is not prompt:
            found = (prompt, self._thread.submit(self._encoder.encode_prompt, prompt))
        return found[1].result()

    def close(self) -> None:
        """Drop what nobody took."""
        self._made.clear()
        self._thread.shutdown(wait=True, cancel_futures=True)

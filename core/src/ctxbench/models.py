"""The two models that need no weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import attrs

from ctxbench.interfaces import Model
from ctxbench.options import String, option
from ctxbench.records import Prompt, Reading


@attrs.frozen
class ChannelModel(Model):
    """A perfect reader of whatever the codec's own classical decoder recovered: that decoder's bound, which a better one could pass.

    Where the decoder gave up it answers nothing.
    """

    needs_channel: ClassVar[bool] = True
    instant: ClassVar[bool] = True

    def read(self, prompts: Sequence[Prompt]) -> list[Reading]:
        """Solve each prompt from its channel text."""
        return [self._read(prompt) for prompt in prompts]

    @staticmethod
    def _read(prompt: Prompt) -> Reading:
        if prompt.channel is None:
            return Reading("", error=("ModelError", "this codec has no classical decoder for the channel model to read with"))
        if prompt.channel.text is None:
            return Reading("", metadata={"channel_error": prompt.channel.error})
        return Reading(prompt.channel.text)


@attrs.frozen
class MockModel(Model):
    """Says ``answer`` to everything, at once: what remains is the time of the harness.

    Attributes:
        answer: what it says.
    """

    instant: ClassVar[bool] = True

    answer: str = option(String(), "mock")

    def read(self, prompts: Sequence[Prompt]) -> list[Reading]:
        """The same answer for each prompt."""
        return [Reading(self.answer) for _ in prompts]

"""Trials on their way: prepared, asked, answered."""

from __future__ import annotations

import attrs

from ctxbench.engine.failures import Failure
from ctxbench.engine.prepare import Prepared, Variant
from ctxbench.plan import Trial
from ctxbench.records import ChannelAnswer, Prompt, Reading


@attrs.frozen(eq=False)
class Ready:
    """A job that is prepared, with the trials that wait for it."""

    trials: tuple[Trial, ...]
    prepared: Prepared

    def variant(self, trial: Trial) -> Variant:
        """The pages of one of the trials, or the failure that left it without pages."""
        found = self.prepared.variants.get(trial.cell.augmentation.label)
        return found if found is not None and self.prepared.failure is None else Variant(failure=self.prepared.failure)


@attrs.frozen(eq=False)
class Question:
    """A trial that is ready to be read."""

    trial: Trial
    prepared: Prepared
    variant: Variant

    @property
    def key(self) -> tuple[str, int, int, str, str]:
        """Equal for trials whose prompts are equal: an augmentation changes nothing in a carrier without pages."""
        cell = self.trial.cell
        level = cell.augmentation.label if self.variant.pages else ""
        return (*self.trial.sample_key, cell.codec.label, level)

    def prompt(self, system: str) -> Prompt:
        """What the model is asked. Only a model that stands for the channel gets to know what the channel answers."""
        channel = self.variant.channel
        answer = None
        if self.trial.cell.reader.model.needs_channel and channel is not None:
            answer = ChannelAnswer(channel.answer, channel.error)
        return Prompt(self.variant.pages, self.prepared.text, system, self.prepared.room, answer)


@attrs.frozen(eq=False)
class Answered:
    """A question with the model's answer, or the reason why there is none; ``seconds`` is its share of the batch's wall time."""

    question: Question
    reading: Reading | None
    failure: Failure | None
    seconds: float

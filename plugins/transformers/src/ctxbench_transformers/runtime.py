"""A loaded model with everything that answering needs; the same for ``ctxbench run`` and for evaluation during training."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import torch

from ctxbench import CtxbenchError, Prompt, Reading
from ctxbench_transformers.batching import by_length
from ctxbench_transformers.decoding import Decoding, Generated, generate, halving
from ctxbench_transformers.encoding import Encoded, Encoder
from ctxbench_transformers.usage import Counter

SMALL = 50_000_000
"""Parameters below which a model runs on one thread of a CPU."""

DEFAULT_NEW_TOKENS = 256
"""New tokens for a prompt that does not say how many it needs."""


@attrs.frozen
class Sizing:
    """How many tokens an answer may have: ``fixed``, or else what the prompt allows, in this model's own tokens.

    Attributes:
        fixed: ``max_new_tokens`` for every prompt, if set.
    """

    fixed: int | None = None

    def limit(self, encoder: Encoder, prompt: Prompt) -> int:
        """The largest number of new tokens for this prompt."""
        if self.fixed is not None:
            return self.fixed
        if prompt.max_new_tokens is None:
            return DEFAULT_NEW_TOKENS
        return math.ceil(prompt.max_new_tokens * encoder.density)


@attrs.define
class Runtime:
    """A model on its device, in evaluation mode. ``positions``: the longest prompt it has positions for, in tokens."""

    model: Any
    encoder: Encoder
    counter: Counter
    end_ids: tuple[int, ...]
    pad_id: int
    positions: int | None
    largest_batch: int | None = None

    def answer(self, prompts: Sequence[Prompt], decoding: Decoding, sizing: Sizing, batch_size: int | None = None) -> list[Reading]:
        """Answer each prompt, in order; a prompt that cannot be answered alone gets a reading with an error."""
        encoded: dict[int, Encoded] = {}
        readings: dict[int, Reading] = {}
        for i, prompt in enumerate(prompts):
            try:
                encoded[i] = self._checked(self.encoder.encode_prompt(prompt))
            except CtxbenchError as error:
                readings[i] = _failed(error)
        indices = list(encoded)
        limits = {i: self._within(sizing.limit(self.encoder, prompts[i]), encoded[i]) for i in indices}
        size = min(n for n in (batch_size, self.largest_batch, max(1, len(indices))) if n is not None)
        with _threads_for(self.model):
            for batch in by_length([len(encoded[i]) + limits[i] for i in indices], size):
                rows = [indices[j] for j in batch]
                for i, made in self._generate(rows, encoded, limits, decoding).items():
                    readings[i] = self._reading(prompts[i], encoded[i], made, limits[i], decoding)
        return [readings[i] for i in range(len(prompts))]

    def _checked(self, encoded: Encoded) -> Encoded:
        if self.positions is not None and len(encoded) >= self.positions:
            raise PromptTooLongError(f"the prompt has {len(encoded)} tokens; the model has positions for {self.positions}")
        return encoded

    def _within(self, limit: int, encoded: Encoded) -> int:
        """A limit of new tokens for which the model has positions."""
        return limit if self.positions is None else min(limit, self.positions - len(encoded))

    def _generate(
        self, rows: Sequence[int], encoded: dict[int, Encoded], limits: dict[int, int], decoding: Decoding
    ) -> dict[int, Generated | BaseException]:
        def work(part: Sequence[int]) -> list[Generated | BaseException]:
            made = generate(
                self.model, [encoded[i] for i in part], [limits[i] for i in part], decoding, pad_id=self.pad_id, end_ids=self.end_ids
            )
            if len(part) < len(rows):  # a smaller batch fitted where the whole one did not: start there next time
                self.largest_batch = min(self.largest_batch or len(part), len(part))
            return list(made)

        return halving(rows, work, lambda _, error: error)

    def _reading(self, prompt: Prompt, encoded: Encoded, made: Generated | BaseException, limit: int, decoding: Decoding) -> Reading:
        usage = self.counter.usage(encoded)
        if isinstance(made, BaseException):
            return attrs.evolve(_failed(made), usage=usage)
        metadata: dict[str, Any] = {"decoding": decoding.plain, "max_new_tokens": limit, "batch_size": made.batch_size}
        disagreement = self.counter.disagreement(prompt, encoded)
        if disagreement is not None:
            metadata["token_disagreement"] = disagreement
        return Reading(
            text=self.encoder.tokenizer.decode(made.ids, skip_special_tokens=True, clean_up_tokenization_spaces=False),
            finish_reason=made.finish_reason,
            usage=attrs.evolve(usage, completion=made.completion_tokens),
            prefill_seconds=made.prefill_seconds,
            generate_seconds=made.generate_seconds,
            metadata=metadata,
        )


def make_runtime(model: Any, encoder: Encoder, family: str | None, generation: Any = None) -> Runtime:
    """A runtime for a loaded model.

    The checkpoint's own generation settings (a repetition penalty, a temperature) are put aside: only the ids of its end tokens are kept.
    ``generation``: these settings, where another runtime has put them aside already.
    """
    from transformers import GenerationConfig

    own = generation if generation is not None else model.generation_config
    ends = own.eos_token_id if isinstance(own.eos_token_id, list) else [own.eos_token_id]
    end_ids = tuple(dict.fromkeys([encoder.end_of_turn, *(i for i in ends if i is not None)]))
    pad_id = encoder.tokenizer.pad_token_id
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    base.generation_config = GenerationConfig()
    return Runtime(
        model=model,
        encoder=encoder,
        counter=Counter(encoder.processor, encoder.image_token_id, family),
        end_ids=end_ids,
        pad_id=end_ids[0] if pad_id is None else pad_id,
        positions=getattr(base.config.get_text_config(), "max_position_embeddings", None),
    )


class PromptTooLongError(CtxbenchError):
    """A prompt has more tokens than the model has positions."""


@contextlib.contextmanager
def _threads_for(model: Any) -> Iterator[None]:
    """One thread for a small model on a CPU.

    Its matrix products take microseconds; threads that wait for each other beside the workers that prepare pages made a model of 5 million
    parameters five to nine times slower on two busy cores.
    """
    before = torch.get_num_threads()
    small = next(model.parameters()).device.type == "cpu" and sum(p.numel() for p in model.parameters()) < SMALL
    torch.set_num_threads(1 if small else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _failed(error: BaseException) -> Reading:
    return Reading("", finish_reason="error", error=(type(error).__name__, " ".join(str(error).split())[:1000]))

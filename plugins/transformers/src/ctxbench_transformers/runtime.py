"""A loaded model with everything that answering needs; the same for ``ctxbench run`` and for evaluation during training."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch

from ctxbench import CtxbenchError, ModelError, Prompt, Reading
from ctxbench_transformers.batching import by_length
from ctxbench_transformers.decoding import Decoding, Generated, generate, halves, halving, is_out_of_memory
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


GROWTH = 8
"""Batches at the limit that have to fit in a row before a larger one is tried again."""


@attrs.define
class Memory:
    """How large batches may be since one did not fit, in padded tokens: rows times the longest row's prompt and answer.

    Short prompts are not held back by a long one, and the limit doubles after :data:`GROWTH` batches near it have fitted: what else used
    the memory may be gone.
    """

    limit: int | None = None
    fitting: int = 0

    def holds(self, lengths: Sequence[int]) -> bool:
        """Whether a batch of rows of these lengths should be tried; a single row always is."""
        return len(lengths) == 1 or self.limit is None or len(lengths) * max(lengths) < self.limit

    def failed(self, lengths: Sequence[int]) -> None:
        """Take in that a batch did not fit."""
        tokens = len(lengths) * max(lengths)
        self.limit, self.fitting = min(self.limit or tokens, tokens), 0

    def fitted(self, lengths: Sequence[int]) -> None:
        """Take in that a batch did. One far below the limit says nothing about it."""
        if self.limit is None or 4 * len(lengths) * max(lengths) < self.limit:
            return
        self.fitting += 1
        if self.fitting == GROWTH:
            self.limit, self.fitting = 2 * self.limit, 0


@attrs.define
class Runtime:
    """A model on its device, in evaluation mode.

    Attributes:
        positions: the longest prompt it has positions for, in tokens.
        memory: what fits into memory, as far as it is known.
        stopped: asked at every token; once it is true, answering ends with KeyboardInterrupt.
    """

    model: Any
    encoder: Encoder
    counter: Counter
    end_ids: tuple[int, ...]
    pad_id: int
    positions: int | None
    memory: Memory = attrs.field(factory=Memory)
    stopped: Callable[[], bool] = lambda: False

    def answer(
        self,
        prompts: Sequence[Prompt],
        decoding: Decoding,
        sizing: Sizing,
        batch_size: int | None = None,
        encode: Callable[[Prompt], Encoded] | None = None,
        batch_tokens: int | None = None,
    ) -> list[Reading]:
        """Answer each prompt, in order; a prompt that cannot be answered alone gets a reading with an error.

        ``encode`` makes a model's inputs of a prompt, by default this runtime's encoder.
        """
        encode = encode or self.encoder.encode_prompt
        encoded: dict[int, Encoded] = {}
        readings: dict[int, Reading] = {}
        for i, prompt in enumerate(prompts):
            try:
                encoded[i] = self._checked(encode(prompt))
            except CtxbenchError as error:
                readings[i] = _failed(error)
        indices = list(encoded)
        limits = {i: self._within(sizing.limit(self.encoder, prompts[i]), encoded[i]) for i in indices}
        lengths = {i: len(encoded[i]) + limits[i] for i in indices}
        size = min(batch_size or len(indices), len(indices)) or 1
        with _threads_for(self.model):
            waiting: list[Sequence[int]] = []
            for company in sorted({encoded[i].company for i in indices}):
                alike = [i for i in indices if encoded[i].company == company]
                waiting += [[alike[j] for j in batch] for batch in by_length([lengths[i] for i in alike], size, batch_tokens)]
            while waiting:
                rows = waiting.pop(0)
                if not self.memory.holds([lengths[i] for i in rows]):
                    waiting[:0] = halves(rows)
                    continue
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
            sizes = [len(encoded[i]) + limits[i] for i in part]
            try:
                made = generate(
                    self.model,
                    [encoded[i] for i in part],
                    [limits[i] for i in part],
                    decoding,
                    pad_id=self.pad_id,
                    end_ids=self.end_ids,
                    stopped=self.stopped,
                )
            except Exception as error:
                if is_out_of_memory(error):
                    self.memory.failed(sizes)
                raise
            self.memory.fitted(sizes)
            return list(made)

        return halving(rows, work, lambda _, error: error)

    def _reading(self, prompt: Prompt, encoded: Encoded, made: Generated | BaseException, limit: int, decoding: Decoding) -> Reading:
        usage = self.counter.usage(encoded)
        if isinstance(made, BaseException):
            return attrs.evolve(_failed(made), usage=usage)
        metadata: dict[str, Any] = {"decoding": decoding.plain, "max_new_tokens": limit, "batch_size": made.batch_size, "batch": made.batch}
        alone = made.batch_size == 1
        if not alone:  # what a row of a batch takes is nobody's to tell: a short one waits for the longest
            metadata["batch_seconds"] = {"prefill": made.prefill_seconds, "generate": made.generate_seconds}
        disagreement = self.counter.disagreement(prompt, encoded)
        if disagreement is not None:
            metadata["token_disagreement"] = disagreement
        return Reading(
            text=self.encoder.tokenizer.decode(made.ids, skip_special_tokens=True, clean_up_tokenization_spaces=False),
            finish_reason=made.finish_reason,
            usage=attrs.evolve(usage, completion=made.completion_tokens),
            prefill_seconds=made.prefill_seconds if alone else None,
            generate_seconds=made.generate_seconds if alone else None,
            metadata=metadata,
        )


def make_runtime(model: Any, encoder: Encoder, family: str | None, generation: Any = None) -> Runtime:
    """A runtime for a loaded model.

    The checkpoint's own generation settings (a repetition penalty, a temperature) are put aside: only the ids of its end tokens are kept.
    ``generation``: these settings, where another runtime has put them aside already.
    """
    from transformers import GenerationConfig

    own = generation if generation is not None else model.generation_config
    ends = end_ids(encoder, own)
    pad_id = encoder.tokenizer.pad_token_id
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    base.generation_config = GenerationConfig()
    return Runtime(
        model=model,
        encoder=encoder,
        counter=Counter(encoder.processor, family),
        end_ids=ends,
        pad_id=ends[0] if pad_id is None else pad_id,
        positions=getattr(base.config.get_text_config(), "max_position_embeddings", None),
    )


def end_ids(encoder: Encoder, generation: Any) -> tuple[int, ...]:
    """Tokens that end an answer: the one with which the assistant ends its turn, and those of a checkpoint's generation settings."""
    own = generation.eos_token_id
    return tuple(dict.fromkeys([encoder.end_of_turn, *(i for i in (own if isinstance(own, list) else [own]) if i is not None)]))


def written_generation(folder: Path, *, trust_remote_code: bool = False) -> Any:
    """A checkpoint's generation settings, as its files have them, without its weights.

    Raises:
        ModelError: its config cannot be read.
    """
    from transformers import AutoConfig, GenerationConfig

    try:
        if (folder / "generation_config.json").is_file():
            return GenerationConfig.from_pretrained(folder)
        return GenerationConfig.from_model_config(AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code))
    except Exception as error:
        raise ModelError(f"{folder}: its generation settings cannot be read: {' '.join(str(error).split())[:300]}") from None


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

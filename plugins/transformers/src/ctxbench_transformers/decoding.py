"""Generates answers for a batch: greedily, or with noise that belongs to each prompt, so that the batch changes nothing."""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import attrs
import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from ctxbench import derive_seed, stable_hash
from ctxbench_transformers.batching import collate
from ctxbench_transformers.encoding import Encoded


@attrs.frozen
class Decoding:
    """How tokens are chosen. ``temperature`` 0 is greedy decoding: the most likely token each time."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    seed: int = 0

    @property
    def plain(self) -> dict[str, float | int] | str:
        """As a stored row records it."""
        if self.temperature == 0 and self.repetition_penalty == 1:
            return "greedy"
        return attrs.asdict(self)


@attrs.frozen
class Generated:
    """One answer: its tokens without the one that ended it, how it ended, its batch's wall times in seconds and size, and its name."""

    ids: tuple[int, ...]
    finish_reason: str
    prefill_seconds: float
    generate_seconds: float
    batch_size: int
    batch: str = ""

    @property
    def completion_tokens(self) -> int:
        """Tokens that were generated, the one that ended the answer included."""
        return len(self.ids) + (self.finish_reason == "stop")


class RowLimits(StoppingCriteria):  # type: ignore[misc]
    """Ends each row at its own ``max_new_tokens``, so that an answer does not depend on its neighbours' limits."""

    def __init__(self, start: int, limits: torch.Tensor) -> None:
        self.start = start
        self.limits = limits

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """True for every row that has reached its limit, shape (batch,)."""
        self.limits = self.limits.to(input_ids.device)  # once: a copy from the host waits for all that the device has yet to do
        return self.limits <= input_ids.shape[1] - self.start


class TokenWatch(LogitsProcessor):  # type: ignore[misc]
    """Looks on at every token, on the host alone: notes when the first logits arrive, the end of prefill; ends all once ``stopped``."""

    def __init__(self, synchronize: Callable[[], None], stopped: Callable[[], bool]) -> None:
        self.synchronize = synchronize
        self.stopped = stopped
        self.time: float | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The scores as they are.

        Raises:
            KeyboardInterrupt: ``stopped`` became true.
        """
        if self.time is None:
            self.synchronize()
            self.time = time.perf_counter()
        if self.stopped():
            raise KeyboardInterrupt
        return scores


class RowNoise(LogitsProcessor):  # type: ignore[misc]
    """Adds Gumbel noise from each row's own generator: the largest sum is then a sample from the softmax of the scores.

    Source: the Gumbel-max trick (Gumbel 1954). Sampling this way gives a prompt the same answer in every batch.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Noisy scores, shape (batch, vocabulary)."""
        uniform = torch.stack([torch.rand(scores.shape[1], generator=generator) for generator in self.generators])
        exponential = (-torch.log(uniform.clamp_min(torch.finfo(torch.float32).tiny))).clamp_min(1e-30)
        noise = -torch.log(exponential)
        return scores + noise.to(scores.device, scores.dtype)


def prompt_seed(seed: int, encoded: Encoded) -> int:
    """A prompt's seed for sampling: from the run's seed, its tokens, and its images."""
    digest = hashlib.sha256(encoded.ids.numpy().tobytes())
    for key in sorted(encoded.media):
        digest.update(encoded.media[key].contiguous().numpy().tobytes())
    return derive_seed("decode", seed, digest.hexdigest())


def generate(
    model: Any,
    batch: Sequence[Encoded],
    limits: Sequence[int],
    decoding: Decoding,
    *,
    pad_id: int,
    end_ids: Sequence[int],
    stopped: Callable[[], bool] = lambda: False,
) -> list[Generated]:
    """Answer one batch, prompts padded on the left, each row to its own limit of new tokens.

    Raises:
        torch.OutOfMemoryError, RuntimeError: as the model raises them.
        KeyboardInterrupt: ``stopped`` became true.
    """
    device = next(model.parameters()).device
    inputs = {key: value.to(device) for key, value in collate(batch, pad_id, "left").items()}
    start = inputs["input_ids"].shape[1]
    watch = TokenWatch(_synchronizer(device), stopped)
    criteria = [] if len(set(limits)) == 1 else [RowLimits(start, torch.tensor(limits))]  # max_new_tokens ends equal rows
    config = GenerationConfig(
        max_new_tokens=max(limits),
        do_sample=False,
        num_beams=1,
        use_cache=True,
        repetition_penalty=decoding.repetition_penalty,
        eos_token_id=list(end_ids),
        pad_token_id=pad_id,
    )
    began = time.perf_counter()
    with torch.inference_mode(), without_plans():
        out = model.generate(
            **inputs,
            generation_config=config,
            logits_processor=LogitsProcessorList([watch, *_samplers(decoding, batch)]),
            stopping_criteria=StoppingCriteriaList(criteria),
        )
    if stopped():
        raise KeyboardInterrupt
    new = out[:, start:].cpu().tolist()
    ended, n = time.perf_counter(), len(batch)
    first = watch.time if watch.time is not None else ended
    times = (first - began, ended - first)
    name = batch_name(batch)
    return [Generated(*cut(row, limit, end_ids), *times, n, name) for row, limit in zip(new, limits, strict=True)]


def batch_name(batch: Sequence[Encoded]) -> str:
    """A hash of a batch's prompts, pages included, in their order: equal for runs that formed the same batch."""
    marks = [
        zlib.crc32(tensor.contiguous().numpy().data) for item in batch for _, tensor in sorted({**item.sequences, **item.media}.items())
    ]
    return stable_hash(marks)[:16]


def _samplers(decoding: Decoding, batch: Sequence[Encoded]) -> list[LogitsProcessor]:
    if decoding.temperature == 0:
        return []
    chain: list[LogitsProcessor] = [TemperatureLogitsWarper(decoding.temperature)]
    if decoding.top_k:
        chain.append(TopKLogitsWarper(decoding.top_k))
    if decoding.top_p < 1:
        chain.append(TopPLogitsWarper(decoding.top_p))
    return [*chain, RowNoise([prompt_seed(decoding.seed, encoded) for encoded in batch])]


@contextlib.contextmanager
def without_plans() -> Iterator[None]:
    """Keep cuDNN's attention out: it builds a plan for each new number of rows and keys, as each token and each batch of a training has.

    A plan takes tens of milliseconds, about as long as all else of a step; PyTorch prefers this attention on an H100 or H200.
    """
    before: bool = torch.backends.cuda.cudnn_sdp_enabled()  # type: ignore[no-untyped-call]
    torch.backends.cuda.enable_cudnn_sdp(False)
    try:
        yield
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)


def _synchronizer(device: torch.device) -> Callable[[], None]:
    return (lambda: torch.cuda.synchronize(device)) if device.type == "cuda" else (lambda: None)


def cut(row: Sequence[int], limit: int, end_ids: Sequence[int]) -> tuple[tuple[int, ...], str]:
    """An answer's tokens up to the one that ends it, and how it ended: ``stop``, or ``length`` at the limit."""
    row = row[:limit]
    for i, token in enumerate(row):
        if token in end_ids:
            return tuple(row[:i]), "stop"
    return tuple(row), "length"


T = TypeVar("T")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on a GPU or on the host."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


def halving(items: Sequence[int], work: Callable[[Sequence[int]], Sequence[T]], failed: Callable[[int, BaseException], T]) -> dict[int, T]:
    """``work`` on all items at once; where memory runs out, on each half, and so on. A single item too large for memory is ``failed``."""
    try:
        return dict(zip(items, work(items), strict=True))
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        reason = error.with_traceback(None)  # the traceback would keep the tensors alive
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if len(items) == 1:
        return {items[0]: failed(items[0], reason)}
    first, second = halves(items)
    return {**halving(first, work, failed), **halving(second, work, failed)}


def halves(items: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
    """The two halves of a batch, the first of which may be one longer."""
    middle = math.ceil(len(items) / 2)
    return items[:middle], items[middle:]

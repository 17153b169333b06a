"""Whether vLLM read the tokens that the model's own processor makes of a prompt: if it does not say so, nothing is counted."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from ctxbench import CtxbenchError
from ctxbench_transformers.encoding import Encoded


class CountsUnknownError(CtxbenchError):
    """vLLM does not tell which tokens it read."""


class CountMismatchError(CtxbenchError):
    """vLLM read other tokens than the model's own processor makes."""


def compare(encoded: Encoded, read: Sequence[int] | None, placeholder: int) -> dict[str, int] | None:
    """The counts of both sides if vLLM ``read`` other tokens than ``encoded``, ``None`` if they are the same, token by token.

    ``placeholder``: the token that stands for one visual token.

    Raises:
        CountsUnknownError: vLLM does not tell what it read.
    """
    if read is None:
        raise CountsUnknownError("vLLM does not tell which tokens it read, so that its visual tokens cannot be checked")
    own = [int(i) for i in encoded.ids]
    if list(read) == own:
        return None
    first = next(i for i, (one, other) in enumerate(itertools.zip_longest(read, own)) if one != other)
    visual = sum(token == placeholder for token in read)
    return {"vllm": visual, "input_ids": encoded.visual, "vllm_prompt": len(read), "prompt": len(own), "first_difference": first}


def explain(counts: dict[str, int]) -> str:
    """A mismatch in a sentence, with what to do about it."""
    return (
        f"vLLM read {counts['vllm_prompt']} tokens, {counts['vllm']} of them visual, where the model's processor makes {counts['prompt']} "
        f"and {counts['input_ids']} (first difference at token {counts['first_difference']}). If vLLM ignores the pixel budget, leave "
        "min_pixels, max_pixels and mm_processor_kwargs out; on_mismatch: flag keeps such answers, with vLLM's counts and flagged "
        "count_mismatch"
    )

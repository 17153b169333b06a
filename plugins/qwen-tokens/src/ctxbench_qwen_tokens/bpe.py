"""Qwen2's byte-pair encoding, which Qwen2-VL and its successors share.

The 151,643 merge ranks come with this package; the split pattern and the NFC normalisation are those of Qwen2's
``tokenizer.json`` (Python's Unicode version decides NFC, so that marks newer than it may be counted otherwise). Special tokens are not
recognised: a context is data. Lone surrogates are refused, because no tokenizer has them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ctxbench import require_text
from ctxbench_qwen_tokens.nfc import nfc
from ctxbench_qwen_tokens.ranks import ranks

if TYPE_CHECKING:
    import tiktoken

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen2 cuts text before merging: digits one by one, contractions in any case."""

# ``\s+(?!\S)`` makes the regular-expression engine remember every character of a run of white space, and at about a million it gives up.
_LONG_RUN = re.compile(r"[\t\v\f \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]{65536,}+(?P<line_break>[\r\n]?)")


@functools.lru_cache(maxsize=2)
def _encoding(pattern: str = PATTERN) -> tiktoken.Encoding:
    import tiktoken

    return tiktoken.Encoding("qwen2", pat_str=pattern, mergeable_ranks=ranks(), special_tokens={})


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """The text in parts that can be encoded one by one, and whether a part is one piece of white space.

    A run of blanks that no line break follows always begins a piece of :data:`PATTERN`. The piece is the whole run at the end of the
    text, and else all but the last blank, which the next piece may begin with.
    """
    start = 0
    for run in _LONG_RUN.finditer(text):
        if run["line_break"]:
            continue  # ``\s*[\r\n]+`` takes it, which needs no memory
        cut = run.end() if run.end() == len(text) else run.end() - 1
        yield text[start : run.start()], False
        yield text[run.start() : cut], True
        start = cut
    yield text[start:], False


def encode(text: str) -> list[int]:
    """Token ids of ``text`` after NFC normalisation, as Qwen2's own tokenizer gives them without special tokens.

    Raises:
        EncodeError: ``text`` holds a lone surrogate.
        ConfigError: the rank file is missing or damaged.
    """
    text = nfc(require_text(text))
    ids: list[int] = []
    for part, blank in _parts(text):
        if not part:  # no reason to unpack the ranks, which takes longer than the rest of a short command
            continue
        ids += _encoding(r"\s+" if blank else PATTERN).encode_ordinary(part)
    return ids


def count(text: str) -> int:
    """Number of tokens of ``text``; see :func:`encode`."""
    return len(encode(text))


def decode(ids: Sequence[int]) -> str:
    """The text of token ids. ``decode(encode(text))`` is ``text`` in NFC.

    Raises:
        KeyError: an id is not in the vocabulary.
        UnicodeDecodeError: the bytes of the ids are not UTF-8.
    """
    return _encoding().decode_bytes(list(ids)).decode("utf-8")

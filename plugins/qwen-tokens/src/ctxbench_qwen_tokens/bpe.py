"""Qwen2's byte-pair encoding, which Qwen2-VL and its successors share.

The 151,643 merge ranks are a file in the ``dashscope`` wheel; the split pattern and the NFC normalisation are those of Qwen2's
``tokenizer.json`` (Python's Unicode version decides NFC, so that marks newer than it may be counted otherwise). Special tokens are not
recognised: a context is data. Lone surrogates are refused, because no tokenizer has them.
"""

from __future__ import annotations

import base64
import functools
import importlib.util
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ctxbench import ConfigError, require_text
from ctxbench_qwen_tokens.nfc import nfc

if TYPE_CHECKING:
    import tiktoken

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen2 cuts text before merging: digits one by one, contractions in any case."""

VOCABULARY = 151_643
"""Number of ranks; token ids are 0 to VOCABULARY - 1."""

# ``\s+(?!\S)`` makes the regular-expression engine remember every character of a run of white space, and at about a million it gives up.
_LONG_RUN = re.compile(r"[\t\v\f \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]{65536,}+(?P<line_break>[\r\n]?)")


def rank_file() -> Path:
    """Where the merge ranks are.

    Raises:
        ConfigError: the ``dashscope`` wheel is not installed, or no longer holds the file.
    """
    spec = importlib.util.find_spec("dashscope")  # finds it without importing it
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "resources" / "qwen.tiktoken"
        if path.exists():
            return path
    raise ConfigError("Qwen's tokenizer needs the file qwen.tiktoken of the dashscope wheel: pip install dashscope")


@functools.lru_cache(maxsize=1)
def ranks() -> dict[bytes, int]:
    """Token bytes to token id.

    Raises:
        ConfigError: the file is missing or damaged.
    """
    path = rank_file()
    try:
        pairs = [line.split() for line in path.read_bytes().splitlines() if line]
        table = {base64.b64decode(token, validate=True): int(rank) for token, rank in pairs}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as token ranks ({error}): pip install --force-reinstall dashscope") from None
    if len(table) != VOCABULARY:
        raise ConfigError(f"{path} holds {len(table)} ranks, not {VOCABULARY}: pip install --force-reinstall dashscope")
    return table


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

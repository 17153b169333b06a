"""The codebook's vocabulary without its pixels: each code of its dictionary as one text token."""

from __future__ import annotations

import functools
import re

import attrs
import numpy as np

from ctxbench import Carrier, Codec, ConfigError, DecodeError, require_text
from ctxbench_codebook import symbols
from ctxbench_qwen_tokens import decode as qwen_decode
from ctxbench_qwen_tokens.ranks import ranks

CODES = 2 ** symbols.WIDTHS["dictionary"]
_WORD = re.compile(" [a-z]{2,}")


@functools.lru_cache(maxsize=1)
def words() -> tuple[str, ...]:
    """The word of each code: the first lower-case words of Qwen's vocabulary, each of which is one token behind a space.

    Raises:
        ConfigError: the vocabulary has fewer.
    """
    found: list[str] = []
    for token in range(len(ranks())):
        try:
            text = qwen_decode([token])
        except UnicodeDecodeError:
            continue  # part of a character
        if _WORD.fullmatch(text):
            found.append(text[1:])
            if len(found) == CODES:
                return tuple(found)
    raise ConfigError(f"Qwen's vocabulary has {len(found)} words, and {CODES} are needed")


@functools.lru_cache(maxsize=1)
def _codes() -> dict[str, int]:
    return {word: code for code, word in enumerate(words())}


@attrs.frozen
class DictionaryText(Codec):
    """The codes of the codebook's dictionary, a word each; Qwen's tokenizer makes one token of each word.

    No model reads it; a decoder does. It is what the codebook's ratio would be if its vocabulary were used without pixels.
    """

    def encode(self, text: str) -> Carrier:
        """A word for each code, each behind a space.

        Raises:
            EncodeError: a lone surrogate.
        """
        codes, kind = symbols.encode(require_text(text), "dictionary")
        table = words()
        return Carrier(text="".join(f" {table[code]}" for code in codes.tolist()), payload_bytes=-(-len(codes) * symbols.WIDTHS[kind] // 8))

    def decode(self, carrier: Carrier) -> str:
        """The text.

        Raises:
            DecodeError: the carrier holds no text, or a word that stands for no code.
        """
        if carrier.text is None:
            raise DecodeError("a context in dictionary codes is text, and this carrier holds none")
        table = _codes()
        try:
            codes = np.array([table[word] for word in carrier.text.split()], np.int64)
        except KeyError as error:
            raise DecodeError(f"the carrier's text holds {str(error.args[0])[:40]!r}, which stands for no code") from None
        return symbols.decode(codes, "dictionary")

    def page_sizes(self, text: str) -> list[tuple[int, int]]:
        """No pages."""
        require_text(text)
        return []

    def hint(self, language: str) -> str:
        """Names the code."""
        if language == "zh":
            return "上下文编码为字典代码，每个单词一个代码，如下。"
        return "The context is the text below, in dictionary codes, a word each."

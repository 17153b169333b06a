"""In which of the two languages that prompts are written in a text is asked about."""

from __future__ import annotations

import re

_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_LETTER = re.compile(r"[^\W\d_]")
LOOKED_AT = 4000
"""Characters at the beginning of a text that decide."""


def language_of(text: str, wanted: str = "auto") -> str:
    """``wanted``, or with ``auto``: ``zh`` if a third of the first letters of a text are Chinese characters, else ``en``."""
    if wanted != "auto":
        return wanted
    head = text[:LOOKED_AT]
    return "zh" if 3 * len(_HAN.findall(head)) >= max(1, len(_LETTER.findall(head))) else "en"

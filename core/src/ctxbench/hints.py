"""The sentence that introduces a context given as plain text, the case that every other carrier is compared with."""

from __future__ import annotations

PLAIN_TEXT = {"en": "The context is the text below.", "zh": "上下文如下。"}
"""The hint of a plain-text context in each language."""


def plain_text_hint(language: str) -> str:
    """The hint in front of a context that stands in the prompt as it is; ``language`` is ``en`` or ``zh``, anything else is English."""
    return PLAIN_TEXT.get(language, PLAIN_TEXT["en"])

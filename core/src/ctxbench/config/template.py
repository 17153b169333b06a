"""The words around a context: the template of the text that follows the page images."""

from __future__ import annotations

import string
from typing import Any

import attrs

from ctxbench.suggest import nearest
from ctxbench.values import String, Value, fail, show

PLACEHOLDERS = ("hint", "context", "question")
"""What a template can hold: what the carrier is, the carrier's own text (nothing where pages carry it), and the question."""


@attrs.frozen
class Template(Value):
    """A prompt template, or an empty text for the usual prompt.

    ``{context}`` stands in it once, for else a context would cost twice; ``{question}`` once or more; ``{hint}`` if it is wanted. A brace
    that is meant as such is doubled, as in :meth:`str.format`.
    """

    @property
    def words(self) -> str:
        return "a template with {context} and {question}"

    def parse(self, value: Any, path: str) -> str:
        text = String().parse(value, path)
        if not text:
            return text
        try:
            parts = list(string.Formatter().parse(text))
        except ValueError as error:
            raise fail(path, f"{show(text)} is no template: {error}; write a brace that is meant as such twice: {{{{ or }}}}") from None
        names = [name for _, name, _, _ in parts if name is not None]
        for _, name, form, conversion in parts:
            if name is not None and name not in PLACEHOLDERS:
                raise fail(path, f"unknown placeholder {{{name}}}{_hint(name)}")
            if form or conversion:
                raise fail(path, f"{{{name}}} takes no format or conversion")
        for name in ("context", "question"):
            if name not in names:
                raise fail(path, f"the placeholder {{{name}}} is missing from {show(text)}")
        if names.count("context") > 1:
            raise fail(path, "the placeholder {context} stands in it more than once, and the context would cost as often")
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


def _hint(name: str) -> str:
    if not name or not name.isidentifier():
        return "; known: {hint}, {context}, {question}; write a brace that is meant as such twice: {{ or }}"
    near = nearest(name, PLACEHOLDERS)
    return near if "did you mean" in near else "; known: {hint}, {context}, {question}"

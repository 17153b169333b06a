"""Options that both tasks have."""

from __future__ import annotations

from typing import Any

import attrs

from ctxbench import ConfigError
from ctxbench.options import Either, Items, String, Value
from ctxbench.texts import check_encoding

LANGUAGES = ("auto", "en", "zh")
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}


@attrs.frozen
class _Paths(Value):
    """A path or a pattern, or a list of them."""

    form: Value = Either(String(empty=False), Items(String(empty=False), least=1))

    @property
    def words(self) -> str:
        return "a file, a folder or a pattern, or a list of them"

    def parse(self, value: Any, path: str) -> Any:
        try:
            return self.form.parse(value, path)
        except ConfigError:
            raise self.wrong(value, path) from None

    def schema(self) -> dict[str, Any]:
        return self.form.schema()


@attrs.frozen
class _Encoding(Value):
    """The name of a text encoding that Python has."""

    @property
    def words(self) -> str:
        return "the name of a text encoding such as utf-8, utf-16 or latin-1"

    def parse(self, value: Any, path: str) -> str:
        try:
            check_encoding(value if isinstance(value, str) else "")
        except ValueError:
            raise self.wrong(value, path) from None
        return str(value)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1}


@attrs.frozen
class _Column(Value):
    """The name of a column of a table."""

    @property
    def words(self) -> str:
        return "the name of a column"

    def parse(self, value: Any, path: str) -> str:
        if not isinstance(value, str) or not value:
            raise self.wrong(value, path)
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1}


PATHS, ENCODING, COLUMN = _Paths(), _Encoding(), _Column()


def paths_of(value: Any) -> Any:
    """One path as a tuple of one, a list as a tuple; anything else as it is, for the option to refuse."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, (list, tuple)) else value

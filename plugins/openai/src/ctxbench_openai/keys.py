"""The key of a server's account: read from the environment when a request is made, and taken out of everything that comes back."""

from __future__ import annotations

import logging
import os
from typing import Any
from urllib.parse import urlsplit

import attrs

from ctxbench import ModelError

HIDDEN = "***"
LEAST = 8
"""Characters from which on a key is taken out of texts. A shorter one, such as the placeholder ``EMPTY``, would turn words into stars."""


@attrs.frozen
class Key:
    """A key, which shows in no ``repr``.

    Attributes:
        variable: the environment variable that held it; ``None`` if no key is sent.
    """

    variable: str | None
    value: str = attrs.field(default="", repr=False)

    @classmethod
    def read(cls, variable: str | None) -> Key:
        """The key that an environment variable holds.

        Raises:
            ModelError: the variable is not set, or its value cannot be sent.
        """
        if variable is None:
            return cls(None)
        value = os.environ.get(variable, "").strip()
        if not value:
            raise ModelError(f"the environment variable {variable} holds no key; set it, or name another one: api_key_env")
        if not (value.isascii() and value.isprintable()):
            raise ModelError(f"the key in the environment variable {variable} holds characters that no HTTP header can carry")
        return cls(variable, value)

    def hide(self, text: str) -> str:
        """``text`` without the key."""
        return text.replace(self.value, HIDDEN) if len(self.value) >= LEAST else text

    def hide_all(self, value: Any) -> Any:
        """The same for every text within JSON values."""
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, dict):
            return {self.hide(key): self.hide_all(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.hide_all(item) for item in value]
        return value


def unsent_headers(base_url: str, key: Key) -> tuple[str, ...]:
    """Headers that the client would send by itself and a server is not to get.

    An organisation of OpenAI's, which the client takes from the environment, is no other server's business.
    """
    foreign = () if urlsplit(base_url).hostname == "api.openai.com" else ("OpenAI-Organization", "OpenAI-Project")
    return foreign if key.value else (*foreign, "Authorization")


_PARTS = ("connection", "http11", "http2", "http_proxy", "socks_proxy", "proxy")
LOGGERS = (
    "openai",
    "openai._base_client",
    "httpx2",
    "httpx",
    *(f"{library}.{part}" for library in ("httpcore2", "httpcore") for part in _PARTS),
)
"""Loggers of what carries a request. At their most talkative they write down headers, and a server may give a key back in one."""


@attrs.define(eq=False)
class QuietLogs(logging.Filter):
    """Takes the key out of the log records of the libraries below, between :meth:`begin` and :meth:`end`."""

    key: Key

    def begin(self) -> None:
        """Watch the logs."""
        for name in LOGGERS:
            logging.getLogger(name).addFilter(self)

    def end(self) -> None:
        """Leave the logs alone."""
        for name in LOGGERS:
            logging.getLogger(name).removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every record, without the key."""
        said = record.getMessage()
        if (hidden := self.key.hide(said)) != said:
            record.msg, record.args = hidden, ()
        return True

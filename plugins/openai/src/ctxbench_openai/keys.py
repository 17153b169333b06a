"""The key of a server's account: read from the environment when a request is made, and taken out of everything that comes back."""

from __future__ import annotations

import os
from typing import Any

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

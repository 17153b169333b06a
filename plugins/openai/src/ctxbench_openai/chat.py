"""Prompts as chat completion requests, and chat completions as readings."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping
from typing import Any

import attrs
from PIL import Image

from ctxbench import Prompt, stable_hash
from ctxbench.images import page_sha256

DEFAULT_NEW_TOKENS = 256
"""New tokens for a prompt that does not say how many it needs."""


@attrs.frozen
class Request:
    """What is asked, without the model's name and address.

    Attributes:
        settings: fields beside the messages (temperature, limit of new tokens, ...).
        detail: the ``detail`` of each page, if one is asked for.
    """

    prompt: Prompt
    settings: dict[str, Any]
    detail: str | None

    @property
    def identity(self) -> dict[str, Any]:
        """Everything in the request that decides an answer, pages by the SHA-256 of their size and pixels."""
        pages = [page_sha256(page) for page in self.prompt.pages]
        return {"pages": pages, "text": self.prompt.text, "system": self.prompt.system, "detail": self.detail, **self.settings}

    @property
    def key(self) -> str:
        """Equal for requests that are equal."""
        return stable_hash(self.identity)

    @property
    def shape(self) -> tuple[Any, ...]:
        """All that visual tokens depend on: the pages' sizes, in order."""
        return tuple(page.size for page in self.prompt.pages)

    def body(self) -> dict[str, Any]:
        """The request as JSON values: the pages as PNG in data URIs, in order, then the text."""
        content: list[dict[str, Any]] = [{"type": "image_url", "image_url": self._image(page)} for page in self.prompt.pages]
        content.append({"type": "text", "text": self.prompt.text})
        messages: list[dict[str, Any]] = [{"role": "system", "content": self.prompt.system}] if self.prompt.system else []
        return {"messages": [*messages, {"role": "user", "content": content}], **self.settings}

    def _image(self, page: Image.Image) -> dict[str, Any]:
        image: dict[str, Any] = {"url": data_uri(page)}
        return image if self.detail is None else {**image, "detail": self.detail}

    def without_pages(self, limit_field: str) -> Request:
        """The same words without the pages, for one token of an answer: its prompt tokens are those of everything but the pages."""
        return Request(attrs.evolve(self.prompt, pages=()), {**self.settings, limit_field: 1}, None)


def data_uri(page: Image.Image) -> str:
    """A page as PNG, which loses nothing, in a data URI (RFC 2397)."""
    file = io.BytesIO()
    page.save(file, "PNG", compress_level=1)  # the fastest: pages travel once
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def new_tokens(prompt: Prompt, fixed: int | None, room: float) -> int:
    """The limit of new tokens: ``fixed``, or the prompt's own, which is in reference tokens, times ``room``."""
    if fixed is not None:
        return fixed
    return math.ceil((prompt.max_new_tokens or DEFAULT_NEW_TOKENS) * room)


def text_of(completion: Mapping[str, Any]) -> str:
    """What the model said: text, or the text parts of a list, or its refusal; lone surrogates are replaced by U+FFFD."""
    message = completion["choices"][0]["message"]
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    text = content if isinstance(content, str) and content else message.get("refusal")
    return (text if isinstance(text, str) else "").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def finish_of(completion: Mapping[str, Any]) -> str:
    """Why it stopped, in the server's word."""
    reason = completion["choices"][0].get("finish_reason")
    return reason if isinstance(reason, str) and reason else "stop"


def usage_of(completion: Mapping[str, Any]) -> dict[str, int]:
    """The counts that a server gives: ``prompt_tokens``, ``completion_tokens``, ``cached_tokens``, ``image_tokens``; those that it does."""
    usage = completion.get("usage")
    if not isinstance(usage, Mapping):
        return {}
    found = {name: usage.get(name) for name in ("prompt_tokens", "completion_tokens")}
    details = usage.get("prompt_tokens_details")
    if isinstance(details, Mapping):
        found |= {name: details.get(name) for name in ("cached_tokens", "image_tokens")}
    return {name: value for name, value in found.items() if isinstance(value, int) and not isinstance(value, bool) and value >= 0}

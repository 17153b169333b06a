"""What can go wrong with a request, in one line each, and whether asking again may help."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from ctxbench import ModelError

LONGEST = 400
"""Characters of a server's own words that an error quotes."""


class Fault(ModelError):  # noqa: N818 - as are the names of rows' error types
    """A request came to no answer.

    Attributes:
        again: asking again may help. ``busy``: the server has too much to do; ask less at once.
        lasting: every other request would fail alike, so none is made.
        billed: the request may have been worked on, and paid for, all the same.
        retry_after: seconds that the server asks to wait, if it does.
    """

    again: ClassVar[bool] = True
    busy: ClassVar[bool] = False
    lasting: ClassVar[bool] = False
    billed: bool = False

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ConnectionFailed(Fault):
    """No connection."""


class ConnectionBroken(Fault):
    """A connection that ended before the answer was complete."""

    billed = True


class RequestTimeout(Fault):
    """No complete answer within the time limit of a request."""

    busy = True
    billed = True


class RateLimited(Fault):
    """HTTP 429: too many requests or tokens for now."""

    busy = True


class ServerFault(Fault):
    """HTTP 5xx, 408, 409 or 425: the server could not do it this time."""

    busy = True


class MalformedAnswer(Fault):
    """Success by its status, and no chat completion in its body."""

    billed = True


class RequestRefused(Fault):
    """HTTP 4xx: this request will never be answered."""

    again = False


class AuthenticationFailed(Fault):
    """HTTP 401: the key is missing or wrong."""

    again = False
    lasting = True


class ModelNotFound(Fault):
    """HTTP 404: the server has no such model, or no such address."""

    again = False
    lasting = True


def of_status(status: int, text: str, headers: Mapping[str, str]) -> Fault:
    """The fault that an HTTP status and body stand for."""
    said = words(text)
    message = f"HTTP {status}" + (f": {said}" if said else "")
    if status == 429 and "insufficient_quota" in text:
        return RequestRefused(message)
    kind: type[Fault] = RequestRefused
    if status == 401:
        kind = AuthenticationFailed
    elif status == 404:
        kind = ModelNotFound
    elif status == 429:
        kind = RateLimited
    elif status >= 500 or status in (408, 409, 425):
        kind = ServerFault
    return kind(message, retry_after(headers))


def of_body(error: object) -> Fault:
    """The fault that an ``error`` in the body of a success stands for: its code is an HTTP status, or a word."""
    details = error if isinstance(error, dict) else {"message": error}
    code = details.get("code", details.get("status"))
    status = int(code) if isinstance(code, (int, str)) and str(code).isdigit() else 0
    if 400 <= status <= 599:
        return of_status(status, json.dumps({"error": error}), {})
    said = f"the answer is an error: {words(json.dumps({'error': error})) or 'it says nothing more'}"
    kind = f"{code} {details.get('type')}".lower()
    if "rate" in kind or "overloaded" in kind:
        return RateLimited(said)
    return ServerFault(said) if "server" in kind or "timeout" in kind else RequestRefused(said)


def words(text: str) -> str:
    """What a server says in the body of an error, on one line: OpenAI's ``error.message``, FastAPI's ``detail``, or the text itself."""
    try:
        found: Any = json.loads(text)
    except ValueError:
        found = text
    for name in ("error", "detail", "message"):
        if isinstance(found, dict) and found.get(name):
            found = found[name]
    said = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False) if found else ""
    line = " ".join(said.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 3] + "..."


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the headers ask to wait: ``retry-after-ms``, or ``Retry-After`` in seconds or as a date (RFC 9110, 10.2.3)."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        return seconds if 0 <= seconds < float("inf") else None
    try:
        moment = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
    except (TypeError, ValueError):
        return None
    return max(0.0, moment.timestamp() - time.time())

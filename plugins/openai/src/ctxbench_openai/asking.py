"""One request, asked until it is answered, refused for good, or out of patience."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs

from ctxbench_openai import faults
from ctxbench_openai.faults import Fault
from ctxbench_openai.keys import Key
from ctxbench_openai.pace import Pace

if TYPE_CHECKING:
    from openai import AsyncOpenAI

BASE, LONGEST = 0.5, 30.0
"""Seconds: the first pause between two attempts is at most the one, later ones at most twice the one before and never above the other."""

KNOWN = frozenset({"model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed"})
"""Fields that the client takes by name; others travel beside them."""


T = TypeVar("T")


@attrs.frozen
class Settings:
    """How long to try.

    Attributes:
        timeout: seconds for one request, from its first byte to the answer's last.
        retries: further attempts after faults of the server or the way there. Being told to slow down is none of them.
        patience: seconds for all attempts and pauses of one request together.
    """

    timeout: float
    retries: int
    patience: float


@attrs.frozen
class Answer(Generic[T]):
    """What a server gave in the end.

    Attributes:
        body: a chat completion, for example, without the key.
        attempts: requests that it took. ``billed``: how many of those before may have been paid for.
        seconds: wall time of the request that was answered.
    """

    body: T
    attempts: int
    billed: int
    seconds: float


@attrs.define
class Failed(Exception):  # noqa: N818 - a fault is what failed, this says how often
    """The fault that ended the attempts, how many there were, how many may have been paid for, and whether it may be done all the same."""

    fault: Fault
    attempts: int
    billed: int
    unsure: bool = False

    def told(self, seconds: float) -> str:
        """The fault in one line, with how hard it was tried."""
        tried = f" (after {self.attempts} attempts in {seconds:.0f} s)" if self.attempts > 1 else ""
        return f"{self.fault}{tried}"


@attrs.define
class Asker:
    """Asks one server. Belongs to the event loop that it is used in.

    Attributes:
        unsent: headers that the client would send by itself and this server is not to get.
    """

    client: AsyncOpenAI
    key: Key
    settings: Settings
    pace: Pace
    unsent: tuple[str, ...] = ()
    _jitter: random.Random = attrs.field(factory=random.Random, init=False)
    _lasting: Fault | None = attrs.field(default=None, init=False)
    _down: bool = attrs.field(default=False, init=False)

    async def ask(self, body: Mapping[str, Any]) -> Answer[dict[str, Any]]:
        """The server's answer to a chat completion request.

        After a key was refused nothing more is asked. While no connection can be made at all, each request is tried once.

        Raises:
            Failed: it will not be answered, or was not in time.
        """
        return await self.until(lambda: self._once(body), self.settings.retries)

    async def until(self, once: Callable[[], Awaitable[T]], retries: float) -> Answer[T]:
        """What ``once`` gives at last, which is called again as long as that may help, with pauses, within the patience.

        Raises:
            Failed: it will not come, or did not in time.
        """
        began = time.monotonic()
        attempts = billed = tries = slowed = 0
        while True:
            if self._lasting is not None:
                raise Failed(self._lasting, attempts, billed)
            async with self.pace.turn() as turn:
                if self._lasting is not None:
                    raise Failed(self._lasting, attempts, billed)
                attempts += 1
                start = time.monotonic()
                try:
                    found = await once()
                except Fault as error:
                    fault = error
                    if fault.busy:
                        turn.refused()
                else:
                    turn.answered()
                    self._down = False
                    return Answer(found, attempts, billed, time.monotonic() - start)
            billed += fault.billed
            limited = isinstance(fault, faults.RateLimited)
            tries, slowed = (tries, slowed + 1) if limited else (tries + 1, slowed)
            pause = self._pause(fault, tries + slowed)
            late = time.monotonic() - began + pause > self.settings.patience
            if not fault.again or late or tries > retries or (self._down and isinstance(fault, faults.ConnectionFailed)):
                self._remember(fault)
                raise Failed(fault, attempts, billed)
            if fault.retry_after:
                self.pace.hold(fault.retry_after)
            await asyncio.sleep(pause)

    def _remember(self, fault: Fault) -> None:
        if fault.lasting:
            self._lasting = fault
        if isinstance(fault, faults.ConnectionFailed):
            self._down = True

    def _pause(self, fault: Fault, number: int) -> float:
        """Seconds before the next attempt: what the server asks for and up to a quarter more, or anything up to a bound that doubles.

        A random share of the whole pause ("full jitter") keeps requests that failed together from coming back together.
        """
        if fault.retry_after is not None:
            return fault.retry_after * (1 + self._jitter.uniform(0, 0.25))
        return self._jitter.uniform(0, min(LONGEST, BASE * 2.0 ** min(number - 1, 30)))

    async def _once(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON of a complete chat completion.

        Raises:
            Fault: anything else came back, or nothing.
        """
        named = {name: value for name, value in body.items() if name in KNOWN}
        others = {name: value for name, value in body.items() if name not in KNOWN}
        async with self.as_faults(self.settings.timeout):
            create = self.client.chat.completions.with_raw_response.create
            raw = await create(**named, extra_headers=self.headers, extra_body=others or None)
        return completion_of(raw.http_response.text, raw.headers, self.key)

    @property
    def headers(self) -> Any:
        """What tells the client to leave headers out."""
        import openai

        return {name: openai.Omit() for name in self.unsent}

    @contextlib.asynccontextmanager
    async def as_faults(self, seconds: float) -> AsyncIterator[None]:
        """Make a :class:`~ctxbench_openai.faults.Fault` of whatever the client raises, and end what takes longer."""
        import openai

        try:
            async with asyncio.timeout(seconds):
                yield
        except (TimeoutError, openai.APITimeoutError):
            raise faults.RequestTimeout(f"no answer within {seconds:g} s (option timeout)") from None
        except openai.APIStatusError as error:
            text = self.key.hide(error.response.text)
            raise faults.of_status(error.status_code, text, error.response.headers) from None
        except openai.APIConnectionError as error:
            raise _broken(error, self.key) from None
        except openai.OpenAIError as error:
            raise faults.RequestRefused(self.key.hide(faults.words(str(error)))) from None


def json_of(text: str, headers: Mapping[str, str], key: Key) -> Any:
    """The JSON of a response without the key, which is no error.

    Raises:
        Fault: it is not JSON, or an error.
    """
    kind = headers.get("content-type", "no content type").partition(";")[0]
    try:
        found = key.hide_all(json.loads(text))
    except (ValueError, RecursionError):
        start = key.hide(faults.words(text))[:80]
        raise faults.MalformedAnswer(f"the answer is not JSON ({kind}, {len(text)} characters: {start!r})") from None
    if isinstance(found, dict) and found.get("error"):
        raise faults.of_body(found["error"])
    return found


def completion_of(text: str, headers: Mapping[str, str], key: Key) -> dict[str, Any]:
    """The JSON of a complete chat completion.

    Raises:
        Fault: it is anything else.
    """
    found = json_of(text, headers, key)
    choices = found.get("choices") if isinstance(found, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict) or not isinstance(first.get("message"), dict):
        raise faults.MalformedAnswer(f"the answer is JSON, but no chat completion: {faults.words(json.dumps(found))[:80]!r}")
    return dict(found)


def _broken(error: Exception, key: Key) -> Fault:
    """What became of a connection, by the innermost error that says anything."""
    said, cause = str(error), error.__cause__
    never = False
    while cause is not None:
        said = str(cause) or said
        never = never or type(cause).__name__ in ("ConnectError", "ConnectTimeout", "UnsupportedProtocol", "ProxyError")
        cause = cause.__cause__
    said = key.hide(faults.words(said))
    return faults.ConnectionFailed(f"no connection: {said}") if never else faults.ConnectionBroken(f"the connection broke: {said}")

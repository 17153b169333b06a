"""Rate limits for outgoing requests: one token bucket for each host, shared by all threads of a process."""

from __future__ import annotations

import collections
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

log = logging.getLogger(__name__)

DEFAULT_RATE = 8.0  # requests a second
DEFAULT_BURST = 16
MAX_RETRY_AFTER = 120.0  # seconds; a server that asks for more is not waited for
IDLE_SECONDS = 900.0  # buckets that nobody used for so long are dropped


class RateLimitError(RuntimeError):
    """A request would have to wait longer than its caller allows."""

    def __init__(self, host: str, wait: float) -> None:
        super().__init__(f"{host}: the next request may be sent in {wait:.2f} s")
        self.host = host
        self.wait = wait


@dataclass
class Bucket:
    """Tokens of one host. Not safe for threads by itself: the limiter holds its lock."""

    rate: float
    burst: int
    tokens: float = field(init=False)
    updated: float = field(default=0.0)
    blocked_until: float = field(default=0.0)

    def __post_init__(self) -> None:
        if self.rate <= 0 or self.burst < 1:
            raise ValueError(f"rate must be positive and burst at least 1, got {self.rate} and {self.burst}")
        self.tokens = float(self.burst)

    def refill(self, now: float) -> None:
        """Add what has come in since the last call, up to the burst."""
        elapsed = max(0.0, now - self.updated)
        self.tokens = min(float(self.burst), self.tokens + elapsed * self.rate)
        self.updated = now

    def delay(self, now: float) -> float:
        """Seconds until a token is there, 0 if one is."""
        self.refill(now)
        missing = max(0.0, 1.0 - self.tokens) / self.rate
        return max(missing, self.blocked_until - now, 0.0)


class RateLimiter:
    """Hands out permission to send, host by host.

    >>> limiter = RateLimiter({"api.example.org": (2.0, 4)})
    >>> with limiter.slot("https://api.example.org/v2/orders", timeout=5.0):
    ...     response = session.get(url)
    """

    def __init__(
        self,
        limits: dict[str, tuple[float, int]] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._limits = dict(limits or {})
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._buckets: dict[str, Bucket] = {}
        self._sent: collections.Counter[str] = collections.Counter()
        self._swept = clock()

    def _bucket(self, host: str) -> Bucket:
        if host not in self._buckets:
            rate, burst = self._limits.get(host, (DEFAULT_RATE, DEFAULT_BURST))
            self._buckets[host] = Bucket(rate, burst, updated=self._clock())
        return self._buckets[host]

    def _sweep(self, now: float) -> None:
        if now - self._swept < IDLE_SECONDS:
            return
        idle = [host for host, bucket in self._buckets.items() if now - bucket.updated > IDLE_SECONDS]
        for host in idle:
            del self._buckets[host]
        self._swept = now
        if idle:
            log.debug("dropped %d idle buckets: %s", len(idle), ", ".join(sorted(idle)))

    def acquire(self, url: str, timeout: float | None = None) -> float:
        """Wait until a request to the URL's host may be sent, and return how long that took.

        Raises:
            RateLimitError: it would take longer than ``timeout`` seconds. No token is used up.
            ValueError: the URL has no host.
        """
        host = urlsplit(url).hostname
        if not host:
            raise ValueError(f"no host in {url!r}")
        waited = 0.0
        while True:
            with self._lock:
                now = self._clock()
                self._sweep(now)
                bucket = self._bucket(host)
                wait = bucket.delay(now)
                if wait == 0.0:
                    bucket.tokens -= 1.0
                    self._sent[host] += 1
                    return waited
            if timeout is not None and waited + wait > timeout:
                raise RateLimitError(host, wait)
            self._sleep(wait)
            waited += wait

    def report(self, url: str, status: int, retry_after: str | None = None) -> None:
        """Tell the limiter how a request ended; 429 and 503 hold the host back."""
        if status not in (429, 503):
            return
        host = urlsplit(url).hostname or ""
        try:
            pause = min(float(retry_after or 1.0), MAX_RETRY_AFTER)
        except ValueError:  # an HTTP date; one second is as good a guess as any
            pause = 1.0
        with self._lock:
            bucket = self._bucket(host)
            bucket.blocked_until = max(bucket.blocked_until, self._clock() + pause)
            bucket.tokens = min(bucket.tokens, 0.0)
        log.warning("%s answered %d: held back for %.1f s", host, status, pause)

    @contextmanager
    def slot(self, url: str, timeout: float | None = None) -> Iterator[None]:
        """:meth:`acquire` as a context; an exception inside counts as a 503."""
        self.acquire(url, timeout)
        try:
            yield
        except OSError:
            self.report(url, 503)
            raise

    def sent(self) -> dict[str, int]:
        """Requests so far, by host, the busiest first."""
        with self._lock:
            return dict(self._sent.most_common())

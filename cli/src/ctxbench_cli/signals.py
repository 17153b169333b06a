"""Ctrl-C, ``kill`` and a closed terminal: one way to end for all of them, without a traceback at any moment.

Imports nothing but the standard library's smallest parts, since it comes before everything else.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any, NoReturn

SAME = 1.0
"""Seconds within which a second signal means no more than the first: a terminal, a shell and a supervisor may each send one."""

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

_message = ""
_received: tuple[int, float] | None = None


def exit_code() -> int | None:
    """The exit code that shells expect after the signal that came (130 for Ctrl-C, 143 for ``kill``), or ``None`` if none came."""
    return None if _received is None else 128 + _received[0]


def end_at_once(message: str = "interrupted before anything was done; the same command begins again") -> None:
    """From now on a signal ends the program where it is: there is nothing to keep, or imports that must not be cut in two."""
    global _message
    _message = message
    _install(_end)


def raise_interrupts() -> None:
    """From now on a signal raises ``KeyboardInterrupt``, so that what is done is kept; a second one, later, ends the program at once."""
    _install(_raise)
    sys.unraisablehook = _not_lost


@contextlib.contextmanager
def imports() -> Iterator[None]:
    """A context for imports inside a command, within which a signal ends the program at once."""
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    if _raise in handlers.values():
        end_at_once()
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if handler is _raise:
                signal.signal(number, handler)


def _install(handler: Any) -> None:
    for number in _SIGNALS:
        if signal.getsignal(number) not in (signal.SIG_IGN, None):  # ignored under nohup, and by jobs in the background
            signal.signal(number, handler)


def _end(number: int, frame: Any) -> NoReturn:
    # Not through Python's own end: it may be in the middle of an import, or over.
    _say(_message if _received is None else "")
    os._exit(exit_code() or 128 + number)


def _raise(number: int, frame: Any) -> None:
    global _received
    now = time.monotonic()
    if _received is None:
        _received = (number, now)
        raise KeyboardInterrupt
    if now - _received[1] > SAME:
        _say("stopped at once; what was stored before is kept")
        os._exit(128 + _received[0])


def _say(text: str) -> None:
    try:
        cursor = "\x1b[?25h" if os.isatty(2) else ""  # a progress bar may have hidden it
        if cursor or text:
            os.write(2, (cursor + text + "\n" * bool(text)).encode())
    except OSError:
        pass


def _not_lost(unraisable: sys.UnraisableHookArgs) -> None:
    """Raise an interrupt again that arrived in a destructor, where Python discards it."""
    global _received
    if not issubclass(unraisable.exc_type, KeyboardInterrupt) or _received is None:
        sys.__unraisablehook__(unraisable)
        return
    import _thread
    import threading

    number, _received = _received[0], None
    threading.Timer(0.05, _thread.interrupt_main, (number,)).start()

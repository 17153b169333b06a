"""Runs classical decoders in a separate process that has never encoded anything, so that they see nothing but the carrier.

A codec that remembers the texts it encoded would otherwise be read without a mistake under any damage. It also keeps a decoder that
crashes or hangs from taking anything else with it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import cast

import attrs

from ctxbench.engine.failures import Failure
from ctxbench.errors import DecodeError, message_of
from ctxbench.executors.worker import end_with_parent
from ctxbench.interfaces import Codec
from ctxbench.plan import Part
from ctxbench.records import Carrier
from ctxbench.registry import load_plugins
from ctxbench.session import Recipe


@attrs.frozen
class Decoded:
    """The result of decoding one carrier: the text, the reason why the decoder gave up, or an error of the decoder; with its wall time."""

    text: str | None = None
    gave_up: str | None = None
    failure: Failure | None = None
    seconds: float = 0.0


def decode(codec: Codec, carrier: Carrier) -> Decoded:
    """Decode a carrier; an exception becomes part of the result."""
    start = time.perf_counter()
    try:
        found = codec.decode(carrier)
        if not isinstance(found, str):
            raise TypeError(f"decode() must return str, got {type(found).__name__}")
    except DecodeError as error:
        return Decoded(gave_up=message_of(error), seconds=time.perf_counter() - start)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Decoded(failure=Failure.of("channel", error), seconds=time.perf_counter() - start)
    return Decoded(found, seconds=time.perf_counter() - start)


class DecoderProcess:
    """A process that decodes for this one, started at the first use or by :meth:`start`, and again when it has died."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._connection: Connection | None = None
        self._made: set[str] = set()
        self._end: Callable[[], str] = str

    def start(self) -> None:
        """Start it now: before this process has encoded anything, where forking is the way."""
        if self._connection is None:
            self._connection, self._end = _forked(self._recipe) if _may_fork() else _spawned(self._recipe)

    def decode(self, part: Part, carrier: Carrier, limit: float | None = None) -> Decoded:
        """What a codec recovers from a carrier; a decoder that dies, or takes longer than ``limit`` seconds, is a failure."""
        self.start()
        assert self._connection is not None
        try:
            if part.identity not in self._made:
                # Imports and tables take the time they take: the limit is one of decoding.
                self._connection.send((part, None))
                wrong = cast(Decoded, self._connection.recv())
                if wrong.failure is not None:
                    return wrong
                self._made.add(part.identity)
            self._connection.send((part, carrier))
            if limit is not None and not self._connection.poll(limit):
                self.close()
                return Decoded(failure=Failure("channel", "TimeLimit", f"channel took longer than {limit:g} s (run.limits.channel)"))
            return cast(Decoded, self._connection.recv())
        except (EOFError, OSError):
            how = self.close()
            return Decoded(failure=Failure("channel", "WorkerDied", f"the decoder's process died{how}"))

    def close(self) -> str:
        """End the process; returns how it had ended, in words, if it was dead already."""
        if self._connection is not None:
            self._connection.close()
        self._connection, end = None, self._end
        self._made = set()
        self._end = str
        return end()


def _may_fork() -> bool:
    """Only a worker process forks: it is young and has one thread, while a program of its own may have any number of them."""
    return sys.platform == "linux" and multiprocessing.parent_process() is not None


def _forked(recipe: Recipe) -> tuple[Connection, Callable[[], str]]:
    mine, its = multiprocessing.Pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            mine.close()
            end_with_parent(parent, _in_main_thread())
            _serve(its, recipe)
        finally:
            os._exit(0)
    its.close()

    def end() -> str:
        with contextlib.suppress(OSError):
            os.kill(child, signal.SIGKILL)
        with contextlib.suppress(OSError):
            return _how(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        return ""

    return mine, end


def _spawned(recipe: Recipe) -> tuple[Connection, Callable[[], str]]:
    """A fresh interpreter. It is no ``multiprocessing`` child, which would run the caller's script again."""
    mine, its = multiprocessing.Pipe()
    arguments = f"{its.fileno()}, {os.getpid()}, {_in_main_thread()}"
    code = f"import sys; sys.path[:] = {sys.path!r}; from ctxbench.engine.decoder import main; main({arguments})"
    process = subprocess.Popen([sys.executable, "-c", code], pass_fds=(its.fileno(),), stdin=subprocess.DEVNULL)
    its.close()
    with contextlib.suppress(OSError):  # a process that could not start is found dead at the first use
        mine.send(recipe)

    def end() -> str:
        process.kill()
        return _how(process.wait())

    return mine, end


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _how(code: int) -> str:
    if code == -signal.SIGKILL or code == 0:
        return ""  # we ended it ourselves
    return f" ({signal.Signals(-code).name})" if code < 0 else f" (exit code {code})"


def main(descriptor: int, parent: int, thread_stays: bool) -> None:
    """The decoder process that was spawned: gets the recipe first, then decodes until the other end is closed."""
    end_with_parent(parent, thread_stays)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(descriptor)
    try:
        recipe = connection.recv()
    except (EOFError, OSError):
        return
    load_plugins().manager.quiet = True  # the process that started this one has told what was left out
    _serve(connection, recipe)


def _serve(connection: Connection, recipe: Recipe) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdout = sys.stderr
    while True:
        try:
            part, carrier = connection.recv()
        except (EOFError, OSError):
            return
        answer = _answer(recipe, part, carrier)
        try:
            connection.send(answer)
        except (EOFError, OSError):
            return
        except (pickle.PicklingError, TypeError, AttributeError, MemoryError) as error:
            connection.send(Decoded(failure=Failure.of("channel", error)))


def _answer(recipe: Recipe, part: Part, carrier: Carrier | None) -> Decoded:
    try:
        session = recipe.session()
        with session.active():
            codec = cast(Codec, session.component(part))
            return Decoded() if carrier is None else decode(codec, carrier)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Decoded(failure=Failure.of("channel", error))

"""Runs work on untrusted files in a child process, so that an endless loop or a crash there does not end the command."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable

from ctxbench import CtxbenchError, DecodeError

_DONE, _FAILED = b"\0", b"\1"
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG, prctl(2)


def bounded(work: Callable[[], bytes], seconds: int) -> bytes:
    """What ``work`` returns, made in a child process that gets ``seconds`` of CPU time. Not on Linux, it is made here and unbounded.

    Raises:
        CtxbenchError: what ``work`` raised, with its message and exit code.
        DecodeError: it took longer, or its process died.
    """
    if sys.platform != "linux":
        return work()
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: those of linear algebra, which know of forks
        child = os.fork()
    if child == 0:
        os.close(reading)
        _run(work, seconds, writing)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as pipe:
            answer = pipe.read()
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == -signal.SIGXCPU:
        raise DecodeError(f"not read within {seconds} CPU seconds; raise --max-seconds if these are pages")
    if code < 0:
        raise DecodeError(f"the decoder was ended by {signal.Signals(-code).name}")
    if code == 130:
        raise KeyboardInterrupt
    if code:
        sys.exit(code)
    if answer[:1] == _FAILED:
        error = CtxbenchError(answer[2:].decode("utf-8"))
        error.exit_code = answer[1]
        raise error
    return answer[1:]


def _run(work: Callable[[], bytes], seconds: int, writing: int) -> None:
    """The child: its answer goes into the pipe, and nothing of the parent's runs when it ends."""
    code = 1
    try:
        _restrict(seconds)
        answer = _answer(work)
        with os.fdopen(writing, "wb") as pipe:
            pipe.writelines(answer)
        code = 0
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _answer(work: Callable[[], bytes]) -> tuple[bytes, ...]:
    try:
        return _DONE, work()
    except CtxbenchError as error:
        return _FAILED, bytes([error.exit_code]), str(error).encode()
    except MemoryError:
        return _FAILED, b"\1", b"out of memory"
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _FAILED, b"\1", f"{place}{error.strerror or error}".encode()


def _restrict(seconds: int) -> None:
    import ctypes
    import resource

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    if hard == resource.RLIM_INFINITY or seconds < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))

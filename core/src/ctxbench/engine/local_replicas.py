"""Replicas in processes of this machine, each with a device of its own.

Processes and not threads: the loop that generates tokens is Python, so replicas in one process would take turns at it, and a library that
ends a process in C code (out of memory, a failed kernel) leaves the others alone.
"""

from __future__ import annotations

import contextlib
import pickle
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from multiprocessing.connection import Connection, wait

from ctxbench.errors import message_of
from ctxbench.executors.messages import receive, send
from ctxbench.executors.processes import how_it_ended, start_process
from ctxbench.executors.worker import end_with_parent, leave_signals_to_parent
from ctxbench.registry import load_plugins
from ctxbench.replicas import Answers, Batch, Host, ModelSpec, Replica, ReplicaDied


class ProcessReplica(Replica):
    """A process that reads. Two threads of this one send batches and receive answers, so that neither holds the engine up.

    Args:
        specs: the models, by key, on the device that is theirs.
        name: of the process.
        threads: with which it computes on a CPU.

    Raises:
        OSError: the process cannot be started.
    """

    def __init__(self, specs: Mapping[str, ModelSpec], name: str, threads: int) -> None:
        data = pickle.dumps(dict(specs), pickle.HIGHEST_PROTOCOL)
        self._process, self._connection = start_process(serve, (), name, threads)
        self._lock = threading.Lock()
        self._futures: deque[Future[Answers]] = deque()
        self._dead: str | None = None
        self._sender = ThreadPoolExecutor(1, thread_name_prefix=f"{name}-send")
        self._sender.submit(self._send, data)
        self._receiver = threading.Thread(target=self._receive, name=f"{name}-receive", daemon=True)
        self._receiver.start()

    def submit(self, batch: Batch) -> Future[Answers]:
        """See :meth:`ctxbench.replicas.Replica.submit`."""
        future: Future[Answers] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            dead = self._dead
            if dead is None:
                self._futures.append(future)
        if dead is not None:
            future.set_exception(ReplicaDied(dead))
        else:
            self._sender.submit(self._hand_over, batch, future)
        return future

    @property
    def alive(self) -> bool:
        """Whether the process can still answer."""
        return self._dead is None

    def close(self) -> None:
        """Kill the process."""
        with contextlib.suppress(OSError):
            self._process.kill()
        self._end("the run has ended")
        self._sender.shutdown(wait=False, cancel_futures=True)
        self._receiver.join(1)
        self._process.join(1)

    def _hand_over(self, batch: Batch, future: Future[Answers]) -> None:
        try:
            data = pickle.dumps(batch, pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            with self._lock:
                waited = future in self._futures
                if waited:
                    self._futures.remove(future)
            if waited:
                future.set_result(Answers(failure=(type(error).__name__, message_of(error))))
            return
        self._send(data)

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # it has ended, which is found out where answers are received
            send(self._connection, data)

    def _receive(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while self._connection in wait([self._connection, self._process.sentinel]):
                answers: Answers = pickle.loads(receive(self._connection))
                with self._lock:
                    future = self._futures.popleft() if self._futures else None
                if future is not None:
                    future.set_result(answers)
        self._process.join(1)
        self._end(f"the replica's process {how_it_ended(self._process.exitcode)}")
        self._connection.close()

    def _end(self, why: str) -> None:
        with self._lock:
            self._dead = self._dead or why
            futures, self._futures = self._futures, deque()
        for future in futures:
            future.set_exception(ReplicaDied(self._dead))


def on_devices(specs: Sequence[Mapping[str, ModelSpec]], threads: int) -> list[Callable[[], Replica]]:
    """Places for one process each, given the models as they are made there."""
    return [partial(ProcessReplica, placed, f"ctxbench-replica-{number}", threads) for number, placed in enumerate(specs)]


def serve(connection: Connection, parent: int, thread_stays: bool) -> None:
    """The process: gets its models' specs, and then answers batches until the other end of the connection is closed."""
    end_with_parent(parent, thread_stays)
    leave_signals_to_parent()
    sys.stdout = sys.stderr  # results alone go to stdout, whatever a model prints
    try:
        data = receive(connection)
        load_plugins().manager.quiet = True  # the process that started this one has told what was left out
        host = Host(pickle.loads(data))
        inbox: queue.SimpleQueue[Batch | Answers | None] = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(connection, host, inbox), name="ctxbench-listen", daemon=True).start()
        while (item := inbox.get()) is not None:
            send(connection, _pickled(host.read(item) if isinstance(item, Batch) else item))
    except (EOFError, OSError):
        return  # the parent has closed the connection, or has gone


def _listen(connection: Connection, host: Host, inbox: queue.SimpleQueue[Batch | Answers | None]) -> None:
    """Receive batches while one is read, and let their models begin with what comes before the reading."""
    while True:
        try:
            batch: Batch = pickle.loads(receive(connection))
        except (EOFError, OSError):
            inbox.put(None)
            return
        except Exception as error:
            inbox.put(Answers(failure=(type(error).__name__, message_of(error))))
            continue
        with contextlib.suppress(Exception):  # reading it will say what is wrong
            host.ahead(batch)
        inbox.put(batch)


def _pickled(answers: Answers) -> bytes:
    try:
        return pickle.dumps(answers, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        return pickle.dumps(Answers(failure=(type(error).__name__, message_of(error)), seconds=answers.seconds))

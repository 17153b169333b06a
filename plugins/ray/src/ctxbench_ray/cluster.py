"""The connection to Ray: to a cluster that runs, or to a Ray on this machine that is started for the run and ended with it."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import attrs

from ctxbench import CtxbenchError
from ctxbench.interrupts import SIGNALS, interrupts_wait

LOCALHOST = "127.0.0.1"

LONGEST_FOLDER = 40
"""Characters of a folder below which Ray can put its sockets: their paths take some 60 more, and Unix allows 107."""

START_SECONDS = 300
"""Time for each part of Ray to start. Ray's own is half a minute, which a machine that is busy with other things may need for less."""

_TOKEN = secrets.token_hex(32)
"""The token of every Ray that this process starts: Ray reads it once a process."""

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "RAY_DASHBOARD_STARTUP_TIMEOUT_S": str(START_SECONDS),
    "RAY_worker_register_timeout_seconds": str(START_SECONDS),
    "RAY_agent_register_timeout_ms": str(1000 * START_SECONDS),
}
"""Variables of a Ray that is started here, unless the user set them: it tells nobody of it, and its workers are as urgent as others'."""


@attrs.frozen(eq=False)
class Cluster:
    """A connection.

    Attributes:
        ray: the module.
        folder: where a Ray that was started for this keeps its files; ``None`` for a cluster that was there.
        borrowed: the caller of the program had connected before, and stays connected.
    """

    ray: Any
    folder: Path | None = None
    borrowed: bool = False

    @property
    def cpus(self) -> int:
        """CPUs of all machines that are there now, at least 1."""
        return max(1, int(self.ray.cluster_resources().get("CPU", 0)))

    @property
    def gpus(self) -> float:
        """GPUs of all machines that are there now."""
        return float(self.ray.cluster_resources().get("GPU", 0))

    def end(self) -> None:
        """Disconnect, and end what was started. Nothing of it is left when this returns."""
        if self.borrowed:
            return
        with interrupts_wait(), _handlers_kept():
            if self.folder is not None:
                _end_at_once()
            self.ray.shutdown(wait_for_processes=self.folder is not None)
            if self.folder is not None:
                shutil.rmtree(self.folder, ignore_errors=True)


class Lease:
    """A share in the connection, of which a process has one. The last one to leave ends it."""

    _cluster: ClassVar[Cluster | None] = None
    _leases: ClassVar[set[Lease]] = set()

    def __init__(self, address: str | None, cpus: int | None, object_store_mb: int) -> None:
        """Connect as :func:`join` does, if this process is not connected yet."""
        self.cluster = join(address, cpus, object_store_mb) if Lease._cluster is None else _checked(Lease._cluster, address)
        Lease._cluster = self.cluster
        Lease._leases.add(self)

    def leave(self) -> None:
        """Give it up. May be called again."""
        if self not in Lease._leases:
            return
        Lease._leases.remove(self)
        if not Lease._leases:
            Lease._cluster = None
            self.cluster.end()


def join(address: str | None, cpus: int | None, object_store_mb: int) -> Cluster:
    """Connect to the cluster at an address, or start Ray on this machine with so many CPUs where there is no address.

    Raises:
        CtxbenchError: that is not possible.
    """
    try:
        import ray
    except ImportError:
        raise CtxbenchError("the executor ray needs Ray, which is not installed: pip install 'ctxbench-ray[ray]'") from None

    if ray.is_initialized():
        return _checked(Cluster(ray, borrowed=True), address)
    if address is None:
        return _start(ray, cpus, object_store_mb)
    if "://" in address:
        raise CtxbenchError(f"address {address!r}: no Ray Client; run ctxbench on a machine of the cluster, with host:port or auto")
    _connect(ray, address)
    return Cluster(ray)


def _checked(cluster: Cluster, address: str | None) -> Cluster:
    there = cluster.ray.get_runtime_context().gcs_address
    if address not in (None, "auto", there):
        raise CtxbenchError(f"this process is connected to Ray at {there} already; ray.shutdown() first, or give no other address")
    return cluster


def _connect(ray: Any, address: str) -> None:
    from ray._private.authentication import authentication_token_setup

    host, _, port = address.rpartition(":")
    if address != "auto":
        _something_listens(address, host, port)
    said = io.StringIO()
    try:
        with _handlers_kept(), _quiet(), _on_localhost(host in ("localhost", LOCALHOST)), _stderr_to(said):
            authentication_token_setup.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
            ray.init(address, log_to_driver=False, logging_level="ERROR")
    except (Exception, SystemExit) as error:
        token = "AuthToken" in said.getvalue() or type(error).__name__ == "AuthenticationError"
        why = "it asks for another token; put the cluster's into RAY_AUTH_TOKEN or ~/.ray/auth_token" if token else _first_line(error)
        raise CtxbenchError(f"cannot connect to Ray at {address}: {why}") from error


def _something_listens(address: str, host: str, port: str) -> None:
    """Ray itself needs more than a minute to notice that nothing does."""
    if not host or not port.isdigit():
        raise CtxbenchError(f"address {address!r}: expected host:port of the cluster's head, or auto for the one that runs on this machine")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise CtxbenchError(f"no Ray at {address}: {_first_line(error)}; ray start --head starts one and says its address") from error


def _start(ray: Any, cpus: int | None, object_store_mb: int) -> Cluster:
    folder = Path(tempfile.mkdtemp(prefix="ctxbench-ray-", dir=_short_folder()))
    try:
        return _start_once(ray, folder, cpus, object_store_mb)
    except BaseException as error:
        with _handlers_kept(), _quiet():
            ray.shutdown()
            _kill_below(folder)
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, CtxbenchError) or not isinstance(error, Exception):
            raise
        raise CtxbenchError(f"Ray does not start on this machine: {_first_line(error)}") from error


def _start_once(ray: Any, folder: Path, cpus: int | None, object_store_mb: int) -> Cluster:
    with _handlers_kept(), _quiet(), _settings(folder), _on_localhost(True), _patiently():
        context = ray.init(
            "local",
            num_cpus=cpus,
            object_store_memory=object_store_mb * 2**20,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _node_ip_address=LOCALHOST,
            _temp_dir=str(folder),
        )
    host = context.address_info["node_ip_address"]
    if host != LOCALHOST:
        raise CtxbenchError(f"Ray listens on {host} and not on this machine alone; start a cluster yourself and give its address")
    return Cluster(ray, folder)


def _end_at_once() -> None:
    """Have the processes of a Ray that was started here killed and not asked to end, for which they take two seconds and more.

    Whoever presses Ctrl-C does not want to wait, and nothing of this Ray is needed after it.
    """
    from ray._private import worker

    node: Any = worker._global_node
    if node is not None:
        kill = node.kill_all_processes
        node.kill_all_processes = lambda **_: kill(check_alive=False, allow_graceful=False, wait=True)


def _kill_below(folder: Path) -> None:
    """End what a start that failed half way has left, as far as this system shows it; at the latest it ends with this process."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in (entry / "cmdline").read_bytes() and int(entry.name) != os.getpid():
                os.kill(int(entry.name), signal.SIGKILL)


@contextlib.contextmanager
def _patiently() -> Iterator[None]:
    """The time that Ray gives its own node to appear is no setting."""
    from ray._private import services

    look: Any = services.get_node

    def wait(*arguments: Any) -> Any:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return look(*arguments)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    services.get_node = wait
    try:
        yield
    finally:
        services.get_node = look


def _short_folder() -> str | None:
    return "/tmp" if len(tempfile.gettempdir()) > LONGEST_FOLDER and Path("/tmp").is_dir() else None


@contextlib.contextmanager
def _settings(folder: Path) -> Iterator[None]:
    """The environment of a Ray that is started here.

    Ray asks for a token by default; where the user has none, this process has one of its own, and leaves none in the home directory.
    """
    before = {name: os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE", *_SETTINGS)}
    for name, setting in _SETTINGS.items():
        os.environ.setdefault(name, setting)
    if not (before["RAY_AUTH_TOKEN"] or before["RAY_AUTH_TOKEN_PATH"] or Path("~/.ray/auth_token").expanduser().exists()):
        path = folder / "token"
        path.touch(mode=0o600)
        path.write_text(_TOKEN, "utf-8")
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(path)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _on_localhost(wanted: bool) -> Iterator[None]:
    """Ray replaces ``127.0.0.1`` by an address that others can reach, unless it thinks that this system has no clusters."""
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = before and not wanted
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextlib.contextmanager
def _handlers_kept() -> Iterator[None]:
    """Ray puts handlers of its own in the place of this program's."""
    here = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in SIGNALS} if here else {}
    hook = sys.excepthook
    try:
        yield
    finally:
        sys.excepthook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Ray's warnings of what it will do otherwise one day."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _stderr_to(said: io.StringIO) -> Iterator[None]:
    """Keep what Ray's C++ part writes straight to file descriptor 2: it repeats itself every second while it waits."""
    sys.stderr.flush()
    terminal = os.dup(2)
    try:
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as file:
            os.dup2(file.fileno(), 2)
            try:
                yield
            finally:
                sys.stderr.flush()
                os.dup2(terminal, 2)
                file.seek(0)
                said.write(file.read())
    finally:
        os.close(terminal)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__

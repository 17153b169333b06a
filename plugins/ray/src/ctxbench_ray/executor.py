"""The executor ``ray``."""

from __future__ import annotations

import importlib.metadata
import math
import os
import re
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from ctxbench import Executor, load_plugins
from ctxbench.executors import in_window
from ctxbench.options import Boolean, Integer, Number, Optional, String, option
from ctxbench_ray.cluster import Cluster, Lease
from ctxbench_ray.fleet import Fleet
from ctxbench_ray.place import Surroundings, surroundings, version_of

if TYPE_CHECKING:
    from ctxbench.replicas import ModelSpec, Replica


@attrs.frozen
class RayExecutor(Executor):
    """Workers on the machines of a Ray cluster. Without an address, a Ray of its own is started on this machine, and ended by ``close``.

    Attributes:
        address: ``host:port`` of the cluster's head, or ``auto`` for the cluster that runs on this machine; by default ``RAY_ADDRESS``.
        workers: worker processes on all machines together; ``null`` for one for each CPU of the cluster.
        cpus: CPUs that Ray sets aside for each worker.
        object_store_mb: megabytes of shared memory that a Ray of its own may take. A cluster's was decided when it was started.
        same_versions: refuse machines that have other versions of ctxbench, its plugins or the libraries that they require.
        readers: actors that read models; ``null`` for as many as the cluster has GPUs for, 0 to read on this machine.
        gpus: GPUs that Ray sets aside for each reader.
    """

    address: str | None = option(Optional(String()), None)
    workers: int | None = option(Optional(Integer(1)), None)
    cpus: float = option(Number(0, 1024), 1)
    object_store_mb: int = option(Integer(80), 512)
    same_versions: bool = option(Boolean(), True)
    readers: int | None = option(Optional(Integer(0)), None)
    gpus: float = option(Number(0, 64), 1)
    _held: list[Lease] = attrs.field(factory=list, init=False, repr=False, eq=False)

    @property
    def at_once(self) -> int:
        """Jobs that run at once: the option ``workers``, or the cluster's CPUs."""
        if self.workers is not None:
            return self.workers
        if self._address is None and not self._held:
            return os.cpu_count() or 1
        return int(self._cluster().cpus // self.cpus) if self.cpus else self._cluster().cpus

    def map(
        self,
        function: Callable[[Any], Any],
        jobs: Iterable[Any],
        *,
        window: int,
        limits: Mapping[str, float] | None = None,
    ) -> Iterator[Any]:
        """See :meth:`ctxbench.Executor.map`.

        A job whose process dies is run once more, with nothing else of this run on its machine, before it is lost; one whose Ray actor or
        machine is lost, up to three times more, even if it had finished and only its answer was on its way.

        Raises:
            CtxbenchError: Ray cannot be reached, or no worker can be started.
        """
        import cloudpickle

        window = max(window, 1)
        cluster = self._cluster()
        size = max(1, min(window, self.at_once))
        active = {stage: seconds for stage, seconds in (limits or {}).items() if seconds}
        fleet = Fleet(cluster.ray, cloudpickle.dumps(function), size, self.cpus, active, self._surroundings())
        try:
            yield from in_window(jobs, fleet.submit, fleet.next, window)
        except KeyboardInterrupt:
            yield from fleet.rest()
            raise
        finally:
            fleet.close()

    def close(self) -> None:
        """Disconnect from the cluster, or end the Ray that was started."""
        while self._held:
            self._held.pop().leave()

    def replicas(self, specs: Mapping[str, ModelSpec]) -> Sequence[Callable[[], Replica]] | None:
        """See :meth:`ctxbench.Executor.replicas`: an actor for each place, with GPUs of its own."""
        cluster = self._cluster()
        fitting = int(cluster.gpus // self.gpus) if self.gpus else 0
        count = fitting if self.readers is None else self.readers
        if not count:
            return None
        from ctxbench_ray.readers import RayReplica

        return [partial(RayReplica, self, cluster.ray, specs, self._surroundings(), self.gpus)] * count

    @property
    def _address(self) -> str | None:
        return self.address if self.address is not None else os.environ.get("RAY_ADDRESS") or None

    @property
    def _cpus(self) -> int | None:
        """CPUs that a Ray of its own must have for all workers; ``None`` for those that the machine has."""
        return None if self.workers is None else max(1, math.ceil(self.workers * self.cpus))

    def _cluster(self) -> Cluster:
        if not self._held:
            lease = Lease(self._address, self._cpus, self.object_store_mb)
            self._held.append(lease)
            weakref.finalize(self, lease.leave)  # whoever forgets this executor, forgets to close it, too
        return self._held[0].cluster

    def _surroundings(self) -> Surroundings:
        return surroundings(_versions() if self.same_versions else {})


def _versions() -> dict[str, str]:
    """Version of each distribution that decides results: core, the plugins, and what they require directly."""
    own = {origin.distribution for origin in load_plugins().manager.origins.values()} | {"ctxbench-core"}
    wanted = {match[0] for name in own for line in importlib.metadata.requires(name) or [] if (match := re.match(r"[A-Za-z0-9._-]+", line))}
    found = {name: version_of(name) for name in sorted(own | wanted)}
    return {name: version for name, version in found.items() if version}

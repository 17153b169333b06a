"""The local executor: this process, or a pool of worker processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import attrs

from ctxbench.executors.here import run_here
from ctxbench.executors.pooled import run_in_pool
from ctxbench.interfaces import Executor
from ctxbench.options import Integer, Optional, option


@attrs.frozen
class LocalExecutor(Executor):
    """Worker processes on this machine.

    Attributes:
        workers: processes; 0 works in this process, ``None`` uses one for each core.
    """

    workers: int | None = option(Optional(Integer(0)), None)

    @property
    def pauses(self) -> bool:
        """Worker processes go on while this process looks after something else; without them there is nothing to go on."""
        return self.workers != 0

    def map(
        self,
        function: Callable[[Any], Any],
        jobs: Iterable[Any],
        *,
        window: int,
        limits: Mapping[str, float] | None = None,
        wait: float | None = None,
    ) -> Iterator[Any]:
        """See :meth:`ctxbench.Executor.map`.

        A job whose worker process dies is run once more, with no other job beside it, before it is lost. With ``workers=0`` the end
        of the process is the end of everything, and a time limit is best effort (see :func:`ctxbench.time_limit.time_limit`).

        Raises:
            CtxbenchError: worker processes cannot be started.
        """
        workers = (os.cpu_count() or 1) if self.workers is None else self.workers
        active = {stage: seconds for stage, seconds in (limits or {}).items() if seconds}
        if workers == 0:
            yield from run_here(function, jobs, active)
        else:
            yield from run_in_pool(function, jobs, workers, window, active, wait)

"""An event loop in a thread of its own, so that a model can be read from a notebook, whose own loop is running, as from anywhere else."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any

WAIT = 30.0
"""Seconds that ending may take before it is given up: the thread ends with the process."""


class Loop:
    """Runs coroutines for a thread that has no event loop, or a busy one."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ctxbench-openai", daemon=True)
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, None]) -> concurrent.futures.Future[None]:
        """Begin a coroutine; its future can be waited for and cancelled."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine to its end."""
        self.start(work).result()

    def close(self) -> None:
        """Cancel what runs and end the thread."""
        with contextlib.suppress(TimeoutError):
            self.start(_cancel_others()).result(WAIT)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT)
        if not self._thread.is_alive():
            self._loop.close()


async def _cancel_others() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)

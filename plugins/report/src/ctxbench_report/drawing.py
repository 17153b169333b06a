"""Plots of a report drawn by a second process, which takes half of the time on two cores.

``python -m ctxbench_report.drawing`` takes what to draw as JSON and writes the plots as JSON to its output. The process is not forked,
since DuckDB has threads, nor made by :mod:`multiprocessing`, which would run a caller's script again.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from ctxbench.store import Store
from ctxbench_report.data import Filters

LEAST_CELLS = 100
"""Cells from which on a second process is worth its start, about a second."""

SHARE = ("outcomes", "depth-length", "confusions", "page-position")
"""What the second process draws: about half of the work."""

Drawn = list[tuple[str, dict[str, Any] | str]]
"""Name of a plot and its image (see ``building.image``), or the reason why there is none."""


@attrs.frozen
class Helper:
    """A process that draws some kinds of plot, or none."""

    process: subprocess.Popen[str] | None

    def results(self) -> dict[str, Drawn]:
        """What it drew, by kind; nothing of a process that failed, so that the caller draws it."""
        if self.process is None:
            return {}
        try:
            out, _ = self.process.communicate()
            return {kind: [(name, plot) for name, plot in drawn] for kind, drawn in json.loads(out).items()}
        except (OSError, ValueError):
            return {}


@contextlib.contextmanager
def helper(store: Store, filters: Filters, cells: int, kinds: Sequence[str]) -> Iterator[Helper]:
    """A second process at work on its share of the plots, if that pays and the file can be opened twice."""
    share = [kind for kind in kinds if kind in SHARE]
    request = json.dumps({"store": str(store.path), "filters": attrs.asdict(filters), "kinds": share})
    process = None
    if store.read_only and cells >= LEAST_CELLS and share and _cores() > 1:
        command = [sys.executable, "-m", "ctxbench_report.drawing", request]
        with contextlib.suppress(OSError):
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield Helper(process)
    finally:
        if process is not None:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> None:
    """Draw what the argument asks for."""
    from ctxbench_report.building import draw_kind
    from ctxbench_report.style import settings

    asked = json.loads(sys.argv[1])
    filters = Filters(**{name: tuple(values) for name, values in asked["filters"].items()})
    with Store.open_read_only(asked["store"]) as store, settings():
        drawn = {kind: draw_kind(store, kind, filters) for kind in asked["kinds"]}
    json.dump(drawn, sys.stdout)


if __name__ == "__main__":
    main()

"""Statistics of stored results: paired comparisons, power, and the effective compression ratio of a codec.

``compare`` and ``frontier`` are what ``ctxbench compare`` and ``ctxbench frontier`` print; the modules ``proportions``, ``resampling`` and
``power`` hold the methods by themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ctxbench

if TYPE_CHECKING:
    from ctxbench_stats.api import compare
    from ctxbench_stats.comparing import Difference
    from ctxbench_stats.matching import Matched


@ctxbench.hookimpl
def ctxbench_commands(cli: Any) -> None:
    """``ctxbench compare`` and ``ctxbench frontier``."""
    from ctxbench_stats.compare_command import command as compare_command
    from ctxbench_stats.frontier_command import command as frontier_command

    cli.add_command(compare_command)
    cli.add_command(frontier_command)


def __getattr__(name: str) -> Any:
    """What needs numpy is imported when it is first asked for."""
    if name == "compare":
        from ctxbench_stats.api import compare

        return compare
    if name == "Difference":
        from ctxbench_stats.comparing import Difference

        return Difference
    if name == "Matched":
        from ctxbench_stats.matching import Matched

        return Matched
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["Difference", "Matched", "compare"]

"""Runs experiments: prepares trials, reads them, scores them, stores them."""

from typing import TYPE_CHECKING, Any

from ctxbench.engine.progress import Progress, Silent
from ctxbench.engine.report import RunReport

if TYPE_CHECKING:
    from ctxbench.engine.completion import CellStatus, status
    from ctxbench.engine.dry_run import preview, size
    from ctxbench.engine.runner import run


def __getattr__(name: str) -> Any:
    """``run``, ``preview``, ``size``, ``status`` and ``CellStatus`` bring DuckDB and Arrow with them, which worker processes do without."""
    if name == "run":
        from ctxbench.engine.runner import run

        return run
    if name in ("preview", "size"):
        from ctxbench.engine import dry_run

        return getattr(dry_run, name)
    if name in ("CellStatus", "status"):
        from ctxbench.engine import completion

        return getattr(completion, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["CellStatus", "Progress", "RunReport", "Silent", "preview", "run", "size", "status"]

"""Runs experiments: prepares trials, reads them, scores them, stores them."""

from ctxbench.engine.progress import Progress, Silent
from ctxbench.engine.prompts import compose
from ctxbench.engine.runner import RunCounts, run

__all__ = ["Progress", "RunCounts", "Silent", "compose", "run"]

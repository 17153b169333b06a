"""Runs experiments: prepares trials, reads them, scores them, stores them."""

from ctxbench.engine.preview import preview
from ctxbench.engine.progress import Progress, Silent
from ctxbench.engine.prompts import compose
from ctxbench.engine.report import RunReport
from ctxbench.engine.runner import run

__all__ = ["Progress", "RunReport", "Silent", "compose", "preview", "run"]

"""Where CPU work runs: the local executor, and what the engine and a job's function need to deal with any executor."""

from ctxbench.executors.jobs import after_interrupt, in_window, run_jobs
from ctxbench.executors.local import LocalExecutor
from ctxbench.executors.pool import Pool
from ctxbench.executors.stages import report_stage

__all__ = ["LocalExecutor", "Pool", "after_interrupt", "in_window", "report_stage", "run_jobs"]

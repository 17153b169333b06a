"""The hooks.

A plugin is a module with functions of these names, marked ``@ctxbench.hookimpl`` and named by an entry point in group ``ctxbench``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pluggy

from ctxbench.plugin.registration import (
    AugmenterRecord,
    CodecRecord,
    ExecutorRecord,
    MetricRecord,
    ModelRecord,
    TaskRecord,
    TokenCounterRecord,
)

if TYPE_CHECKING:
    from ctxbench.results import TrialResult

PROJECT = "ctxbench"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's function as the implementation of the hook of the same name."""


@hookspec
def ctxbench_codecs() -> Iterable[CodecRecord]:
    """Codecs that this plugin offers.

    Example::

        @ctxbench.hookimpl
        def ctxbench_codecs():
            yield ctxbench.CodecRecord("rot13", "Letters moved by 13 places.", "rot13_codec:Rot13")
    """
    raise NotImplementedError


@hookspec
def ctxbench_augmenters() -> Iterable[AugmenterRecord]:
    """Augmenters that this plugin offers.

    Example::

        @ctxbench.hookimpl
        def ctxbench_augmenters():
            yield ctxbench.AugmenterRecord("fax", "One bit a pixel.", "fax_augmenter:Fax")
    """
    raise NotImplementedError


@hookspec
def ctxbench_tasks() -> Iterable[TaskRecord]:
    """Tasks that this plugin offers.

    Example::

        @ctxbench.hookimpl
        def ctxbench_tasks():
            yield ctxbench.TaskRecord("word_count", "How often does a word occur?", "word_count_task:WordCount")
    """
    raise NotImplementedError


@hookspec
def ctxbench_metrics() -> Iterable[MetricRecord]:
    """Metrics that this plugin offers.

    Example::

        @ctxbench.hookimpl
        def ctxbench_metrics():
            yield ctxbench.MetricRecord("length_ratio", "Answer length over expected length.", "length_metric:LengthRatio")
    """
    raise NotImplementedError


@hookspec
def ctxbench_models() -> Iterable[ModelRecord]:
    """Models that this plugin can load.

    Example::

        @ctxbench.hookimpl
        def ctxbench_models():
            yield ctxbench.ModelRecord("echo", "Says its prompt.", "echo_model:Echo")
    """
    raise NotImplementedError


@hookspec
def ctxbench_token_counters() -> Iterable[TokenCounterRecord]:
    """Model families whose token costs this plugin can count.

    Example::

        @ctxbench.hookimpl
        def ctxbench_token_counters():
            yield ctxbench.TokenCounterRecord("fixed-576", "576 tokens an image.", "fixed_counter:Fixed576")
    """
    raise NotImplementedError


@hookspec
def ctxbench_executors() -> Iterable[ExecutorRecord]:
    """Executors that this plugin offers.

    Example::

        @ctxbench.hookimpl
        def ctxbench_executors():
            yield ctxbench.ExecutorRecord("threads", "A pool of threads.", "thread_executor:Threads")
    """
    raise NotImplementedError


@hookspec
def ctxbench_commands(cli: Any) -> None:
    """Add commands to the ``ctxbench`` command line; ``cli`` is its ``click.Group``.

    Called once, when the command line starts: import heavy things inside the command, not beside it.

    Example::

        @ctxbench.hookimpl
        def ctxbench_commands(cli):
            @cli.command()
            def hello():
                click.echo("hello")
    """
    raise NotImplementedError


@hookspec
def ctxbench_trial_finished(result: TrialResult) -> None:
    """A trial's row has just been stored. Called in the parent process, in no particular order.

    An exception here is reported once and changes nothing.

    Example::

        @ctxbench.hookimpl
        def ctxbench_trial_finished(result):
            print(result.trial_id, result.outcome)
    """
    raise NotImplementedError

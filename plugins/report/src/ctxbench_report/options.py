"""Options that the commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def filter_options(command: Command) -> Command:
    """Which trials to draw: the fields of :class:`ctxbench_report.data.Filters` as repeatable options."""
    options = (
        click.option("-m", "--model", "models", multiple=True, help="Only this model. Repeatable, as are the next four."),
        click.option("-t", "--task", "tasks", multiple=True, help="Only this task."),
        click.option("-c", "--codec", "codecs", multiple=True, help="Only this codec."),
        click.option("-a", "--augment", "augmentations", multiple=True, help="Only this augmentation."),
        click.option("-b", "--bucket", "buckets", multiple=True, type=click.IntRange(1), help="Only this context length in tokens."),
    )
    for option in reversed(options):
        command = option(command)
    return command

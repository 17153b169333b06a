"""Failures of plugins, and how they are put in words."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ctxbench.errors import message_of
from ctxbench.plugin.origins import Origin
from ctxbench.time_limit import TimeUp

PASSING: tuple[type[BaseException], ...] = (KeyboardInterrupt, TimeUp)
"""What is no fault of the plugin's that it leaves, and must reach whoever waits for it: Ctrl-C, and the end of a time limit."""


@attrs.frozen
class PluginFailure:
    """Why a plugin, or one thing it registers, was left out."""

    origin: Origin
    stage: str
    error: str

    def __str__(self) -> str:
        o = self.origin
        return f"plugin {o.plugin!r} of {o.distribution} {o.version} left out at {self.stage}: {self.error}"


def describe(error: BaseException) -> str:
    """``Type: message`` on one line."""
    name, text = type(error).__name__, message_of(error)
    return name if text == name else f"{name}: {text}"


def in_short(failures: Sequence[PluginFailure]) -> str:
    """All failures in one short line."""
    names = sorted({failure.origin.distribution for failure in failures})
    plugins = "1 plugin is" if len(names) == 1 else f"{len(names)} plugins are"
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{plugins} left out, wholly or in part ({shown}); see: ctxbench plugins"

"""Example experiments that come with the command."""

from __future__ import annotations

from importlib import resources

from ctxbench import UsageError, nearest

EXAMPLES = ("quickstart", "paper-sweep", "commented")


def read_example(name: str) -> str:
    """The YAML of an example.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in EXAMPLES:
        raise UsageError(f"no example config named {name!r}{nearest(name, EXAMPLES)}")
    return (resources.files(__package__) / f"{name}.yaml").read_text("utf-8")

"""Where plugins come from: entry points of installed distributions, the project's own first."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator

import attrs

GROUP = "ctxbench"

FIRST_PARTY: tuple[str, ...] = tuple(
    f"ctxbench-{name}"
    for name in (
        "core",
        "cli",
        "text",
        "render",
        "codebook",
        "codebook-external",
        "baselines",
        "json-restore",
        "needle",
        "documents",
        "ruler",
        "qwen-tokens",
        "metrics",
        "imgaug",
        "transformers",
        "tiny",
        "openai",
        "vllm",
        "ray",
        "report",
        "stats",
    )
)
"""The project's own distributions. They load before all others, in this order, so that none of their names can be taken by a stranger
who chose a distribution name that sorts before theirs."""


def canonical(name: str) -> str:
    """A distribution's name in the form in which the packaging specifications compare names: lower case, runs of ``-_.`` as one ``-``."""
    return re.sub(r"[-_.]+", "-", name).lower()


@attrs.frozen
class Origin:
    """Where a plugin comes from: its entry-point name, its distribution and that distribution's version."""

    plugin: str
    distribution: str
    version: str

    @property
    def scoped(self) -> str:
        """``distribution:entry point``. Two distributions may use one entry-point name; this is unique."""
        return f"{self.distribution}:{self.plugin}"

    @property
    def names(self) -> frozenset[str]:
        """What ``CTXBENCH_DISABLE_PLUGINS`` may call it."""
        return frozenset({self.plugin, self.distribution, canonical(self.distribution), self.scoped})

    @property
    def load_order(self) -> tuple[int, str, str]:
        """Sorts the project's own distributions first, then the others by name, so that the winner of a name clash is the same anywhere."""
        name = canonical(self.distribution)
        rank = FIRST_PARTY.index(name) if name in FIRST_PARTY else len(FIRST_PARTY)
        return rank, name, self.plugin


def entry_points() -> list[tuple[importlib.metadata.EntryPoint, Origin]]:
    """All entry points of the group, in load order. Of a distribution that is on ``sys.path`` twice, the first counts, as in imports."""
    return sorted(_found(), key=lambda found: found[1].load_order)


def _found() -> Iterator[tuple[importlib.metadata.EntryPoint, Origin]]:
    seen: set[tuple[str, str]] = set()
    for point in importlib.metadata.entry_points(group=GROUP):
        metadata = point.dist.metadata if point.dist else {"Name": "unknown", "Version": "0"}  # read anew each time that it is asked for
        origin = Origin(point.name, metadata["Name"], metadata["Version"])
        key = (canonical(origin.distribution), point.name)
        if key not in seen:
            seen.add(key)
            yield point, origin

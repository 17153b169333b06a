"""Records what can change pixels and answers without changing a trial's id: library versions, Python, the kind of machine.

It is recorded with every run. A later run that goes on from stored trials says how its own differs.
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ctxbench.identity import is_editable, sources_sha256
from ctxbench.plan import Experiment

CORE = "ctxbench-core"


def environment(experiment: Experiment) -> dict[str, Any]:
    """Versions of Python and of every library that the experiment's distributions require, and the version of core's own code."""
    registry = experiment.session.registry
    parts = [*experiment.tasks, *experiment.codecs, *experiment.augmentations]
    named = {(part.kind, part.name) for part in parts} | {("model", reader.model_name) for reader in experiment.readers}
    distributions = {registry.find(kind, name).origin.distribution for kind, name in named} | {CORE}
    libraries = {name: version for distribution in distributions for name, version in _requirements(distribution)}
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "libraries": dict(sorted(libraries.items())),
    }
    if is_editable(CORE):
        found["sources"] = {CORE: sources_sha256("ctxbench")[:16]}
    return found


def _requirements(distribution: str) -> Iterable[tuple[str, str]]:
    """(name, version) of what a distribution requires directly and is installed, extras included; not those that offer its parts."""
    try:
        wanted = importlib.metadata.requires(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return
    for line in wanted:
        match = re.match(r"[A-Za-z0-9._-]+", line)
        if match is None or match[0].startswith("ctxbench"):
            continue
        try:
            yield match[0].lower(), importlib.metadata.version(match[0])
        except importlib.metadata.PackageNotFoundError:  # an extra that is not installed
            continue


def changes(stored: Mapping[str, dict[str, Any]], trials: Mapping[str, int], now: Mapping[str, Any]) -> list[str]:
    """One line that says how the environments of stored trials differ from the present one; none if they do not.

    Args:
        stored: environment of each run. Runs of before they were recorded have none, and nothing is said of them.
        trials: how many trials of each run are used.
    """
    different: dict[str, set[str]] = {}
    count = 0
    current = _flat(now)
    for run_id, environment in stored.items():
        before = _flat(environment)
        changed = {key for key in before.keys() | current.keys() if before and before.get(key) != current.get(key)}
        for key in changed:
            different.setdefault(key, set()).add(before.get(key, "none"))
        count += trials.get(run_id, 0) if changed else 0
    if not count:
        return []
    said = ", ".join(f"{key} {'/'.join(sorted(old))} (now {current.get(key, 'none')})" for key, old in sorted(different.items()))
    return [f"{count} of the stored trials were made with {said}; they are kept. Another --store measures them anew"]


def _flat(environment: Mapping[str, Any]) -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in environment.items():
        if isinstance(value, Mapping):
            flat |= {str(name): str(item) for name, item in value.items()}
        else:
            flat[key] = str(value)
    return flat

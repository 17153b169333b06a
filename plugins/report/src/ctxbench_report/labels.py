"""Names for cells whose labels are equal though they were measured differently, so that no plot or table takes them for one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

PARTS = ("model", "task", "codec", "augmentation")
Row = Mapping[str, Any]

_FACTS: dict[str, tuple[tuple[str, str], ...]] = {
    "model": (
        ("", "model_config"),
        ("", "model_runtime"),
        ("", "token_config"),
        ("weights", "model_fingerprint"),
        ("adapter", "adapter_fingerprint"),
        ("seed", "seed"),
    ),
    "task": (("", "task_config"), ("data", "task_fingerprint")),
    "codec": (("", "codec_config"), ("data", "codec_fingerprint")),
    "augmentation": (("", "augmentation_config"), ("data", "augmentation_fingerprint")),
}
"""What may tell two cells of one label apart, by component: the name of the fact, if it is one, and its column."""

COLUMNS = tuple(column for facts in _FACTS.values() for _, column in facts)


def distinct_labels(rows: Iterable[Row]) -> list[dict[str, str]]:
    """For each row of ``summary`` with :data:`COLUMNS` beside it, the labels of its components by :data:`PARTS`, made distinct.

    A model's label is followed by `` + ADAPTER`` if it has one, a task's by the language if its trials are in several. Where several
    variants share all labels, what differs between them stands behind the label in brackets: ``hf:x [dtype=bfloat16]``.
    """
    found = list(rows)
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in found:
        groups.setdefault(_key(row), []).append(row)
    varying: dict[tuple[str, str], set[str]] = {}
    nameless: set[tuple[Any, ...]] = set()
    for key, group in groups.items():
        if len(group) < 2:
            continue
        told: list[tuple[Any, ...]] = [() for _ in group]
        for part in PARTS:
            facts = [_facts(part, row) for row in group]
            names = {name for fact in facts for name in fact if len({other.get(name) for other in facts}) > 1}
            varying.setdefault((part, _base(part, group[0])), set()).update(names)
            told = [(*known, *(fact.get(name) for name in sorted(names))) for known, fact in zip(told, facts, strict=True)]
        if len(set(told)) < len(group):
            nameless.add(key)
    languages: dict[str, set[str]] = {}
    for row in found:
        languages.setdefault(row["task"], set()).add(row["language"] or "")
    return [_labels(row, varying, _key(row) in nameless, len(languages[row["task"]] - {""}) > 1) for row in found]


def _labels(row: Row, varying: Mapping[tuple[str, str], set[str]], nameless: bool, with_language: bool) -> dict[str, str]:
    labels = {}
    for part in PARTS:
        base = _base(part, row)
        names = sorted(varying.get((part, base), ()))
        facts = _facts(part, row) if names else {}
        told = [facts.get(name, f"{name} unset") for name in names]
        if part == "task" and with_language:
            base = f"{base}, {row['language'] or 'no language'}"
        if part == "model" and nameless:
            told.append(f"variant {row['variant'][:6]}")
        labels[part] = f"{base} [{', '.join(told)}]" if told else base
    return labels


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("model", "adapter", "task", "bucket", "language", "codec", "augmentation"))


def _base(part: str, row: Row) -> str:
    if part == "model" and row["adapter"]:
        return f"{row['model']} + {row['adapter']}"
    return str(row[part])


def _facts(part: str, row: Row) -> dict[str, str]:
    """Each fact of a component as it would be told: ``dtype=bfloat16``, ``weights 3fa2b1``, ``seed 7``."""
    facts: dict[str, str] = {}
    for name, column in _FACTS[part]:
        value = row[column]
        if name:
            facts[name] = f"{name} {value if name == 'seed' else str(value or 'none')[:6]}"
        else:
            facts |= {path: f"{path}={_short(leaf)}" for path, leaf in _flat(json.loads(value or "{}")).items()}
    return facts


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 24 else text[:23] + "…"


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {path: value} if path else {}
    found: dict[str, Any] = {}
    for key, item in value.items():
        found |= _flat(item, f"{path}.{key}" if path else str(key))
    return found

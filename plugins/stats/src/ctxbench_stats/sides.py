"""The two sides of a comparison: what the names on the command line stand for in a store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs

from ctxbench import UsageError, nearest
from ctxbench.store import Store

KINDS = ("codec", "model", "reader", "adapter", "level", "run", "variant")
"""What can be named within one store. ``level`` is a level of augmentation; a ``reader`` is a model with its adapter, ``tiny + codebook``,
or without one."""

NO_ADAPTER = ("base", "none")
SHORTEST_PREFIX = 4


@attrs.frozen
class Side:
    """One side: its name for people, and the SQL condition on ``results`` with its parameters."""

    name: str
    where: str
    parameters: tuple[Any, ...] = ()


def resolve(store: Store, a: str, b: str) -> tuple[str, Side, Side]:
    """(kind, side A, side B) of two names, each as ``NAME``, ``KIND:NAME``, or with a variant behind it, ``NAME@VARIANT``.

    Raises:
        UsageError: a name that nothing has, names of different kinds or of several kinds, or the same name twice.
    """
    if a == b:
        raise UsageError(f"{a!r} on both sides: name two that differ")
    found = [_kinds_of(store, name) for name in (a, b)]
    for name, kinds in zip((a, b), found, strict=True):
        if not kinds:
            raise UsageError(f"{store.path}: nothing is named {name!r} (no {', '.join(KINDS)}){nearest(name, _all_names(store))}")
    common = [kind for kind in KINDS if kind in found[0] and kind in found[1]]
    if "model" in common and "reader" in common:
        common.remove("reader")  # two models are compared under the same adapter
    if not common:
        first, second = (" or ".join(kind for kind in kinds if kind != "reader" or len(kinds) == 1) for kinds in found)
        raise UsageError(f"{a!r} is a {first} and {b!r} a {second}: name two of a kind")
    if len(common) > 1:
        raise UsageError(f"{a!r} and {b!r} are each a {' and a '.join(common)}: write {common[0]}:{a} {common[0]}:{b}")
    return common[0], found[0][common[0]], found[1][common[0]]


def stores(a: str, b: str) -> bool:
    """Whether two names are those of store files."""
    return all(name.endswith(".duckdb") or Path(name).is_file() for name in (a, b))


def _kinds_of(store: Store, text: str) -> dict[str, Side]:
    """Every kind of thing in the store that a text may name."""
    prefix, colon, rest = text.partition(":")
    if colon and prefix in KINDS and (side := _named(store, prefix, rest)):
        return {prefix: side}
    return {kind: side for kind in KINDS if (side := _named(store, kind, text))}


def _named(store: Store, kind: str, name: str) -> Side | None:
    finders: dict[str, Callable[[Store, str], Side | None]] = {
        "codec": lambda store, name: _column(store, "codec", name),
        "model": lambda store, name: _column(store, "model", name),
        "reader": _reader,
        "adapter": _adapter,
        "level": lambda store, name: _column(store, "augmentation", name),
        "run": _run,
        "variant": _variant,
    }
    find = finders[kind]
    if side := find(store, name):
        return side
    bare, at, variant = name.rpartition("@")
    if not at or kind in ("run", "variant"):
        return None
    side, chosen = find(store, bare), _variant(store, variant)
    if side is None or chosen is None:
        return None
    return Side(name, f"({side.where}) AND ({chosen.where})", side.parameters + chosen.parameters)


def _exists(store: Store, side: Side) -> Side | None:
    return side if store.query(f"SELECT 1 FROM results WHERE {side.where} LIMIT 1", side.parameters).rows else None


def _column(store: Store, column: str, name: str) -> Side | None:
    return _exists(store, Side(name, f"{column} = ?", (name,)))


def _reader(store: Store, name: str) -> Side | None:
    """A model with the adapter behind a plus sign, or without one."""
    model, _, adapter = name.partition(" + ")
    if not adapter or adapter in NO_ADAPTER:
        return _exists(store, Side(name, "model = ? AND adapter IS NULL", (model,)))
    return _exists(store, Side(name, "model = ? AND adapter = ?", (model, adapter)))


def _adapter(store: Store, name: str) -> Side | None:
    if side := _column(store, "adapter", name):
        return side
    return _exists(store, Side(name, "adapter IS NULL")) if name in NO_ADAPTER else None


def _run(store: Store, name: str) -> Side | None:
    """A run by its id or the beginning of it, or all runs of an experiment's name."""
    if len(name) >= SHORTEST_PREFIX:
        found = store.query("SELECT DISTINCT run_id FROM results WHERE starts_with(run_id, ?)", [name]).rows
        if len(found) == 1:
            return Side(name, "run_id = ?", (found[0][0],))
    return _column(store, "run_name", name) or _column(store, "run_id", name)


def _variant(store: Store, name: str) -> Side | None:
    if len(name) < SHORTEST_PREFIX:
        return None
    found = store.query("SELECT DISTINCT variant FROM results WHERE starts_with(variant, ?)", [name]).rows
    return Side(name, "variant = ?", (found[0][0],)) if len(found) == 1 else None


def _all_names(store: Store) -> list[str]:
    columns: Sequence[str] = ("codec", "model", "adapter", "augmentation", "run_name", "run_id")
    union = " UNION ".join(f"SELECT {column} AS name FROM results WHERE {column} IS NOT NULL" for column in columns)
    return [str(name) for (name,) in store.query(f"SELECT DISTINCT name FROM ({union}) ORDER BY name").rows]

"""Checks that a store is consistent and undamaged. Nothing is repaired."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ctxbench.store import migrations
from ctxbench.store.inserts import KEYS
from ctxbench.store.pages import check_page, image_folder

if TYPE_CHECKING:
    from ctxbench.store.store import Store

LISTED = 20
"""Cases of one problem that are listed; the rest are counted."""

ORPHANS = (
    ("scores", "of a trial that is not stored", "trials", "trial_id"),
    ("pages", "of a trial that is not stored", "trials", "trial_id"),
    ("trials", "of a run that is not stored", "runs", "run_id"),
)

# What each figure must be, from the columns it is computed from.
FIGURES = {
    "carrier_tokens": "carrier_text_tokens + carrier_visual_tokens",
    "compression_ratio": "reference_tokens / nullif(carrier_tokens, 0)",
    "prompt_ratio": "text_prompt_tokens / nullif(formula_prompt_tokens, 0)",
    "n_pages": "(SELECT count(*) FROM pages p WHERE p.trial_id = t.trial_id)",
}


def verify(store: Store) -> list[str]:
    """Check a store; returns one line for each problem, and an empty list if there is none."""
    return [*_schema(store), *_readable(store), *_keys(store), *_orphans(store), *_figures(store), *_errors(store), *_images(store)]


def _schema(store: Store) -> Iterator[str]:
    done = migrations.applied(store.database.connection) or {}
    for migration in migrations.MIGRATIONS:
        if migration.version not in done:
            yield f"migration {migration.version} ({migration.name}) was not applied"
        elif done[migration.version] != migration.checksum:
            yield f"migration {migration.version} ({migration.name}) was applied in another form than this ctxbench has"


def _readable(store: Store) -> Iterator[str]:
    """Read every value once, so that a damaged block is found (DuckDB keeps a checksum of each)."""
    from ctxbench.errors import QueryError

    for table in KEYS:
        try:
            store.query(f"SELECT bit_xor(hash(t)) FROM {table} t")
        except QueryError as error:
            yield f"table {table} cannot be read: {error}"


def _keys(store: Store) -> Iterator[str]:
    for table, key in KEYS.items():
        names = ", ".join(key)
        rows = store.query(f"SELECT {names}, count(*) FROM {table} GROUP BY {names} HAVING count(*) > 1 ORDER BY ALL").rows
        yield from _listed(f"{table}: {len(rows)} keys are there more than once", [f"{row[:-1]} ({row[-1]} times)" for row in rows])


def _orphans(store: Store) -> Iterator[str]:
    for table, what, parent, key in ORPHANS:
        rows = store.query(f"SELECT {key}, count(*) FROM {table} ANTI JOIN {parent} USING ({key}) GROUP BY {key} ORDER BY {key}").rows
        yield from _listed(f"{table}: {sum(row[1] for row in rows)} rows {what}", [f"{key} {row[0]}" for row in rows])


def _figures(store: Store) -> Iterator[str]:
    for column, formula in FIGURES.items():
        rows = store.query(
            f"""SELECT trial_id, {column}, should FROM (SELECT trial_id, {column}, {formula} AS should FROM trials t WHERE status = 'ok')
            WHERE ({column} IS NULL) <> (should IS NULL) OR abs({column} - should) > 1e-9 * abs(should) ORDER BY trial_id"""
        ).rows
        shown = "the number of rows in pages" if column == "n_pages" else formula
        yield from _listed(f"trials: {column} is not {shown}", [f"trial {row[0]}: {row[1]}, not {row[2]}" for row in rows])


def _errors(store: Store) -> Iterator[str]:
    """A finished trial has no error, and an error says what it is."""
    rows = store.query("SELECT trial_id FROM trials WHERE (status = 'error') <> (error_type IS NOT NULL) ORDER BY trial_id").rows
    yield from _listed("trials: status and error_type contradict each other", [f"trial {row[0]}" for row in rows])


def _images(store: Store) -> Iterator[str]:
    folder = image_folder(store.path)
    rows = store.query("SELECT DISTINCT path, sha256 FROM pages WHERE path IS NOT NULL ORDER BY ALL").rows
    wrong = [(path, check_page(folder, path, sha256)) for path, sha256 in rows]
    yield from _listed(f"page images in {folder}", [f"{path}: {problem}" for path, problem in wrong if problem])


def _listed(title: str, cases: list[str]) -> Iterator[str]:
    yield from (f"{title}: {case}" for case in cases[:LISTED])
    if len(cases) > LISTED:
        yield f"{title}: and {len(cases) - LISTED} more"


__all__ = ["verify"]

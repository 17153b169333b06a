"""The data card that goes with exported tables: what they hold, where they come from, how to read them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ctxbench.errors import StoreError
from ctxbench.files import whole_file
from ctxbench.store import migrations

if TYPE_CHECKING:
    from ctxbench.store.export import Exported
    from ctxbench.store.store import Store

NAME = "README.md"
"""Hubs of data sets show the file of this name."""


def write_card(store: Store, folder: Path, files: Sequence[Exported]) -> Path:
    """Write the card of some exported files into their folder.

    Raises:
        StoreError: it cannot be written.
    """
    path = folder / NAME
    with whole_file(path, error=StoreError) as file:
        file.write(card(store, files).encode("utf-8"))
    return path


def card(store: Store, files: Sequence[Exported]) -> str:
    """The card's text: a YAML head as hubs of data sets read it, then Markdown."""
    lines = ["---", "pretty_name: ctxbench results", "tags: [ctxbench, vision-language-models, context-compression]", "configs:"]
    for made in files:
        lines += [f"  - config_name: {made.name}", f"    data_files: {made.path.name}"]
    lines += ["---", "", "# Results of ctxbench", ""]
    trials, errors, first, last = store.query(
        "SELECT count(*), count(*) FILTER (status = 'error'), min(created_at), max(created_at) FROM trials"
    ).rows[0]
    lines.append(f"{trials:,} trials, {errors:,} of them errors" + (f", run from {first:%Y-%m-%d} to {last:%Y-%m-%d}." if trials else "."))
    lines.append("One trial is one question about one context, put into a carrier, sent through an augmentation and read by a model.")
    lines += ["", "## What varies", "", "| | values |", "|---|---|"]
    for column in ("model", "adapter", "task", "bucket", "language", "codec", "augmentation", "seed"):
        found = store.query(f"SELECT DISTINCT {column} FROM trials ORDER BY ALL").rows
        values = ", ".join("none" if value is None else _cell(str(value)) for (value,) in found[:50])
        lines.append(f"| {column} | {values}{', ...' if len(found) > 50 else ''} |")
    lines += [
        "",
        "## Runs",
        "",
        "| run | name | config hash | ctxbench | git revision | trials | status |",
        "|---|---|---|---|---|---|---|",
    ]
    sql = "SELECT run_id, name, config_hash, ctxbench_version, git_revision, finished, status FROM runs ORDER BY started_at, run_id"
    for row in store.query(sql).rows:
        lines.append("| " + " | ".join("" if value is None else _cell(str(value)) for value in row) + " |")
    lines += ["", "## Files", "", "| file | rows | SHA-256 |", "|---|---|---|"]
    for made in files:
        lines.append(f"| {made.path.name} | {made.rows:,} | {_sha256(made.path)} |")
    lines += ["", "Columns, with their units:", ""]
    for made in files:
        kinds = [f"`{name}` {kind}" for name, kind, *_ in store.query(f"DESCRIBE {made.name}").rows]
        lines.append(f"- {made.name}: {', '.join(kinds)}")
    lines += [
        "",
        f"Schema version {migrations.latest()}. NULL means not known or not applicable, never zero; times are in seconds, costs in tokens.",
        "`ctxbench store import FOLDER` reads the tables back into a store.",
        "",
        "## What to know before using it",
        "",
        "- Contexts and questions are made from seeds, or come from what the task's options name.",
        "- Predictions are what a model said, unchecked.",
        "- Page images are not part of the tables; their SHA-256 is.",
        "- Rows of one `cell` differ in their sample alone. Pool nothing else without saying so.",
        "",
    ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    """A text that stays in its cell of a Markdown table."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


__all__ = ["write_card"]

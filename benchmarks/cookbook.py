"""The questions and answers of ``docs/store.md``: ``python -m benchmarks.cookbook --write`` runs them anew and writes the answers into it.

Each question is a block ``sql``; the block behind it is what ``ctxbench sql`` prints. Without ``--write`` it says which have changed.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from click.testing import CliRunner

from ctxbench_cli.main import cli

DOCUMENT = Path(__file__).parents[1] / "docs" / "store.md"
RUN = re.compile(r"^ctxbench (run .*) --store cookbook\.duckdb$", re.M)
PAIR = re.compile(r"```sql\n(?P<sql>.*?)```\n\n```text\n(?P<answer>.*?)```\n", re.S)


def make_store(text: str, folder: Path) -> Path:
    """Run the command that the document gives, and return its store."""
    found = RUN.search(text)
    assert found, "the document names no run"
    path = folder / "cookbook.duckdb"
    done = CliRunner().invoke(cli, [*found[1].split(), "--store", str(path), "--set", "run.executor.workers=0"])
    assert done.exit_code == 0, done.output
    return path


def questions(text: str) -> Iterator[tuple[str, str]]:
    """(SQL, answer) of every question."""
    for found in PAIR.finditer(text):
        yield found["sql"], found["answer"]


def answer(sql: str, store: Path) -> str:
    """What ``ctxbench sql`` prints."""
    done = CliRunner().invoke(cli, ["sql", sql, "--store", str(store)])
    assert done.exit_code == 0, done.output
    return "".join(line.rstrip() + "\n" for line in done.stdout.splitlines())


def main() -> None:
    """Check the answers, or write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    text = DOCUMENT.read_text("utf-8")
    with tempfile.TemporaryDirectory() as name:
        store = make_store(text, Path(name))
        fresh = PAIR.sub(lambda found: f"```sql\n{found['sql']}```\n\n```text\n{answer(found['sql'], store)}```\n", text)
    changed = sum(old != new for old, new in zip(questions(text), questions(fresh), strict=True))
    print(f"{len(list(questions(text)))} questions, {changed} answers changed")
    if options.write:
        DOCUMENT.write_text(fresh, "utf-8")
    elif changed:
        sys.exit(1)


if __name__ == "__main__":
    main()

"""How the embedded model bears other words of a prompt: ``python -m benchmarks.wording``.

The same fresh contexts of both tasks, asked for in the usual words, in the wordings of ``plugins/tiny/train/tiny.yaml`` that are kept for
measuring, without a hint, and (pages) under the hint of another carrier. Text and print are read by the base, the code by each adapter, in
the layouts that they were trained on. Runs are stored and go on where they stopped. ``--model hf:FOLDER --adapters`` with folders, and a
store of their own, measure weights that do not ship.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import yaml

from benchmarks import reading
from benchmarks.reading import Rows
from ctxbench import load_plugins

ROOT = Path(__file__).resolve().parents[1]
PLAN = ROOT / "plugins" / "tiny" / "train" / "tiny.yaml"
STORE = ROOT / "wording.duckdb"
OUT = ROOT / "benchmarks" / "results" / "wording.md"
TASKS = ("json_restore", "needle")
LENGTH = 64
NO_HINT = "{context}\n{question}"

INTRODUCTION = f"""# Other words around a context

`python -m benchmarks.wording`. Contexts of {LENGTH} reference tokens on clean pages, the same in each row of a task. Exact answers in
percent with their 95 % interval. *Held out* are wordings of the prompt that no training record has; *another's hint* tells the reader of a
printed page that it is a code, and of a code that it is print.
"""


def wordings() -> dict[str, str]:
    """Templates by name; that of another carrier's hint is :func:`misled`."""
    held_out = yaml.safe_load(PLAN.read_text("utf-8"))["heldout_prompts"]
    return {"usual": "", **{f"held out {i}": template for i, template in enumerate(held_out, 1)}, "no hint": NO_HINT}


def misled(codec: str) -> str:
    """The usual words with the hint of the other kind of page."""
    other = {"render": "codebook", "codebook": "render"}[codec]
    hint = load_plugins().codec(other).hint("en").replace("{", "{{").replace("}", "}}")
    return f"{hint}\n{{context}}\n{{question}}"


def carriers(adapters: Sequence[str]) -> list[tuple[str | None, str]]:
    """(adapter, codec) of each column."""
    return [(None, "text"), (None, "render"), *((adapter, "codebook") for adapter in adapters)]


def measure(model: str, adapters: Sequence[str], samples: int, store: Path) -> dict[tuple[str, str, str], Rows]:
    """The trials of each (wording, column, task), run unless they are stored."""
    found: dict[tuple[str, str, str], Rows] = {}
    for adapter, codec in carriers(adapters):
        column = f"{Path(adapter).name if adapter else 'base'}: {codec}"
        own = wordings() | ({"another's hint": misled(codec)} if codec != "text" else {})
        for wording, template in own.items():
            name = f"{column}, {wording}"
            reading.run(
                name,
                [{"name": task} for task in TASKS],
                [codec],
                store,
                model=model,
                adapter=adapter,
                samples=samples,
                buckets=[LENGTH],
                prompt=template,
            )
            rows = reading.stored(store, name)
            found |= {(wording, column, task): [row for row in rows if row["task"] == task] for task in TASKS}
    return found


def report(found: dict[tuple[str, str, str], Rows]) -> str:
    """The page."""
    columns = list(dict.fromkeys(column for _, column, _ in found))
    names = list(dict.fromkeys(wording for wording, _, _ in found))
    lines = [f"| task | words | {' | '.join(columns)} |", "|---" * (len(columns) + 2) + "|"]
    for task in TASKS:
        for wording in names:
            cells = [cell(found.get((wording, column, task), [])) for column in columns]
            lines.append(f"| {task} | {wording} | {' | '.join(cells)} |")
    return "\n".join([INTRODUCTION, *lines]) + "\n"


def cell(rows: Rows) -> str:
    """Exact answers and their interval."""
    if not rows:
        return ""
    share, interval, _ = reading.proportion(rows)
    return f"{share} ({interval})"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100, help="contexts of each task")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--adapters", nargs="*", default=["codebook", "codebook-dense"])
    parser.add_argument("--store", type=Path, default=STORE)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    text = report(measure(options.model, options.adapters, options.samples, options.store))
    print(text, end="")
    options.out.write_text(text, "utf-8")


if __name__ == "__main__":
    main()

"""What the embedded model reads of documents as people have them, and how much of it is guessed: ``python -m benchmarks.everyday``.

``documents`` holds fifty texts of 16 to 256 reference tokens, written by hand for this and never trained on. Each is a sample, whole and
clean, asked for in the words of ``transcribe`` (which the model was not trained on) and in those of ``json_restore`` (which it was). Then
the same model copies contexts of the task ``json_restore``, with values that can be guessed and with values that cannot, at equal length.
Runs are stored in ``everyday/everyday.duckdb`` and go on where they stopped; about ten minutes of CPU time from nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks import reading
from benchmarks.reading import Rows
from ctxbench import load_plugins

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = Path(__file__).with_name("documents")
WORK = ROOT / "everyday"
STORE = WORK / "everyday.duckdb"
OUT = ROOT / "benchmarks" / "results" / "everyday.md"
READERS: tuple[tuple[str, str | None, tuple[str, ...]], ...] = (("base", None, ("text", "render")), ("adapter", "codebook", ("codebook",)))
"""Who reads what: text and print without the adapter, the code with it, each laid out as it was trained."""
KINDS = ("json", "prose", "letter", "code", "data", "chinese")
LENGTHS = (64, 128, 256)
FIRST_SEED = 9_300_000
"""Of contexts that stand for text that the model knows; training drew other seeds."""

INTRODUCTION = """# Documents as people have them, and guessing

`python -m benchmarks.everyday`. The embedded model on the fifty texts of `benchmarks/everyday/documents`, whole and clean: text and print
read by the base, the code by the adapter `codebook`, each in the layout that it was trained on. Exact answers, and in brackets the median
character error rate in percent (100 at most). *Trained wording* is the question of `json_restore`, *new wording* that of `transcribe`.
"""
GUESSING = """Contexts of `json_restore`, 64 reference tokens, of seeds that training did not draw, with values that can be guessed
(*realistic*, which it was trained on), with values of words, and with random ones. Exact answers in percent with their 95 % interval, and
the mean character error rate. Where a carrier is read, its rows are alike; where the model makes up for what it does not see, they are not.
"""

PAYLOADS = ("realistic", "words", "random")
"""What the values of ``json_restore`` are made of: the model was trained on the first, and nobody guesses the last."""


def write_inputs(samples: int) -> None:
    """All texts as records with the question of ``json_restore``: the documents, and its own contexts with each payload."""
    registry = load_plugins()
    question = registry.task("json_restore").sample(64, 0).question
    WORK.mkdir(exist_ok=True)

    def write(name: str, texts: Iterable[str]) -> None:
        records = ({"context": text, "question": question, "answers": text} for text in texts)
        (WORK / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")

    write("documents", (path.read_text("utf-8") for path in sorted(DOCUMENTS.iterdir())))
    for payload in PAYLOADS:
        task = registry.task("json_restore", entropy=payload)
        write(f"JSON-{payload}", (task.sample(64, FIRST_SEED + i).context for i in range(samples)))


def asked(label: str, name: str) -> dict[str, Any]:
    """A task that asks for the texts of a file of :func:`write_inputs`."""
    return {"label": label, "name": "qa", "path": str(WORK / f"{name}.jsonl"), "instruction": ""}


def run(name: str, tasks: list[dict[str, Any]], samples: int | str) -> None:
    """Run some tasks with both readers."""
    for label, adapter, codecs in READERS:
        reading.run(f"everyday-{name}-{label}", tasks, codecs, STORE, adapter=adapter, samples=samples)


def measure(samples: int) -> None:
    """Run what is not stored yet."""
    write_inputs(samples)
    new = {"label": "new wording", "name": "transcribe", "path": str(DOCUMENTS)}
    run("documents", [new, asked("trained wording", "documents")], "all")
    run("payloads", [asked(f"JSON {payload}", f"JSON-{payload}") for payload in PAYLOADS], samples)


def kind_of(row: dict[str, Any]) -> str:
    """What sort of document it was, by its name."""
    metadata = row["sample_metadata"]
    facts = json.loads(metadata) if isinstance(metadata, str) else metadata
    names = [path.name for path in sorted(DOCUMENTS.iterdir())]
    name = facts["source"] if row["task"] == "new wording" else names[facts["row"]]
    return str(name).split("-", maxsplit=1)[0]


def share(rows: Rows) -> str:
    """Exact of all, and the median character error rate."""
    return f"{reading.exact(rows)} of {len(rows)} ({reading.median_errors(rows):.0f})" if rows else ""


def table(rows: Rows, head: str, groups: Iterable[tuple[str, Callable[[dict[str, Any]], bool]]]) -> list[str]:
    """A line for each group, a column for each carrier and wording."""
    columns = [(codec, task) for codec in ("text", "render", "codebook") for task in ("trained wording", "new wording")]
    lines = [f"| {head} | " + " | ".join(f"{codec}, {task}" for codec, task in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, belongs in groups:
        cells = [share([row for row in rows if (row["codec"], row["task"]) == column and belongs(row)]) for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def gap_line(rows: Rows, codec: str, payload: str) -> str:
    """A line of the second table."""
    found = [row for row in rows if (row["codec"], row["task"]) == (codec, f"JSON {payload}")]
    reference, encoded = (statistics.mean(row[name] for row in found) for name in ("reference_tokens", "encoded_tokens"))
    cells = [codec, payload, f"{len(found)}", f"{reference:.0f}", f"{reference / encoded:.2f}", *reading.proportion(found)]
    return "| " + " | ".join(cells) + " |"


def report(rows: Rows) -> str:
    """The page."""
    documents = [row for row in rows if row["task"].endswith("wording")]
    kinds = [("all", lambda row: True), *((kind, lambda row, kind=kind: kind_of(row) == kind) for kind in KINDS)]
    lengths = [
        (f"{low + 1} to {high} tokens", lambda row, low=low, high=high: low < row["reference_tokens"] <= high)
        for low, high in zip((0, *LENGTHS), LENGTHS, strict=False)
    ]
    gaps = [gap_line(rows, codec, payload) for codec in ("text", "render", "codebook") for payload in PAYLOADS]
    parts = [
        INTRODUCTION,
        *table(documents, "documents", [*kinds, *lengths]),
        "",
        GUESSING,
        "| carrier | values | n | reference tokens | ratio | exact | 95 % | character errors |",
        "|---|---|---|---|---|---|---|---|",
        *gaps,
    ]
    return "\n".join(parts) + "\n"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100, help="contexts of each payload")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    measure(options.samples)
    text = report(reading.stored(STORE))
    print(text, end="")
    options.out.write_text(text, "utf-8")


if __name__ == "__main__":
    main()

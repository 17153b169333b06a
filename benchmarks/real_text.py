"""What the embedded model gives back of real texts, word for word: ``python -m benchmarks.real_text TEXTS``.

TEXTS is the folder of ``python plugins/tiny/train/corpus.py``, whose ``heldout.jsonl`` says nothing that was trained on. Of each kind and
length, pieces from all of its documents are asked for in the words of ``transcribe``: text and print of the model alone and with each
adapter, the code of the adapters. Then pieces of 64 tokens, their words shuffled, and as many tokens of random letters and digits: what
is read comes back from all three, what is guessed from the first. Pages are laid out as the weights were trained. Runs are stored and go on
where they stopped; with the 200 samples of a cell that are the default, some hours of CPU time. ``--model hf:FOLDER --adapters`` with
folders, and a store of their own, measure weights that do not ship.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import reading
from benchmarks.reading import Rows
from ctxbench import load_plugins

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "real_text"
OUT = ROOT / "benchmarks" / "results" / "real_text.md"
KINDS = ("English", "Python", "JSON")
LENGTHS = (64, 128, 256, 512)
PAYLOADS = ("natural", "shuffled", "random")
PRIOR_LENGTH = 64

INTRODUCTION = """# Real texts word for word

`python -m benchmarks.real_text TEXTS`. Pieces of held-out texts (`plugins/tiny/train/corpus.py`; documents that share 2 % of their 8-word
sequences with training texts are not among them), asked for in the words of `transcribe`. Exact answers in percent, in brackets the median
character error rate in percent (100 at most) and the ratio: reference tokens over visual tokens of clean pages with their markers.
"""
GUESSING = """Pieces of 64 reference tokens of all kinds as they are, with their words shuffled, and of as many tokens of random letters and
digits. Exact answers in percent with their 95 % interval, and the mean character error rate.
"""


def write_inputs(texts: Path, samples: int) -> list[dict[str, Any]]:
    """Files of pieces, evenly from all documents of a kind, and the tasks that ask for them.

    Raises:
        SystemExit: there are no such texts.
    """
    path = texts / "heldout.jsonl"
    if not path.is_file():
        raise SystemExit(f"{path} is missing; make it: python plugins/tiny/train/corpus.py CACHE {texts}")
    documents = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    registry = load_plugins()
    WORK.mkdir(exist_ok=True)
    tasks = []
    for kind in KINDS:
        source = WORK / f"{kind}.jsonl"
        source.write_text("".join(json.dumps(each) + "\n" for each in documents if each["kind"] == kind), "utf-8")
        task = registry.task("transcribe", path=str(source), column="text")
        for length in LENGTHS:
            supply = task.supply(length) or 0
            count = min(samples, supply)
            pieces = WORK / f"{kind}-{length}.jsonl"
            contexts = (task.sample(length, i * supply // count).context for i in range(count))
            pieces.write_text("".join(json.dumps({"text": context}) + "\n" for context in contexts), "utf-8")
            for payload in PAYLOADS if length == PRIOR_LENGTH else PAYLOADS[:1]:
                label = f"{kind} {length} {payload}"
                tasks.append({"label": label, "name": "transcribe", "path": str(pieces), "column": "text", "payload": payload})
    return tasks


def measure(tasks: list[dict[str, Any]], model: str, adapters: Sequence[str], augmentations: Sequence[str], store: Path) -> None:
    """Run what is not stored yet, text at one level alone."""
    for adapter in (None, *adapters):
        name = f"real-text-{adapter or 'base'}"
        pages = ["render"] if adapter is None else ["codebook", "render"]
        reading.run(f"{name}-text", tasks, ["text"], store, model=model, adapter=adapter)
        reading.run(f"{name}-pages", tasks, pages, store, model=model, adapter=adapter, augmentations=augmentations)


def stored(path: Path) -> Rows:
    """The trials, with the kind, the length and the payload of their texts."""
    rows = reading.stored(path)
    for row in rows:
        row["kind"], length, row["payload"] = row["task"].split()
        row["length"] = int(length)
    return rows


def cell(rows: Rows) -> str:
    """Exact answers, the median error and the ratio."""
    if not rows:
        return ""
    ratio = sum(row["reference_tokens"] for row in rows) / sum(row["encoded_tokens"] for row in rows)
    return f"{100 * reading.exact(rows) / len(rows):.0f} ({reading.median_errors(rows):.0f}; {ratio:.2f})"


def columns_of(rows: Rows) -> list[tuple[str, str, str]]:
    """Reader, codec and augmentation of each column; an older store may hold text at every level, and damage is nothing to a text."""
    found = {(row["reader"], row["codec"], row["augmentation"]) for row in rows}
    return sorted((each for each in found if each[1] != "text" or each[2] == "clean"), key=lambda each: (each[0] != "base", *each))


def gap_line(rows: Rows, carrier: str, payload: str) -> str:
    """A line of the second table."""
    return f"| {' | '.join([carrier, payload, str(len(rows)), *reading.proportion(rows)])} |"


def report(rows: Rows) -> str:
    """The page."""
    columns = columns_of(rows)
    heads = [f"{reader}: {codec}{'' if level == 'clean' else f', `{level}`'}" for reader, codec, level in columns]
    lines = [f"| text | tokens | n | {' | '.join(heads)} |", "|---" * (len(heads) + 3) + "|"]
    for kind in KINDS:
        for length in LENGTHS:
            own = [row for row in rows if (row["kind"], row["length"], row["payload"]) == (kind, length, "natural")]
            n = len({row["sample_index"] for row in own})
            cells = [cell([row for row in own if (row["reader"], row["codec"], row["augmentation"]) == column]) for column in columns]
            lines.append(f"| {kind} | {length} | {n} | {' | '.join(cells)} |")
    gaps = []
    for head, column in zip(heads, columns, strict=True):
        own = [row for row in rows if (*column, PRIOR_LENGTH) == (row["reader"], row["codec"], row["augmentation"], row["length"])]
        for payload in PAYLOADS:
            some = [row for row in own if row["payload"] == payload]
            gaps += [gap_line(some, head, payload)] if some else []
    table = ["| carrier | words | n | exact | 95 % | character errors |", "|---" * 6 + "|", *gaps]
    return "\n".join([INTRODUCTION, *lines, "", GUESSING, *table]) + "\n"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--samples", type=int, default=200, help="pieces of each kind and length, where there are so many")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--adapters", nargs="*", default=["codebook", "codebook-dense"])
    parser.add_argument("--augmentations", nargs="+", default=["clean"])
    parser.add_argument("--store", type=Path, default=WORK / "real_text.duckdb")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    tasks = write_inputs(options.texts, options.samples)
    measure(tasks, options.model, options.adapters, options.augmentations, options.store)
    text = report(stored(options.store))
    print(text, end="")
    options.out.write_text(text, "utf-8")


if __name__ == "__main__":
    main()

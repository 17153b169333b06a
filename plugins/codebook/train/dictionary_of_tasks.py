"""Train the first dictionary: ``python plugins/codebook/train/dictionary_of_tasks.py [--bytes 400000] [--out FILE]``.

The text is generated: English prose as in the task ``needle`` and JSON as in ``json_restore``, of seeds that no benchmark uses.
The tasks' texts have changed since it was published, so that this makes another one now.
A published dictionary never changes: train another one to another file, and give it another symbol.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from dictionary_pairs import lines, train

from ctxbench import load_plugins
from ctxbench_codebook.symbols import DICTIONARIES

FIRST_SEED = 7_100_000
HERE = Path(__file__).resolve().parents[1] / "src" / "ctxbench_codebook" / DICTIONARIES["dictionary"]
SOURCES = (
    ("json_restore", {}, 2),
    ("json_restore", {"entropy": "words"}, 1),
    ("json_restore", {"indent": 2}, 1),
    ("needle", {}, 3),
)


def corpus(size: int) -> list[bytes]:
    """Generated texts of about ``size`` bytes in all, the sources in turn by their weights."""
    registry = load_plugins()
    sources = [registry.task(name, **options) for name, options, weight in SOURCES for _ in range(weight)]
    texts, total, seed = [], 0, FIRST_SEED
    while total < size:
        for task in sources:
            texts.append(task.sample((256, 512, 1024)[seed % 3], seed).context.encode())
            total += len(texts[-1])
            seed += 1
    return texts


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=400_000)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    text = lines(train(corpus(options.bytes)))
    options.out.write_text(text, "ascii")
    print(f"{options.out}: {len(text.split())} strings")


if __name__ == "__main__":
    main()

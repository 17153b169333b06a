"""Train the dictionary of real texts: ``python plugins/codebook/train/dictionary.py CACHE [--bytes 1200000] [--out FILE]``.

CACHE is a folder for the packages of ``packages.csv``, which are fetched by apt-get, pip and npm where it does not have them. A tenth of
the documents is held out for ``python -m benchmarks.dictionaries CACHE``. The tasks' generators have no place in it. A published
dictionary never changes: train another one to another file, and give it another symbol.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import dictionary_corpus
import dictionary_pairs

from ctxbench_codebook.symbols import DICTIONARIES

HERE = Path(__file__).resolve().parents[1] / "src" / "ctxbench_codebook" / DICTIONARIES["dictionary2"]
BYTES = 1_200_000


def main() -> None:
    """Fetch, train and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--bytes", type=int, default=BYTES)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    dictionary_corpus.fetch(options.cache)
    some = dictionary_corpus.training(dictionary_corpus.documents(options.cache), options.bytes)
    print(f"{len(some)} documents, {sum(len(document.text.encode()) for document in some):,} bytes", flush=True)
    text = dictionary_pairs.lines(dictionary_pairs.train([document.text.encode() for document in some]))
    options.out.write_text(text, "ascii")
    print(f"{options.out}: {len(text.split())} strings")


if __name__ == "__main__":
    main()

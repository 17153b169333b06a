"""The real texts that the weights of ``tiny`` are trained on: ``python plugins/tiny/train/corpus.py CACHE OUT``.

CACHE is the folder of packages of ``python plugins/codebook/train/dictionary.py CACHE``, whose licences ``packages.csv`` there names. OUT
takes ``train.jsonl``, and ``heldout.jsonl``: a tenth of the documents, and packages of which nothing was trained on.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "codebook" / "train"))

import dictionary_corpus as corpus  # noqa: E402

BYTES = {"English": 1_500_000, "man pages": 800_000, "Python": 1_500_000, "JSON": 1_200_000}
"""Of each kind, for training. Chinese is left out: a byte is a token here, and print has four Latin characters a visual token."""
HELD_OUT_BYTES = 400_000
"""Of each kind, for measuring: of held-out documents and of packages that are not trained on, half each."""


def readable(text: str) -> bool:
    """Whether a text has printable ASCII alone, and no tab, which print would show as spaces."""
    return all(32 <= ord(character) < 127 or character == "\n" for character in text)


def write(path: Path, documents: list[corpus.Document]) -> None:
    """One line a document."""
    lines = (
        json.dumps({"kind": document.package.kind, "package": document.package.package, "name": document.name, "text": document.text})
        for document in documents
    )
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    print(f"{path}: {len(documents)} documents, {sum(len(document.text) for document in documents):,} bytes")


def main() -> None:
    """Sort the documents of the packages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    corpus.fetch(options.cache)
    options.out.mkdir(parents=True, exist_ok=True)
    found = [document for document in corpus.documents(options.cache) if readable(document.text)]
    train, held = [], []
    for kind, size in BYTES.items():
        own = [document for document in found if document.package.kind == kind]
        known = [document for document in own if document.package.use == "train"]
        train += corpus.sample([document for document in known if not document.held_out], size)
        held += corpus.sample([document for document in known if document.held_out], HELD_OUT_BYTES // 2)
        held += corpus.sample([document for document in own if document.package.use != "train"], HELD_OUT_BYTES // 2)
    write(options.out / "train.jsonl", train)
    write(options.out / "heldout.jsonl", held)


if __name__ == "__main__":
    main()

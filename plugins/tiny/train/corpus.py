"""The real texts that the weights of ``tiny`` are trained on: ``python plugins/tiny/train/corpus.py CACHE OUT``.

CACHE is the folder of packages of ``python plugins/codebook/train/dictionary.py CACHE``, whose licences ``packages.csv`` there names. OUT
takes ``train.jsonl``, and ``heldout.jsonl``: of a tenth of the documents, and of packages of which nothing was trained on, those that say
what no training text says.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "codebook" / "train"))

import dictionary_corpus as corpus  # noqa: E402

from ctxbench.contamination import Collector  # noqa: E402

BYTES = {"English": 1_500_000, "man pages": 800_000, "Python": 1_500_000, "JSON": 1_200_000}
"""Of each kind, for training. Chinese is left out: a byte is a token here, and print has four Latin characters a visual token."""
HELD_OUT_BYTES = 400_000
"""Of each kind, for measuring: of held-out documents and of packages that are not trained on, half each."""
SHARED = 0.02
"""Share of a held-out document's n-grams from which on it is left out. Licences are in many packages, and most of the JSON repeats an
example of a service under each of its versions."""


def readable(text: str) -> bool:
    """Whether a text has printable ASCII alone, and no tab, which print would show as spaces."""
    return all(32 <= ord(character) < 127 or character == "\n" for character in text)


def unseen(documents: list[corpus.Document], train: list[corpus.Document]) -> list[corpus.Document]:
    """The documents that have less than :data:`SHARED` of their n-grams in common with those trained on."""
    known = Collector()
    for document in train:
        known.add(document.text)
    record = known.data("", "")
    return [document for document in documents if record.overlap(document.text) < SHARED]


def of(kind: str, documents: list[corpus.Document]) -> list[corpus.Document]:
    """Those of a kind."""
    return [document for document in documents if document.package.kind == kind]


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
    trained = [document for document in found if document.package.use == "train" and not document.held_out]
    train = [document for kind, size in BYTES.items() for document in corpus.sample(of(kind, trained), size)]
    kept_back = [document for document in found if document.package.use != "train" or document.held_out]
    new = unseen(kept_back, train)
    for kind in BYTES:
        before, after = len(of(kind, kept_back)), len(of(kind, new))
        print(f"{kind}: {before - after} of {before} held-out documents say what was trained on and are left out")
    held = [
        document
        for kind in BYTES
        for use in ("train", "unseen")
        for document in corpus.sample([each for each in of(kind, new) if each.package.use == use], HELD_OUT_BYTES // 2)
    ]
    write(options.out / "train.jsonl", train)
    write(options.out / "heldout.jsonl", held)


if __name__ == "__main__":
    main()

"""The real texts that the weights of ``tiny`` are trained on, and those that they are measured on."""

from __future__ import annotations

import importlib
import random

corpus = importlib.import_module("corpus")
packages = corpus.corpus


def document(name: str, text: str) -> packages.Document:  # type: ignore[name-defined]
    """A document of some package."""
    return packages.Document(name, text, packages.packages()[0])


def words(seed: int, count: int = 1000) -> str:
    """Words at random."""
    rng = random.Random(seed)
    return " ".join(f"word{rng.randrange(10_000)}" for _ in range(count))


def test_nothing_is_measured_on_that_was_trained_on() -> None:
    """A copy under another name goes, and a document with a licence that was trained on; a few words in common are no reason."""
    licence = words(1, 60)
    train = [document("a", words(2)), document("b", f"{licence} {words(3)}")]
    fresh = document("c", words(4))
    few = document("d", f"{words(5)} {' '.join(licence.split()[:20])}")
    copy = document("e", train[0].text)
    licensed = document("f", f"{licence} {words(6)}")
    assert corpus.unseen([fresh, few, copy, licensed], train) == [fresh, few]

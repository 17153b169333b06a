"""Test vectors of the codebook's format, version 1: pages that every later reader must read, and that a writer of version 1 draws again.

``tests/data/codebook/vectors.json`` names for each document its options, its pages and its text. Vectors are added, never changed.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ctxbench import Carrier
from ctxbench_codebook.codec import PRESETS, Codebook

DATA = Path(__file__).parents[1] / "data" / "codebook"
VECTORS = json.loads((DATA / "vectors.json").read_text(encoding="utf-8"))


def pages(name: str) -> list[Image.Image]:
    return [Image.open(DATA / file).convert("RGB") for file in VECTORS[name]["pages"]]


@pytest.mark.parametrize("name", VECTORS)
def test_pages_of_earlier_versions_are_read(name):
    """A change of the format would make stored pages unreadable."""
    assert Codebook().decode(Carrier(pages=pages(name))) == VECTORS[name]["text"]


@pytest.mark.parametrize("name", [name for name, vector in VECTORS.items() if vector["options"]["compression"] == "raw"])
def test_the_writer_draws_the_same_pixels(name):
    """Uncompressed, every pixel follows from the specification (compressors may change from release to release)."""
    made = Codebook(**VECTORS[name]["options"]).encode(VECTORS[name]["text"]).pages
    kept = pages(name)
    assert len(made) == len(kept)
    assert all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(made, kept, strict=True))


def test_a_lost_page_of_the_parity_vector_is_made_again():
    """Whichever it is."""
    found = pages("parity-page")
    for lost in range(len(found)):
        assert Codebook().decode(Carrier(pages=found[:lost] + found[lost + 1 :])) == VECTORS["parity-page"]["text"]


def test_every_preset_colour_and_compression_has_a_vector():
    """And files are small enough to keep for ever."""
    options = [vector["options"] for vector in VECTORS.values()]
    assert {o["preset"] for o in options} >= set(PRESETS) - {"aligned"}
    assert {o["compression"] for o in options} == {"raw", "zlib", "zstd", "brotli"}
    assert {o.get("colors") for o in options} >= {8, 32}
    assert all(file.stat().st_size < 20_000 for file in DATA.iterdir())

"""Photographs of the codebook's pages: what a lens bends, and what a finger covers."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from benchmarks.codebook_photographs import Shot, taken
from ctxbench import Carrier
from ctxbench_codebook.codec import Codebook

LONG = np.random.default_rng(5).integers(32, 127, 3000, np.uint8).tobytes().decode()


def read(picture: Image.Image) -> str:
    return Codebook().decode(Carrier(pages=[picture]))


@pytest.mark.parametrize("lens", [0.05, -0.05])
@pytest.mark.parametrize("preset", ["color4", "camera"])
def test_sides_that_a_lens_has_bent_are_made_straight(preset, lens):
    """Without that no header is found: the sides are bent by more than what is looked at beside them."""
    (page,) = Codebook(preset=preset, page=504, compression="raw").encode(LONG[:2000]).pages
    picture = taken(page, Shot(lens=lens, scale=1.0), np.random.default_rng(2))
    assert read(picture) == LONG[:2000]


@pytest.mark.parametrize("corner", range(4))
def test_a_covered_corner_is_found_where_the_sides_meet(corner):
    """A finger over any corner, the header's among them."""
    (encoded,) = Codebook(preset="robust", page=504, compression="raw").encode(LONG[:2000]).pages
    page = np.asarray(encoded)
    height, width = page.shape[:2]
    tip = (corner % 2 * (width - 1), corner // 2 * (height - 1))
    padded = cv2.copyMakeBorder(page, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=(230, 230, 220))
    cv2.circle(padded, (tip[0] + 40, tip[1] + 40), 34, (210, 170, 150), -1)
    assert read(Image.fromarray(padded)) == LONG[:2000]

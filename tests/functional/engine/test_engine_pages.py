"""Pages as encoded and as sent: what the store says of each, and what was counted from which."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from PIL import Image

from ctxbench import (
    Augmenter,
    AugmenterRecord,
    Carrier,
    Codec,
    CodecRecord,
    Model,
    ModelRecord,
    Reading,
    Sample,
    Task,
    TaskRecord,
    TokenUsage,
)
from ctxbench.config import make_config
from ctxbench.engine import run


class Grey(Codec):
    can_decode = False

    def encode(self, text):
        return Carrier(pages=[Image.new("RGB", size, "gray") for size in ((56, 56), (56, 56), (84, 56))])


class Grow(Augmenter):
    """Twice as large, and one pixel drawn by chance."""

    def apply(self, image, rng):
        page = image.resize((2 * image.width, 2 * image.height))
        page.putpixel((0, 0), tuple(int(value) for value in rng.integers(0, 256, 3)))
        return page


class Asks(Task):
    sized = False

    def sample(self, bucket, seed):
        return Sample("one two three", "?", "x", bucket)

    def solve(self, context, question):
        return "x"


@attrs.frozen
class Counts(Model):
    pages: tuple[int, ...] = ()

    def read(self, prompts):
        usage = TokenUsage(200, sum(self.pages), tuple(self.pages)) if self.pages else None
        return [Reading("x", usage=usage) for _ in prompts]


COMPONENTS = (
    CodecRecord("grey", "s", Grey),
    AugmenterRecord("grow", "s", Grow),
    TaskRecord("asks", "s", Asks),
    ModelRecord("counts", "s", Counts),
)


def stored(tmp_path, pages=(), **changes):
    """The trial's costs and its pages' rows."""
    base = {"samples": 1, "buckets": [64], "tasks": ["asks"], "codecs": ["grey"], "augmentations": ["grow"]}
    settings = {"run": {"channel": False, "executor": {"name": "local", "workers": 0}}, "store": str(tmp_path / "s.duckdb")}
    model = {"name": "counts", "pages": list(pages)}
    with run(make_config({**base, **settings, "models": [model], **changes}), components=COMPONENTS) as store:
        costs = store.query(
            "SELECT encoded_visual_tokens, encoded_tokens, carrier_visual_tokens, carrier_tokens, token_flag, n_pages FROM trials"
        ).rows
        names = "encoded_width, encoded_height, width, height, processed_width, processed_height, resize_factor, budget_scaled"
        found = store.query(f"SELECT page, {names}, visual_tokens FROM pages ORDER BY page").rows
        hashes = [row[0] for row in store.query("SELECT sha256 FROM pages ORDER BY page").rows]
    return tuple(costs[0]), [tuple(row) for row in found], hashes


def test_pages_as_encoded_stay_beside_pages_as_sent(tmp_path):
    """Damage doubled every side: four times the tokens were sent, and the codec is not charged for them in what it made."""
    costs, pages, _ = stored(tmp_path)
    assert costs == (4 + 4 + 6, 14 + 6, 16 + 16 + 24, 56 + 6, None, 3)
    assert pages == [
        (0, 56, 56, 112, 112, 112, 112, 1.0, False, 16),
        (1, 56, 56, 112, 112, 112, 112, 1.0, False, 16),
        (2, 84, 56, 168, 112, 168, 112, 1.0, False, 24),
    ]


def test_a_page_that_the_budget_shrinks(tmp_path):
    """The last page alone exceeds it: it is flagged, its factor is below one, and the others' rows are as they were."""
    costs, pages, _ = stored(tmp_path, tokens={"max_pixels": 112 * 112})
    assert costs[4] == "budget_scaled"
    assert [page[8] for page in pages] == [False, False, True]
    width, height, factor = pages[2][5:8]
    assert width * height <= 112 * 112
    assert factor == pytest.approx((width * height / (168 * 112)) ** 0.5)
    assert factor < 1
    assert pages[0][7] == 1.0


def test_equal_pages_are_damaged_differently(tmp_path):
    """The first two pages are equal before the damage and not behind it; a second run makes the same three."""
    first, second = stored(tmp_path)[2], stored(tmp_path / "again", store=str(tmp_path / "t.duckdb"))[2]
    assert len(set(first)) == 3
    assert first == second


def test_what_the_processor_counts_page_by_page_is_in_the_pages_rows(tmp_path):
    """If it tells as many pages as were sent; else the formula's counts stay there."""
    costs, pages, _ = stored(tmp_path, pages=(15, 17, 24))
    assert [page[-1] for page in pages] == [15, 17, 24]
    assert costs == (14, 20, 56, 62, "count_mismatch", 3)
    costs, pages, _ = stored(tmp_path, pages=(30, 26), store=str(tmp_path / "t.duckdb"))
    assert [page[-1] for page in pages] == [16, 16, 24]
    assert costs[4] == "count_mismatch"


def test_each_page_has_a_generator_of_its_own(tmp_path):
    """Seeded by the damage's seed and the page's number, so that a page's damage does not depend on how many there are."""
    from ctxbench.pipeline import augment

    page = Image.new("RGB", (28, 28), "gray")
    for i, made in enumerate(augment([page] * 3, Grow(), 11)):
        expected = np.random.default_rng([11, i]).integers(0, 256, 3)
        assert made.getpixel((0, 0)) == tuple(expected)

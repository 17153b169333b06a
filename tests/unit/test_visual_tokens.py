"""Visual-token rules: equal to transformers' image processors, or to the published examples where there is no processor."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.pixtral.image_processing_pil_pixtral import PixtralImageProcessorPil, get_resize_output_image_size
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize as reference_resize
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

from ctxbench import ConfigError, load_plugins, tokens

FAMILIES = ["qwen2-vl", "qwen2.5-vl", "qwen3-vl", "llava-1.5", "pixtral", "idefics3", "smolvlm", "internvl2", "gpt-4o"]


def some_sizes(count: int, largest: int) -> list[tuple[int, int]]:
    """Sizes of every magnitude, and the ones where rounding to 28 or 32 px turns."""
    rng = random.Random(20)
    edges = [(w, h) for w in (1, 13, 14, 15, 28, 42, 43, 70, 98, 1001, 1002) for h in (27, 28, 41, 42, 44, 112, 126, 1001, 1003)]
    sizes = [size for size in edges if max(size) / min(size) <= 200]
    while len(sizes) < count:
        width = round(2 ** rng.uniform(0, np.log2(largest)))
        height = round(width * 2 ** rng.uniform(-3, 3)) if rng.random() < 0.8 else rng.randint(1, largest)
        if height >= 1 and max(width, height) / min(width, height) <= 200:
            sizes.append((width, height))
    return sizes


BUDGETS = [
    ("qwen2-vl", 28, {}, {}),
    ("qwen2.5-vl", 28, {}, {}),
    ("qwen2-vl", 28, {"min_pixels": 56 * 56, "max_pixels": 12845056}, {"min_pixels": 56 * 56, "max_pixels": 12845056}),
    ("qwen2-vl", 28, {"min_pixels": 200_704, "max_pixels": 401_408}, {"min_pixels": 200_704, "max_pixels": 401_408}),
    ("qwen3-vl", 32, {}, {"patch_size": 16, "min_pixels": 65_536, "max_pixels": 16_777_216}),
]


@pytest.mark.parametrize(("family", "factor", "options", "processor_options"), BUDGETS)
def test_qwen_equals_the_processor_on_600_sizes(family, factor, options, processor_options):
    """Python's round half to even, floor and ceil in other places, or another budget would differ somewhere here."""
    processor = Qwen2VLImageProcessorPil(**processor_options)
    low, high = processor.size["shortest_edge"], processor.size["longest_edge"]
    for width, height in some_sizes(600, 6000):
        found = tokens.image_tokens(width, height, family, **options)
        assert found.tokens == processor.get_number_of_image_patches(height, width) // 4, (width, height)
        assert (found.height, found.width) == reference_resize(height, width, factor, low, high), (width, height)
        assert tokens.visual_tokens(width, height, family, **options) == found.tokens


def test_qwen_equals_what_the_processor_does_to_real_images():
    """The count is that of the patches that really come out, four to a token."""
    processor = Qwen2VLImageProcessorPil()
    for width, height in [(1, 1), (13, 40), (56, 56), (57, 41), (300, 200), (28, 5600), (1100, 1000), (1204, 1204)]:
        grid = processor(Image.new("RGB", (width, height)), return_tensors="np")["image_grid_thw"][0]
        assert int(grid.prod()) // 4 == tokens.visual_tokens(width, height), (width, height)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(1, 500_000), st.integers(784, 3_000_000))
def test_any_size_and_budget_equals_smart_resize(width, height, low, high):
    """Budgets that scale up, down, or leave a page alone."""
    low = min(low, high)
    if max(width, height) / min(width, height) > 200:
        with pytest.raises(ValueError, match="200 times"):
            tokens.image_tokens(width, height, min_pixels=low, max_pixels=high)
        return
    found = tokens.counter("qwen2-vl", min_pixels=low, max_pixels=high).image(width, height)
    assert (found.height, found.width) == reference_resize(height, width, 28, low, high)
    rounded = (round(width / 28) * 28) * (round(height / 28) * 28)
    assert found.budget_scaled == (not low <= rounded <= high)


def test_budget_scaled_means_the_budget_and_not_the_grid():
    """Rounding 45 px to 56 px is no rescaling; going over max_pixels or under min_pixels is."""
    flags = {
        size: tokens.image_tokens(*size).budget_scaled for size in [(84, 45), (56, 56), (55, 28), (1001, 1001), (1008, 1009), (2000, 2000)]
    }
    assert flags == {(84, 45): False, (56, 56): False, (55, 28): True, (1001, 1001): True, (1008, 1009): True, (2000, 2000): True}
    assert not tokens.image_tokens(2000, 2000, max_pixels=12845056).budget_scaled
    assert tokens.visual_tokens(2000, 2000) == 35 * 35
    assert tokens.visual_tokens(2000, 2000, max_pixels=12845056) == 71 * 71


def test_a_page_too_long_for_the_processor_is_refused():
    """The processor raises beyond an aspect ratio of 200, and so does the rule."""
    assert tokens.visual_tokens(5600, 28) == 200
    with pytest.raises(ValueError, match=r"a 5601 x 28 px image is more than 200 times"):
        tokens.visual_tokens(5601, 28)
    with pytest.raises(ValueError, match="absolute aspect ratio"):
        reference_resize(28, 5601)
    with pytest.raises(ValueError, match="at least 1 x 1 px, got 0 x 5"):
        tokens.visual_tokens(0, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_pixels": 0}, "min_pixels must be a whole number of pixels, at least 1, got 0"),
        ({"min_pixels": 2.5}, "min_pixels must be a whole number of pixels, at least 1, got 2.5"),
        ({"max_pixels": 783}, "max_pixels must be a whole number of pixels, at least 3136, got 783"),
        ({"min_pixels": 1, "max_pixels": 783}, "at least 784, got 783"),
        ({"min_pixels": 5000, "max_pixels": 4000}, "at least 5000, got 4000"),
        ({"max_pixels": True}, "got True"),
        ({"maxpixels": 5}, "did you mean 'max_pixels'"),
    ],
)
def test_wrong_budgets_are_refused(options, message):
    """The message names the option, the legal range and the value."""
    with pytest.raises(ConfigError, match=message):
        load_plugins().token_counter("qwen2-vl", **options)


def test_qwen_counts_its_markers():
    """``<|vision_start|>`` and ``<|vision_end|>`` come with every page."""
    assert [tokens.counter("qwen2-vl").overhead(pages) for pages in (0, 1, 3)] == [0, 2, 6]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_counter_cites_its_source_and_round_trips(family):
    """An uncited rule is a guess; a counter whose config does not rebuild it would be another one in a worker."""
    made = load_plugins().token_counter(family)
    assert len(made.source) > 30
    assert load_plugins().token_counter(family, **made.config) == made
    text = made.text("hello world")
    assert text == (2 if family.startswith("qwen") else None)
    for size in [(1, 1), (28, 28), (1000, 700), (4000, 300)]:
        found = made.image(*size)
        assert found.tokens >= 1
        assert min(found.width, found.height) >= 1


def test_a_family_without_a_tokenizer_says_so():
    """Counting another family's text tokens in its name would be wrong."""
    with pytest.raises(ConfigError, match="no text tokenizer at hand"):
        tokens.count_text("x", "gpt-4o")


SMOLVLM = {"size": {"longest_edge": 2048}, "max_image_size": {"longest_edge": 512}}


@pytest.mark.parametrize(
    ("family", "processor", "tile_tokens"),
    [("idefics3", Idefics3ImageProcessorPil(), 169), ("smolvlm", SmolVLMImageProcessorPil(**SMOLVLM), 64)],
)
def test_idefics3_equals_what_the_processor_does_to_real_images(family, processor, tile_tokens):
    """Number of tiles with the overview, on portrait, landscape, square and extreme pages."""
    sizes = [
        (364, 364),
        (100, 100),
        (1456, 364),
        (1456, 365),
        (365, 1456),
        (1, 900),
        (900, 1),
        (500, 501),
        (1001, 333),
        (37, 41),
        (2000, 1400),
    ]
    for width, height in sizes:
        tiles = processor([[Image.new("RGB", (width, height))]], return_tensors="np")["pixel_values"].shape[1]
        assert tokens.visual_tokens(width, height, family) == tiles * tile_tokens, (width, height)


def test_internvl2_equals_the_processor():
    """The grid of tiles nearest in shape, ties broken by area."""
    processor = GotOcr2ImageProcessorPil(size={"height": 448, "width": 448}, crop_to_patches=True)
    for width, height in some_sizes(300, 4000):
        expected = processor.get_number_of_image_patches(height, width)
        assert tokens.visual_tokens(width, height, "internvl2") == 256 * expected, (width, height)


def test_pixtral_equals_the_processor():
    """Patches after scaling down to 1,024 px, and one token at the end of each row."""
    processor = PixtralImageProcessorPil()
    assert processor.size["longest_edge"] == 1024
    for width, height in [size for size in some_sizes(200, 3000) if max(size) / min(size) < 100]:
        high, wide = get_resize_output_image_size(np.zeros((3, height, width), np.uint8), size=1024, patch_size=16)
        found = tokens.image_tokens(width, height, "pixtral")
        assert (found.height, found.width) == (high, wide)
        assert found.tokens == (wide // 16 + 1) * (high // 16)


def test_gpt_4o_equals_the_examples_of_its_guide():
    """1024 x 1024 is 765 tokens, 2048 x 4096 is 1,105; one tile is 255."""
    assert [tokens.visual_tokens(*size, family="gpt-4o") for size in [(1024, 1024), (2048, 4096), (512, 512)]] == [765, 1105, 255]


def test_llava_1_5_is_576_tokens_whatever_the_page():
    """24 x 24 patches."""
    assert {tokens.visual_tokens(*size, family="llava-1.5") for size in [(1, 1), (336, 336), (5000, 20)]} == {576}

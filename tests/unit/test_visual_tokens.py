"""Visual-token rules: equal to transformers' image processors, or to the published examples where there is no processor."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.deepseek_ocr2.image_processing_pil_deepseek_ocr2 import (
    DeepseekOcr2ImageProcessorPil,
    get_optimal_tiled_canvas,
)
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.pixtral.image_processing_pil_pixtral import PixtralImageProcessorPil, get_resize_output_image_size
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize as reference_resize
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

from ctxbench import ConfigError, load_plugins, tokens

OPEN = ["qwen2-vl", "qwen2.5-vl", "qwen3-vl", "llava-1.5", "pixtral", "idefics3", "smolvlm", "internvl2", "deepseek-ocr", "deepseek-ocr-2"]
CLOSED = ["gpt-4o", "gpt-5", "gpt-5-mini", "gpt-5.4", "claude", "gemini-2.5", "gemini-3"]
FAMILIES = OPEN + CLOSED


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


THIN = [(w, h) for w in (1, 2, 3) for h in (1, 2, 3, 28, 199, 200, 201, 400, 599, 601, 900, 1024, 1025, 1200, 2100)]
THIN += [(h, w) for w, h in THIN]
"""Pages of 1 to 3 px, beyond an aspect of 200 too."""

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
    for width, height in [*some_sizes(600, 6000), *THIN]:
        if max(width, height) / min(width, height) > 200:
            with pytest.raises(ValueError, match="aspect ratio"):
                processor.get_number_of_image_patches(height, width)
            with pytest.raises(ValueError, match="200 times"):
                tokens.image_tokens(width, height, family, **options)
            continue
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
    high_px, wide_px = reference_resize(height, width, 28, low, high)
    assert found.budget_scaled == (wide_px < width - 14 or high_px < height - 14)


def test_budget_scaled_means_lost_pixels_and_not_the_grid():
    """Rounding 45 px to 56 px loses nothing that counts, and enlarging to min_pixels loses nothing at all; max_pixels does."""
    flags = {
        size: tokens.image_tokens(*size).budget_scaled for size in [(84, 45), (56, 56), (55, 28), (1001, 1001), (1008, 1009), (2000, 2000)]
    }
    assert flags == {(84, 45): False, (56, 56): False, (55, 28): False, (1001, 1001): True, (1008, 1009): True, (2000, 2000): True}
    assert not tokens.image_tokens(2000, 2000, max_pixels=12845056).budget_scaled
    assert tokens.visual_tokens(2000, 2000) == 35 * 35
    assert tokens.visual_tokens(2000, 2000, max_pixels=12845056) == 71 * 71


LOST = {
    "llava-1.5": ({(300, 300), (336, 336)}, {(784, 784), (300, 302), (337, 337)}),
    "pixtral": ({(784, 1024), (1000, 1000)}, {(784, 1120), (1025, 10)}),
    "idefics3": ({(784, 1120), (1456, 1456), (364, 364)}, {(1457, 1456), (100, 1500)}),
    "smolvlm": ({(784, 1120), (2048, 2048)}, {(2049, 100)}),
    "internvl2": ({(784, 784), (784, 1120), (448, 448)}, {(2000, 1500), (1000, 448)}),
    "deepseek-ocr": ({(784, 784), (640, 640), (784, 1120)}, {(2000, 1500)}),
    "deepseek-ocr-2": ({(784, 784), (768, 768), (2304, 1536)}, {(2305, 1536), (2000, 2000)}),
    "gpt-4o": ({(768, 1024), (100, 2048)}, {(784, 784), (100, 2049)}),
    "gpt-5": ({(768, 1024), (100, 2048)}, {(784, 784), (100, 2049)}),
    "gpt-5-mini": ({(784, 1120), (1024, 1536), (2048, 768)}, {(2000, 1500), (2049, 32)}),
    "gpt-5.4": ({(1600, 1600), (2048, 1248)}, {(1601, 1600), (2049, 32)}),
    "claude": ({(784, 1120), (1920, 1080), (2576, 1449)}, {(2577, 100), (2576, 1500)}),
    "gemini-2.5": ({(784, 1120), (8000, 8000)}, set()),
    "gemini-3": ({(784, 1120), (8000, 8000)}, set()),
}


@pytest.mark.parametrize("family", LOST)
def test_every_family_flags_exactly_the_pages_that_lose_pixels(family):
    """Scaling every page is some families' rule, and no fault: a page that is enlarged or fills its tiles is not flagged."""
    whole, lost = LOST[family]
    counter = tokens.counter(family)
    assert {size for size in whole | lost if counter.image(*size).budget_scaled} == lost


@pytest.mark.parametrize("family", sorted({*FAMILIES} - {"llava-1.5"}))
def test_the_flag_follows_from_the_sizes(family):
    """Where a page is not flagged, what the model gets is at least as large as the page, but for half a square of the grid."""
    grid = {"qwen3-vl": 32}.get(family, 28 if family.startswith("qwen") else 0)
    for width, height in some_sizes(300, 5000):
        if max(width, height) > 8000:
            continue  # Claude refuses it
        found = tokens.image_tokens(width, height, family)
        if found.budget_scaled:
            assert found.width < width or found.height < height, (width, height)
        else:
            assert found.width >= width - grid / 2, (width, height)
            assert found.height >= height - grid / 2, (width, height)


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
        ({"min_pixels": 0}, "min_pixels must be at least 1, got 0"),
        ({"min_pixels": 2.5}, "min_pixels must be a whole number, got 2.5"),
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


def test_every_installed_family_is_tested_here():
    """A family that is added without a test of its numbers fails here."""
    assert sorted(FAMILIES) == load_plugins().names("token_counter")


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
    for width, height in [*some_sizes(300, 4000), *THIN]:
        expected = processor.get_number_of_image_patches(height, width)
        assert tokens.visual_tokens(width, height, "internvl2") == 256 * expected, (width, height)


def test_pixtral_equals_the_processor():
    """Patches after scaling down to 1,024 px."""
    processor = PixtralImageProcessorPil()
    assert processor.size["longest_edge"] == 1024
    for width, height in [*some_sizes(200, 3000), *THIN]:
        high, wide = get_resize_output_image_size(np.zeros((3, height, width), np.uint8), size=1024, patch_size=16)
        if min(high, wide) == 0:
            continue  # the next test
        found = tokens.image_tokens(width, height, "pixtral")
        assert (found.height, found.width) == (high, wide)
        assert found.tokens == (wide // 16) * (high // 16)


@pytest.mark.parametrize("size", [(1, 1200), (2, 2100), (1200, 1), (2100, 2)])
def test_pixtral_refuses_what_its_processor_refuses(size):
    """A page of 1 or 2 px that is scaled down has no width left; a count of 0 tokens, or of 64, would be made up."""
    with pytest.raises(ValueError, match="height"):
        PixtralImageProcessorPil()(Image.new("RGB", size), return_tensors="np")
    with pytest.raises(ValueError, match="would be 0 px wide or high, which the processor refuses"):
        tokens.image_tokens(*size, "pixtral")
    assert tokens.visual_tokens(1, 1024, "pixtral") == 64


def test_gpt_4o_equals_the_examples_of_its_guide():
    """1024 x 1024 is 765 tokens, 2048 x 4096 is 1,105; one tile is 255."""
    assert [tokens.visual_tokens(*size, family="gpt-4o") for size in [(1024, 1024), (2048, 4096), (512, 512)]] == [765, 1105, 255]


def test_gpt_5_equals_its_guide():
    """70 tokens and 140 a tile."""
    assert [tokens.visual_tokens(*size, family="gpt-5") for size in [(1024, 1024), (2048, 4096), (512, 512)]] == [630, 910, 210]


def test_gpt_patches_equal_the_guide_and_measured_bills():
    """The guide's example of 1,452 patches, times 1.2; and bills of GPT-5 mini (below its limits) and GPT-5.4's limit of 2,500."""
    bills = {(256, 256): 77, (512, 512): 308, (768, 1024): 922, (1280, 720): 1104, (1024, 1024): 1229, (2048, 768): 1844}
    assert {size: tokens.visual_tokens(*size, family="gpt-5-mini") for size in bills} == bills
    page = tokens.image_tokens(1800, 2400, "gpt-5-mini")
    assert (page.width, page.height, page.tokens) == (1056, 1408, 1743)  # 33 x 44 patches
    assert tokens.visual_tokens(1920, 1080, "gpt-5.4") == 2448
    assert tokens.visual_tokens(4032, 3024, "gpt-5.4") == 2942
    assert tokens.visual_tokens(3840, 2160, "gpt-5.4") < tokens.image_tokens(3840, 2160, "gpt-5.4", detail="original").tokens == 9792
    assert tokens.image_tokens(4032, 3024, "gpt-5.4", detail="original").tokens == 11868
    for size in [(1, 1), (1, 5000), (5000, 3), (9000, 9000)]:
        assert tokens.visual_tokens(*size, family="gpt-5-mini") <= 1844


CLAUDE = [
    ("standard", (200, 200), 64, (200, 200)),
    ("standard", (1000, 1000), 1296, (1000, 1000)),
    ("standard", (1092, 1092), 1521, (1092, 1092)),
    ("standard", (1075, 1520), 1551, (924, 1307)),
    ("standard", (1920, 1080), 1560, (1456, 819)),
    ("standard", (2000, 1500), 1564, (1270, 952)),
    ("standard", (3840, 2160), 1560, (1456, 819)),
    ("high", (1920, 1080), 2691, (1920, 1080)),
    ("high", (2000, 1500), 3888, (2000, 1500)),
    ("high", (3840, 2160), 4784, (2576, 1449)),
]


@pytest.mark.parametrize(("tier", "size", "count", "seen"), CLAUDE)
def test_claude_equals_the_tables_of_its_guide(tier, size, count, seen):
    """Tokens and the size that the model sees, of every example that the guide gives for both tiers."""
    found = tokens.image_tokens(*size, "claude", tier=tier)
    assert (found.tokens, (found.width, found.height)) == (count, seen)
    assert found.budget_scaled == (size != seen)


def test_claude_finds_the_largest_size_that_fits():
    """Nothing larger of the same shape would be within the limits; a page beyond 8,000 px is refused."""
    for width, height in some_sizes(300, 8000):
        if max(width, height) > 8000:
            continue
        found = tokens.image_tokens(width, height, "claude", tier="standard")
        columns, rows = -(-found.width // 28), -(-found.height // 28)
        assert found.tokens == columns * rows <= 1568
        assert max(columns, rows) <= 56
        if found.budget_scaled:
            long, ratio = max(found.width, found.height) + 1, max(width, height) / min(width, height)
            larger = (-(-long // 28), -(-max(1, round(long / ratio)) // 28))
            assert larger[0] * larger[1] > 1568 or larger[0] > 56, (width, height)
    with pytest.raises(ValueError, match="8001 x 10 px image is longer than 8000 px"):
        tokens.image_tokens(8001, 10, "claude")


def test_gemini_equals_its_guides():
    """The guide's example of 960 x 540 px in 6 tiles; 258 tokens up to 384 px; Gemini 3 by its setting."""
    sizes = {(384, 384): 1, (960, 540): 6, (1920, 1080): 6, (385, 10): 2, (2000, 2000): 9}
    assert {size: tokens.visual_tokens(*size, family="gemini-2.5") / 258 for size in sizes} == sizes
    settings = {
        name: tokens.image_tokens(980, 980, "gemini-3", media_resolution=name).tokens for name in ("low", "medium", "high", "ultra_high")
    }
    assert settings == {"low": 280, "medium": 560, "high": 1120, "ultra_high": 2240}
    assert tokens.visual_tokens(980, 980, "gemini-3") == 1120


def test_deepseek_ocr_equals_its_modes():
    """The paper's 64, 100, 256 and 400 tokens, one at the end of each row and one at the end; tiles of 640 px in gundam."""
    counts = {mode: tokens.image_tokens(2000, 1500, "deepseek-ocr", mode=mode).tokens for mode in ("tiny", "small", "base", "large")}
    assert counts == {"tiny": 64 + 8 + 1, "small": 100 + 10 + 1, "base": 256 + 16 + 1, "large": 400 + 20 + 1}
    assert tokens.visual_tokens(640, 640, "deepseek-ocr") == 273
    assert tokens.visual_tokens(700, 600, "deepseek-ocr") == 273 + (20 + 1) * 20  # one side is longer than a tile: 2 x 2
    assert tokens.visual_tokens(1280, 1280, "deepseek-ocr") == 273 + (20 + 1) * 20
    assert tokens.visual_tokens(1000, 2000, "deepseek-ocr") == 273 + (20 + 1) * 40  # 2 x 4 tiles
    assert tokens.image_tokens(900, 2700, "deepseek-ocr", max_tiles=6).tokens == 273 + (10 + 1) * 30  # 1 x 3


def test_deepseek_ocr_2_equals_the_processor():
    """A view of 256 tokens, 144 for each tile that the processor cuts, and one."""
    processor = DeepseekOcr2ImageProcessorPil(do_rescale=False, do_normalize=False)
    sizes = [(768, 768), (769, 768), (100, 700), (784, 784), (1000, 700), (700, 1500), (900, 300), (300, 900), (1, 2100), (2, 1)]
    for width, height in sizes:
        tiles = int(processor(Image.new("RGB", (width, height)), return_tensors="np")["num_local_patches"][0]) if width > 1 else None
        if tiles is None:
            with pytest.raises(ValueError, match="height"):
                processor(Image.new("RGB", (width, height)), return_tensors="np")
            with pytest.raises(ValueError, match="0 px wide or high"):
                tokens.image_tokens(width, height, "deepseek-ocr-2")
            continue
        assert tokens.visual_tokens(width, height, "deepseek-ocr-2") == 256 + 144 * tiles + 1, (width, height)
    for width, height in some_sizes(300, 4000):
        if max(width, height) > 768 and round(min(width, height) * 1024 / max(width, height)):
            columns, rows = get_optimal_tiled_canvas((height, width), (768, 768), 2, 6)
            assert tokens.visual_tokens(width, height, "deepseek-ocr-2") == 257 + 144 * columns * rows, (width, height)


def test_llava_1_5_is_576_tokens_whatever_the_page():
    """24 x 24 patches."""
    assert {tokens.visual_tokens(*size, family="llava-1.5") for size in [(1, 1), (336, 336), (5000, 20)]} == {576}

"""Markers of every open family: equal to what transformers' own processors put into a prompt for a page of that size."""

from __future__ import annotations

import random
import types

import pytest
from PIL import Image
from transformers.models.deepseek_ocr2.processing_deepseek_ocr2 import DeepseekOcr2Processor
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.idefics3.processing_idefics3 import Idefics3Processor
from transformers.models.internvl.processing_internvl import InternVLProcessor
from transformers.models.llava.processing_llava import LlavaProcessor
from transformers.models.pixtral.image_processing_pil_pixtral import PixtralImageProcessorPil
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil
from transformers.models.smolvlm.processing_smolvlm import get_image_prompt_string

from ctxbench import TokenCounter, tokens
from ctxbench_transformers.testing import byte_tokenizer

TILES = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
SPECIAL = ["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", *TILES]


def sizes(count: int) -> list[tuple[int, int]]:
    """Pages of all shapes, those of 1 to 3 px among them."""
    rng = random.Random(41)
    thin = [(w, h) for w in (1, 2, 3) for h in (1, 2, 3, 150, 400, 900)]
    drawn = [(rng.randint(1, 2500), rng.randint(1, 2500)) for _ in range(count)]
    return [*thin, *((h, w) for w, h in thin), (784, 784), (784, 1120), (980, 980), (1456, 364), (364, 364), (2048, 512), *drawn]


@pytest.fixture(scope="module")
def tokenizer():
    """A tokenizer with the families' own tokens that joins two line breaks into one token, as those of Llama 3 and SmolLM 2 do."""
    return byte_tokenizer(SPECIAL, merges=[("Ċ", "Ċ")])


def split(tokenizer, text: str) -> tuple[int, int]:
    """(image tokens, other tokens) of what a processor puts in for an image."""
    ids = tokenizer.encode(text, add_special_tokens=False)
    images = ids.count(tokenizer.convert_tokens_to_ids("<image>"))
    return images, len(ids) - images


def found(counter: TokenCounter, size: tuple[int, int]) -> tuple[int, int]:
    """(visual tokens, markers) by the rule, the markers as a prompt of this one page has them."""
    page = counter.image(*size)
    return page.tokens, counter.overhead([page])


def test_idefics3_equals_its_processor(tokenizer):
    """A token for each tile's place, one before it, one a row, and three with the overview; a wrong row or a lost line break shows."""
    processor = Idefics3Processor(image_processor=Idefics3ImageProcessorPil(), tokenizer=tokenizer)
    counter, pages = tokens.counter("idefics3"), sizes(200)
    counts = processor._get_num_multimodal_tokens(image_sizes=[(h, w) for w, h in pages])["num_image_tokens"]
    assert {size: sum(found(counter, size)) for size in pages} == dict(zip(pages, counts, strict=True))
    assert found(counter, (784, 784)) == (17 * 169, 39)
    assert found(counter, (364, 364))[1] == 39  # enlarged to the longest edge: no page of this family is one tile unless that is


def test_smolvlm_equals_its_processor(tokenizer):
    """The very text that the processor puts in for a page, tokenised: 39 markers on a page of 4 x 4 tiles."""
    processor = SmolVLMImageProcessorPil(size={"longest_edge": 2048}, max_image_size={"longest_edge": 512})
    counter = tokens.counter("smolvlm")
    for width, height in sizes(200):
        _, rows, columns = processor.get_number_of_image_patches(height, width)
        text = get_image_prompt_string(rows, columns, 64, "<fake_token_around_image>", "<image>", "<global-img>")
        assert found(counter, (width, height)) == split(tokenizer, text), (width, height)
    assert found(counter, (784, 784)) == (17 * 64, 39)
    assert tokens.counter("smolvlm", longest_edge=512).image(300, 300).markers == 3


@pytest.mark.parametrize("size", [(784, 1120), (100, 2000), (2000, 3), (2, 2)])
def test_smolvlm_equals_what_its_processor_does_to_real_images(tokenizer, size):
    """Rows and columns that come out of the image processor, not those that it foretells."""
    processor = SmolVLMImageProcessorPil(
        size={"longest_edge": 2048}, max_image_size={"longest_edge": 512}, do_rescale=False, do_normalize=False, do_pad=False
    )
    out = processor([[Image.new("RGB", size)]], return_row_col_info=True)
    rows, columns = out["rows"][0][0], out["cols"][0][0]
    text = get_image_prompt_string(rows, columns, 64, "<fake_token_around_image>", "<image>", "<global-img>")
    assert found(tokens.counter("smolvlm"), size) == split(tokenizer, text)


def test_internvl2_equals_its_processor():
    """One token before all tiles and one after them, whatever their number."""
    processor = types.SimpleNamespace(start_image_token="(", image_token="x", end_image_token=")", image_seq_length=256)
    for size in sizes(50):
        count, markers = found(tokens.counter("internvl2"), size)
        text = InternVLProcessor.replace_image_token(processor, {"num_patches": [count // 256]}, 0)
        assert (text.count("x"), len(text) - text.count("x")) == (count, markers)


def test_pixtral_marks_the_end_of_each_row():
    """A break after each row of patches but the last, which the image's end follows. (Its processor class needs torchvision.)"""
    for size in [(16, 16), (784, 1120), (2000, 300), (3, 40), (1, 1)]:
        height, width = PixtralImageProcessorPil()(Image.new("RGB", size), return_tensors="np")["image_sizes"][0]
        text = "|".join("x" * (width // 16) for _ in range(height // 16)) + "]"
        assert found(tokens.counter("pixtral"), size) == (text.count("x"), text.count("|") + 1)


def test_llava_1_5_equals_its_processor(tokenizer):
    """576 tokens and nothing around them."""
    images = types.SimpleNamespace(crop_size={"height": 336, "width": 336})
    processor = types.SimpleNamespace(
        image_processor=images,
        patch_size=14,
        num_additional_image_tokens=1,
        vision_feature_select_strategy="default",
        _merge_kwargs=lambda **_: {"images_kwargs": {}},
    )
    counts = LlavaProcessor._get_num_multimodal_tokens(processor, image_sizes=[(980, 980), (1, 3)])["num_image_tokens"]
    assert counts == [sum(found(tokens.counter("llava-1.5"), size)) for size in [(980, 980), (3, 1)]]


def test_deepseek_ocr_2_equals_its_processor():
    """The token at the end of all views is a placeholder like the others, so it is no marker."""
    images = types.SimpleNamespace(size={"height": 1024, "width": 1024}, tile_size=768)
    processor = types.SimpleNamespace(image_processor=images, patch_size=16, downsample_ratio=4, image_token="x")
    for size, tiles in [((768, 768), 0), ((784, 784), 4), ((784, 1120), 6), ((1600, 700), 2)]:
        text = DeepseekOcr2Processor.replace_image_token(processor, {"num_local_patches": [tiles]}, 0)
        assert found(tokens.counter("deepseek-ocr-2"), size) == (len(text), 0), size


@pytest.mark.parametrize("family", ["qwen2-vl", "qwen2.5-vl", "qwen3-vl"])
def test_qwen_marks_the_start_and_the_end_of_each_page(family):
    """``<|vision_start|>`` and ``<|vision_end|>`` come with every page, whatever its size."""
    counter = tokens.counter(family)
    pages = [counter.image(*size) for size in [(56, 56), (784, 1120), (2000, 2000)]]
    assert [counter.overhead(pages[:n]) for n in range(4)] == [0, 2, 4, 6]

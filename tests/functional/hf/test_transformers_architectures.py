"""Every architecture: answers and token counts against transformers' own calls, and the table of docs/models.md."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from PIL import Image

import ctxbench_transformers
from ctxbench import ModelError, Prompt, stable_hash, tokens
from ctxbench_transformers import templates
from ctxbench_transformers.processors import load_processor
from ctxbench_transformers.runtime import Runtime
from ctxbench_transformers.testing import ARCHITECTURES, TRAINED

Folder = Callable[[str], Path]
ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # transformers' processors and numpy 2


def page(width: int, height: int, seed: int = 0) -> Image.Image:
    """A page of coloured noise."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


TWO = Prompt((page(100, 60), page(30, 200, 1)), "hello the inn")
TEXT = Prompt((), "text only, and much longer than the others " * 4)
ONE = Prompt((page(84, 84, 2),), "q" * 40, system="be brief")

PAGES = {  # visual tokens of the two pages of TWO, by hand
    "qwen2_vl": (8, 7),
    "qwen2_5_vl": (8, 7),
    "qwen3_vl": (6, 6),
    "qwen3_5": (6, 6),
    "glm4v": (8, 7),
    "glm_ocr": (8, 7),
    "idefics2": (5 * 6, 5 * 6),  # four quarters and the whole, six latents each
    "idefics3": (5 * 16, 3 * 16),  # 2 x 2 and 2 x 1 tiles and the whole
    "smolvlm": (5 * 16, 3 * 16),
    "llava": (16, 16),
    "llava_next": (16 + 4 * 8 + 4, 16 + 8 * 2 + 8),  # tiles cut to the page's shape, and a token for each row's end
    "llava_onevision": (16 + 1, 16 + 1),  # several pages are not tiled
    "pixtral": (13 * 8, 3 * 16),  # 8 px patches; 30 x 200 px become 19 x 128
    "mistral3": (7 * 4, 2 * 8),  # the same, merged 2 x 2
    "internvl": (3 * 4, 5 * 4),  # 2 x 1 and 1 x 4 tiles and the whole
    "deepseek_ocr2": (257, 257 + 6 * 144),
    "got_ocr2": (256, 256),
    "gemma3": (4, 4),
    "gemma4": (10 * 6, 3 * 21),  # the most squares of 48 px that 70 tokens allow
    "paligemma": (16, 16),
    "mllama": (4 * 17, 4 * 17),  # 2 x 2 and 1 x 4 tiles of 16 patches and a class token
}
PAGES_ONLY = {"got_ocr2": "You must provide valid `images`", "paligemma": "`images` are expected"}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_answers_and_counts(architecture: str, tiny_model: Folder) -> None:
    """Alone or in a batch with longer, shorter and text prompts, an answer is that of transformers' own calls; so are token counts."""
    model = ctxbench_transformers.load(tiny_model(architecture), max_new_tokens=8)
    two, text, one = model.read([TWO, TEXT, ONE])
    assert two.usage is not None
    assert two.usage.pages == PAGES[architecture]
    assert two.usage.visual == sum(PAGES[architecture])
    assert "token_disagreement" not in two.metadata
    assert len({two.text, one.text}) == 2
    assert max(len(set(two.text)), len(set(one.text))) > 1  # a model that says one character for ever would hide a mistake
    for together, prompt in ((two, TWO), (one, ONE)):
        assert together.error is None
        assert together.text == model.read([prompt])[0].text
    expected, length = plain(tiny_model(architecture), ONE)
    assert one.text == expected
    assert one.usage is not None
    beside = one.usage.visual if architecture == "mllama" else 0  # its pages are no part of the sequence
    assert one.usage.prompt == length + (beside or 0)
    assert (model.count(ONE), model.count(TWO)) == tuple(_without_answer(r.usage) for r in (one, two))
    if architecture in PAGES_ONLY:
        assert text.error is not None
        assert PAGES_ONLY[architecture] in text.error[1]
    else:
        assert text.text == plain(tiny_model(architecture), TEXT)[0]


def _without_answer(usage: Any) -> Any:
    return attrs.evolve(usage, completion=None)


def plain(folder: Path, prompt: Prompt) -> tuple[str, int]:
    """The answer, and the prompt's length, by the calls that transformers documents: template, processor, ``generate``."""
    from transformers import AutoModelForImageTextToText

    processor = load_processor(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    turns = [{"role": "user", "content": [*({"type": "image"} for _ in prompt.pages), {"type": "text", "text": prompt.text}]}]
    if prompt.system:
        turns.insert(0, {"role": "system", "content": [{"type": "text", "text": prompt.system}]})
    text = processor.apply_chat_template(turns, add_generation_prompt=True)
    begun = processor.tokenizer.bos_token is not None and text.startswith(processor.tokenizer.bos_token)
    inputs = processor(
        text=[text], images=list(prompt.pages) or None, return_tensors="pt", **({"add_special_tokens": False} if begun else {})
    )
    inputs.pop("labels", None)  # PaliGemma's, for training
    made = model.generate(**inputs, max_new_tokens=8, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    return processor.tokenizer.decode(made, skip_special_tokens=True), inputs["input_ids"].shape[1]


def test_prompts_that_see_each_others_padding_are_kept_apart(tiny_model: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """In cross attention, text before the first image sees the padding for a neighbour's second one: such prompts share no batch."""
    model = ctxbench_transformers.load(tiny_model("mllama"), max_new_tokens=2)
    seen: list[int] = []
    inner = Runtime._generate

    def noted(self: Runtime, rows: Any, *rest: Any) -> Any:
        seen.append(len(rows))
        return inner(self, rows, *rest)

    monkeypatch.setattr(Runtime, "_generate", noted)
    assert [r.error for r in model.read([TWO, TEXT, ONE, TWO, ONE])] == [None] * 5
    assert sorted(seen) == [1, 2, 2]


def test_a_mask_for_cross_attention_grows_with_the_answer(tiny_model: Folder) -> None:
    """An answer that is appended for training sees the images that the prompt's last token sees."""
    encoder = ctxbench_transformers.load(tiny_model("mllama"))._encoder()
    prompt = encoder.encode_prompt(ONE)
    longer = prompt.extended(encoder.answer_ids("yes"))
    mask = longer.sequences["cross_attention_mask"]
    assert mask.shape[0] == len(longer) > len(prompt)
    assert torch.equal(mask[-1], prompt.sequences["cross_attention_mask"][-1])
    assert int(mask[-1].sum()) == 4  # all tiles of the page


def test_a_prompt_that_is_read_both_ways_ends_before_the_answer(tiny_model: Folder) -> None:
    """PaliGemma sees tokens of type 0 in both directions: an answer of that type would be trained on while it is in sight."""
    encoder = ctxbench_transformers.load(tiny_model("paligemma"))._encoder()
    prompt = encoder.encode_prompt(ONE)
    types = prompt.extended(encoder.answer_ids("yes")).sequences["token_type_ids"]
    assert not types[: len(prompt)].any()
    assert types[len(prompt) :].all()


# Chat templates ------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def bare(tiny_model: Folder, tmp_path: Path) -> Path:
    """Qwen2-VL without its chat template."""
    folder = tmp_path / "bare"
    shutil.copytree(tiny_model("qwen2_vl"), folder)
    (folder / "chat_template.jinja").unlink()
    return folder


def test_a_model_without_a_template_says_how_to_give_one(bare: Path) -> None:
    """One line with the option's name."""
    with pytest.raises(ModelError, match="chat_template: FILE") as caught:
        ctxbench_transformers.load(bare, max_new_tokens=4).read([TEXT])
    assert "\n" not in str(caught.value)


def test_a_given_template_is_used_and_part_of_the_models_identity(bare: Path, tiny_model: Folder, tmp_path: Path) -> None:
    """As text or as a file it gives the answers of the same template in the folder, and the same stored config."""
    template = (tiny_model("qwen2_vl") / "chat_template.jinja").read_text("utf-8")
    (tmp_path / "own.jinja").write_text(template, "utf-8")
    own = ctxbench_transformers.load(tiny_model("qwen2_vl"), max_new_tokens=8)
    by_text = ctxbench_transformers.load(bare, max_new_tokens=8, chat_template=template)
    by_file = ctxbench_transformers.load(bare, max_new_tokens=8, chat_template=str(tmp_path / "own.jinja"))
    assert by_text.read([ONE])[0].text == by_file.read([ONE])[0].text == own.read([ONE])[0].text
    assert by_file.config["chat_template"] == by_text.config["chat_template"] == template
    other = ctxbench_transformers.load(tiny_model("qwen2_vl"), max_new_tokens=8, chat_template="Read well. " + template)
    assert other.read([ONE])[0].usage != own.read([ONE])[0].usage
    assert stable_hash(other.config) != stable_hash(own.config)


def test_a_template_that_is_no_file_is_refused_at_once(tiny_model: Folder) -> None:
    """A mistyped path must not become the prompt."""
    with pytest.raises(ValueError, match=r"chat_template: 'own\.jinja' is no Jinja template"):
        ctxbench_transformers.load(tiny_model("qwen2_vl"), chat_template="own.jinja")


# What an architecture needs ------------------------------------------------------------------------------------------------------------


def test_what_needs_torchvision_says_so_in_one_line(tiny_model: Folder, tmp_path: Path) -> None:
    """Llama 4's image processor exists for torchvision alone."""
    if _has_torchvision():
        pytest.skip("torchvision is here")
    folder = tmp_path / "llama4"
    shutil.copytree(tiny_model("llava"), folder)
    entry = {"processor_class": "Llama4Processor", "image_processor": {"image_processor_type": "Llama4ImageProcessor"}}
    (folder / "processor_config.json").write_text(json.dumps(entry))
    with pytest.raises(ModelError, match=r"torchvision alone.*pip install torchvision") as caught:
        load_processor(folder)
    assert "\n" not in str(caught.value)


def _has_torchvision() -> bool:
    import importlib.util

    return importlib.util.find_spec("torchvision") is not None


def test_the_size_of_an_encoder_may_be_a_list(tiny_model: Folder) -> None:
    """InternVL writes both sides; asking for its token family must not fail on that."""
    config = json.loads((tiny_model("internvl") / "config.json").read_text())
    assert config["vision_config"]["image_size"] == [56, 56]
    assert ctxbench_transformers.load(tiny_model("internvl")).family is None


def test_internvl_of_the_real_size_is_counted_by_the_published_rule(tiny_model: Folder, tmp_path: Path) -> None:
    """448 px tiles of 256 tokens, at most 12 and the overview: as the rule says of pages of several shapes."""
    folder = tmp_path / "real"
    shutil.copytree(tiny_model("internvl"), folder)
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["image_size"] = [448, 448]
    (folder / "config.json").write_text(json.dumps(config))
    entry = json.loads((folder / "processor_config.json").read_text()) | {"image_seq_length": 256}
    entry["image_processor"] |= {"size": {"height": 448, "width": 448}, "max_patches": 12}
    (folder / "processor_config.json").write_text(json.dumps(entry))
    model = ctxbench_transformers.load(folder)
    assert model.family == "internvl2"
    pages = tuple(page(*size) for size in ((448, 448), (1000, 600), (300, 2000)))
    usage = model.count(Prompt(pages, "x"))
    assert usage.pages == tuple(tokens.image_tokens(*each.size, family="internvl2").tokens for each in pages)


# The table -----------------------------------------------------------------------------------------------------------------------------

EXAMPLES = {
    "qwen2_vl": "Qwen2-VL",
    "qwen2_5_vl": "Qwen2.5-VL",
    "qwen3_vl": "Qwen3-VL",
    "qwen3_5": "Qwen3.5",
    "glm4v": "GLM-4.1V",
    "glm_ocr": "GLM-OCR",
    "idefics2": "Idefics2",
    "idefics3": "Idefics3",
    "smolvlm": "SmolVLM",
    "llava": "LLaVA 1.5",
    "llava_next": "LLaVA-NeXT (1.6)",
    "llava_onevision": "LLaVA-OneVision",
    "pixtral": "Pixtral",
    "mistral3": "Mistral Small 3.1 and later",
    "internvl": "InternVL 3",
    "deepseek_ocr2": "DeepSeek-OCR 2",
    "got_ocr2": "GOT-OCR 2.0",
    "gemma3": "Gemma 3",
    "gemma4": "Gemma 4",
    "paligemma": "PaliGemma, PaliGemma 2",
    "mllama": "Llama 3.2 Vision",
}


def rows(tiny_model: Folder) -> str:
    """The table, from what the processors do."""
    lines = ["| models | `model_type` | processor | remarks |", "|---|---|---|---|"]
    for architecture in ARCHITECTURES:
        folder = tiny_model(architecture)
        encoder = ctxbench_transformers.load(folder)._encoder()
        name = type(encoder.processor).__name__
        remarks = []
        if name in templates.PUBLISHED_WITHOUT:
            remarks.append("published without a chat template: ctxbench has one")
        try:
            encoder.encode_prompt(TEXT)
        except ModelError:
            remarks.append("answers prompts with pages alone")
        if encoder.encode_prompt(ONE).beside:
            remarks.append("pages are seen by cross attention, and counted as the states that are seen")
        if name == "SmolVLMProcessor":
            remarks.append("needs num2words: `pip install 'ctxbench-transformers[smolvlm]'`")
        if architecture in TRAINED:
            remarks.append("adapters, training and 4 bit tested")
        kind = json.loads((folder / "config.json").read_text())["model_type"]
        lines.append(f"| {EXAMPLES[architecture]} | `{kind}` | `{name}` | {'; '.join(remarks)} |")
    return "\n".join(lines)


def test_the_table_in_the_docs_is_what_is_tested(tiny_model: Folder) -> None:
    """A row for each architecture above, with what its processor was seen to do; put this table into docs/models.md."""
    text = (ROOT / "docs" / "models.md").read_text("utf-8")
    assert rows(tiny_model) in text

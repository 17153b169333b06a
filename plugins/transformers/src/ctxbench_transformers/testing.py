"""Small models with random weights, one folder each: every architecture's whole path can be run in a second, without a download."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoConfig,
    PreTrainedTokenizerFast,
)

from ctxbench_transformers.weights import quiet

HIDDEN = 64
"""Width of the language models; bitsandbytes quantises blocks of 64."""

SCALE = 6.0
"""Weights are this much larger than usual: a freshly initialised model says one token for ever, which would hide mistakes."""

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}IMAGE{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
QWEN_TEMPLATE = CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
TEXT = {
    "hidden_size": HIDDEN,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
    "bos_token_id": None,
}
ROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]}


def byte_tokenizer(special: Sequence[str], merges: Sequence[tuple[str, str]] = ()) -> Any:
    """A tokenizer of 256 bytes, a few merges, and special tokens; ``<|im_end|>`` ends a turn, ``<|endoftext|>`` pads."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {symbol: i for i, symbol in enumerate([*alphabet, *(a + b for a, b in merges)])}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *special]
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")


def _ids(tokenizer: Any, **names: str) -> dict[str, int]:
    return {key: tokenizer.convert_tokens_to_ids(name) for key, name in names.items()}


def _vocabulary(tokenizer: Any) -> dict[str, int]:
    return {"vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}


def _qwen(model_type: str, processor: str, image_processor: dict[str, Any], text: dict[str, Any], vision: dict[str, Any]) -> Any:
    def build(tokenizer: Any) -> tuple[Any, dict[str, Any], str]:
        ids = _ids(
            tokenizer,
            image_token_id="<|image_pad|>",
            video_token_id="<|video_pad|>",
            vision_start_token_id="<|vision_start|>",
            vision_end_token_id="<|vision_end|>",
        )
        config = AutoConfig.for_model(
            model_type,
            text_config={**TEXT, **text, **_vocabulary(tokenizer), "rope_parameters": ROPE},
            vision_config=vision,
            tie_word_embeddings=False,
            **ids,
        )
        entry = {"processor_class": processor, "image_processor": image_processor}
        return config, entry, QWEN_TEMPLATE

    return build


def _idefics(model_type: str, processor: str, image_processor: str) -> Any:
    def build(tokenizer: Any) -> tuple[Any, dict[str, Any], str]:
        vision = {
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 64,
            "patch_size": 8,
        }
        text = {**TEXT, "model_type": "llama", **_vocabulary(tokenizer)}
        config = AutoConfig.for_model(
            model_type,
            text_config=text,
            vision_config=vision,
            scale_factor=2,
            tie_word_embeddings=False,
            **_ids(tokenizer, image_token_id="<image>"),
        )
        entry = {
            "processor_class": processor,
            "image_seq_len": 16,
            "image_processor": {
                "image_processor_type": image_processor,
                "size": {"longest_edge": 128},
                "max_image_size": {"longest_edge": 64},
                "do_image_splitting": True,
            },
        }
        return config, entry, CHATML.replace("IMAGE", "<image>")

    return build


def _llava(model_type: str, processor: str, image_processor: dict[str, Any]) -> Any:
    def build(tokenizer: Any) -> tuple[Any, dict[str, Any], str]:
        vision = {
            "model_type": "clip_vision_model",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "image_size": 56,
            "patch_size": 14,
        }
        text = {**TEXT, "model_type": "llama", **_vocabulary(tokenizer)}
        grid = {"image_grid_pinpoints": image_processor["image_grid_pinpoints"]} if "image_grid_pinpoints" in image_processor else {}
        ids = _ids(tokenizer, image_token_index="<image>")
        config = AutoConfig.for_model(model_type, text_config=text, vision_config=vision, tie_word_embeddings=False, **grid, **ids)
        entry = {
            "processor_class": processor,
            "patch_size": 14,
            "num_additional_image_tokens": 1,
            "vision_feature_select_strategy": "default",
            "image_processor": {"size": {"shortest_edge": 56}, "crop_size": {"height": 56, "width": 56}, **image_processor},
        }
        return config, entry, CHATML.replace("IMAGE", "<image>\n")

    return build


_PIXELS = {"shortest_edge": 28 * 28, "longest_edge": 28 * 28 * 256}
_QWEN_VISION = {"patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2, "in_channels": 3, "num_heads": 2}
_QWEN_IMAGES = {"image_processor_type": "Qwen2VLImageProcessor", "size": _PIXELS}

_BUILDERS: dict[str, tuple[tuple[str, ...], Callable[[Any], tuple[Any, dict[str, Any], str]]]] = {
    "qwen2_vl": (
        QWEN_TOKENS,
        _qwen(
            "qwen2_vl",
            "Qwen2VLProcessor",
            _QWEN_IMAGES,
            {},
            {**_QWEN_VISION, "depth": 1, "embed_dim": 32, "hidden_size": HIDDEN, "mlp_ratio": 2},
        ),
    ),
    "qwen2_5_vl": (
        QWEN_TOKENS,
        _qwen(
            "qwen2_5_vl",
            "Qwen2_5_VLProcessor",
            _QWEN_IMAGES,
            {},
            {
                **_QWEN_VISION,
                "depth": 2,
                "hidden_size": 32,
                "intermediate_size": 64,
                "out_hidden_size": HIDDEN,
                "window_size": 56,
                "fullatt_block_indexes": [1],
            },
        ),
    ),
    "qwen3_vl": (
        QWEN_TOKENS,
        _qwen(
            "qwen3_vl",
            "Qwen3VLProcessor",
            {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 16, "size": {"shortest_edge": 1024, "longest_edge": 262144}},
            {"head_dim": 32},
            {
                **_QWEN_VISION,
                "patch_size": 16,
                "depth": 2,
                "hidden_size": 32,
                "intermediate_size": 64,
                "out_hidden_size": HIDDEN,
                "num_position_embeddings": 64,
                "deepstack_visual_indexes": [0, 1],
            },
        ),
    ),
    "idefics3": (
        ("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"),
        _idefics("idefics3", "Idefics3Processor", "Idefics3ImageProcessor"),
    ),
    "smolvlm": (
        ("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"),
        _idefics("smolvlm", "SmolVLMProcessor", "SmolVLMImageProcessor"),
    ),
    "llava": (("<image>",), _llava("llava", "LlavaProcessor", {"image_processor_type": "CLIPImageProcessor"})),
    "llava_next": (
        ("<image>",),
        _llava(
            "llava_next",
            "LlavaNextProcessor",
            {"image_processor_type": "LlavaNextImageProcessor", "image_grid_pinpoints": [[56, 112], [112, 56], [112, 112]]},
        ),
    ),
}
ARCHITECTURES = tuple(_BUILDERS)
"""Names that :func:`build` takes: transformers' own model types."""


QWEN2_VL_2B: dict[str, Any] = {
    "text_config": {
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "max_position_embeddings": 32768,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
        "tie_word_embeddings": True,
    },
    "vision_config": {"depth": 32, "embed_dim": 1280, "num_heads": 16, "mlp_ratio": 4, "hidden_size": 1536, "patch_size": 14},
    "image_token_id": 151655,
    "video_token_id": 151656,
    "vision_start_token_id": 151652,
    "vision_end_token_id": 151653,
    "tie_word_embeddings": True,
}
"""The shape of Qwen/Qwen2-VL-2B-Instruct, as its config.json gives it: 2,208,985,600 parameters."""


def build(folder: Path | str, architecture: str = "qwen2_vl", *, seed: int = 0, dtype: torch.dtype = torch.float32) -> Path:
    """Write a model of ``architecture`` with random weights, its tokenizer, processor and chat template into ``folder``.

    About 200,000 parameters; the folder holds what a hub repository holds (safetensors only).
    """
    folder = Path(folder)
    special, make = _BUILDERS[architecture]
    tokenizer = byte_tokenizer(special, merges=[("t", "h"), ("th", "e"), ("i", "n")])
    config, processor, template = make(tokenizer)
    torch.manual_seed(seed)
    with quiet():
        from transformers import AutoModelForImageTextToText

        model = AutoModelForImageTextToText.from_config(config).to(dtype)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(SCALE)
        model.generation_config.eos_token_id = tokenizer.eos_token_id
        model.generation_config.pad_token_id = tokenizer.pad_token_id
        model.save_pretrained(folder)
    write_processor(folder, tokenizer, processor, template)
    return folder


def write_processor(folder: Path, tokenizer: Any, processor: dict[str, Any], template: str) -> None:
    """Write a tokenizer, ``processor_config.json`` and ``chat_template.jinja`` as a hub repository holds them."""
    tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(template, "utf-8")
    (folder / "processor_config.json").write_text(json.dumps(processor, indent=2), "utf-8")


__all__ = ["ARCHITECTURES", "QWEN2_VL_2B", "QWEN_TEMPLATE", "QWEN_TOKENS", "build", "byte_tokenizer", "write_processor"]

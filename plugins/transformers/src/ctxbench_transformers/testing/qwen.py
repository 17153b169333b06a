"""Small Qwen-VL and GLM-V models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import AutoConfig

from ctxbench_transformers.testing.recipes import HIDDEN, Parts, Recipe, chatml, ids, text_config

QWEN_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
QWEN_TEMPLATE = chatml("<|vision_start|><|image_pad|><|vision_end|>")
ROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]}
_PIXELS = {"shortest_edge": 28 * 28, "longest_edge": 28 * 28 * 256}
_VISION = {"patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2, "in_channels": 3, "num_heads": 2}
_IMAGES = {"image_processor_type": "Qwen2VLImageProcessor", "size": _PIXELS}
_IMAGES_16 = {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 16, "size": {"shortest_edge": 1024, "longest_edge": 262144}}
_VISION_16 = {
    **_VISION,
    "patch_size": 16,
    "depth": 2,
    "hidden_size": 32,
    "intermediate_size": 64,
    "out_hidden_size": HIDDEN,
    "num_position_embeddings": 64,
}


def _qwen(model_type: str, processor: str, images: dict[str, Any], text: dict[str, Any], vision: dict[str, Any]) -> Callable[[Any], Parts]:
    def parts(tokenizer: Any) -> Parts:
        marks = ids(
            tokenizer,
            image_token_id="<|image_pad|>",
            video_token_id="<|video_pad|>",
            vision_start_token_id="<|vision_start|>",
            vision_end_token_id="<|vision_end|>",
        )
        config = AutoConfig.for_model(
            model_type,
            text_config=text_config(tokenizer, **{"rope_parameters": ROPE, **text}),
            vision_config=vision,
            tie_word_embeddings=False,
            **marks,
        )
        return Parts(config, {"processor_class": processor, "image_processor": images}, QWEN_TEMPLATE)

    return parts


GLM_TOKENS = ("<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>", "<|image|>", "<|video|>")


def _glm(model_type: str) -> Callable[[Any], Parts]:
    def parts(tokenizer: Any) -> Parts:
        marks = ids(
            tokenizer,
            image_token_id="<|image|>",
            video_token_id="<|video|>",
            image_start_token_id="<|begin_of_image|>",
            image_end_token_id="<|end_of_image|>",
            video_start_token_id="<|begin_of_video|>",
            video_end_token_id="<|end_of_video|>",
        )
        vision = {
            **_VISION,
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "out_hidden_size": HIDDEN,
            "image_size": 112,
        }
        # GLM rotates the halves of a head that Qwen rotates together: the sections sum to a quarter of the head.
        rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3], "partial_rotary_factor": 0.5}
        config = AutoConfig.for_model(
            model_type,
            text_config=text_config(tokenizer, rope_parameters=rope),
            vision_config=vision,
            tie_word_embeddings=False,
            **marks,
        )
        images = {"image_processor_type": "Glm4vImageProcessor", "size": {"shortest_edge": 28 * 28 * 2, "longest_edge": 28 * 28 * 512}}
        entry = {"processor_class": "Glm4vProcessor", "image_processor": images}
        return Parts(config, entry, chatml("<|begin_of_image|><|image|><|end_of_image|>"))

    return parts


RECIPES = {
    "qwen2_vl": Recipe(
        _qwen(
            "qwen2_vl",
            "Qwen2VLProcessor",
            _IMAGES,
            {},
            {**_VISION, "depth": 1, "embed_dim": 32, "hidden_size": HIDDEN, "mlp_ratio": 2},
        ),
        QWEN_TOKENS,
    ),
    "qwen2_5_vl": Recipe(
        _qwen(
            "qwen2_5_vl",
            "Qwen2_5_VLProcessor",
            _IMAGES,
            {},
            {
                **_VISION,
                "depth": 2,
                "hidden_size": 32,
                "intermediate_size": 64,
                "out_hidden_size": HIDDEN,
                "window_size": 56,
                "fullatt_block_indexes": [1],
            },
        ),
        QWEN_TOKENS,
    ),
    "qwen3_vl": Recipe(
        _qwen("qwen3_vl", "Qwen3VLProcessor", _IMAGES_16, {"head_dim": 32}, {**_VISION_16, "deepstack_visual_indexes": [0, 1]}),
        QWEN_TOKENS,
    ),
    "qwen3_5": Recipe(
        _qwen(
            "qwen3_5",
            "Qwen3VLProcessor",
            _IMAGES_16,
            {
                "head_dim": 32,
                "layer_types": ["linear_attention", "full_attention"],
                "linear_key_head_dim": 16,
                "linear_value_head_dim": 16,
                "linear_num_key_heads": 2,
                "linear_num_value_heads": 4,
                "rope_parameters": {
                    "rope_type": "default",
                    "rope_theta": 10000.0,
                    "mrope_section": [2, 1, 1],
                    "mrope_interleaved": True,
                    "partial_rotary_factor": 0.25,
                },
            },
            _VISION_16,
        ),
        QWEN_TOKENS,
    ),
    "glm4v": Recipe(_glm("glm4v"), GLM_TOKENS, named={"image_token": "<|image|>", "video_token": "<|video|>"}),
    "glm_ocr": Recipe(_glm("glm_ocr"), GLM_TOKENS, named={"image_token": "<|image|>", "video_token": "<|video|>"}),
}

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

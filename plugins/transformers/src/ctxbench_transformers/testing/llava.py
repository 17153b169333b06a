"""Small models that put an encoder's patches before a language model: LLaVA, Pixtral, Mistral 3, InternVL, GOT-OCR2, DeepSeek-OCR 2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import AutoConfig

from ctxbench_transformers.testing.recipes import VISION, Parts, Recipe, chatml, ids, text_config

ROPE = {"rope_type": "default", "rope_theta": 10000.0}
_CLIP = {"model_type": "clip_vision_model", **VISION, "num_hidden_layers": 3, "image_size": 56, "patch_size": 14}


def _llava(model_type: str, processor: str, images: dict[str, Any]) -> Callable[[Any], Parts]:
    def parts(tokenizer: Any) -> Parts:
        grid = {"image_grid_pinpoints": images["image_grid_pinpoints"]} if "image_grid_pinpoints" in images else {}
        config = AutoConfig.for_model(
            model_type,
            text_config=text_config(tokenizer, "llama"),
            vision_config=_CLIP,
            tie_word_embeddings=False,
            **grid,
            **ids(tokenizer, image_token_index="<image>"),
        )
        entry = {
            "processor_class": processor,
            "patch_size": 14,
            "num_additional_image_tokens": 1,
            "vision_feature_select_strategy": "default",
            "image_processor": {"size": {"shortest_edge": 56}, "crop_size": {"height": 56, "width": 56}, **images},
        }
        return Parts(config, entry, chatml("<image>\n"))

    return parts


def _onevision(tokenizer: Any) -> Parts:
    grid = [[56, 56], [56, 112], [112, 56], [112, 112]]
    vision = {"model_type": "siglip_vision_model", **VISION, "num_hidden_layers": 2, "image_size": 56, "patch_size": 14}
    config = AutoConfig.for_model(
        "llava_onevision",
        text_config=text_config(tokenizer, "qwen2"),
        vision_config={**vision, "vision_use_head": False},
        image_grid_pinpoints=grid,
        tie_word_embeddings=False,
        **ids(tokenizer, image_token_index="<image>", video_token_index="<video>"),
    )
    entry = {
        "processor_class": "LlavaOnevisionProcessor",
        "num_image_tokens": 16,
        "vision_feature_select_strategy": "full",
        "vision_aspect_ratio": "anyres_max_9",
        "image_processor": {
            "image_processor_type": "LlavaOnevisionImageProcessor",
            "size": {"height": 56, "width": 56},
            "image_grid_pinpoints": grid,
        },
    }
    return Parts(config, entry, chatml("<image>\n"))


def _pixtral(model_type: str, text: str, merge: int) -> Callable[[Any], Parts]:
    def parts(tokenizer: Any) -> Parts:
        vision = {"model_type": "pixtral", **VISION, "num_hidden_layers": 2, "image_size": 128, "patch_size": 8}
        own = {"vision_feature_select_strategy": "full"} if model_type == "llava" else {"spatial_merge_size": merge}
        config = AutoConfig.for_model(
            model_type,
            text_config=text_config(tokenizer, text, head_dim=32),
            vision_config=vision,
            vision_feature_layer=-1,
            tie_word_embeddings=False,
            **own,
            **ids(tokenizer, image_token_index="[IMG]"),
        )
        images = {
            "image_processor_type": "PixtralImageProcessor",
            "size": {"longest_edge": 128},
            "patch_size": {"height": 8, "width": 8},
        }
        entry = {"processor_class": "PixtralProcessor", "patch_size": 8, "spatial_merge_size": merge, "image_processor": images}
        return Parts(config, entry, chatml("[IMG]"))

    return parts


def _internvl(tokenizer: Any) -> Parts:
    vision = {**VISION, "num_hidden_layers": 1, "image_size": [56, 56], "patch_size": [14, 14]}
    config = AutoConfig.for_model(
        "internvl",
        text_config=text_config(tokenizer, "qwen2"),
        vision_config=vision,
        image_seq_length=4,
        downsample_ratio=0.5,
        tie_word_embeddings=False,
        **ids(tokenizer, image_token_id="<IMG_CONTEXT>"),
    )
    images = {
        "image_processor_type": "GotOcr2ImageProcessor",
        "size": {"height": 56, "width": 56},
        "crop_to_patches": True,
        "min_patches": 1,
        "max_patches": 4,
    }
    entry = {"processor_class": "InternVLProcessor", "image_seq_length": 4, "image_processor": images}
    return Parts(config, entry, chatml("<IMG_CONTEXT>\n"))


_SAM = {
    "hidden_size": 32,
    "output_channels": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "window_size": 4,
    "global_attn_indexes": [],
    "initializer_range": 0.02,
}


def _got(tokenizer: Any) -> Parts:
    # 256 tokens a page whatever its size, says the processor: 64 x 64 patches, brought down by 4 in each direction.
    config = AutoConfig.for_model(
        "got_ocr2",
        text_config=text_config(tokenizer, "qwen2"),
        vision_config={**_SAM, "image_size": 256, "patch_size": 4, "mlp_dim": 64},
        image_seq_length=256,
        tie_word_embeddings=False,
        **ids(tokenizer, image_token_index="<imgpad>"),
    )
    images = {"image_processor_type": "GotOcr2ImageProcessor", "size": {"height": 256, "width": 256}}
    return Parts(config, {"processor_class": "GotOcr2Processor", "image_processor": images}, None)


def _deepseek(tokenizer: Any) -> Parts:
    # The numbers of learned queries, 256 for the page and 144 for a tile, follow from the real sizes: 16 and 12 patches a side.
    sam = {**_SAM, "image_size": 256, "patch_size": 4, "downsample_channels": [24, 32]}
    encoder = {**VISION, "num_hidden_layers": 1, "num_key_value_heads": 2, "max_position_embeddings": 1024, "rope_parameters": ROPE}
    config = AutoConfig.for_model(
        "deepseek_ocr2",
        text_config=text_config(
            tokenizer,
            rope_parameters=ROPE,
            n_routed_experts=4,
            n_shared_experts=1,
            num_experts_per_tok=2,
            moe_intermediate_size=64,
            mlp_layer_types=["dense", "sparse"],
        ),
        vision_config={"sam_config": sam, "encoder_config": encoder},
        tie_word_embeddings=False,
        **ids(tokenizer, image_token_id="<image>"),
    )
    images = {"image_processor_type": "DeepseekOcr2ImageProcessor", "size": {"height": 256, "width": 256}, "tile_size": 192}
    entry = {"processor_class": "DeepseekOcr2Processor", "patch_size": 4, "downsample_ratio": 4, "image_processor": images}
    return Parts(config, entry, chatml("<image>\n"))


RECIPES = {
    "llava": Recipe(_llava("llava", "LlavaProcessor", {"image_processor_type": "CLIPImageProcessor"}), ("<image>",)),
    "llava_next": Recipe(
        _llava(
            "llava_next",
            "LlavaNextProcessor",
            {"image_processor_type": "LlavaNextImageProcessor", "image_grid_pinpoints": [[56, 112], [112, 56], [112, 112]]},
        ),
        ("<image>",),
    ),
    "llava_onevision": Recipe(_onevision, ("<image>", "<video>")),
    "pixtral": Recipe(_pixtral("llava", "mistral", 1), ("[IMG]", "[IMG_BREAK]", "[IMG_END]")),
    "mistral3": Recipe(_pixtral("mistral3", "mistral", 2), ("[IMG]", "[IMG_BREAK]", "[IMG_END]")),
    "internvl": Recipe(
        _internvl,
        named={
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        },
    ),
    "deepseek_ocr2": Recipe(_deepseek, ("<image>",)),
    "got_ocr2": Recipe(_got, ("<img>", "</img>", "<imgpad>")),
}

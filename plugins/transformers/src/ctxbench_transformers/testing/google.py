"""Small Gemma, PaliGemma and Llama 3.2 Vision models: those whose images are seen by bidirectional or by cross attention."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig

from ctxbench_transformers.testing.recipes import HIDDEN, VISION, Parts, Recipe, chatml, ids, text_config

_SIGLIP = {"model_type": "siglip_vision_model", **VISION, "num_hidden_layers": 1, "image_size": 56, "patch_size": 14}
_LAYERS = {"head_dim": 32, "sliding_window": 64, "layer_types": ["sliding_attention", "full_attention"]}


def _gemma3(tokenizer: Any) -> Parts:
    config = AutoConfig.for_model(
        "gemma3",
        text_config=text_config(tokenizer, "gemma3_text", query_pre_attn_scalar=32, **_LAYERS),
        vision_config={**_SIGLIP, "vision_use_head": False},
        mm_tokens_per_image=4,
        tie_word_embeddings=False,
        **ids(tokenizer, boi_token_index="<start_of_image>", eoi_token_index="<end_of_image>", image_token_index="<image_soft_token>"),
    )
    images = {"image_processor_type": "Gemma3ImageProcessor", "size": {"height": 56, "width": 56}}
    entry = {"processor_class": "Gemma3Processor", "image_seq_length": 4, "image_processor": images}
    return Parts(config, entry, chatml("<start_of_image>", bos="{{ bos_token }}"))


def _gemma4(tokenizer: Any) -> Parts:
    vision = {
        **VISION,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "num_hidden_layers": 1,
        "patch_size": 16,
        "pooling_kernel_size": 3,
        "position_embedding_size": 256,
        "default_output_length": 16,
    }
    config = AutoConfig.for_model(
        "gemma4",
        text_config=text_config(
            tokenizer,
            "gemma4_text",
            **_LAYERS,
            vocab_size_per_layer_input=len(tokenizer),
            hidden_size_per_layer_input=8,
            global_head_dim=32,
            use_bidirectional_attention="vision",
        ),
        vision_config=vision,
        audio_config=None,
        tie_word_embeddings=False,
        **ids(tokenizer, image_token_id="<|image|>", boi_token_id="<|image>", eoi_token_id="<image|>", video_token_id="<|video|>"),
    )
    images = {"image_processor_type": "Gemma4ImageProcessor", "patch_size": 16, "max_soft_tokens": 70, "pooling_kernel_size": 3}
    entry = {"processor_class": "Gemma4Processor", "image_seq_length": 70, "image_processor": images}
    return Parts(config, entry, chatml("<|image|>", bos="{{ bos_token }}"))


def _paligemma(tokenizer: Any) -> Parts:
    tokens = len(tokenizer) + 1024 + 128  # the processor adds tokens for places and segments
    config = AutoConfig.for_model(
        "paligemma",
        text_config=text_config(tokenizer, "gemma", head_dim=32, vocab_size=tokens),
        vision_config={**_SIGLIP, "vision_use_head": False, "projection_dim": HIDDEN},
        projection_dim=HIDDEN,
        hidden_size=HIDDEN,
        tie_word_embeddings=False,
        **ids(tokenizer, image_token_index="<image>"),
    )
    images = {"image_processor_type": "SiglipImageProcessor", "size": {"height": 56, "width": 56}, "image_seq_length": 16}
    return Parts(config, {"processor_class": "PaliGemmaProcessor", "image_processor": images}, None)


def _mllama(tokenizer: Any) -> Parts:
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "attention_heads": 2,
        "num_hidden_layers": 2,
        "num_global_layers": 1,
        "vision_output_dim": 96,
        "image_size": 56,
        "patch_size": 14,
        "max_num_tiles": 4,
        "intermediate_layers_indices": [0, 1],
    }
    config = AutoConfig.for_model(
        "mllama",
        text_config=text_config(
            tokenizer,
            num_hidden_layers=3,
            cross_attention_layers=[1],
            vocab_size=len(tokenizer) - 1,  # the image's token is the last one and has no logit
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        ),
        vision_config=vision,
        tie_word_embeddings=False,
        **ids(tokenizer, image_token_index="<|image|>"),
    )
    images = {"image_processor_type": "MllamaImageProcessor", "size": {"height": 56, "width": 56}, "max_image_tiles": 4}
    entry = {"processor_class": "MllamaProcessor", "image_processor": images}
    return Parts(config, entry, chatml("<|image|>", bos="{{ bos_token }}"))


RECIPES = {
    "gemma3": Recipe(
        _gemma3,
        named={"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"},
        bos="<bos>",
    ),
    "gemma4": Recipe(
        _gemma4,
        ("<|video|>",),
        named={
            "boi_token": "<|image>",
            "eoi_token": "<image|>",
            "image_token": "<|image|>",
            "audio_token": "<|audio|>",
            "boa_token": "<|audio>",
            "eoa_token": "<audio|>",
        },
        bos="<bos>",
    ),
    "paligemma": Recipe(_paligemma, named={"image_token": "<image>"}, bos="<bos>"),
    "mllama": Recipe(_mllama, ("<|begin_of_text|>", "<|python_tag|>", "<|image|>"), bos="<|begin_of_text|>"),
}

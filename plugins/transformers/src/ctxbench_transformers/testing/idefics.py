"""Small Idefics and SmolVLM models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import AutoConfig

from ctxbench_transformers.testing.recipes import HIDDEN, VISION, Parts, Recipe, chatml, ids, text_config

_TOKENS = ("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>")


def _tiled(model_type: str, processor: str, image_processor: str) -> Callable[[Any], Parts]:
    def parts(tokenizer: Any) -> Parts:
        config = AutoConfig.for_model(
            model_type,
            text_config=text_config(tokenizer, "llama"),
            vision_config={**VISION, "num_hidden_layers": 1, "image_size": 64, "patch_size": 8},
            scale_factor=2,
            tie_word_embeddings=False,
            **ids(tokenizer, image_token_id="<image>"),
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
        return Parts(config, entry, chatml("<image>"))

    return parts


def _idefics2(tokenizer: Any) -> Parts:
    config = AutoConfig.for_model(
        "idefics2",
        text_config=text_config(tokenizer, "mistral"),
        vision_config={**VISION, "num_hidden_layers": 1, "image_size": 64, "patch_size": 8},
        perceiver_config={
            "hidden_size": HIDDEN,
            "resampler_n_latents": 6,
            "resampler_depth": 1,
            "resampler_n_heads": 2,
            "resampler_head_dim": 16,
            "num_key_value_heads": 1,
        },
        tie_word_embeddings=False,
        **ids(tokenizer, image_token_id="<image>"),
    )
    images = {
        "image_processor_type": "Idefics2ImageProcessor",
        "size": {"shortest_edge": 32, "longest_edge": 64},
        "do_image_splitting": True,
    }
    return Parts(config, {"processor_class": "Idefics2Processor", "image_seq_len": 6, "image_processor": images}, chatml("<image>"))


RECIPES = {
    "idefics2": Recipe(_idefics2, ("<image>", "<fake_token_around_image>", "<end_of_utterance>")),
    "idefics3": Recipe(_tiled("idefics3", "Idefics3Processor", "Idefics3ImageProcessor"), _TOKENS),
    "smolvlm": Recipe(_tiled("smolvlm", "SmolVLMProcessor", "SmolVLMImageProcessor"), _TOKENS),
}

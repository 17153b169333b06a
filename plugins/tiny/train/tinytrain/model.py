"""The tiny model: Qwen2-VL's class at a few million parameters, and its byte tokenizer."""

from __future__ import annotations

from typing import Any

PAD, START, END, VISION_START, VISION_END, IMAGE, VIDEO = range(256, 263)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")


def make_config(
    hidden: int = 192,
    layers: int = 4,
    heads: int = 6,
    theta: float = 30.0,
    sections: tuple[int, int, int] = (0, 6, 10),
    seen: int = 128,
    depth: int = 2,
    words: int = 0,
) -> Any:
    """A Qwen2-VL configuration."""
    from transformers import Qwen2VLConfig

    return Qwen2VLConfig(
        text_config={
            "vocab_size": 264 + words,
            "hidden_size": hidden,
            "intermediate_size": 3 * hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": heads,
            "max_position_embeddings": 4096,
            "tie_word_embeddings": True,
            "rope_parameters": {"rope_type": "default", "rope_theta": theta, "mrope_section": list(sections)},
            "bos_token_id": PAD,
            "eos_token_id": END,
            "pad_token_id": PAD,
        },
        vision_config={
            "depth": depth,
            "embed_dim": seen,
            "hidden_size": hidden,
            "num_heads": 4,
            "mlp_ratio": 2,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "in_channels": 3,
        },
        image_token_id=IMAGE,
        video_token_id=VIDEO,
        vision_start_token_id=VISION_START,
        vision_end_token_id=VISION_END,
        tie_word_embeddings=True,
    )

"""The model and the prompts of these measurements, and what memory and time are told by."""

from __future__ import annotations

import copy
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ctxbench import Prompt, Sample
from ctxbench_transformers.data import Example
from ctxbench_transformers.testing import QWEN2_VL_2B, QWEN_TEMPLATE, QWEN_TOKENS, byte_tokenizer, write_processor
from ctxbench_transformers.weights import quiet

Found = dict[str, Any]


def write_model(folder: Path, device: torch.device, layers: int | None, tiny: bool) -> Found:
    """A folder with the real model's config, random bfloat16 weights and a byte tokenizer, whose ids are a part of the real vocabulary.

    The weights are drawn on the device: on a CPU two thousand million random numbers take a minute.
    """
    with quiet():
        from transformers import AutoConfig, AutoModelForImageTextToText

    shape = copy.deepcopy(QWEN2_VL_2B)
    if layers is not None:
        shape["text_config"]["num_hidden_layers"] = shape["vision_config"]["depth"] = layers
    if tiny:
        shape["text_config"] |= {"hidden_size": 256, "intermediate_size": 512, "num_attention_heads": 2, "num_key_value_heads": 1}
        shape["text_config"] |= {"vocab_size": 4096}
        shape["vision_config"] |= {"embed_dim": 128, "num_heads": 2, "hidden_size": 256}
    tokenizer = byte_tokenizer(QWEN_TOKENS)
    names = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"}
    names |= {"vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"}
    shape |= {key: tokenizer.convert_tokens_to_ids(name) for key, name in names.items()}
    shape["text_config"] |= {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    torch.manual_seed(0)
    began = time.perf_counter()
    with quiet():
        with device:
            model = AutoModelForImageTextToText.from_config(AutoConfig.for_model("qwen2_vl", **shape), dtype=torch.bfloat16)
        synchronize(device)
        drawn = time.perf_counter()
        model.save_pretrained(folder)
    images = {"image_processor_type": "Qwen2VLImageProcessor"}
    write_processor(folder, tokenizer, {"processor_class": "Qwen2VLProcessor", "image_processor": images}, QWEN_TEMPLATE)
    size = sum(parameter.numel() for parameter in model.parameters())
    return {"parameters": size, "draw_seconds": round(drawn - began, 2), "write_seconds": round(time.perf_counter() - drawn, 2)}


def example(index: int, side: int, answer: int) -> Example:
    """One page of ``side`` x ``side`` px of noise, 200 bytes of text and an answer of ``answer`` bytes, each byte a token."""
    chance = np.random.default_rng(index)
    page = Image.fromarray(chance.integers(0, 256, (side, side, 3), dtype=np.uint8))
    text = "".join(chance.choice(list("abcdefgh"), answer))
    prompt = Prompt((page,), "q" * 200, max_new_tokens=answer)
    return Example(str(index), "noise", prompt, Sample("", "q", text, 512))


def memory(device: torch.device) -> float:
    """Peak memory in GiB since the last reset; on a CPU the process's largest resident size, which is never reset."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def reset(device: torch.device) -> None:
    """Start measuring memory anew."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)

"""Training and reading at the real size of Qwen2-VL-2B, with random weights: nothing is downloaded, and time and memory are real.

    python -m benchmarks.gpu_qwen2vl                                  on a GPU: every figure of docs/results.md that needs one
    python -m benchmarks.gpu_qwen2vl --device cpu --layers 1 --tiny   a smoke test of this script

Prints, for LoRA on bfloat16 weights and QLoRA on nf4 weights: peak memory, seconds a step and tokens/s of training; and for the
reader: generated tokens/s one prompt at a time and in batches.
"""

from __future__ import annotations

import argparse
import copy
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ctxbench import Prompt, Sample
from ctxbench_transformers import settings
from ctxbench_transformers.data import Example
from ctxbench_transformers.decoding import Decoding
from ctxbench_transformers.encoding import Encoder
from ctxbench_transformers.processors import load_processor
from ctxbench_transformers.runtime import Runtime, Sizing, make_runtime
from ctxbench_transformers.testing import QWEN2_VL_2B, QWEN_TEMPLATE, QWEN_TOKENS, byte_tokenizer, write_processor
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.distributed import World
from ctxbench_transformers.training.examples import collate_labelled, label
from ctxbench_transformers.training.loss import answer_loss
from ctxbench_transformers.training.optimizer import make_optimizers
from ctxbench_transformers.training.trainable import load_trainable, trained_parameters
from ctxbench_transformers.weights import Placement, load_weights, quiet


def write_model(folder: Path, layers: int | None, tiny: bool) -> None:
    """A folder with the real model's config, random bfloat16 weights and a byte tokenizer, whose ids are a part of the real vocabulary."""
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
    with quiet():
        model = AutoModelForImageTextToText.from_config(AutoConfig.for_model("qwen2_vl", **shape), dtype=torch.bfloat16)
        model.save_pretrained(folder)
    images = {"image_processor_type": "Qwen2VLImageProcessor"}
    write_processor(folder, tokenizer, {"processor_class": "Qwen2VLProcessor", "image_processor": images}, QWEN_TEMPLATE)


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


def measure_training(
    folder: Path, method: str, device: torch.device, steps: int, side: int, answer: int, checkpointing: bool
) -> dict[str, Any]:
    """A few optimizer steps of the seed paper's configuration: batch 1 x 8, r 16."""
    reset(device)
    values = {"method": method, "precision": "bf16", "gradient_checkpointing": checkpointing, "device": str(device)}
    config = settings.make(TrainConfig, values)
    model = load_trainable(config, folder, device)
    encoder = Encoder(load_processor(folder))
    parameters = trained_parameters(model)
    (optimizer,) = make_optimizers(config, parameters)
    batches = [collate_labelled([label(encoder, example(i, side, answer))], 0) for i in range(config.accumulation)]
    tokens = sum(int(batch["attention_mask"].sum()) for batch in batches)
    seconds = []
    for _ in range(steps):
        synchronize(device)
        began = time.perf_counter()
        for batch in batches:
            with torch.autocast(device.type, dtype=torch.bfloat16):
                loss, count = answer_loss(model, {key: value.to(device) for key, value in batch.items()})
            (loss / (count * len(batches))).backward()  # type: ignore[no-untyped-call]
        World().sum_gradients(list(parameters.values()))
        torch.nn.utils.clip_grad_norm_(list(parameters.values()), config.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        synchronize(device)
        seconds.append(time.perf_counter() - began)
    best = min(seconds[1:] or seconds)  # the first step compiles and allocates
    return {
        "what": f"train {method}" + (" checkpointed" if checkpointing else ""),
        "tokens_a_step": tokens,
        "seconds_a_step": round(best, 3),
        "tokens_per_second": round(tokens / best, 1),
        "peak_gib": round(memory(device), 2),
    }


def measure_reading(folder: Path, device: torch.device, batch: int, prompts: int, side: int, new: int) -> dict[str, Any]:
    """Greedy answers of exactly ``new`` tokens to ``prompts`` prompts, ``batch`` at a time."""
    reset(device)
    encoder = Encoder(load_processor(folder))
    runtime: Runtime = make_runtime(load_weights(folder, Placement(str(device), dtype="bfloat16")), encoder, "qwen2-vl")
    runtime.end_ids = (encoder.tokenizer.convert_tokens_to_ids("<|video_pad|>"),)  # random weights would end at random
    some = [example(i, side, 8).prompt for i in range(prompts)]
    runtime.answer(some[:batch], Decoding(), Sizing(2), batch)
    synchronize(device)
    began = time.perf_counter()
    readings = runtime.answer(some, Decoding(), Sizing(new), batch)
    synchronize(device)
    seconds = time.perf_counter() - began
    made = sum(reading.usage.completion or 0 for reading in readings if reading.usage)
    failed = sum(reading.error is not None for reading in readings)
    return {
        "what": f"read, batch {batch}",
        "prompts": prompts,
        "failed": failed,
        "new_tokens": made,
        "tokens_per_second": round(made / seconds, 1),
        "peak_gib": round(memory(device), 2),
    }


def main() -> None:
    """Measure and print one JSON line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--layers", type=int, help="layers of both parts, instead of 28 and 32")
    parser.add_argument("--tiny", action="store_true", help="a narrow model, for a smoke test")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--side", type=int, default=980, help="page side in px; 980 are 1,225 visual tokens")
    parser.add_argument("--answer", type=int, default=512, help="tokens of a training answer, and of a generated one")
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("error: no GPU here; give --device cpu --layers 1 --tiny for a smoke test of this script")
    device = torch.device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(json.dumps({"device": name, "torch": torch.__version__, **vars(options)}), flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_model(folder, options.layers, options.tiny)
        for method in ("lora", "qlora"):
            for checkpointing in (False, True):
                found = measure_training(folder, method, device, options.steps, options.side, options.answer, checkpointing)
                print(json.dumps(found), flush=True)
        for batch in options.batches:
            print(json.dumps(measure_reading(folder, device, batch, options.prompts, options.side, options.answer)), flush=True)


if __name__ == "__main__":
    main()

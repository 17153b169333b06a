"""The reader's answers, and a plain ``generate`` beside them."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from benchmarks.gpu_qwen2vl.common import Found, example, memory, synchronize
from ctxbench import Prompt, Reading
from ctxbench_transformers.decoding import Decoding
from ctxbench_transformers.encoding import Encoder, conversation
from ctxbench_transformers.processors import load_processor
from ctxbench_transformers.runtime import Runtime, Sizing, make_runtime
from ctxbench_transformers.weights import Placement, load_weights

WARM = 2
"""New tokens of the answers before those that are timed."""


def load_reader(folder: Path, device: torch.device) -> Runtime:
    """What reads; it ends at a token alone that a model with random weights does not say."""
    encoder = Encoder(load_processor(folder))
    runtime = make_runtime(load_weights(folder, Placement(str(device), dtype="bfloat16")), encoder, "qwen2-vl")
    runtime.end_ids = (encoder.tokenizer.convert_tokens_to_ids("<|video_pad|>"),)
    return runtime


def measure_reading(runtime: Runtime, device: torch.device, batch: int, prompts: int, side: int, new: int) -> Found:
    """Greedy answers of ``new`` tokens, ``batch`` at a time: to one full batch, or to ``prompts`` prompts if these are more."""
    some = [example(i, side, 8).prompt for i in range(max(batch, prompts))]
    runtime.answer(some[:batch], Decoding(), Sizing(WARM), batch)
    synchronize(device)
    began = time.perf_counter()
    readings = runtime.answer(some, Decoding(), Sizing(new), batch)
    synchronize(device)
    seconds = time.perf_counter() - began
    failed = [reading.error for reading in readings if reading.error is not None]
    answered = [reading for reading in readings if reading.error is None]
    made = sum(reading.usage.completion or 0 for reading in answered if reading.usage)
    prefill, decode = (sum(each) for each in zip(*map(shares, answered), strict=True)) if answered else (0.0, 0.0)
    return {
        "prompts": len(some),
        "smallest_batch": min((reading.metadata["batch_size"] for reading in answered), default=0),
        "new_tokens": made,
        "tokens_per_second": round(made / seconds, 1),
        "prefill_seconds_a_prompt": round(prefill / max(1, len(answered)), 3),
        "decoded_per_second": round((made - len(answered)) / decode, 1) if decode else None,
        "peak_gib": round(memory(device), 2),
        **({"failed": len(failed), "error": ": ".join(failed[0])} if failed else {}),
    }


def shares(reading: Reading) -> tuple[float, float]:
    """Seconds of prefill and of decoding that fall to one row of its batch."""
    times = reading.metadata.get("batch_seconds", {"prefill": reading.prefill_seconds, "generate": reading.generate_seconds})
    size = reading.metadata["batch_size"]
    return times["prefill"] / size, times["generate"] / size


def measure_generate(runtime: Runtime, device: torch.device, prompts: int, side: int, new: int) -> Found:
    """The reference: the processor and ``generate`` as transformers' documentation calls them, one prompt at a time.

    Its rate is that of the fastest prompt. All are equally long, and on an H100 or H200 the first one alone, whose rate is told beside it,
    waits while cuDNN builds a plan of attention for each new length.
    """
    from transformers import GenerationConfig

    model, processor = runtime.model, runtime.encoder.processor
    ends = {"do_sample": False, "eos_token_id": list(runtime.end_ids), "pad_token_id": runtime.pad_id}

    def answer(prompt: Prompt, count: int) -> int:
        text = processor.apply_chat_template(conversation(prompt), add_generation_prompt=True)
        inputs = processor(text=[text], images=list(prompt.pages), return_tensors="pt").to(device)
        with torch.no_grad():
            out = model.generate(**inputs, generation_config=GenerationConfig(max_new_tokens=count, **ends))
        ids = out[:, inputs["input_ids"].shape[1] :]
        processor.batch_decode(ids, skip_special_tokens=True)
        return int(ids.shape[1])

    some = [example(i, side, 8).prompt for i in range(prompts)]
    answer(some[0], WARM)
    rates, made = [], 0
    for prompt in some:
        synchronize(device)
        began = time.perf_counter()
        count = answer(prompt, new)
        rates.append(count / (time.perf_counter() - began))
        made += count
    return {
        "prompts": prompts,
        "new_tokens": made,
        "tokens_per_second": round(max(rates), 1),
        "first_per_second": round(rates[0], 1),
        "peak_gib": round(memory(device), 2),
    }

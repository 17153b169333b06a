"""How fast the embedded model answers: ``python -m benchmarks.tiny_speed [--prompts 32] [--threads 1]``.

Generated tokens a second of ``tiny`` in batches, against transformers' plain ``generate`` one prompt at a time (the reference, 1.0) and
against the limit that reading all weights once for every token sets at batch 1: measured memory bandwidth / bytes of the weights. Prompts
are contexts of json_restore as text and as rendered pages; answers are as long as the model makes them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch

import ctxbench
from ctxbench.prompts import compose
from ctxbench_tiny.model import TinyModel, base_folder
from ctxbench_transformers.processors import load_processor
from ctxbench_transformers.weights import quiet

RENDER = {"font_size": 11, "line_spacing": 2.55, "margin": 0, "columns": 47}
"""The layout that the model was trained on."""


def make_prompts(count: int, codec_name: str, bucket: int, **options: Any) -> list[ctxbench.Prompt]:
    """Contexts of ``bucket`` reference tokens in a codec's carrier."""
    registry = ctxbench.load_plugins()
    task, codec = registry.task("json_restore"), registry.codec(codec_name, **options)
    found = []
    for i in range(count):
        sample = task.sample(bucket, ctxbench.derive_seed("tiny_speed", i))
        carrier = codec.encode(sample.context)
        text = compose(codec.hint("en"), carrier.text, sample.question)
        found.append(ctxbench.Prompt(tuple(carrier.pages), text, max_new_tokens=len(sample.answer.encode())))
    return found


def plain(prompts: list[ctxbench.Prompt]) -> Callable[[], int]:
    """transformers as its documentation uses it, one prompt after the other; returns the tokens generated."""
    from transformers import Qwen2VLForConditionalGeneration

    processor: Any = load_processor(base_folder())  # AutoProcessor's needs torchvision
    with quiet():
        model = Qwen2VLForConditionalGeneration.from_pretrained(base_folder(), dtype=torch.float32).eval()

    def run() -> int:
        generated = 0
        for prompt in prompts:
            content = [{"type": "image"} for _ in prompt.pages] + [{"type": "text", "text": prompt.text}]
            text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
            inputs = processor(text=[text], images=list(prompt.pages) or None, return_tensors="pt")
            limit = (prompt.max_new_tokens or 0) * 3 // 2
            with torch.inference_mode():
                out = model.generate(**inputs, max_new_tokens=limit, do_sample=False)
            generated += out.shape[1] - inputs["input_ids"].shape[1]
        return generated

    return run


def ours(prompts: list[ctxbench.Prompt], batch: int) -> Callable[[], int]:
    """The model ``tiny`` as the engine calls it."""
    model = TinyModel(batch_size=batch)

    def run() -> int:
        return sum(reading.usage.completion or 0 for reading in model.read(prompts) if reading.usage is not None)

    return run


def speed(run: Callable[[], int]) -> float:
    """Tokens a second."""
    start = time.perf_counter()
    tokens = run()
    return tokens / (time.perf_counter() - start)


def bandwidth(size: int = 1 << 28) -> float:
    """Bytes a second at which memory is read: the best of five sums of a large array."""
    data = torch.ones(size // 4)
    best = 0.0
    for _ in range(5):
        start = time.perf_counter()
        data.sum()
        best = max(best, size / (time.perf_counter() - start))
    return best


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--bucket", type=int, default=64, help="context length in reference tokens")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    carriers = {"text": make_prompts(arguments.prompts, "text", arguments.bucket)}
    carriers["render"] = make_prompts(arguments.prompts, "render", arguments.bucket, **RENDER)
    weights = sum(p.numel() * 4 for p in _parameters())
    print(f"json_restore at {arguments.bucket} tokens, {arguments.prompts} prompts, float32, {arguments.threads} thread(s)\n")
    print("| carrier | reader | tokens/s | ratio to plain generate |")
    print("|---|---|---|---|")
    for name, prompts in carriers.items():
        few = prompts[: max(2, arguments.prompts // 4)]
        run = plain(few)
        plain(few[:1])()  # the first call compiles and allocates
        reference = speed(run)
        print(f"| {name} | plain generate, batch 1 | {reference:.0f} | 1.0 |", flush=True)
        for batch in (1, 8, 32):
            some = few if batch == 1 else prompts
            found = speed(ours(some, batch))
            print(f"| {name} | tiny, batch {batch} | {found:.0f} | {found / reference:.1f} |", flush=True)
        limit = bandwidth() / weights
        print(
            f"| {name} | limit at batch 1: memory bandwidth / {weights / 1e6:.1f} MB of weights | {limit:.0f} | {limit / reference:.1f} |"
        )


def _parameters() -> Any:
    from transformers import Qwen2VLForConditionalGeneration

    with quiet():
        return Qwen2VLForConditionalGeneration.from_pretrained(base_folder(), dtype=torch.float32).model.language_model.parameters()


if __name__ == "__main__":
    main()

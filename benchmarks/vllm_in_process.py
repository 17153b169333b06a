"""vLLM in process against transformers, on the embedded model's weights: ``PYTHON -m benchmarks.vllm_in_process [--prompts 10]``.

``PYTHON`` is that of an environment which holds vLLM and the packages of this repository (docs/vllm.md). Of needles of 64 reference
tokens, as text and as rendered pages, it prints how many answers and token usages are those of ``hf:``, in float32, for

- the base model;
- the packaged adapter's weights of the language model alone;
- those of all its linear layers, with LoRA on the vision part switched on;
- the whole adapter, whose patch embedding is a convolution, with the plugin's own check put aside: what vLLM does without it;
- the whole adapter as ``ctxbench train export --merge`` puts it into the base's weights.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ctxbench
from benchmarks.servers import NEW_TOKENS, make_prompts
from ctxbench import Prompt, Reading
from ctxbench_tiny.model import adapter_folder, base_folder
from ctxbench_transformers.training.export import Merging, export
from ctxbench_vllm import lora

SETTINGS: dict[str, Any] = {
    "max_model_len": 2048,
    "max_num_seqs": 8,
    "enforce_eager": True,
    "limit_mm_per_prompt": {"image": 4},
    "engine": {"kv_cache_memory_bytes": 1 << 28},
}


def part(target: Path, keep: Callable[[str], bool]) -> Path:
    """The modules of the packaged adapter ``codebook`` that are kept, as an adapter of their own."""
    from safetensors.torch import load_file, save_file

    source = adapter_folder("codebook")
    weights = {key: value for key, value in load_file(source / "adapter_model.safetensors").items() if keep(key)}
    modules = sorted({key.partition(".lora_")[0].removeprefix("base_model.model.") for key in weights})
    config = json.loads((source / "adapter_config.json").read_text("utf-8")) | {"target_modules": modules}
    target.mkdir()
    save_file(weights, target / "adapter_model.safetensors")
    (target / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    return target


def read(name: str, prompts: Sequence[Prompt], **options: Any) -> list[Reading]:
    """What a backend says."""
    options = {"reference": str(base_folder()), "dtype": "float32", "max_new_tokens": NEW_TOKENS} | options
    model = ctxbench.load_plugins().model(name, **options)
    try:
        return list(model.read(prompts))
    finally:
        model.close()


def same(one: Sequence[Reading], other: Sequence[Reading]) -> str:
    """How many answers, and how many usages, are equal."""
    pairs = list(zip(one, other, strict=True))
    texts, usages = sum(a.text == b.text for a, b in pairs), sum(a.usage == b.usage for a, b in pairs)
    return f"{f'{texts} of {len(pairs)}':>14}{f'{usages} of {len(pairs)}':>14}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--prompts", type=int, default=10)
    parser.add_argument("--without-adapters", action="store_true", help="the base model alone")
    arguments = parser.parse_args()
    prompts = make_prompts(arguments.prompts, ("text", "render"))
    print(f"{'':44}{'equal answers':>14}{'equal usage':>14}", flush=True)
    print(f"{'base':44}{same(read('vllm', prompts, **SETTINGS), read('hf', prompts, device='cpu'))}", flush=True)
    if arguments.without_adapters:
        return
    pages = make_prompts(arguments.prompts, ("render",))
    with tempfile.TemporaryDirectory() as folder:
        language = part(Path(folder, "language"), lambda key: ".visual." not in key)
        linear = part(Path(folder, "linear"), lambda key: "patch_embed" not in key)
        whole, expected = adapter_folder("codebook"), {}
        for adapter in (language, linear, whole):
            expected[adapter] = read("hf", pages, adapter=str(adapter), device="cpu")
        found = read("vllm", pages, adapter=str(language), **SETTINGS)
        print(f"{'adapter: language model':44}{same(found, expected[language])}", flush=True)
        found = read("vllm", pages, adapter=str(linear), tower_lora=True, **SETTINGS)
        print(f"{'adapter: all linear layers, tower_lora':44}{same(found, expected[linear])}", flush=True)
        lora.check = lambda where, reference, *, tower: lora.contents(where, reference)
        found = read("vllm", pages, adapter=str(whole), tower_lora=True, **SETTINGS)
        print(f"{'adapter: whole, tower_lora, unchecked':44}{same(found, expected[whole])}")
        print(f"{'  against hf without the convolution':44}{same(found, expected[linear])}", flush=True)
        export(whole, Path(folder, "merged"), merge=Merging(str(base_folder()), "float32"))
        found = read("vllm", pages, reference=str(Path(folder, "merged")), **SETTINGS)
        print(f"{'adapter: whole, merged by train export':44}{same(found, expected[whole])}")


if __name__ == "__main__":
    main()

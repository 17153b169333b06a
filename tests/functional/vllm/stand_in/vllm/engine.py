"""What vLLM does with a request: puts visual tokens in, generates greedily, and gives one token a step for everything that runs."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import torch

from ctxbench_transformers.processors import load_processor
from ctxbench_transformers.weights import Placement, add_adapter, load_weights

faults: dict[str, Any] = {}
"""What a test wants to go wrong: ``budget`` ignored, ``silent`` about the prompt, ``dies`` after so many steps, ``aborts``, ``adapter``."""


class Output:
    def __init__(self, request_id: str, prompt_token_ids: list[int] | None, token_ids: list[int], finish_reason: str | None) -> None:
        self.request_id, self.prompt_token_ids, self.finished = request_id, prompt_token_ids, finish_reason is not None
        self.outputs = [types.SimpleNamespace(token_ids=token_ids, finish_reason=finish_reason, text="")]


class Renderer:
    """Qwen2-VL's: each placeholder becomes as many as its page has visual tokens."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        kwargs = {} if faults.get("budget") else arguments["mm_processor_kwargs"] or {}
        self.processor = load_processor(Path(arguments["model"]), **{k: v for k, v in kwargs.items() if k.endswith("_pixels")})
        self.more = {k: v for k, v in kwargs.items() if not k.endswith("_pixels")}
        self.limit = (arguments["limit_mm_per_prompt"] or {}).get("image", 999)
        self.placeholder = self.processor.image_token_id

    def render_cmpl(self, prompts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [self.render(prompt) for prompt in prompts]

    def render(self, prompt: dict[str, Any]) -> dict[str, Any]:
        ids, pages = prompt["prompt_token_ids"], prompt.get("multi_modal_data", {}).get("image", [])
        if len(pages) > self.limit:
            raise ValueError(f"At most {self.limit} image(s) may be provided in one prompt.")
        assert ids.count(self.placeholder) == len(pages)
        media = dict(self.processor.image_processor(list(pages), return_tensors="pt", **self.more)) if pages else {}
        counts = iter([int(n) // 4 for n in media["image_grid_thw"].prod(dim=1)] if pages else [])
        expanded = [token for i in ids for token in ([i] * next(counts) if i == self.placeholder else [i])]
        return {"type": "multimodal" if pages else "token", "prompt_token_ids": expanded, "media": media}


class LLMEngine:
    def __init__(self, arguments: dict[str, Any]) -> None:
        self.renderer, self.dead, self.steps = Renderer(arguments), False, 0
        self.model = load_weights(Path(arguments["model"]), Placement("cpu", dtype=arguments["dtype"]))
        self.eager = self.model.generation_config
        most = arguments["max_model_len"] or self.model.config.get_text_config().max_position_embeddings
        self.model_config = types.SimpleNamespace(max_model_len=most)
        self.engine_core = types.SimpleNamespace(shutdown=self.shutdown)
        self.running: dict[str, tuple[list[int], list[int], Any]] = {}
        self.told: list[tuple[str, Any]] = []  # everything that was asked for, in order

    def add_lora(self, lora_request: Any) -> bool:
        if "adapter" in faults:
            raise ValueError(faults["adapter"])
        self.model = add_adapter(self.model, Path(lora_request.lora_path))
        return True

    def add_request(self, request_id: str, prompt: dict[str, Any], params: Any, *, lora_request: Any = None) -> str:
        ids = prompt["prompt_token_ids"]
        assert request_id not in self.running
        assert len(ids) + params.max_tokens <= self.model_config.max_model_len
        self.told.append(("add", (request_id, len(self.running), params.arguments, lora_request)))
        self.running[request_id] = (ids, self.generate(ids, prompt["media"], params), params)
        return f"{request_id}-internal"

    def generate(self, ids: list[int], media: dict[str, Any], params: Any) -> list[int]:
        inputs = torch.tensor([ids])
        types_ = {"mm_token_type_ids": (inputs == self.renderer.placeholder).long()} if media else {}
        with torch.inference_mode():
            out = self.model.generate(
                input_ids=inputs,
                attention_mask=torch.ones_like(inputs),
                **types_,
                **media,
                max_new_tokens=params.max_tokens,
                do_sample=False,
                eos_token_id=params.stop_token_ids,
                pad_token_id=0,
            )
        return [int(i) for i in out[0, len(ids) :]]

    def step(self) -> list[Output]:
        self.steps += 1
        if faults.get("dies") == self.steps:
            raise RuntimeError("EngineCore encountered an issue")
        outputs = []
        for key, (ids, answer, params) in list(self.running.items()):
            said = sum(kind == "step" and key == of for kind, of in self.told) + 1
            self.told.append(("step", key))
            if said < len(answer):
                continue  # FINAL_ONLY
            del self.running[key]
            reason = faults.get("aborts") or ("stop" if answer[-1] in params.stop_token_ids else "length")
            outputs.append(Output(key, None if faults.get("silent") else ids, answer, reason))
        return outputs

    def abort_request(self, request_ids: list[str], internal: bool = False) -> None:
        for key in request_ids:
            self.told.append(("abort", key))
            del self.running[key]

    def shutdown(self, timeout: float | None = None) -> None:
        self.dead = True

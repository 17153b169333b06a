"""vllm.model_executor.model_loader.utils."""

from __future__ import annotations

from typing import Any


class Qwen2VL:
    supports_tower_connector_lora = True


def get_model_cls(model_config: Any) -> type:
    return Qwen2VL

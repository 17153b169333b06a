"""What ``auto`` comes to on this machine, told from a model's files without reading its weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from ctxbench import ConfigError, ModelError
from ctxbench_transformers.weights import Placement

_SAFETENSORS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def resolved(folder: Path, placement: Placement, *, trust_remote_code: bool = False) -> dict[str, Any]:
    """Kind of device, dtype of the weights, and attention: what decides answers beside the options.

    Raises:
        ModelError: the model's files cannot be read.
    """
    device = _device(placement)
    return {
        "device": device,
        "dtype": _dtype(folder, placement, device),
        "attn": placement.attn_implementation or _attention(folder, trust_remote_code),
    }


def default_device() -> str:
    """``cuda`` if there is a GPU, else ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def check_available(device: str) -> None:
    """Refuse a GPU that this machine has not.

    Raises:
        ConfigError: it is a CUDA device, and there is none of this number.
    """
    kind, _, index = device.partition(":")
    count = torch.cuda.device_count() if kind == "cuda" else None
    if count is not None and int(index or 0) >= count:
        has = f"has {count} CUDA device{'' if count == 1 else 's'}" if count else "has no CUDA device that torch can use"
        raise ConfigError(f"there is no {device}: this machine {has}")


def _device(placement: Placement) -> str:
    """``cpu``, ``cuda``, ...: where ``auto`` and accelerate's maps put weights first."""
    if placement.device_map is not None or placement.device == "auto":
        return default_device()
    return placement.device.partition(":")[0]


def _dtype(folder: Path, placement: Placement, device: str) -> str:
    if placement.dtype != "auto":
        return placement.dtype
    if device == "cpu" and placement.device_map is None:
        return "float32"
    return checkpoint_dtype(folder)


def checkpoint_dtype(folder: Path) -> str:
    """The dtype that transformers loads with ``auto``: the config's, else that of the first floating tensor.

    Raises:
        ModelError: config.json or the header of the weights cannot be read.
    """
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        named = config.get("dtype") or config.get("torch_dtype")
        if named:
            return str(named).removeprefix("torch.")
        from safetensors import safe_open

        with safe_open(min(folder.glob("*.safetensors")), framework="pt") as file:
            kinds = (file.get_slice(key).get_dtype() for key in file.keys())  # noqa: SIM118 (no mapping)
            return next(_SAFETENSORS[kind] for kind in kinds if kind in _SAFETENSORS)
    except Exception as error:
        raise ModelError(f"{folder}: its dtype cannot be told: {type(error).__name__}: {' '.join(str(error).split())[:200]}") from None


def _attention(folder: Path, trust_remote_code: bool) -> str:
    """transformers' own choice: its fused attention where the model's class supports it. ``auto`` if only code of the model's own knows."""
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
        found = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING.get(type(config), None)
    except Exception as error:
        raise ModelError(f"{folder / 'config.json'}: {' '.join(str(error).split())[:300]}") from None
    if found is None:
        return "auto"
    return "sdpa" if found._supports_sdpa else "eager"

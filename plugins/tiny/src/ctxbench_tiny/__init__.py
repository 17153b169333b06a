"""ctxbench model: a small vision-language model, trained for this tool and shipped with it, and its LoRA adapters."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ctxbench import ModelRecord, hookimpl

__version__ = "0.1.0"

WEIGHTS = Path(__file__).parent / "weights"
"""Where the wheel keeps the base model (``base``) and the adapters (``adapters/<name>``)."""


def adapters() -> list[str]:
    """Names of the adapters that this installation ships, for ``--adapter``."""
    return sorted(path.parent.name for path in WEIGHTS.glob("adapters/*/adapter_config.json"))


@hookimpl
def ctxbench_models() -> Iterable[ModelRecord]:
    """The model ``tiny``."""
    yield ModelRecord(
        "tiny", "A Qwen2-VL of a few million parameters that ships with ctxbench; runs on any CPU.", "ctxbench_tiny.model:TinyModel"
    )


__all__ = ["WEIGHTS", "adapters"]

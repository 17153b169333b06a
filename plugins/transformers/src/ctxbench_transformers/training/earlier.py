"""The adapter that a run trains further, in the place of a new one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import attrs

from ctxbench import ConfigError, ModelError
from ctxbench_transformers import provenance, sources
from ctxbench_transformers.training.config import Lora, TrainConfig


def locate(config: TrainConfig) -> Path | None:
    """The folder of ``config.adapter``, ``None`` if a new one is to be made.

    Raises:
        ModelError: there is no such adapter.
    """
    if config.adapter is None:
        return None
    return sources.check_adapter(sources.locate(config.adapter, what="adapter"), config.adapter)


def another_base(config: TrainConfig, adapter: Path, model_fingerprint: str) -> str | None:
    """The fingerprint of the base that an adapter was trained on, if it is another one than here; ``None`` also where it is not known.

    Raises:
        ModelError: it is another one, and the config does not allow it.
    """
    record = provenance.read_record(adapter)
    if record is None or record.base in (None, model_fingerprint):
        return None
    if not config.another_base:
        raise ModelError(
            f"adapter: {config.adapter} was trained on another model than {config.model} "
            f"(fingerprint {record.base}, here {model_fingerprint}); if it is to go on upon this one, set another_base to true"
        )
    return record.base


def with_shape(config: TrainConfig, adapter: Path | None) -> TrainConfig:
    """``config`` with the adapter's own shape.

    Raises:
        ConfigError: the config asks for another one.
        ModelError: the adapter is not LoRA.
    """
    if adapter is None:
        return config
    shape = _shape(adapter)
    for field in attrs.fields(Lora):
        asked, has = getattr(config.lora, field.name), getattr(shape, field.name)
        if asked not in (getattr(Lora(), field.name), has):
            raise ConfigError(f"lora.{field.name}: {config.adapter} is trained further as it is, with {_text(has)}; leave it out")
    return attrs.evolve(config, lora=shape)


def _text(value: Any) -> str:
    return ", ".join(value) or "none" if isinstance(value, tuple) else json.dumps(value)


def _shape(adapter: Path) -> Lora:
    path = adapter / "adapter_config.json"
    try:
        has = json.loads(path.read_text("utf-8"))
        if has.get("peft_type") != "LORA":
            raise ModelError(f"{path}: peft_type {has.get('peft_type')!r}; only LoRA is trained further")
        layers = has.get("target_modules") or ()
        return Lora(
            r=int(has["r"]),
            alpha=int(has["lora_alpha"]),
            dropout=float(has.get("lora_dropout") or 0.0),
            target_modules=_asked(adapter) or ((layers,) if isinstance(layers, str) else _ends(layers)),
            modules_to_save=_ends(has.get("modules_to_save") or ()),
            use_dora=bool(has.get("use_dora")),
            use_rslora=bool(has.get("use_rslora")),
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"{path}: broken ({type(error).__name__}: {error})") from None


def _ends(names: Any) -> tuple[str, ...]:
    """The last parts of modules' paths, each once; numbers with the part before them."""
    return tuple(sorted({re.sub(r"^.*?([^.]*(\.\d+)*)$", r"\1", str(name)) for name in names}))


def _asked(adapter: Path) -> tuple[str, ...]:
    """The layers as the config named them that the adapter was trained with, if its record has it; the adapter names each of them."""
    try:
        record = json.loads((adapter / provenance.RECORD).read_text("utf-8"))
        return tuple(record["training_config"]["lora"]["target_modules"])
    except (OSError, ValueError, TypeError, KeyError):
        return ()

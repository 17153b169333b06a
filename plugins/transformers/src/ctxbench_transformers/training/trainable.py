"""Loads the base model and makes the right part of it trainable: LoRA, QLoRA, or everything."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from ctxbench import ConfigError, derive_seed
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.weights import Placement, Quantization, add_adapter, keep_layout, load_weights, quiet

LANGUAGE = ("language_model", "text_model")
"""Names under which transformers' image-text models keep their language model."""


_FROZEN = {"bf16": "bfloat16", "fp16": "float16"}


def load_trainable(config: TrainConfig, folder: Path, device: torch.device, adapter: Path | None = None) -> Any:
    """The model with its trainable part in float32 and in training mode; the same initial weights for the same seed.

    Args:
        adapter: one that is trained further, in the place of a new one.

    Raises:
        ModelError: the model or the adapter cannot be loaded.
        ConfigError: the LoRA targets match nothing.
    """
    model = load_weights(folder, _placement(config, device), trust_remote_code=config.trust_remote_code)
    model.requires_grad_(config.method == "full")
    keep_layout(model, always=True)
    if config.gradient_checkpointing:
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    if config.method != "full":
        model = _with_lora(model, config) if adapter is None else add_adapter(model, adapter, trainable=True)
        _tidy(model, config)
    model.train()
    return model


def _placement(config: TrainConfig, device: torch.device) -> Placement:
    quantization = None
    if config.method == "qlora":
        q = config.quantization
        quantization = Quantization(4, q.type, q.double_quant, q.compute_dtype)  # type: ignore[arg-type]
    # Weights that the optimizer changes are kept in float32; a step of 1e-5 would round away in bfloat16.
    dtype = "float32" if config.method == "full" or config.precision == "fp32" else _FROZEN[config.precision]
    return Placement(str(device), None, dtype, config.attn_implementation, quantization)


def _with_lora(model: Any, config: TrainConfig) -> Any:
    with quiet():
        from peft import LoraConfig, get_peft_model

    whole = trained_whole(model, config.lora.modules_to_save)
    lora = LoraConfig(
        r=config.lora.r,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        target_modules=targets(model, config.lora.target_modules, whole),
        modules_to_save=whole or None,
        use_dora=config.lora.use_dora,
        use_rslora=config.lora.use_rslora,
        task_type="CAUSAL_LM",
    )
    torch.manual_seed(derive_seed("init", config.seed))
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft's advice about modules that are not ours to choose
        return get_peft_model(model, lora)


def _tidy(adapted: Any, config: TrainConfig) -> None:
    """See to what peft writes into the adapter's config, and to the dtype of its weights."""
    written = adapted.peft_config["default"]
    written.base_model_name_or_path = config.model
    if not isinstance(written.target_modules, str):  # a set, whose order would change the adapter's fingerprint from run to run
        written.target_modules = sorted(written.target_modules)
    for parameter in trained_parameters(adapted).values():  # peft leaves modules that are trained whole in the base's dtype
        parameter.data = parameter.data.float()


def targets(model: Any, wanted: tuple[str, ...], whole: Sequence[str] = ()) -> list[str]:
    """Full names of the linear layers that ``wanted`` means; see :class:`~ctxbench_transformers.training.config.Lora`.

    Those inside modules that are trained as a ``whole`` are left out.

    Raises:
        ConfigError: an entry matches no linear layer.
    """
    linear = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear) and not name.endswith("lm_head")]
    linear = [name for name in linear if not any(name == other or name.startswith(f"{other}.") for other in whole)]
    found: dict[str, None] = {}
    for entry in wanted:
        if entry in ("language", "vision", "all"):
            some = [name for name in linear if entry == "all" or in_language(name) == (entry == "language")]
        else:
            some = _named(linear, entry)
        if not some:
            last = ", ".join(sorted({name.rpartition(".")[2] for name in linear}))
            raise ConfigError(f"lora.target_modules: {entry!r} matches no linear layer; the model's are named {last}")
        found.update(dict.fromkeys(some))
    return list(found)


def trained_whole(model: Any, wanted: tuple[str, ...]) -> list[str]:
    """Full names of the modules that ``wanted`` means: those whose name it is, or the end of whose path.

    Raises:
        ConfigError: an entry matches no module, one with other matches inside it, or one whose weights are quantised.
    """
    modules = {name: module for name, module in model.named_modules() if name and any(True for _ in module.parameters())}
    found: dict[str, None] = {}
    for entry in wanted:
        some = _named(modules, entry)
        if not some:
            last = ", ".join(sorted({part for name in modules if not (part := name.rpartition(".")[2]).isdigit()}))
            raise ConfigError(f"lora.modules_to_save: {entry!r} matches no module with weights; the model's are named {last}")
        found.update(dict.fromkeys(some))
    for name in found:
        inside = next((other for other in found if other.startswith(f"{name}.")), None)
        if inside is not None:
            raise ConfigError(f"lora.modules_to_save: {inside} is a part of {name}; name one of them")
        if any(not parameter.is_floating_point() for parameter in modules[name].parameters()):
            raise ConfigError(f"lora.modules_to_save: the weights of {name} are in 4 bit and cannot be trained; take method: lora")
    return list(found)


def _named(names: Iterable[str], entry: str) -> list[str]:
    return [name for name in names if name == entry or name.endswith(f".{entry}")]


def base_of(model: Any) -> Any:
    """The model below an adapter, with the adapter's layers in it; a model without one as it is."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def in_language(name: str) -> bool:
    """Whether a module of that path is a part of the language model."""
    return any(part in LANGUAGE for part in name.split("."))


def trained_parameters(model: Any) -> dict[str, torch.nn.Parameter]:
    """Trainable parameters by name, in the model's order."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}

"""What a training run will take, before any weights are read: from the model's config and the data's manifest alone.

Weights, gradients and optimizer states are counted exactly. Activations are estimated after Korthikanti et al. 2022, "Reducing Activation
Recomputation in Large Transformer Models", equation 2 without its attention-score term (fused attention keeps no scores): 34 bytes a token,
a hidden unit and a layer at 16 bit, twice that at 32 bit; with checkpointing, each layer's input and one whole layer.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import attrs
import torch

from ctxbench import ModelError
from ctxbench_transformers import sources
from ctxbench_transformers.data import Datasets
from ctxbench_transformers.training import earlier
from ctxbench_transformers.training.auxiliary import make_parts
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.optimizer import moments_bytes, takes_muon
from ctxbench_transformers.training.prepare import make_schedule
from ctxbench_transformers.training.trainable import targets, trained_whole
from ctxbench_transformers.weights import quiet

_TEMPLATE = 40
"""Tokens that a chat template puts around a prompt and an answer, roughly."""
_LAYER = 34


@attrs.frozen
class Estimate:
    """Bytes are for one process. ``tokens``: the longest example; ``pages``: its visual tokens."""

    parameters: int
    trainable: int
    weights_bytes: int
    training_bytes: int
    activation_bytes: int
    steps: int
    examples: int
    batch: int
    tokens: int
    visual_tokens: int

    @property
    def total_bytes(self) -> int:
        """All of it, without the framework's own few hundred megabytes."""
        return self.weights_bytes + self.training_bytes + self.activation_bytes

    def plain(self) -> dict[str, int]:
        """For ``--json``."""
        return attrs.asdict(self) | {"total_bytes": self.total_bytes}

    def lines(self) -> list[str]:
        """For people."""
        share = 100 * self.trainable / self.parameters
        return [
            f"parameters        {self.parameters:>15,}",
            f"trainable         {self.trainable:>15,}  ({share:.2f} %)",
            f"examples          {self.examples:>15,}",
            f"steps             {self.steps:>15,}  of {self.batch} examples",
            f"longest example   {self.tokens:>15,}  tokens, {self.visual_tokens:,} of them visual",
            f"weights           {_size(self.weights_bytes)}",
            f"training state    {_size(self.training_bytes)}  gradients and trained weights in float32, and moments",
            f"activations       {_size(self.activation_bytes)}  estimated",
            f"memory            {_size(self.total_bytes)}  a process",
        ]


def _size(value: int) -> str:
    unit, name = (2**30, "GiB") if value >= 2**30 else (2**20, "MiB")
    return f"{value / unit:>11.2f} {name}"


def skeleton(config: TrainConfig, folder: Path) -> Any:
    """The model without weights: every tensor is on the meta device and takes no memory.

    Raises:
        ModelError: the folder's config is not that of an image-text model.
    """
    try:
        with quiet(), torch.device("meta"):
            from transformers import AutoConfig, AutoModelForImageTextToText

            settings = AutoConfig.from_pretrained(folder, trust_remote_code=config.trust_remote_code)
            return AutoModelForImageTextToText.from_config(settings, trust_remote_code=config.trust_remote_code)
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{folder}: no image-text model: {' '.join(str(error).split())[:300]}") from None


def estimate(config: TrainConfig, processes: int = 1) -> Estimate:
    """Count and estimate.

    Raises:
        ConfigError: no training data, or the LoRA targets or a part match nothing.
        ModelError: the model's config cannot be found.
    """
    make_parts(config)  # their heads are not counted
    data = Datasets(config.data)
    folder = sources.locate(config.model, config.revision)
    model = skeleton(config, folder)
    longest = data.longest
    length = sum(longest.values()) + _TEMPLATE
    adapter = earlier.locate(config)  # whether it is of this base would take reading all weights
    config = earlier.with_shape(config, adapter)
    schedule = make_schedule(config, data.split("train"), processes)
    layers = dict(model.named_modules())
    total = sum(p.numel() for p in model.parameters())
    added = [] if config.method == "full" else _added(config, model, layers) if adapter is None else _in(adapter)
    trained = [(p.numel(), takes_muon(name, p.ndim)) for name, p in model.named_parameters()] if config.method == "full" else added
    own = 4 * sum(size for size, _ in added)  # an adapter's weights, in float32; those of full fine-tuning are counted as weights
    return Estimate(
        parameters=total + sum(size for size, _ in added),
        trainable=sum(size for size, _ in trained),
        weights_bytes=weights_bytes(config, model, total),
        training_bytes=own + sum(4 * size + moments_bytes(config, size, muon=muon) for size, muon in trained),  # with a float32 gradient
        activation_bytes=activation_bytes(config, model, length, longest["visual"], longest["answer"]),
        steps=schedule.steps,
        examples=schedule.examples,
        batch=schedule.batch,
        tokens=length,
        visual_tokens=longest["visual"],
    )


def _added(config: TrainConfig, model: Any, layers: dict[str, Any]) -> list[tuple[int, bool]]:
    """Elements of each tensor of an adapter, and whether Muon would train it.

    They are two matrices a layer, DoRA's magnitudes, and copies of modules that are trained whole.
    """
    whole = trained_whole(model, config.lora.modules_to_save)
    wanted = targets(model, config.lora.target_modules, whole)
    widths = {name: (layers[name].in_features, layers[name].out_features) for name in wanted}
    found = [(config.lora.r * width, takes_muon(name, 2)) for name, both in widths.items() for width in both]
    found += [(out, False) for _, out in widths.values()] if config.lora.use_dora else []
    return found + [(p.numel(), takes_muon(f"{name}.{own}", p.ndim)) for name in whole for own, p in layers[name].named_parameters()]


def _in(adapter: Path) -> list[tuple[int, bool]]:
    """Elements of each tensor of an adapter that is there, and whether Muon would train it."""
    from safetensors import safe_open

    with safe_open(str(adapter / "adapter_model.safetensors"), framework="numpy") as tensors:
        shapes = {key: tensors.get_slice(key).get_shape() for key in tensors.keys()}  # noqa: SIM118 - no mapping
    return [(math.prod(shape), takes_muon(key, len(shape))) for key, shape in shapes.items()]


def weights_bytes(config: TrainConfig, model: Any, total: int) -> int:
    """Bytes of the frozen weights (of all weights, for full fine-tuning)."""
    width = 4 if config.method == "full" or config.precision == "fp32" else 2
    if config.method != "qlora":
        return total * width
    linear = [m for name, m in model.named_modules() if isinstance(m, torch.nn.Linear) and not name.endswith("lm_head")]
    quantised = sum(m.weight.numel() for m in linear)
    # One float32 constant a block of 64; double quantisation keeps it in 8 bits and one float32 a block of 256 of those.
    constants = quantised / 64 * ((1 + 4 / 256) if config.quantization.double_quant else 4)
    return int(quantised / 2 + constants + (total - quantised) * width)


def activation_bytes(config: TrainConfig, model: Any, length: int, visual: int, answer: int) -> int:
    """Bytes of activations of one forward and backward pass; see the module's own words for the formula and its source."""
    wide = 2 if config.precision == "fp32" else 1
    text = model.config.get_text_config()
    vision = model.config.vision_config
    hidden, layers = text.hidden_size, text.num_hidden_layers
    width = getattr(vision, "embed_dim", None) or vision.hidden_size
    depth = getattr(vision, "depth", None) or getattr(vision, "num_hidden_layers", 1)
    patches = visual * getattr(vision, "spatial_merge_size", 2) ** 2
    parts = [(length, hidden, layers), (patches, width, depth)]
    if config.gradient_checkpointing:
        kept = sum(n * w * (2 * d) for n, w, d in parts) + max(n * w * _LAYER for n, w, _ in parts)
    else:
        kept = sum(n * w * d * _LAYER for n, w, d in parts)
    logits = answer * text.vocab_size * 4 * 3  # the logits, their float32 copy and its gradient
    return int(config.batch_size * (kept * wide + logits))

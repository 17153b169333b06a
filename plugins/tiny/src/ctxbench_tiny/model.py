"""The model ``tiny``: packaged weights behind the very code path of ``hf:<folder>``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs

import ctxbench_tiny
from ctxbench import Model, ModelError, Prompt, Reading, TokenUsage, option
from ctxbench.contamination import TrainingData
from ctxbench.options import Boolean, Integer, Optional, String
from ctxbench_transformers import load

REMAKE = "python plugins/tiny/train/make.py --texts TEXTS"
"""The command that makes weights from nothing, in a checkout."""


def base_folder() -> Path:
    """The folder of the base model.

    Raises:
        ModelError: this installation carries no weights.
    """
    folder = ctxbench_tiny.WEIGHTS / "base"
    if not (folder / "config.json").is_file():
        raise ModelError(f"model 'tiny': no weights in {folder}; reinstall ctxbench-tiny, or in a checkout make them: {REMAKE}")
    return folder


def adapter_folder(name: str) -> Path:
    """The folder of an adapter: one that ships with the model, by name, or the user's own, by path.

    Raises:
        ModelError: there is neither; the message gives the names that there are.
    """
    packaged = ctxbench_tiny.adapters()
    if name in packaged:
        return ctxbench_tiny.WEIGHTS / "adapters" / name
    folder = Path(name).expanduser()
    if (folder / "adapter_config.json").is_file():
        return folder
    known = ", ".join(packaged) or "none are installed"
    raise ModelError(f"model 'tiny': adapter {name!r} is neither a packaged one ({known}) nor a folder with an adapter_config.json")


@attrs.frozen
class TinyModel(Model):
    """The embedded model.

    Attributes:
        adapter: name of a packaged adapter, or a folder.
        dtype: of weights and arithmetic. The weights are stored in bfloat16; ``auto`` computes in float32 on a CPU.
        device: where it computes: ``auto``, ``cpu``, ``cuda``, ...
        max_new_tokens: for every answer; ``None`` derives it from the expected answer's length.
        batch_size: the most prompts in one batch; ``None`` takes what the engine hands over.
        batch_invariant: answer every prompt alone, so that in bfloat16 no answer depends on its neighbours.

    Raises:
        ModelError: no weights, or no such adapter.
    """

    version: ClassVar[int] = 1
    neutral_options: ClassVar[frozenset[str]] = frozenset({"batch_size"})
    beside: ClassVar[bool] = True

    adapter: str | None = option(Optional(String()), None)
    dtype: str = option(String(("auto", "float32", "bfloat16")), "auto", kw_only=True)
    device: str = option(String(), "auto", kw_only=True)
    max_new_tokens: int | None = option(Optional(Integer(1)), None, kw_only=True)
    batch_size: int | None = option(Optional(Integer(1)), None, eq=False, kw_only=True)
    batch_invariant: bool = option(Boolean(), False, kw_only=True)
    fingerprint: str = attrs.field(init=False, eq=False)
    adapter_fingerprint: str = attrs.field(init=False, eq=False)
    family: str | None = attrs.field(init=False, eq=False)
    training_data: tuple[TrainingData, ...] | None = attrs.field(init=False, eq=False, repr=False)
    layouts: Mapping[str, Mapping[str, Any]] = attrs.field(init=False, eq=False, repr=False)
    shares: str | None = attrs.field(init=False, eq=False, repr=False)
    _inner: Model = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        # Merging is exact enough here (float32 arithmetic) and spares every step the adapter's own products.
        merge = {"merge_adapter": True} if self.adapter is not None else {}
        inner = load(
            base_folder(),
            adapter_folder(self.adapter) if self.adapter is not None else None,
            dtype=self.dtype,
            device=self.device,
            max_new_tokens=self.max_new_tokens,
            batch_size=self.batch_size,
            batch_invariant=self.batch_invariant,
            **merge,
        )
        object.__setattr__(self, "_inner", inner)
        for name in ("fingerprint", "adapter_fingerprint", "family", "training_data", "layouts", "shares"):
            object.__setattr__(self, name, getattr(inner, name))

    @property
    def config(self) -> dict[str, object]:
        """The options that decide answers; ``batch_size`` does not."""
        return {key: value for key, value in super().config.items() if key not in self.neutral_options}

    @property
    def runtime(self) -> dict[str, Any]:
        """Device, dtype and attention, as they come out of ``auto`` on this machine."""
        return self._inner.runtime

    @property
    def pixel_budget(self) -> tuple[int | None, int | None]:
        """(min_pixels, max_pixels) of a page: Qwen2-VL's own."""
        return self._inner.pixel_budget

    def read(self, prompts: Sequence[Prompt]) -> Sequence[Reading]:
        """Answer prompts by greedy decoding."""
        return self._inner.read(prompts)

    def ahead(self, prompts: Sequence[Prompt]) -> None:
        """Begin with the processor's work."""
        self._inner.ahead(prompts)

    def give_up(self) -> None:
        """End what is being answered, at the next token."""
        self._inner.give_up()

    def placed(self, device: str) -> Mapping[str, Any] | None:
        """The option ``device``."""
        return self._inner.placed(device)

    def count(self, prompt: Prompt) -> TokenUsage | None:
        """Token usage by the model's own processor."""
        return self._inner.count(prompt)

    def close(self) -> None:
        """Drop the weights."""
        self._inner.close()

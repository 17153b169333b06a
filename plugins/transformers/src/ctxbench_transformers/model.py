"""The model ``hf``: any image-text model that transformers can load, as ctxbench's interface wants it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ctxbench import Model, ModelError, Prompt, Reading, TokenUsage, option, stable_hash
from ctxbench.options import Boolean, Either, Integer, Number, Optional, String, Table
from ctxbench_transformers import sources, templates
from ctxbench_transformers.located import Located, locate, with_training_data

if TYPE_CHECKING:
    from ctxbench.contamination import TrainingData
    from ctxbench_transformers.encoding import Encoded, Encoder
    from ctxbench_transformers.runtime import Runtime
    from ctxbench_transformers.weights import Placement

SORTED = 4
"""Batches that are formed together, of prompts sorted by length, where the model's options bound a batch."""
DTYPES = ("auto", "float32", "bfloat16", "float16")


@attrs.frozen
class HFModel(Model):
    """A local vision-language model.

    Everything but the weights is checked when the model is made; the weights are read when it first answers.

    Attributes:
        reference: a folder, or an id on the hub.
        adapter: a folder or a hub id of a LoRA adapter.
        revision: branch, tag or commit on the hub.
        dtype: ``auto`` is the checkpoint's own dtype on a GPU and float32 on a CPU.
        device: where it computes: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ...
        device_map: accelerate's, for a model that spans devices, in place of ``device``: ``auto``, or modules and their devices.
        attn_implementation: ``eager``, ``sdpa``, ``flash_attention_2``; ``None`` lets transformers choose.
        quantization: ``4bit`` or ``8bit`` through bitsandbytes.
        quant_type: of 4-bit weights, ``nf4`` or ``fp4``.
        double_quant: quantise the scales of 4-bit weights as well.
        compute_dtype: in which quantised weights are multiplied.
        min_pixels: area in px that a smaller page is scaled up to, for processors that have a pixel budget; ``None`` is their own.
        max_pixels: area in px that a larger page is scaled down to; ``None`` is the processor's own.
        chat_template: for a model without one, or in place of its own: a file, or the Jinja text itself.
        merge_adapter: add the adapter into the weights: faster, and rounded once more.
        max_new_tokens: for every answer; ``None`` derives it from the expected answer (its tokens, half as many again and 32 at least).
        temperature: 0 is greedy decoding; else of sampling, which is reproducible and independent of the batch.
        top_p: sample from the likeliest tokens that have this probability together.
        top_k: sample from so many of the likeliest tokens; 0 is all.
        repetition_penalty: what the logits of tokens that were said are divided by; 1 is none.
        seed: of sampling.
        batch_size: the most prompts in one batch; ``None`` takes what the engine hands over.
        batch_tokens: the most tokens in one batch, padding and answers included; ``None`` is any number. Where this or ``batch_size`` is
            set, the engine hands over several batches at once, and prompts of similar length go together.
        batch_invariant: answer every prompt alone, so that no answer depends on its neighbours in arithmetic that rounds (bfloat16).
        trust_remote_code: let Python code that comes with the model run on this machine.

    Raises:
        ModelError: the model or the adapter is missing or incomplete.
    """

    version: ClassVar[int] = 1
    neutral_options: ClassVar[frozenset[str]] = frozenset({"batch_size", "batch_tokens"})
    beside: ClassVar[bool] = True

    reference: str = option(String(), "")
    adapter: str | None = option(Optional(String()), None)
    revision: str | None = option(Optional(String()), None, kw_only=True)
    dtype: str = option(String(DTYPES), "auto", kw_only=True)
    device: str = option(String(), "auto", kw_only=True)
    device_map: str | dict[str, Any] | None = option(Optional(Either(String(), Table())), None, kw_only=True)
    attn_implementation: str | None = option(Optional(String()), None, kw_only=True)
    quantization: str | None = option(Optional(String(("4bit", "8bit"))), None, kw_only=True)
    quant_type: str = option(String(("nf4", "fp4")), "nf4", kw_only=True)
    double_quant: bool = option(Boolean(), True, kw_only=True)
    compute_dtype: str = option(String(DTYPES[1:]), "bfloat16", kw_only=True)
    min_pixels: int | None = option(Optional(Integer(1)), None, kw_only=True)
    max_pixels: int | None = option(Optional(Integer(1)), None, kw_only=True)
    chat_template: str | None = option(Optional(String()), None, converter=templates.text_of, kw_only=True)
    merge_adapter: bool = option(Boolean(), False, kw_only=True)
    max_new_tokens: int | None = option(Optional(Integer(1)), None, kw_only=True)
    temperature: float = option(Number(0, 100), 0.0, kw_only=True)
    top_p: float = option(Number(1e-6, 1), 1.0, kw_only=True)
    top_k: int = option(Integer(0), 0, kw_only=True)
    repetition_penalty: float = option(Number(1e-3, 100), 1.0, kw_only=True)
    seed: int = option(Integer(0), 0, kw_only=True)
    batch_size: int | None = option(Optional(Integer(1)), None, eq=False, kw_only=True)
    batch_tokens: int | None = option(Optional(Integer(1)), None, eq=False, kw_only=True)
    batch_invariant: bool = option(Boolean(), False, kw_only=True)
    trust_remote_code: bool = option(Boolean(), False, kw_only=True)
    folder: Path = attrs.field(init=False, eq=False, repr=False)
    adapter_folder: Path | None = attrs.field(init=False, eq=False, repr=False)
    fingerprint: str = attrs.field(init=False, eq=False)
    adapter_fingerprint: str = attrs.field(init=False, eq=False)
    family: str | None = attrs.field(init=False, eq=False)
    training_data: tuple[TrainingData, ...] | None = attrs.field(init=False, eq=False, repr=False)
    layouts: Mapping[str, Mapping[str, Any]] = attrs.field(init=False, eq=False, repr=False)
    _held: dict[str, Any] = attrs.field(init=False, factory=dict, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if not self.reference:
            raise ValueError("which one? write hf:<hub id or folder>")
        if self.merge_adapter and self.quantization is not None:
            raise ValueError("merge_adapter: an adapter cannot be merged into quantised weights")
        found = locate(self.reference, self.adapter, revision=self.revision, code=self.trust_remote_code, chat_template=self.chat_template)
        for field in attrs.fields(Located):
            object.__setattr__(self, field.name, getattr(found, field.name))

    @property
    def config(self) -> dict[str, Any]:
        """The options that decide answers; ``batch_size`` does not. A template is there as its text."""
        return {key: value for key, value in super().config.items() if key not in self.neutral_options}

    def read(self, prompts: Sequence[Prompt]) -> list[Reading]:
        """Answer prompts, in batches of similar length."""
        from ctxbench_transformers.decoding import Decoding
        from ctxbench_transformers.runtime import Sizing

        decoding = Decoding(self.temperature, self.top_p, self.top_k, self.repetition_penalty, self.seed)
        runtime = self._runtime()
        with self._held["base"].using(self._held["adapter"]):
            size = 1 if self.batch_invariant else self.batch_size
            readings = runtime.answer(prompts, decoding, Sizing(self.max_new_tokens), size, self._encode, self.batch_tokens)
        return with_training_data(readings, self.training_data)

    @property
    def at_once(self) -> int:  # type: ignore[override]
        """Prompts among which those of similar length are looked for, where batches are bounded."""
        if self.batch_invariant or (self.batch_size is None and self.batch_tokens is None):
            return 1
        return SORTED * (self.batch_size or 8)

    def count(self, prompt: Prompt) -> TokenUsage:
        """Token usage by the model's own processor; the weights are not needed.

        Raises:
            ModelError: the processor cannot take the prompt.
        """
        from ctxbench_transformers.usage import Counter

        encoder = self._encoder()
        return Counter(encoder.processor, self.family).usage(encoder.encode_prompt(prompt))

    @property
    def shares(self) -> str | None:  # type: ignore[override]
        """The same for the bare base and every LoRA adapter that is switched on it; ``None`` where the weights are this model's own."""
        own = self.quantization is not None or self.merge_adapter
        if own or not (self.adapter_folder is None or sources.can_switch(self.adapter_folder)):
            return None
        where = (self.device, self.device_map, self.dtype, self.attn_implementation, self.trust_remote_code)
        return f"hf:{stable_hash([self.fingerprint, *where])[:32]}"

    @property
    def runtime(self) -> dict[str, Any]:
        """Device, dtype of the weights and attention, as they come out of ``auto`` on this machine."""
        from ctxbench_transformers.resolved import resolved

        return resolved(self.folder, self._placement(), trust_remote_code=self.trust_remote_code)

    @property
    def pixel_budget(self) -> tuple[int | None, int | None]:
        """What the processor holds a page's pixels to, by its own files or the options; (``None``, ``None``) for one without a budget."""
        from ctxbench_transformers.processors import own_budget

        return own_budget(self.folder, self.family, (self.min_pixels, self.max_pixels), lambda: self._encoder().processor)

    def ahead(self, prompts: Sequence[Prompt]) -> None:
        """Begin with the processor's work on prompts that will be read soon."""
        from ctxbench_transformers.ahead import Ahead

        if "ahead" not in self._held:
            try:
                self._held["ahead"] = Ahead(self._encoder().copy().encode_prompt)
            except ModelError:  # reading will say so, prompt by prompt
                return
        self._held["ahead"].announce(prompts)

    def placed(self, device: str) -> dict[str, Any] | None:
        """The option ``device``; ``None`` for a model that ``device_map`` spreads over devices.

        Raises:
            ConfigError: this machine has no such GPU.
        """
        from ctxbench_transformers.resolved import check_available

        if self.device_map is not None:
            return None
        check_available(device)
        return {"device": device}

    def _encode(self, prompt: Prompt) -> Encoded:
        ahead = self._held.get("ahead")
        encoded: Encoded = ahead.take(prompt) if ahead is not None else self._encoder().encode_prompt(prompt)
        return encoded

    def give_up(self) -> None:
        """End what is being answered, at the next token."""
        self._held["stopped"] = True

    def close(self) -> None:
        """Drop the weights; memory that other models share is freed when the last of them is closed."""
        if not self._held:
            return
        if "ahead" in self._held:
            self._held["ahead"].close()
        loaded = "base" in self._held
        self._held.clear()
        if loaded:
            from ctxbench_transformers.shared import free_memory

            free_memory()

    def _placement(self) -> Placement:
        from ctxbench_transformers.weights import Placement, Quantization

        quantization = None
        if self.quantization is not None:
            quantization = Quantization(int(self.quantization[0]), self.quant_type, self.double_quant, self.compute_dtype)  # type: ignore[arg-type]
        return Placement(self.device, self.device_map, self.dtype, self.attn_implementation, quantization)

    def _encoder(self) -> Encoder:
        from ctxbench_transformers.encoding import Encoder
        from ctxbench_transformers.processors import load_processor

        if "encoder" not in self._held:
            processor = load_processor(
                self.folder,
                min_pixels=self.min_pixels,
                max_pixels=self.max_pixels,
                chat_template=self.chat_template,
                trust_remote_code=self.trust_remote_code,
            )
            self._held["encoder"] = Encoder(processor)
        encoder: Encoder = self._held["encoder"]
        return encoder

    def _runtime(self) -> Runtime:
        """The loaded model. A failure is kept and raised again, so that weights that cannot be read are tried once."""
        if "failure" in self._held:
            raise ModelError(str(self._held["failure"]))
        if "runtime" not in self._held or self._held["base"].broken:
            try:
                self._held["runtime"] = self._load()
            except ModelError as error:
                self._held.pop("base", None)
                self._held["failure"] = error
                raise
        runtime: Runtime = self._held["runtime"]
        return runtime

    def _load(self) -> Runtime:
        from ctxbench_transformers.runtime import make_runtime
        from ctxbench_transformers.shared import shared_base
        from ctxbench_transformers.weights import load_adapter

        encoder = self._encoder()
        base = shared_base(self.shares, self.folder, self._placement(), trust_remote_code=self.trust_remote_code)
        model, name = base.model, None
        if self.adapter_folder is not None and self.shares is not None:
            name = base.adapter(self.adapter_folder, self.adapter_fingerprint)
        elif self.adapter_folder is not None:
            model = load_adapter(model, self.adapter_folder, merge=self.merge_adapter)
        self._held.update(base=base, adapter=name)
        runtime = make_runtime(model, encoder, self.family, base.generation)
        runtime.stopped = lambda: "stopped" in self._held
        return runtime

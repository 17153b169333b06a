"""The model ``vllm``: an image-text model that vLLM reads in process, as ctxbench's interface wants it."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ctxbench import Model, ModelError, Prompt, Reading, TokenUsage, option
from ctxbench.options import Boolean, Integer, Number, Optional, String, Table
from ctxbench_transformers import templates
from ctxbench_transformers.located import Located, locate, with_training_data
from ctxbench_vllm import engine, lora

if TYPE_CHECKING:
    from ctxbench.contamination import TrainingData
    from ctxbench_transformers.encoding import Encoder
    from ctxbench_vllm.answering import Answering, Inputs

BUDGET = ("min_pixels", "max_pixels")
OWN = (
    *("model", "dtype", "trust_remote_code", "seed", "max_model_len", "max_num_seqs", "quantization", "mm_processor_kwargs"),
    *("limit_mm_per_prompt", "tensor_parallel_size", "gpu_memory_utilization", "enforce_eager", "generation_config"),
    *("enable_lora", "max_lora_rank", "enable_tower_connector_lora", "skip_tokenizer_init"),
)
"""Arguments of vLLM that ``engine`` may not set: they follow from options of this model."""

_warned: set[str] = set()


def _plain_dict(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else value


@attrs.frozen
class VLLMModel(Model):
    """A local vision-language model that vLLM reads in process.

    Everything but the weights is checked when the model is made; vLLM loads them when it first answers.

    Attributes:
        reference: a folder, or an id on the hub.
        adapter: a folder or a hub id of a LoRA adapter, which goes with every request. One with weights of the vision part is refused
            unless ``tower_lora`` is on.
        revision: branch, tag or commit on the hub.
        dtype: ``auto`` is the checkpoint's own dtype on a GPU and float32 on a CPU.
        min_pixels: area in px that a smaller page is scaled up to, for processors that have a pixel budget; ``None`` is their own.
        max_pixels: area in px that a larger page is scaled down to; ``None`` is the processor's own.
        mm_processor_kwargs: further arguments of the processor, vLLM's and the one that checks its counts.
        limit_mm_per_prompt: the most items of each kind in a prompt, as in ``{image: 16}``, for which vLLM reserves memory.
        tower_lora: let vLLM put LoRA beside layers of the vision part, which it calls experimental.
        chat_template: for a model without one, or in place of its own: a file, or the Jinja text itself.
        on_mismatch: what becomes of an answer when vLLM read other tokens than the model's own processor makes: ``error``, or ``flag``,
            which keeps it with vLLM's counts.
        max_new_tokens: for every answer; ``None`` derives it from the expected answer (its tokens, half as many again and 32 at least).
        temperature: 0 is greedy decoding.
        top_p: sample from the likeliest tokens that have this probability together.
        top_k: sample from so many of the likeliest tokens; 0 is all.
        repetition_penalty: what the logits of tokens that were said are divided by; 1 is none.
        seed: of sampling; each prompt has a seed of its own that follows from it.
        max_model_len: the most tokens of a prompt and its answer together; ``None`` is what the model has positions for.
        max_num_seqs: the most prompts that are answered at the same time.
        quantization: how the weights are quantised (``awq``, ``fp8``, ``bitsandbytes``, ...), in vLLM's words.
        tensor_parallel_size: GPUs that share the model.
        gpu_memory_utilization: share of a GPU's memory that vLLM takes.
        enforce_eager: do without CUDA graphs and compilation.
        batch_invariant: answer every prompt alone, so that no answer depends on its neighbours in arithmetic that rounds.
        trust_remote_code: let Python code that comes with the model run on this machine.
        engine: further arguments of ``vllm.LLM``, such as ``{kv_cache_memory_bytes: 1073741824}``.

    Raises:
        ModelError: vLLM is not installed, the model or the adapter is missing or incomplete, or vLLM would leave out some of the adapter.
    """

    version: ClassVar[int] = 1
    neutral_options: ClassVar[frozenset[str]] = frozenset({"max_num_seqs", "gpu_memory_utilization"})
    beside: ClassVar[bool] = True

    reference: str = option(String(), "")
    adapter: str | None = option(Optional(String()), None)
    revision: str | None = option(Optional(String()), None, kw_only=True)
    dtype: str = option(String(("auto", "float32", "bfloat16", "float16")), "auto", kw_only=True)
    min_pixels: int | None = option(Optional(Integer(1)), None, kw_only=True)
    max_pixels: int | None = option(Optional(Integer(1)), None, kw_only=True)
    mm_processor_kwargs: dict[str, Any] = option(Table(), factory=dict, converter=_plain_dict, kw_only=True)
    limit_mm_per_prompt: dict[str, Any] | None = option(Optional(Table()), None, converter=_plain_dict, kw_only=True)
    tower_lora: bool = option(Boolean(), False, kw_only=True)
    chat_template: str | None = option(Optional(String()), None, converter=templates.text_of, kw_only=True)
    on_mismatch: str = option(String(("error", "flag")), "error", kw_only=True)
    max_new_tokens: int | None = option(Optional(Integer(1)), None, kw_only=True)
    temperature: float = option(Number(0, 100), 0.0, kw_only=True)
    top_p: float = option(Number(1e-6, 1), 1.0, kw_only=True)
    top_k: int = option(Integer(0), 0, kw_only=True)
    repetition_penalty: float = option(Number(1e-3, 100), 1.0, kw_only=True)
    seed: int = option(Integer(0), 0, kw_only=True)
    max_model_len: int | None = option(Optional(Integer(1)), None, kw_only=True)
    max_num_seqs: int = option(Integer(1), 32, eq=False, kw_only=True)
    quantization: str | None = option(Optional(String()), None, kw_only=True)
    tensor_parallel_size: int = option(Integer(1), 1, kw_only=True)
    gpu_memory_utilization: float = option(Number(0.01, 1), 0.9, eq=False, kw_only=True)
    enforce_eager: bool = option(Boolean(), False, kw_only=True)
    batch_invariant: bool = option(Boolean(), False, kw_only=True)
    trust_remote_code: bool = option(Boolean(), False, kw_only=True)
    engine: dict[str, Any] = option(Table(), factory=dict, converter=_plain_dict, kw_only=True)
    folder: Path = attrs.field(init=False, eq=False, repr=False)
    adapter_folder: Path | None = attrs.field(init=False, eq=False, repr=False)
    fingerprint: str = attrs.field(init=False, eq=False)
    adapter_fingerprint: str = attrs.field(init=False, eq=False)
    family: str | None = attrs.field(init=False, eq=False)
    training_data: tuple[TrainingData, ...] | None = attrs.field(init=False, eq=False, repr=False)
    layouts: Mapping[str, Mapping[str, Any]] = attrs.field(init=False, eq=False, repr=False)
    _held: dict[str, Any] = attrs.field(init=False, factory=dict, eq=False, repr=False)
    _lock: Any = attrs.field(init=False, factory=threading.Lock, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if not self.reference:
            raise ValueError("which one? write vllm:<hub id or folder>")
        if taken := [name for name in OWN if name in self.engine]:
            raise ValueError(f"engine may not set {taken[0]!r}, which ctxbench sets itself")
        if given := [name for name in (*BUDGET, "size") if name in self.mm_processor_kwargs]:
            raise ValueError(f"mm_processor_kwargs may not set {given[0]!r}: give the options min_pixels and max_pixels")
        engine.require()
        found = locate(self.reference, self.adapter, revision=self.revision, code=self.trust_remote_code, chat_template=self.chat_template)
        for field in attrs.fields(Located):
            object.__setattr__(self, field.name, getattr(found, field.name))
        if self.adapter is not None and self.adapter_folder is not None:
            held = lora.check(self.adapter_folder, self.adapter, tower=self.tower_lora)
            self._held_lora(held)

    def _held_lora(self, held: lora.Adapter) -> None:
        if held.vision and str(self.adapter) not in _warned:
            _warned.add(str(self.adapter))
            print(
                f"ctxbench: adapter {self.adapter!r} has LoRA on the vision part, which is experimental in vLLM: compare some answers with "
                "those of the adapter merged into the weights (docs/vllm.md)",
                file=sys.stderr,
            )

    @property
    def config(self) -> dict[str, Any]:
        """The options that decide answers. A template is there as its text."""
        return {key: value for key, value in super().config.items() if key not in self.neutral_options}

    @property
    def runtime(self) -> dict[str, Any]:
        """vLLM's version, the kind of device and the dtype, as they come out of ``auto`` on this machine."""
        device, dtype = self._device_and_dtype()
        return {"vllm": engine.version(), "device": device, "dtype": dtype}

    @property
    def pixel_budget(self) -> tuple[int | None, int | None]:
        """What the processor holds a page's pixels to, by its own files or the options; (``None``, ``None``) for one without a budget."""
        from ctxbench_transformers.processors import own_budget

        return own_budget(self.folder, self.family, (self.min_pixels, self.max_pixels), lambda: self._encoder().processor)

    @property
    def at_once(self) -> int:  # type: ignore[override]
        """Two rounds of prompts, so that few places are empty while the last answers of a batch come in."""
        return 2 * self._places

    @property
    def _places(self) -> int:
        return 1 if self.batch_invariant else self.max_num_seqs

    def read(self, prompts: Sequence[Prompt]) -> list[Reading]:
        """Answer each prompt, in order."""
        found = dict(self.read_each(prompts))
        return [found[i] for i in range(len(prompts))]

    def read_each(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Reading]]:
        """Answer prompts, several at a time.

        Raises:
            ModelError: vLLM cannot load the model or the adapter, or its engine has died.
        """
        if not prompts:
            return
        answering = self._answering()
        try:
            for index, reading in answering.answer(prompts, self._inputs):
                yield index, with_training_data([reading], self.training_data)[0]
        except Exception as error:
            self._held["failure"] = f"vLLM's engine failed: {type(error).__name__}: {' '.join(str(error).split())[:400]}"
            raise ModelError(self._held["failure"]) from error

    def count(self, prompt: Prompt) -> TokenUsage:
        """Token usage by the model's own processor; neither the weights nor vLLM are needed.

        Raises:
            ModelError: the processor cannot take the prompt.
        """
        from ctxbench_transformers.usage import Counter

        encoder = self._encoder()
        return Counter(encoder.processor, self.family).usage(encoder.encode_prompt(prompt))

    def ahead(self, prompts: Sequence[Prompt]) -> None:
        """Begin with the processors' work on prompts that will be read soon, once vLLM is there."""
        if "answering" in self._held and "failure" not in self._held:
            self._ahead().announce(prompts)

    def give_up(self) -> None:
        """End what is being answered, at the next token."""
        self._held["stopped"] = True

    def close(self) -> None:
        """End vLLM's engine and free its memory."""
        held = dict(self._held)
        self._held.clear()
        if "ahead" in held:
            held["ahead"].close()
        if "answering" in held:
            held["answering"].engine.close()
        if "prepared" in held:
            held["prepared"].close()

    def _inputs(self, prompt: Prompt) -> Inputs:
        inputs: Inputs = self._ahead().take(prompt)
        return inputs

    def _ahead(self) -> Any:
        from ctxbench_transformers.ahead import Ahead
        from ctxbench_vllm.answering import make_inputs

        with self._lock:  # asked for by the engine's thread and the one that reads
            if "ahead" not in self._held:
                answering: Answering = self._held["answering"]
                self._held["ahead"] = Ahead(functools.partial(make_inputs, answering.encoder.copy(), answering.engine))
            return self._held["ahead"]

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
            self._held["encoder"] = Encoder(processor, self.mm_processor_kwargs)
        encoder: Encoder = self._held["encoder"]
        return encoder

    def _answering(self) -> Answering:
        """The loaded model. A failure is kept and raised again, so that what cannot be loaded is tried once."""
        if "failure" in self._held:
            raise ModelError(str(self._held["failure"]))
        if "answering" not in self._held:
            try:
                self._held["answering"] = self._load()
            except ModelError as error:
                self._held["failure"] = str(error)
                raise
        answering: Answering = self._held["answering"]
        return answering

    def _load(self) -> Answering:
        from ctxbench_transformers.decoding import Decoding
        from ctxbench_transformers.runtime import Sizing, end_ids, written_generation
        from ctxbench_transformers.usage import Counter
        from ctxbench_vllm.answering import Answering
        from ctxbench_vllm.folder import Prepared

        encoder = self._encoder()
        ends = end_ids(encoder, written_generation(self.folder, trust_remote_code=self.trust_remote_code))
        prepared = self._held["prepared"] = Prepared(self.folder)
        return Answering(
            engine=engine.Engine(prepared.path, self._settings(), self.adapter_folder),
            encoder=encoder,
            counter=Counter(encoder.processor, self.family),
            ends=ends,
            decoding=Decoding(self.temperature, self.top_p, self.top_k, self.repetition_penalty, self.seed),
            sizing=Sizing(self.max_new_tokens),
            at_once=self._places,
            flag=self.on_mismatch == "flag",
            stopped=lambda: "stopped" in self._held,
        )

    def _settings(self) -> dict[str, Any]:
        """The arguments of ``vllm.LLM`` but the model's folder."""
        budget = {name: getattr(self, name) for name in BUDGET if getattr(self, name) is not None}
        settings: dict[str, Any] = {
            "dtype": self._device_and_dtype()[1],
            "trust_remote_code": self.trust_remote_code,
            "seed": self.seed,
            "max_num_seqs": self._places,
            "tensor_parallel_size": self.tensor_parallel_size,
            "gpu_memory_utilization": self.gpu_memory_utilization,
            "enforce_eager": self.enforce_eager,
            "generation_config": "vllm",  # a checkpoint's own sampling settings are put aside
            "use_tqdm_on_load": False,
            "enable_prefix_caching": False,  # what was asked before decides nothing
            "mm_processor_cache_gb": 0,  # no page is asked twice
        }
        optional = {
            "max_model_len": self.max_model_len,
            "quantization": self.quantization,
            "limit_mm_per_prompt": self.limit_mm_per_prompt,
            "mm_processor_kwargs": {**self.mm_processor_kwargs, **budget} or None,
        }
        settings |= {name: value for name, value in optional.items() if value is not None}
        if self.adapter is not None and self.adapter_folder is not None:
            held = lora.contents(self.adapter_folder, self.adapter)
            settings |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": held.max_lora_rank}
            settings |= {"enable_tower_connector_lora": True} if held.vision else {}
        return {**settings, **self.engine}

    def _device_and_dtype(self) -> tuple[str, str]:
        from ctxbench_transformers.resolved import checkpoint_dtype, default_device

        device = default_device()
        if self.dtype != "auto":
            return device, self.dtype
        return device, "float32" if device == "cpu" else checkpoint_dtype(self.folder)

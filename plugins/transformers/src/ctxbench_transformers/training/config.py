"""What ``ctxbench train`` does."""

from __future__ import annotations

from typing import Any

import attrs

from ctxbench import ConfigError, stable_hash
from ctxbench.config import Section, setting
from ctxbench.options import Boolean, Integer, ListOf, Optional, String, Table
from ctxbench_transformers.settings import ChatTemplate, Number, plain

_DTYPES = ("float32", "bfloat16", "float16")
_NO_EFFECT = (
    "name",
    "output",
    "output_dtype",
    "report_to",
    "save_every",
    "keep",
    "evaluate_batch_size",
    "dataloader_num_workers",
    "device",
)
_ADDED = (
    "chat_template",
    "group_by_length",
    "optimizer",
    "muon_lr",
    "modules_to_save",
    "use_dora",
    "use_rslora",
    "fsdp",
    "sampling",
    "adapter",
    "auxiliary",
    "answers",
    "answer_begin",
)
_BY_FINGERPRINT = ("model", "revision", "adapter", "another_base", "data")


@attrs.frozen
class Lora:
    """LoRA: a trained matrix of rank ``r`` beside each of the target layers, scaled by alpha / r (Hu et al. 2021)."""

    r: int = setting(Integer(1), "Rank.", 16)
    alpha: int = setting(Integer(1), "Scale: the product counts alpha / r times.", 32)
    dropout: float = setting(Number(0, 0.99), "Dropout in front of the trained matrices.", 0.05)
    target_modules: tuple[str, ...] = setting(
        ListOf(String()),
        "'language' (its linear layers), 'vision' (the encoder's and the projector's), 'all' (both), or names of layers such as q_proj.",
        ("language",),
    )
    modules_to_save: tuple[str, ...] = setting(
        ListOf(String(), minimum=0),
        "Names of modules that are trained whole and kept in the adapter, such as lm_head or merger.",
        factory=tuple,
    )
    use_dora: bool = setting(Boolean(), "DoRA: magnitude and direction of the weights apart (Liu et al. 2024); slower.", False)
    use_rslora: bool = setting(Boolean(), "rsLoRA: scaled by alpha / sqrt(r), which higher ranks need (Kalajdzievski 2023).", False)


@attrs.frozen
class Quantized:
    """How QLoRA keeps the frozen weights (Dettmers et al. 2023)."""

    type: str = setting(String(("nf4", "fp4")), "Four-bit data type.", "nf4")
    double_quant: bool = setting(Boolean(), "Quantise the quantisation constants too.", True)
    compute_dtype: str = setting(String(_DTYPES), "Dtype of the matrix products.", "bfloat16")


@attrs.frozen
class EarlyStopping:
    """When to stop before the last step. The best checkpoint then becomes the result."""

    patience: int = setting(Integer(0), "Evaluations in a row without an improvement before it stops; 0 never stops.", 0)
    metric: str = setting(String(("loss", "score")), "Validation loss, or the score of the generated answers.", "loss")


@attrs.frozen
class Sampled:
    """Some of the training records, and how often they come. A record belongs to the first entry whose conditions it meets."""

    data: tuple[str, ...] = setting(ListOf(String(), minimum=0), "Folders of data, as they are named there; empty for all.", factory=tuple)
    codec: tuple[str, ...] = setting(ListOf(String(), minimum=0), "Labels of codecs; empty for all.", factory=tuple)
    task: tuple[str, ...] = setting(ListOf(String(), minimum=0), "Labels of tasks; empty for all.", factory=tuple)
    augmentation: tuple[str, ...] = setting(ListOf(String(), minimum=0), "Labels of augmentations; empty for all.", factory=tuple)
    language: tuple[str, ...] = setting(ListOf(String(), minimum=0), "Languages; empty for all.", factory=tuple)
    bucket: tuple[int, ...] = setting(ListOf(Integer(0), minimum=0), "Context lengths; empty for all.", factory=tuple)
    weight: float = setting(Number(0), "Its share of the examples, beside the weights of the others that take part.", 1.0)
    begin: int = setting(Integer(0), "Steps that are done before it takes part.", 0)
    end: int | None = setting(Optional(Integer(1)), "Steps that are done when it takes part no more; null: to the end.", None)


@attrs.frozen
class Auxiliary:
    """A loss beside that of the answers; see :class:`~ctxbench_transformers.training.auxiliary.AuxiliaryLoss`."""

    loss: str = setting(String(), "The name under which a plugin offers it, or module:Class.", "")
    options: dict[str, Any] = setting(Table(), "What its class takes.", factory=dict)
    weight: float = setting(Number(0), "It counts so many times.", 1.0)
    begin: int = setting(Integer(0), "Steps that are done before it counts.", 0)
    end: int | None = setting(Optional(Integer(1)), "Steps that are done when it counts no more; null: to the end.", None)


def weight_at(entry: Sampled | Auxiliary, step: int) -> float:
    """What an entry weighs at a step, from 0: nothing before it begins and after its end."""
    return entry.weight if entry.begin <= step and (entry.end is None or step < entry.end) else 0.0


@attrs.frozen
class TrainConfig:
    """One training run."""

    name: str = setting(String(), "A name for people.", "training")
    model: str = setting(String(), "Folder or hub id of the base model.", "Qwen/Qwen2-VL-2B-Instruct")
    revision: str | None = setting(Optional(String()), "Branch, tag or commit on the hub.", None)
    adapter: str | None = setting(
        Optional(String()), "Folder or hub id of an adapter to train further, in the place of a new one; lora then is as it has it.", None
    )
    another_base: bool = setting(
        Boolean(), "Let the adapter go on upon another base model than it was trained on, such as that one trained further.", False
    )
    trust_remote_code: bool = setting(Boolean(), "Let Python code that comes with the model run.", False)
    data: tuple[str, ...] = setting(ListOf(String()), "Folder that ctxbench data build or import made, or several such.", ("data",))
    output: str = setting(String(), "Folder that takes the adapter (or the model), the log and the checkpoints.", "adapter")
    output_dtype: str = setting(
        String(("auto", *_DTYPES)),
        "Dtype of the weights that are written; auto: a whole model's as its base has them, an adapter's as it was trained, float32.",
        "auto",
    )
    method: str = setting(String(("lora", "qlora", "full")), "lora, qlora (on 4-bit weights), or full fine-tuning.", "lora")
    lora: Lora = setting(Section(Lora), "For lora and qlora.", factory=Lora)
    quantization: Quantized = setting(Section(Quantized), "For qlora.", factory=Quantized)
    seed: int = setting(Integer(0), "Order of the examples, initial weights and dropout.", 0)
    epochs: float = setting(Number(0), "Passes over the training records.", 3.0)
    max_steps: int | None = setting(Optional(Integer(1)), "Optimizer steps at most.", None)
    batch_size: int = setting(Integer(1), "Examples in one forward pass of one process.", 1)
    accumulation: int = setting(Integer(1), "Forward passes in one optimizer step.", 8)
    group_by_length: bool = setting(
        Boolean(),
        "Examples of like length together in an optimizer step: less padding and waiting; steps of short and of long ones take turns.",
        False,
    )
    sampling: tuple[Sampled, ...] = setting(
        ListOf(Section(Sampled), minimum=0),
        "Which records come how often, and from which step on: a mixture, or a curriculum; empty: all, once an epoch.",
        factory=tuple,
    )
    auxiliary: tuple[Auxiliary, ...] = setting(
        ListOf(Section(Auxiliary), minimum=0), "Losses beside that of the answers, which plugins offer.", factory=tuple
    )
    answer_begin: int = setting(
        Integer(0), "Steps that are done before the answers' loss counts; until then the auxiliary ones are all there is to learn from.", 0
    )
    answers: str | None = setting(
        Optional(String()), "What writes answers in tokens, as a plugin offers it, or module:Class; null: the model's tokenizer.", None
    )
    optimizer: str = setting(
        String(("adamw", "adamw8bit", "muon")),
        "adamw; adamw8bit: its moments in 8 bit through bitsandbytes (Dettmers et al. 2022); muon: Muon (Jordan et al. 2024) for the "
        "matrices of layers, AdamW for all else.",
        "adamw",
    )
    lr: float = setting(Number(0), "Peak learning rate.", 2e-4)
    muon_lr: float | None = setting(Optional(Number(0)), "With muon, the peak learning rate of the matrices; null: that of all else.", None)
    schedule: str = setting(String(("cosine", "linear", "constant")), "How the learning rate falls after the warm-up.", "cosine")
    warmup: float = setting(Number(0, 1), "Share of the steps over which the learning rate rises.", 0.03)
    min_lr: float = setting(Number(0, 1), "Where the schedule ends, as a share of the peak.", 0.0)
    weight_decay: float = setting(Number(0), "AdamW's weight decay, on matrices only.", 0.0)
    beta1: float = setting(Number(0, 0.999999), "AdamW's decay of the mean of the gradients.", 0.9)
    beta2: float = setting(Number(0, 0.999999), "AdamW's decay of the mean of their squares.", 0.999)
    clip: float = setting(Number(0), "Largest norm of the gradient; 0 never clips.", 1.0)
    precision: str = setting(
        String(("bf16", "fp16", "fp32")),
        "bf16: frozen weights and products in bfloat16, trained weights in float32; fp16: the same in float16, with loss scaling.",
        "bf16",
    )
    gradient_checkpointing: bool = setting(Boolean(), "Recompute activations: less memory, a third more time.", False)
    evaluate_every: int = setting(Integer(0), "Steps between evaluations on validation records; 0 never evaluates.", 0)
    evaluate_samples: int = setting(Integer(1), "Validation records in an evaluation.", 64)
    evaluate_batch_size: int = setting(Integer(1), "Prompts answered at once.", 8)
    early_stopping: EarlyStopping = setting(Section(EarlyStopping), "Stop when validation no longer improves.", factory=EarlyStopping)
    save_every: int = setting(Integer(0), "Steps between checkpoints; 0 saves at the end, and on an interrupt, alone.", 100)
    keep: int = setting(Integer(1), "Checkpoints to keep, the latest ones.", 2)
    report_to: tuple[str, ...] = setting(
        ListOf(String(("tensorboard", "wandb")), minimum=0), "Where to report, beside log.jsonl.", factory=tuple
    )
    fsdp: bool = setting(
        Boolean(),
        "With several processes: each keeps a part of the language model's layers, their gradients and moments (FSDP).",
        False,
    )
    dataloader_num_workers: int | None = setting(
        Optional(Integer(0)),
        "Processes that read and encode pages ahead of the steps; null: 2 with the model on a GPU, else 0.",
        None,
    )
    device: str = setting(String(), "auto, cpu, cuda, cuda:1, ...", "auto")
    attn_implementation: str | None = setting(Optional(String()), "eager, sdpa, flash_attention_2; null lets transformers choose.", None)
    min_pixels: int | None = setting(Optional(Integer(1)), "Pixel budget of a page.", None)
    max_pixels: int | None = setting(Optional(Integer(1)), "Pixel budget of a page.", None)
    chat_template: str | None = setting(
        Optional(ChatTemplate()), "A file or the Jinja text, for a model without one or in place of its own; readers give the same.", None
    )

    def __attrs_post_init__(self) -> None:
        if isinstance(self.data, str):  # from Python, where no reader of YAML makes a list of one folder
            object.__setattr__(self, "data", (self.data,))
        if self.early_stopping.patience and not self.evaluate_every:
            raise ConfigError("early_stopping.patience: set evaluate_every as well, or there is nothing to stop on")
        if self.another_base and self.adapter is None:
            raise ConfigError("another_base: true is about adapter, which names none")
        if self.adapter is not None and self.method == "full":
            raise ConfigError("adapter: method: full trains the model's own weights; merge the adapter into them first, or take lora")
        if not self.epochs and self.max_steps is None:
            raise ConfigError("epochs: must be above 0, or max_steps must be set")
        self._check_auxiliary()

    def _check_auxiliary(self) -> None:
        for i, entry in enumerate(self.auxiliary):
            if not entry.loss:
                raise ConfigError(f"auxiliary[{i}].loss: which loss?")
        for key in ("fsdp", "gradient_checkpointing"):
            if self.auxiliary and getattr(self, key):
                raise ConfigError(f"auxiliary: these losses see a model that computes once, in one piece; set {key} to false")
        if self.answer_begin and not any(entry.weight and entry.begin < self.answer_begin for entry in self.auxiliary):
            raise ConfigError("answer_begin: no auxiliary loss counts until then, so there is nothing to learn from")

    def plain(self) -> dict[str, Any]:
        """The config as its YAML would load."""
        return plain(self)  # type: ignore[no-any-return]

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the final weights, beside the model and the data, which have fingerprints of their own."""
        return {key: value for key, value in self.plain().items() if key not in (*_NO_EFFECT, *_BY_FINGERPRINT)}

    @property
    def hash(self) -> str:
        """SHA-256 of the settings, as early checkpoints kept it in their place: settings that came later count where they are used."""
        added = {key: value for key, value in TrainConfig().plain().items() if key in _ADDED}
        counted = {key: value for key, value in self.settings.items() if key not in added or value != added[key]}
        counted["lora"] = {key: value for key, value in self.settings["lora"].items() if key not in _ADDED or value}
        return stable_hash(counted)

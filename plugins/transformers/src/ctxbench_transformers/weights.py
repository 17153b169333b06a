"""Puts weights on a device: dtype, device map, attention, 4- and 8-bit quantisation, and a LoRA adapter on top."""

from __future__ import annotations

import contextlib
import logging
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import attrs
import torch

from ctxbench import ModelError

_renaming = threading.Lock()

DType = Literal["auto", "float32", "bfloat16", "float16"]


@attrs.frozen
class Quantization:
    """bitsandbytes' options. ``bits``: 4 or 8. The rest concerns 4 bit: data type, quantised constants, dtype of the matrix products."""

    bits: int
    type: Literal["nf4", "fp4"] = "nf4"
    double: bool = True
    compute_dtype: str = "bfloat16"

    def config(self) -> Any:
        """transformers' form of it.

        Raises:
            ModelError: bitsandbytes is not installed.
        """
        from transformers import BitsAndBytesConfig
        from transformers.utils import is_bitsandbytes_available

        if not is_bitsandbytes_available():
            raise ModelError(f"{self.bits}-bit loading needs bitsandbytes: pip install 'ctxbench-transformers[qlora]'")
        if self.bits == 8:
            return BitsAndBytesConfig(load_in_8bit=True)
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type=self.type,
            bnb_4bit_use_double_quant=self.double,
            bnb_4bit_compute_dtype=getattr(torch, self.compute_dtype),
        )


@attrs.frozen
class Placement:
    """Where and how weights are kept. ``dtype`` ``auto`` is the checkpoint's own on a GPU and float32 on a CPU."""

    device: str = "auto"
    device_map: str | dict[str, Any] | None = None
    dtype: str = "auto"
    attn_implementation: str | None = None
    quantization: Quantization | None = None

    def torch_device(self) -> torch.device:
        """The device that ``auto`` stands for: the first GPU, else the CPU.

        Raises:
            ModelError: no such device here.
        """
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            device = torch.device(self.device)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise ModelError(f"device {self.device!r} cannot be used here: {str(error).splitlines()[0]}") from None
        return device

    def torch_dtype(self) -> torch.dtype | str:
        """What ``from_pretrained`` is told."""
        if self.dtype == "auto":
            return "auto" if self.device_map is not None or self.torch_device().type != "cpu" else torch.float32
        dtype: torch.dtype = getattr(torch, self.dtype)
        return dtype


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no advice from transformers: standard error belongs to the user's own progress."""
    from transformers.utils import logging as hf_logging

    level, bars = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    bnb = logging.getLogger("bitsandbytes")
    bnb_level = bnb.level
    bnb.setLevel(logging.ERROR)
    try:
        yield
    finally:
        hf_logging.set_verbosity(level)
        bnb.setLevel(bnb_level)
        if bars:
            hf_logging.enable_progress_bar()


def load_weights(folder: Path, placement: Placement, *, trust_remote_code: bool = False) -> Any:
    """The model in ``folder`` on its device, in evaluation mode.

    Raises:
        ModelError: no image-text model, broken or missing weights, or something that this machine lacks.
    """
    options: dict[str, Any] = {"dtype": placement.torch_dtype(), "trust_remote_code": trust_remote_code, "use_safetensors": True}
    if placement.attn_implementation is not None:
        options["attn_implementation"] = placement.attn_implementation
    if placement.quantization is not None:
        options["quantization_config"] = placement.quantization.config()
    options["device_map"] = placement.device_map or {"": placement.torch_device()}
    try:
        with quiet():
            from transformers import AutoModelForImageTextToText  # brings bitsandbytes, which has advice of its own

            model, info = AutoModelForImageTextToText.from_pretrained(folder, output_loading_info=True, **options)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"{folder}: cannot be loaded as an image-text model: {type(error).__name__}: {_line(error)}") from error
    missing = sorted([*info["missing_keys"], *(str(key) for key in info.get("mismatched_keys", ()))])
    if missing:
        raise ModelError(f"{folder}: the weights lack {len(missing)} tensors that {type(model).__name__} has, {missing[0]} among them")
    if placement.quantization is not None:
        keep_layout(model)
    return model.eval()


def keep_layout(model: Any, *, always: bool = False) -> None:
    """Keep bitsandbytes from packing 4-bit weights anew for a CPU's AVX-512 kernels where that fails, or ``always``.

    It packs a layer the first time it runs outside training, fails where a row is no whole number of blocks of 64, and rounds
    differently from then on, which a training run that evaluates in between must not see.
    """
    for module in model.modules():
        if getattr(module, "support_avx512bf16_for_cpu", False) and (always or module.in_features % 64):
            module.support_avx512bf16_for_cpu = False


def add_adapter(model: Any, folder: Path, name: str = "default", *, trainable: bool = False) -> Any:
    """``model``, bare or with adapters, with one more adapter, which may be ``trainable``; the result has the layers of all.

    Raises:
        ModelError: the adapter does not fit this model, which is spoilt by the attempt.
    """
    try:
        with warnings.catch_warnings(record=True) as caught, quiet(), _own_names(model, folder):
            from peft import PeftModel

            warnings.simplefilter("always")
            if isinstance(model, PeftModel):
                adapted, missing = model, model.load_adapter(str(folder), name, is_trainable=trainable).missing_keys
            else:
                adapted, missing = PeftModel.from_pretrained(model, str(folder), adapter_name=name, is_trainable=trainable), []
    except Exception as error:
        raise ModelError(f"adapter {folder} does not fit this model: {type(error).__name__}: {_line(error)}") from error
    told = [_line(warning.message) for warning in caught if "missing adapter keys" in str(warning.message)]  # a first one's only
    if missing or told:
        raise ModelError(f"adapter {folder} does not fit this model: {told[0] if told else f'it lacks {missing[0]}'}")
    return adapted.eval()


@contextlib.contextmanager
def _own_names(model: Any, folder: Path) -> Iterator[None]:
    """Keep peft from renaming the tensors of an adapter whose names are the model's already.

    peft renames an adapter's tensors as transformers renames those of a published checkpoint, whatever their names are, and some rules
    hit the new names too: DeepSeek-OCR 2's makes ``language_model.language_model.layers`` of ``language_model.layers`` (peft 0.21,
    transformers 5.23), so that an adapter that was trained on the loaded model does not fit it.
    """
    try:
        from peft.utils import transformers_weight_conversion as conversion

        rename = conversion.convert_peft_adapter_state_dict_for_transformers
    except (ImportError, AttributeError):  # a release that renames nothing, or elsewhere
        yield
        return
    if not _names_fit(model, folder):
        yield
        return

    def as_they_are(model: Any, peft_config: Any, adapter_state_dict: dict[str, Any], adapter_name: str = "default") -> dict[str, Any]:
        return adapter_state_dict

    with _renaming:
        conversion.convert_peft_adapter_state_dict_for_transformers = as_they_are
        try:
            yield
        finally:
            conversion.convert_peft_adapter_state_dict_for_transformers = rename


def _names_fit(model: Any, folder: Path) -> bool:
    """Whether every LoRA tensor of an adapter belongs to a module of the model by its name."""
    from safetensors import safe_open

    file = folder / "adapter_model.safetensors"
    if not file.is_file():
        return False
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    modules = {name for name, _ in base.named_modules()}
    with safe_open(str(file), framework="numpy") as tensors:
        named = [key.removeprefix("base_model.model.").partition(".lora_")[0] for key in tensors.keys() if ".lora_" in key]  # noqa: SIM118 - no mapping
    return all(name in modules for name in named)


def load_adapter(model: Any, folder: Path, *, merge: bool = False) -> Any:
    """``model`` with the LoRA adapter in ``folder``; ``merge`` adds it into the weights, which is faster and rounds once more.

    Raises:
        ModelError: the adapter does not fit this model.
    """
    adapted = add_adapter(model, folder)
    if not merge:
        return adapted
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # input and output embeddings that are no longer one: it says so in the config
        return adapted.merge_and_unload()


def _line(error: object) -> str:
    return " ".join(str(error).split())[:400]

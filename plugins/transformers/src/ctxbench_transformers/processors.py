"""Loads a model's processor (chat template, tokenizer, image processor), the same way with torchvision and without it."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ctxbench import ModelError
from ctxbench_transformers import sources, templates
from ctxbench_transformers.adapted import adapted, pixtral_processor


def load_processor(
    folder: Path,
    *,
    min_pixels: int | None = None,
    max_pixels: int | None = None,
    chat_template: str | None = None,
    trust_remote_code: bool = False,
) -> Any:
    """The processor in ``folder``, its pixel budget and its chat template overridden where asked.

    Nothing here needs video or sound, and transformers' video processors need torchvision: the processor is loaded without these parts.
    Its image processor is torchvision's where that is installed, else Pillow's.

    Raises:
        ModelError: the folder holds no processor, it has no chat template, or it knows no pixel budget.
    """
    from transformers import AutoConfig, AutoProcessor

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
        found = _processor_class(folder, config)
        if found is None:
            processor = AutoProcessor.from_pretrained(folder, trust_remote_code=trust_remote_code)
        else:
            processor = adapted(found, config).from_pretrained(folder, trust_remote_code=trust_remote_code)
    except (ImportError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(_why_not(folder, error)) from None
    if getattr(processor, "tokenizer", None) is None or getattr(processor, "image_processor", None) is None:
        raise ModelError(
            f"the processor in {folder} ({type(processor).__name__}) has no tokenizer or no image processor: no image-text model"
        )
    templates.give(processor, chat_template, folder)
    _set_pixel_budget(processor, min_pixels, max_pixels)
    return processor


def _why_not(folder: Path, error: Exception) -> str:
    """What is wrong with the processor, or what to install for it, in one line."""
    text = " ".join(str(error).split())
    if isinstance(error, ImportError) and "num2words" in text:  # transformers' SmolVLM writes the length of a video in words
        return f"the processor in {folder} (SmolVLM) needs the package num2words: pip install 'ctxbench-transformers[smolvlm]'"
    if "orchvision" in text and importlib.util.find_spec("torchvision") is None:
        return (
            f"the processor in {folder} exists in transformers for torchvision alone: "
            "install the build that fits your torch (pip install torchvision)"
        )
    if isinstance(error, ImportError):
        return f"the processor in {folder} needs a package that is missing: {text[:300]}"
    return f"no usable processor in {folder}: {text[:400]}"


def _processor_class(folder: Path, config: Any) -> Any:
    """transformers' own class, by the name that the folder gives, else by the model's type; ``None`` if it comes with code of its own."""
    import transformers
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

    for file in ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json"):
        path = folder / file
        name = json.loads(path.read_text("utf-8")).get("processor_class") if path.is_file() else None
        if name == "PixtralProcessor":
            return pixtral_processor()
        found = getattr(transformers, name, None) if name else None
        if found is not None:
            return found
    found = PROCESSOR_MAPPING.get(type(config), None)
    return pixtral_processor() if getattr(found, "__name__", "") == "PixtralProcessor" else found


def _set_pixel_budget(processor: Any, min_pixels: int | None, max_pixels: int | None) -> None:
    if min_pixels is None and max_pixels is None:
        return
    images = processor.image_processor
    size = dict(images.size) if images.size else {}
    if not {"shortest_edge", "longest_edge"} <= size.keys() or not hasattr(images, "merge_size"):
        raise ModelError(f"{type(images).__name__} has no pixel budget: leave min_pixels and max_pixels out for this model")
    low = min_pixels if min_pixels is not None else size["shortest_edge"]
    high = max_pixels if max_pixels is not None else size["longest_edge"]
    if low > high:
        raise ModelError(f"min_pixels {low} is above max_pixels {high}")
    images.size = type(images.size)(shortest_edge=low, longest_edge=high)


def pixel_budget(processor: Any) -> tuple[int, int] | None:
    """(min_pixels, max_pixels) of a Qwen-VL image processor, ``None`` for one that has no such thing."""
    images = processor.image_processor
    if not hasattr(images, "merge_size") or not images.size:
        return None
    size = dict(images.size)
    low, high = size.get("shortest_edge"), size.get("longest_edge")
    return (low, high) if low and high else None


def own_budget(
    folder: Path, family: str | None, given: tuple[int | None, int | None], processor: Callable[[], Any]
) -> tuple[int | None, int | None]:
    """(min_pixels, max_pixels) that a model's processor holds a page to: ``given``, else as its files say, else as ``processor`` has them.

    (``None``, ``None``) for one without a budget, and for one that cannot be loaded: reading will say so, prompt by prompt.
    """
    written = sources.written_budget(folder) if family in sources.BUDGETED else None
    if written is not None:
        return (given[0] or written[0], given[1] or written[1])
    try:
        return pixel_budget(processor()) or (None, None)
    except ModelError:
        return (None, None)

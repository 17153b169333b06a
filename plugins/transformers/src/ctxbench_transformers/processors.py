"""Loads a model's processor (chat template, tokenizer, image processor), the same way with torchvision and without it."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any

from ctxbench import ModelError


def load_processor(folder: Path, *, min_pixels: int | None = None, max_pixels: int | None = None, trust_remote_code: bool = False) -> Any:
    """The processor in ``folder``, its pixel budget overridden where asked.

    Nothing here needs video, and transformers' video processors need torchvision: the processor is loaded without its video part.
    Its image processor is torchvision's where that is installed, else Pillow's.

    Raises:
        ModelError: the folder holds no processor, or the processor knows no pixel budget.
    """
    from transformers import AutoConfig, AutoProcessor

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
        found = _processor_class(folder, config)
        if found is None:
            processor = AutoProcessor.from_pretrained(folder, trust_remote_code=trust_remote_code)
        else:
            processor = _without_video(found).from_pretrained(folder, trust_remote_code=trust_remote_code)
    except ImportError as error:
        if "num2words" in str(error):  # transformers' SmolVLM writes the length of a video in words
            extra = "pip install 'ctxbench-transformers[smolvlm]'"
            raise ModelError(f"the processor in {folder} (SmolVLM) needs the package num2words: {extra}") from None
        raise ModelError(f"the processor in {folder} needs a package that is missing: {' '.join(str(error).split())}") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"no usable processor in {folder}: {' '.join(str(error).split())[:400]}") from None
    if getattr(processor, "tokenizer", None) is None or getattr(processor, "image_processor", None) is None:
        raise ModelError(
            f"the processor in {folder} ({type(processor).__name__}) has no tokenizer or no image processor: no image-text model"
        )
    if processor.chat_template is None and processor.tokenizer.chat_template is None:
        raise ModelError(f"the processor in {folder} has no chat template (chat_template.jinja); instruction-tuned models have one")
    _set_pixel_budget(processor, min_pixels, max_pixels)
    return processor


def _processor_class(folder: Path, config: Any) -> Any:
    """transformers' own class, by the name that the folder gives, else by the model's type; ``None`` if it comes with code of its own."""
    import transformers
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

    for file in ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json"):
        path = folder / file
        name = json.loads(path.read_text("utf-8")).get("processor_class") if path.is_file() else None
        found = getattr(transformers, name, None) if name else None
        if found is not None:
            return found
    return PROCESSOR_MAPPING.get(type(config), None)


def _without_video(base: Any) -> Any:
    """A class of the same name whose instances have no video processor; ``base`` itself if it never had one."""
    attributes = base.get_attributes()
    if "video_processor" not in attributes:
        return base

    def get_attributes(cls: Any) -> list[str]:
        return [name for name in attributes if name != "video_processor"]

    def get_arguments(cls: Any, *args: Any, **kwargs: Any) -> list[Any]:
        # SmolVLM's constructor wants all three by position.
        return [*base._get_arguments_from_pretrained.__func__(cls, *args, **kwargs), None]

    members = {
        "get_attributes": classmethod(get_attributes),
        "_get_arguments_from_pretrained": classmethod(get_arguments),
        # SmolVLM's chat template asks its video processor for these two even where there is no video.
        "video_processor": types.SimpleNamespace(num_frames=None, fps=None),
    }
    # The name goes into processor_config.json when the processor is saved, so it must be the original one.
    return type(base.__name__, (base,), {**members, "__module__": base.__module__})


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

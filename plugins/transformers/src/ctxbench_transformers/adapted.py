"""Processor classes of transformers without what pages do not need: video, sound, and torchvision for the sake of one function."""

from __future__ import annotations

import functools
import importlib
import sys
import types
from typing import Any

UNNEEDED = ("video_processor", "feature_extractor", "audio_processor")
"""Parts of a processor that no page goes through. Video processors need torchvision."""


def adapted(base: Any, config: Any) -> Any:
    """A class of the same name whose instances have no video or audio part, and know how many states a tile gives to cross attention."""
    members: dict[str, Any] = {"cross_attended": states_of_a_tile(config)}
    bases: tuple[Any, ...] = (base,)
    attributes = base.get_attributes()
    dropped = [name for name in attributes if name in UNNEEDED]
    if dropped:
        members |= _without(base, attributes, dropped)
        bases = (base, _skipping(tuple(attributes), tuple(dropped)))
    # The name goes into processor_config.json when the processor is saved, so it must be the original one.
    return type(base.__name__, bases, {**members, "__module__": base.__module__})


def _without(base: Any, attributes: list[str], dropped: list[str]) -> dict[str, Any]:
    def get_attributes(cls: Any) -> list[str]:
        return [name for name in attributes if name not in dropped]

    def get_arguments(cls: Any, *args: Any, **kwargs: Any) -> list[Any]:
        # Constructors want all parts by position, those that are left out as None.
        made = dict(zip(cls.get_attributes(), base._get_arguments_from_pretrained.__func__(cls, *args, **kwargs), strict=True))
        return [made.get(name) for name in attributes]

    return {
        "get_attributes": classmethod(get_attributes),
        "_get_arguments_from_pretrained": classmethod(get_arguments),
        **dict.fromkeys(dropped),
        # SmolVLM's chat template asks its video processor for these two even where there is no video.
        "video_processor": types.SimpleNamespace(num_frames=None, fps=None),
    }


@functools.cache
def _skipping(attributes: tuple[str, ...], dropped: tuple[str, ...]) -> Any:
    """The end of a processor's constructors: takes what a class with all ``attributes`` passes on, and keeps none of the ``dropped``."""
    from transformers import ProcessorMixin

    class Skipping(ProcessorMixin):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            parts = dict(zip(attributes, args, strict=False)) | kwargs
            super().__init__(**{name: part for name, part in parts.items() if name not in dropped})

    return Skipping


def states_of_a_tile(config: Any) -> int:
    """States that a language model with cross attention sees of each tile of an image (its patches and the class token), else 0."""
    if not getattr(config.get_text_config(), "cross_attention_layers", None):
        return 0
    return int((config.vision_config.image_size // config.vision_config.patch_size) ** 2 + 1)


_PIXTRAL = "transformers.models.pixtral.image_processing_pixtral"


def pixtral_processor() -> Any:
    """transformers' ``PixtralProcessor``, with torchvision and without it.

    transformers hides the class where torchvision is missing, because its file takes one function from the image processor that needs
    it. The same function stands beside the image processor that needs Pillow alone: that file is put in its place while the class is read.
    """
    try:
        return importlib.import_module("transformers.models.pixtral.processing_pixtral").PixtralProcessor
    except ImportError:
        sys.modules[_PIXTRAL] = importlib.import_module("transformers.models.pixtral.image_processing_pil_pixtral")
        try:
            return importlib.import_module("transformers.models.pixtral.processing_pixtral").PixtralProcessor
        finally:
            del sys.modules[_PIXTRAL]

"""A model's folder as vLLM wants it: Qwen's and other processors there have a part for videos, which needs a description of its own."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

VIDEO = "video_preprocessor_config.json"


class Prepared:
    """A folder for vLLM: the model's own, or one of links to its files with what is missing beside them.

    Models that were saved without a video processor, as by ctxbench itself, are read by transformers through this package and refused by
    vLLM, which loads the whole processor. No video is ever processed, so that the defaults of the class will do.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self._links: tempfile.TemporaryDirectory[str] | None = None
        kind = missing_video_processor(folder)
        if kind is None:
            return
        self._links = tempfile.TemporaryDirectory(prefix="ctxbench-vllm-")
        self.path = Path(self._links.name) / folder.resolve().name
        self.path.mkdir()
        for file in folder.iterdir():
            (self.path / file.name).symlink_to(file.resolve())
        (self.path / VIDEO).write_text(json.dumps({"video_processor_type": kind}), "utf-8")

    def close(self) -> None:
        """Remove the links."""
        if self._links is not None:
            self._links.cleanup()
            self._links = None


def missing_video_processor(folder: Path) -> str | None:
    """The class of the video processor that a model of this type has and ``folder`` does not describe; ``None`` if nothing is missing.

    transformers takes its description from a file of its own, from ``processor_config.json``, or from ``preprocessor_config.json``.
    """
    if (
        (folder / VIDEO).is_file()
        or (folder / "preprocessor_config.json").is_file()
        or "video_processor" in _json(folder / "processor_config.json")
    ):
        return None
    from transformers.models.auto.video_processing_auto import VIDEO_PROCESSOR_MAPPING_NAMES

    backends = VIDEO_PROCESSOR_MAPPING_NAMES.get(str(_json(folder / "config.json").get("model_type"))) or {}
    return next((str(name) for name in backends.values() if name), None)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}

"""Recognition of one line of text: rapidocr's recognition model, run on strips whose geometry is known.

The model (PP-OCR, from the rapidocr wheel; nothing is downloaded) sees a strip 48 px high and gives a character distribution for every 8 px
of its width; best-path decoding of connectionist temporal classification (Graves et al., 2006) merges repeats and drops blanks. Calling
the model directly, and not through rapidocr's pipeline, gives where each character stands, runs many strips at once, and skips its
detector, which would have to find lines that are already known.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from ctxbench import DecodeError

Grey = npt.NDArray[np.uint8]

HEIGHT = 48
"""Height in px of the strips that the model was trained on."""

STRIDE = 8
"""Width in px of one step of the model's output."""

BATCH = 4
"""Strips run at once: the output has 18,710 classes a step, so 4 strips of 2,000 px take 75 MB."""

INSTALL = "reading rendered pages needs OCR: pip install 'ctxbench-render[ocr]'"


@attrs.frozen
class Found:
    """One recognised character: the middle of where it stands, in px of the strip, and how sure the model is (0 to 1)."""

    character: str
    x: float
    confidence: float


def available() -> bool:
    """Whether the extra ``ocr`` is installed; imports nothing."""
    return _model_file() is not None and importlib.util.find_spec("onnxruntime") is not None


def _model_file() -> Path | None:
    spec = importlib.util.find_spec("rapidocr")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder, "models").glob("*rec*.onnx")):
            return path
    return None


@functools.lru_cache(maxsize=1)
def _session() -> tuple[Any, str, tuple[str, ...]]:
    """(session, name of its input, characters by class), made once a process.

    Raises:
        DecodeError: the extra ``ocr`` is not installed, or its model cannot be loaded.
    """
    path = _model_file()
    try:
        import onnxruntime  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise DecodeError(INSTALL) from None
    if path is None:
        raise DecodeError(INSTALL)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # pages are read by several processes at once; threads inside one would only compete
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = False  # it would keep the memory of the longest batch for good
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        characters = session.get_modelmeta().custom_metadata_map["character"].splitlines()
    except Exception as error:  # onnxruntime's own exceptions share no base class
        raise DecodeError(f"the OCR model {path.name} cannot be loaded: {' '.join(str(error).split())}") from None
    return session, session.get_inputs()[0].name, ("", *characters, " ")


def recognise(strips: list[Grey]) -> list[list[Found]]:
    """The characters of each strip, from left to right, without spaces; ``strips`` are ``HEIGHT`` px high and of any width."""
    if not strips:
        return []
    session, name, characters = _session()
    order = sorted(range(len(strips)), key=lambda i: strips[i].shape[1])  # strips of about one width share a batch: less padding
    found: list[list[Found]] = [[] for _ in strips]
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        width = max(HEIGHT, *(strips[i].shape[1] for i in batch))
        values = np.ones((len(batch), 3, HEIGHT, width), np.float32)
        for row, i in enumerate(batch):
            values[row, :, :, : strips[i].shape[1]] = strips[i].astype(np.float32) / 127.5 - 1
        for i, steps in zip(batch, session.run(None, {name: values})[0], strict=True):
            found[i] = _best_path(steps, characters)
    return found


def _best_path(steps: npt.NDArray[np.float32], characters: tuple[str, ...]) -> list[Found]:
    """Best-path decoding of (steps, classes); class 0 is the blank."""
    classes = steps.argmax(1)
    starts = np.flatnonzero(np.concatenate([[True], classes[1:] != classes[:-1]]))
    ends = np.concatenate([starts[1:], [len(classes)]])
    found = []
    for start, end in zip(starts, ends, strict=True):
        character = characters[classes[start]]
        if character.strip():
            peak = float(steps[start:end, classes[start]].max())
            found.append(Found(character, (start + end) / 2 * STRIDE, peak))
    return found

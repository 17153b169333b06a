"""Runs in the other process: makes the component and does what is asked of it, in order."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ctxbench.errors import DecodeError
from ctxbench.images import page_sha256
from ctxbench.plugin import plugin_output_to_stderr
from ctxbench.records import Carrier, Sample, Scores
from ctxbench.registry import load_plugins
from ctxbench.testing.fresh_process import unpack_page


def _encode(codec: Any, text: str) -> list[Any]:
    carrier = codec.encode(text)
    return [carrier.text, [page_sha256(page) for page in carrier.pages]]


def _decode(codec: Any, text: str | None, pages: list[str]) -> list[Any]:
    """[text, no error] or [no text, error]."""
    try:
        return [codec.decode(Carrier(text, [unpack_page(page) for page in pages])), None]
    except DecodeError as error:
        return [None, str(error)]


def _sample(task: Any, bucket: int, seed: int) -> list[Any]:
    sample = task.sample(bucket, seed)
    return [sample.context, sample.question, sample.answer, sample.metadata]


def _score(metric: Any, prediction: str, sample: dict[str, Any]) -> dict[str, float]:
    found = metric.score(prediction, Sample(**sample))
    return dict(found.values if isinstance(found, Scores) else found)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "encode": _encode,
    "decode": _decode,
    "sample": _sample,
    "solve": lambda task, context, question: task.solve(context, question),
    "apply": lambda augmenter, page, seed: page_sha256(augmenter.apply(unpack_page(page), np.random.default_rng(seed))),
    "score": _score,
    "image": lambda counter, width, height: attrs.astuple(counter.image(width, height)),
    "text": lambda counter, text: counter.text(text),
    "config": lambda component: component.config,
}
"""What can be asked of a component: called with it and with the arguments, returns JSON."""


def _make(request: dict[str, Any]) -> Any:
    if request["name"] is not None:
        return load_plugins().make(request["kind"], request["name"], **request["options"])
    module, file, attribute = request["source"]
    try:
        home = importlib.import_module(module)
    except ImportError:
        spec = importlib.util.spec_from_file_location("component_under_test", file)
        if spec is None or spec.loader is None:
            raise
        home = sys.modules["component_under_test"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(home)
    found: Any = home
    for part in attribute.split("."):
        if part == "<locals>":
            raise ImportError(f"{attribute} is a class inside a function; make it one of a module, so that another process can find it")
        found = getattr(found, part)
    return found(**request["options"])


def main(request: dict[str, Any]) -> None:
    """Write the answers to ``request["calls"]`` as JSON to the file ``request["answer"]``, and end without running exit handlers."""
    with plugin_output_to_stderr():
        component = _make(request)
        answers = [OPERATIONS[operation](component, *arguments) for operation, *arguments in request["calls"]]
    Path(request["answer"]).write_text(json.dumps(answers), "utf-8")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)

"""Parts for the engine's tests: a codec, an augmenter, a task, metrics and a model, some of which fail on purpose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ctxbench.config import ExperimentConfig, make_config

# A codec that draws its text's length, a task, and parts that fail on purpose; every call is counted in a file, so that
# calls in worker processes count too.
PARTS = """
import os, attrs, ctxbench
from ctxbench import *
from PIL import Image

def note(word):
    path = os.environ.get("PARTS_LOG")
    if path:
        with open(path, "a") as file:
            file.write(word + "\\n")

@attrs.frozen
class Dot(Codec):
    color: str = "red"
    fail: str = ""
    def encode(self, text):
        note("encode")
        if self.fail == "encode": raise ValueError("cannot\\n encode this")
        return Carrier(pages=[Image.new("RGB", (56, 28 + 28 * (len(text) % 2)), self.color)])
    def decode(self, carrier):
        note("decode")
        if self.fail == "channel": raise ZeroDivisionError("a bug")
        raise DecodeError("a dot holds no text")

@attrs.frozen
class Noise(Augmenter):
    fail: bool = False
    def apply(self, image, rng):
        note("augment")
        if self.fail: raise RuntimeError("lens cap on")
        page = image.copy()
        page.putpixel((0, 0), tuple(int(v) for v in rng.integers(0, 256, 3)))
        return page

@attrs.frozen
class Ask(Task):
    metrics = ("same",)
    primary_score = "same"
    fail: bool = False
    sized = False
    def sample(self, bucket, seed):
        if self.fail: raise KeyError("no words")
        return Sample(f"the number is {seed}", f"Which number? Say {seed}", str(seed), bucket)
    def solve(self, context, question): return context.rpartition(" ")[2]

@attrs.frozen
class Same(Metric):
    fail: bool = False
    def score(self, prediction, sample):
        if self.fail: raise ArithmeticError("cannot score")
        return {"same": float(prediction == sample.answer)}

@attrs.frozen
class Length(Metric):
    higher_is_better = False
    fail: bool = False
    def score(self, prediction, sample):
        if self.fail: raise ArithmeticError("cannot measure")
        return {"length": float(len(prediction))}

@attrs.frozen
class Picky(Model):
    how: str = "read"
    def read(self, prompts):
        note(f"read {len(prompts)}")
        if self.how == "raise": raise RuntimeError("no memory")
        if self.how == "short": return []
        if self.how == "one":
            return [Reading("", error=("TooLong", "one of them")), *[Reading("x") for _ in prompts[1:]]]
        return [Reading(prompt.text.split()[-1]) for prompt in prompts]

@hookimpl
def ctxbench_codecs(): yield CodecRecord("dot", "s", Dot)
@hookimpl
def ctxbench_augmenters(): yield AugmenterRecord("noise", "s", Noise)
@hookimpl
def ctxbench_tasks(): yield TaskRecord("ask", "s", Ask)
@hookimpl
def ctxbench_metrics():
    yield MetricRecord("same", "s", Same)
    yield MetricRecord("length", "s", Length)
@hookimpl
def ctxbench_models(): yield ModelRecord("picky", "s", Picky)
"""


def config(tmp_path: Path, **changes: Any) -> ExperimentConfig:
    """A small experiment over these parts, in this process."""
    run_settings = {"executor": {"name": "local", "workers": 0}, **changes.pop("run", {})}
    base = {"samples": 2, "buckets": [64], "models": ["picky"], "tasks": ["ask"], "codecs": ["dot"], "augmentations": ["clean", "noise"]}
    return make_config({**base, "store": str(tmp_path / "s.duckdb"), "run": run_settings, **changes})


def rows(store: Any, columns: str, order: str = "1") -> list[tuple[Any, ...]]:
    """Columns of ``results``."""
    return [tuple(row) for row in store.query(f"SELECT {columns} FROM results ORDER BY {order}").rows]

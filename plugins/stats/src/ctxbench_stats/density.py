"""The values of a codec's density option, and what each costs before anything is read."""

from __future__ import annotations

import math
from typing import Any

import attrs

from ctxbench import Codec, CtxbenchError, Registry, Sample, Task, UsageError, tokens
from ctxbench.config import ExperimentConfig, read_yaml

MOST_VALUES = 1000


@attrs.frozen
class Candidate:
    """A value of the option and the ratio of one sample's reference tokens to those of its carrier; ``error`` if it cannot be encoded."""

    value: Any
    ratio: float | None
    error: str = ""


def parse_vary(text: str) -> tuple[str, list[Any]]:
    """``cell=2..8``, ``scale=0.2..1.0:0.2`` or ``colors=2,4,8`` as the option's name and its values.

    Raises:
        UsageError: none of these, or fewer than two values.
    """
    name, equals, rest = text.partition("=")
    if not equals or not name.strip().isidentifier():
        raise UsageError(f"--vary {text!r}: expected OPTION=LOW..HIGH, OPTION=LOW..HIGH:STEP or OPTION=VALUE,VALUE,...")
    values = _range(text, rest) if ".." in rest else [_value(part, text) for part in rest.split(",")]
    values = list(dict.fromkeys(values))
    if len(values) < 2:
        raise UsageError(f"--vary {text!r}: needs at least two values to search among")
    return name.strip(), values


def _range(text: str, rest: str) -> list[Any]:
    bounds, _, step_text = rest.partition(":")
    low, _, high = bounds.partition("..")
    first, last, step = _value(low, text), _value(high, text), _value(step_text, text) if step_text else 1
    if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (first, last, step)) or step <= 0:
        raise UsageError(f"--vary {text!r}: LOW, HIGH and STEP must be numbers, and STEP above 0")
    count = math.floor((last - first) / step + 1e-9) + 1
    if not 2 <= count <= MOST_VALUES:
        raise UsageError(f"--vary {text!r}: gives {max(count, 0)} values; between 2 and {MOST_VALUES} can be searched")
    whole = all(isinstance(value, int) for value in (first, step))
    return [first + i * step if whole else round(first + i * step, 10) for i in range(count)]


def _value(part: str, text: str) -> Any:
    value = read_yaml(f"value: {part.strip()}", f"--vary {text}").get("value")
    if value is None or isinstance(value, (list, dict)):
        raise UsageError(f"--vary {text!r}: {part!r} is no value")
    return value


def carrier_tokens(codec: Codec, text: str, config: ExperimentConfig) -> int:
    """What a carrier of the text costs by the config's counting rules: its own text, its pages and their markers."""
    carrier = codec.encode(text)
    rules = config.tokens
    counter = tokens.counter(rules.rule, min_pixels=rules.min_pixels, max_pixels=rules.max_pixels)
    images = [counter.image(*page.size) for page in carrier.pages]
    own = tokens.count_text(carrier.text, rules.reference) if carrier.text else 0
    return own + sum(image.tokens for image in images) + counter.overhead(images)


def candidates(
    registry: Registry, codec: str, options: dict[str, Any], option: str, values: list[Any], text: str, config: ExperimentConfig
) -> list[Candidate]:
    """Every value with its ratio on one text, the sparsest first; what cannot be encoded comes last.

    Raises:
        ConfigError: there is no such codec, or it has no such option.
    """
    reference = tokens.count_text(text, config.tokens.reference)
    found = []
    for value in values:
        try:
            made = registry.codec(codec, **{**options, option: value})
            found.append(Candidate(value, reference / carrier_tokens(made, text, config)))
        except CtxbenchError as error:
            found.append(Candidate(value, None, str(error)))
    if all(candidate.ratio is None for candidate in found):
        raise UsageError(f"no value of {option} can be encoded; for {values[0]}: {found[0].error}")
    return sorted(found, key=lambda candidate: (candidate.ratio is None, candidate.ratio or 0.0))


def first_sample(registry: Registry, config: ExperimentConfig) -> Sample:
    """The sample by which costs are judged before a run: one of the task's, of another seed than any that is measured."""
    task: Task = registry.task(config.tasks[0].name, **config.tasks[0].options)
    return task.sample(config.buckets[0], 0)

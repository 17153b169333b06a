"""Prompt templates: checked when a config is read, filled in as they are, and part of a trial's id."""

from __future__ import annotations

import attrs
import pytest

from ctxbench import ConfigError
from ctxbench.config import ExperimentConfig, make_config
from ctxbench.prompts import compose
from ctxbench.resolving import resolve
from ctxbench.seeds import stable_hash
from ctxbench.session import Session

CONFIG = {"models": "mock", "tasks": "needle", "codecs": "text", "buckets": [128], "samples": 2}


def planned(**more):
    experiment = resolve(make_config({**CONFIG, **more}), Session.of())
    try:
        (cell,) = experiment.cells()
        return experiment, cell
    finally:
        experiment.close()


def test_a_template_is_filled_in_as_it_is():
    """Nothing but the placeholders changes: doubled braces become single ones, and no text of a context is taken for a placeholder."""
    template = "{{json}} {question}\n{hint}|{context}|{question}"
    assert compose("H", "a {hint} b", "Q{0}", template) == "{json} Q{0}\nH|a {hint} b|Q{0}"
    assert compose("H", None, "Q", "{hint}\n{context}\n{question}") == "H\n\nQ"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{context} {questoin}", "unknown placeholder {questoin}; did you mean 'question'?"),
        ("{context} {question} {answer}", "unknown placeholder {answer}; known: {hint}, {context}, {question}"),
        ("{context} only", "the placeholder {question} is missing"),
        ("{question}", "the placeholder {context} is missing"),
        ("{context} {context} {question}", "more than once"),
        ("{context} {question} {", "write a brace that is meant as such twice"),
        ("{context} {question} {}", "unknown placeholder {}"),
        ("{context!r} {question}", "takes no format or conversion"),
        ("{context:>9} {question}", "takes no format or conversion"),
        ("{context.upper} {question}", "unknown placeholder {context.upper}"),
    ],
)
def test_a_wrong_template_is_one_clear_error(template, message):
    """What would fail in every trial, or quietly leave the context out, fails before anything runs."""
    with pytest.raises(ConfigError) as error:
        make_config({**CONFIG, "prompt": template})
    assert str(error.value).startswith("config: prompt: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_template_is_part_of_the_trial_id():
    """Two templates never share stored answers, and neither does one with the usual prompt."""
    cells = [planned(**more)[1] for more in ({}, {"prompt": "{context}\n{question}"}, {"prompt": "{context} {question}"})]
    assert len({cell.id for cell in cells}) == len({cell.variant for cell in cells}) == 3


def test_runs_without_a_template_keep_their_ids():
    """A store that was filled before there were templates still counts as done: the hashes are made of what they were made of."""
    experiment, cell = planned()
    parts = (cell.reader, cell.task, cell.codec, cell.augmentation)
    counter = experiment.session.counter("qwen2-vl")
    rules = {"family": "qwen2-vl", "version": counter.version, **counter.config, "reference": "qwen2-vl"}
    assert cell.id == stable_hash([128, 0, "", rules, *(part.identity for part in parts)])[:32]
    plain = ExperimentConfig().plain()
    assert ExperimentConfig().hash == stable_hash({key: plain[key] for key in plain if key not in ("run", "store", "prompt")})
    assert attrs.evolve(ExperimentConfig(), prompt="{context}{question}").hash != ExperimentConfig().hash

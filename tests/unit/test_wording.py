"""The wordings that the embedded model is measured with."""

from __future__ import annotations

import yaml

from benchmarks import wording
from ctxbench import load_plugins
from ctxbench.config.template import Template
from ctxbench.prompts import compose


def test_every_wording_is_a_template_that_no_training_has() -> None:
    trained = {*yaml.safe_load(wording.PLAN.read_text("utf-8"))["prompts"]}
    usual, *others = [*wording.wordings().values(), wording.misled("render"), wording.misled("codebook")]
    assert usual == ""
    assert len(set(others)) == 5
    for template in others:
        assert Template().parse(template, "prompt") == template
        assert template not in trained


def test_a_page_is_called_what_it_is_not() -> None:
    """In the usual words but for that: the difference is the hint's."""
    registry = load_plugins()
    for codec, other in (("render", "codebook"), ("codebook", "render")):
        hint = registry.codec(other).hint("en")
        assert hint != registry.codec(codec).hint("en")
        told = compose(registry.codec(codec).hint("en"), None, "Which?", wording.misled(codec))
        assert told == compose(hint, None, "Which?")


def test_each_cell_is_of_its_own_trials() -> None:
    """An answer that did not come counts as wrong, and what was not measured is empty."""
    rows = [{"exact": 1, "errors": 0.0}, {"exact": None, "errors": 1.0}]
    found = {("usual", "base: text", "needle"): rows, ("another's hint", "base: render", "needle"): rows[:1]}
    page = wording.report(found).splitlines()
    assert "| task | words | base: text | base: render |" in page
    assert "| needle | usual | 50 (9 to 91) |  |" in page
    assert "| needle | another's hint |  | 100 (21 to 100) |" in page

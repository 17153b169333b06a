"""Pages as weights were trained to read them: filled in where a codec's options are left open, and told of where they differ."""

from __future__ import annotations

import json
from typing import Any

import pytest
from engine_parts import config, rows

from ctxbench import ConfigError
from ctxbench.engine import RunReport, preview, run

TRAINED = """
@attrs.frozen
class Trained(Model):
    layouts: dict = attrs.field(factory=dict, eq=False)
    def read(self, prompts): return [Reading(p.text.split()[-1]) for p in prompts]
@hookimpl
def ctxbench_models(): yield ModelRecord("trained", "s", Trained)
"""


def finished(tmp_path: Any, **changes: Any) -> tuple[list[Any], list[str]]:
    """(codec configs of the rows, notes of the run)."""
    report = RunReport()
    with run(config(tmp_path, augmentations=["clean"], **changes), report=report) as store:
        return [json.loads(text) for (text,) in rows(store, "DISTINCT codec_config")], [n for n in report.notes if n.startswith("dot")]


def model(name: str, **layout: Any) -> dict[str, Any]:
    """A model that was trained on a layout of the codec ``dot``."""
    return {"name": "trained", "label": name, "layouts": {"dot": layout} if layout else {}}


def test_a_codec_without_options_gets_those_that_the_model_was_trained_on(parts, bad_parts, tmp_path):
    """The rows hold them, a model without a layout takes part, and the run says once whose they are."""
    bad_parts(TRAINED)
    configs, notes = finished(tmp_path, models=[model("a", color="blue"), model("b")])
    assert configs == [{"color": "blue", "fail": ""}]
    assert notes == ["dot: color=blue, as model 'a' was trained on"]


def test_the_trial_is_that_of_the_options_typed_out(parts, bad_parts, tmp_path):
    """So what was run with options spelled out is found finished."""
    bad_parts(TRAINED)
    both = {"models": [model("a", color="blue")]}
    assert finished(tmp_path, codecs=[{"name": "dot", "color": "blue"}], **both)[1] == []
    assert preview(config(tmp_path, augmentations=["clean"], **both))["to_run"] == 0


def test_given_options_stay_and_a_difference_is_said(parts, bad_parts, tmp_path):
    """Nothing is filled into a codec that has an option; what its pages differ in is named."""
    bad_parts(TRAINED)
    configs, notes = finished(tmp_path, models=[model("a", color="blue")], codecs=[{"name": "dot", "color": "green"}])
    assert configs == [{"color": "green", "fail": ""}]
    assert notes == ["dot: model 'a' was trained on color=blue, and here it is color=green; answers may mean nothing"]


def test_models_that_differ_leave_the_codec_as_it_is(parts, bad_parts, tmp_path):
    """Neither layout wins; the note says what each would need."""
    bad_parts(TRAINED)
    configs, notes = finished(tmp_path, models=[model("a", color="blue"), model("b", color="green")])
    assert configs == [{"color": "red", "fail": ""}]
    assert "trained on different layouts" in notes[0]
    assert "model 'a': color=blue; model 'b': color=green" in notes[0]
    assert len(notes) == 3


def test_layouts_are_checked_at_the_border(parts, bad_parts, tmp_path):
    """What is no mapping of mappings ends the plan with one line."""
    bad_parts(TRAINED.replace("attrs.field(factory=dict, eq=False)", "attrs.field(default='blue', eq=False)"))
    with pytest.raises(ConfigError, match=r"^models\[0\]: the model's layouts must map codec names to options, got 'blue'$"):
        run(config(tmp_path, models=["trained"]))

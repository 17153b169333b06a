"""What the embedded model was trained on: the records that ship, and how they are made from the learning curves."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

import ctxbench
import ctxbench_tiny
from ctxbench.contamination import FILE, read, training_overlap

TINY = Path(__file__).parents[2] / "plugins" / "tiny"
sys.path.insert(0, str(TINY / "train"))

from tinytrain import record  # noqa: E402
from tinytrain.stages import load_stages  # noqa: E402

ADAPTERS = ["codebook", "codebook-dense"]

PROSE = (
    "Two students hid a bundle of nets, and a visiting engineer moved it again late in the evening. The road to the mill pond "
    "was cheerful, so a guide from the valley took another way. The station master went from the school kitchen to the mill "
    "pond with the weather log. It was late. Nobody spoke. The cook went from the quarry to the theatre with a chest of "
    "tools."
)
"""As the task ``needle`` made it when the model was trained."""


@pytest.mark.parametrize("adapter", [None, *ADAPTERS])
def test_the_wheel_says_what_the_model_was_trained_on(adapter: str | None, capfd: pytest.CaptureFixture[str]) -> None:
    """Prose of the trained kind overlaps, the same words in another order do not; base and adapter have a record each, for each other."""
    model = ctxbench.load_plugins().model("tiny", adapter=adapter)
    assert model.training_data is not None
    assert len(model.training_data) == (1 if adapter is None else 2)
    words = PROSE.split()
    random.Random(0).shuffle(words)
    for data in model.training_data:
        assert "contexts of json_restore" in data.covers
        assert "needle version 1" in data.covers
        assert len(data.hashes) == record.MOST
        assert data.overlap(PROSE) > 0.5
        assert data.overlap(" ".join(words)) < 0.05
    assert training_overlap(model.training_data, PROSE) == max(data.overlap(PROSE) for data in model.training_data)
    assert capfd.readouterr().err == ""  # the adapters name the base that ships


def test_the_records_keep_the_wheel_small() -> None:
    """Weights are 13 MB; what is said about them is to stay below two."""
    assert sum(path.stat().st_size for path in ctxbench_tiny.WEIGHTS.rglob(FILE)) < 2_000_000


def test_what_a_stage_ends_with_comes_from_its_own_stages() -> None:
    """An adapter's record must not hold its base's contexts, which have a record of their own, nor the base's another adapter's."""
    config = load_stages(TINY / "train" / "stages.yaml")
    assert record.stages_of(config, "exact") == ["reading", "tasks", "finding", "polish", "exact"]
    assert record.stages_of(config, "codebook") == ["words", "codebook"]
    assert record.stages_of(config, "codebook-bytes") == ["codebook-bytes"]


CURVES = """stage,step,minutes,track,length,loss,batches
first,100,1,json,32,0.5,40
first,200,2,json,64,0.5,70
first,200,2,copy,16,0.5,9
second,100,1,json,64,0.5,500
"""


def test_batches_below_the_longest_length_are_counted_too(tmp_path: Path) -> None:
    """Focus 0.4 and two lengths: 0.4 + 0.6 / 2 of the batches are at the longest, so 70 there mean 30 at the other."""
    (tmp_path / "curves.csv").write_text(CURVES)
    found = record.batches(tmp_path / "curves.csv", "first", lambda _: 0.4, lambda track: [32, 64] if track == "json" else [16])
    assert found == {("json", 32): 40 + 30, ("json", 64): 70, ("copy", 16): 9}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A base's folder."""
    (tmp_path / "base").mkdir()
    (tmp_path / "curves.csv").write_text(CURVES.replace("40", "3").replace("70", "2"))
    return tmp_path / "base"


def test_a_record_is_made_of_contexts_as_many_and_as_long(folder: Path) -> None:
    """Batches of 300 tokens hold a few examples of the task's; texts drawn for reading alone are left out; twice gives the same file."""
    tracks: dict[str, Any] = {
        "json": {"source": "task", "task": "json_restore", "codec": "text", "lengths": [32, 64], "focus": 1.0},
        "copy": {"source": "copy", "kind": "text", "lengths": [16]},
    }
    config = {"stages": {"first": {"settings": {"tokens": 300, "steps": 9}, "tracks": tracks}}}
    said: list[str] = []
    record.write_record(config, folder.parent / "curves.csv", "first", folder, said.append)
    plan = record.draws(config, folder.parent / "curves.csv", "first")
    assert [(draw.track, draw.length) for draw in plan] == [("json", 32), ("json", 64)]
    examples = [plan[0].source.make(random.Random(i), 32) for i in range(8)]
    assert plan[0].count == round(3 * (300 / (sum(map(len, examples)) / 8) + 0.5))
    (data,) = read(folder) or ()
    contexts = [context for draw in plan for context in draw.contexts()]
    assert len(set(contexts)) == sum(draw.count for draw in plan) == int(data.covers.split()[0])
    assert {data.overlap(context) for context in contexts} == {1.0}
    fresh = ctxbench.load_plugins().task("json_restore").sample(64, 1).context
    assert data.overlap(fresh) < 0.5
    first = json.loads((folder / FILE).read_text())
    record.write_record(config, folder.parent / "curves.csv", "first", folder, said.append)
    assert json.loads((folder / FILE).read_text()) == first

"""What the embedded model was trained on: the records that ship."""

from __future__ import annotations

import random

import pytest

import ctxbench
import ctxbench_tiny
from ctxbench.contamination import FILE, training_overlap

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
        assert len(data.hashes) == 200_000
        assert data.overlap(PROSE) > 0.5
        assert data.overlap(" ".join(words)) < 0.05
    assert training_overlap(model.training_data, PROSE) == max(data.overlap(PROSE) for data in model.training_data)
    assert capfd.readouterr().err == ""  # the adapters name the base that ships


def test_the_records_keep_the_wheel_small() -> None:
    """Weights are 13 MB; what is said about them is to stay below two."""
    assert sum(path.stat().st_size for path in ctxbench_tiny.WEIGHTS.rglob(FILE)) < 2_000_000

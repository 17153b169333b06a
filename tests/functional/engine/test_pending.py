"""What of a plan is still to be done, against a real store that holds some of it."""

from __future__ import annotations

from typing import Any

import pytest
from plan_parts import plan

from ctxbench.engine import pending as module
from ctxbench.engine.pending import Survey, chunks, pending, survey, wants_channel
from ctxbench.plan import Experiment, Trial
from ctxbench.results import TrialResult
from ctxbench.store import Store


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "s.duckdb") as opened:
        yield opened


def row(trial: Trial, **changes: Any) -> TrialResult:
    """A stored row of a trial that was read and has the channel's verdict."""
    cell = trial.cell
    names = {"model": cell.reader.label, "task": cell.task.label, "codec": cell.codec.label, "augmentation": cell.augmentation.label}
    configs = {f"{name}_config": {} for name in names}
    seeds = {"sample_index": trial.index, "sample_seed": trial.sample_seed, "augmentation_seed": trial.augmentation_seed}
    rest = {"adapter": None, "language": "en", "model_fingerprint": "", "adapter_fingerprint": "", "bucket": cell.bucket}
    made = {**names, **configs, **seeds, **rest, "trial_id": trial.trial_id, "status": "ok", "channel_cer": 0.0, "channel_ok": True}
    return TrialResult(**{**made, **changes})


def failed(trial: Trial) -> TrialResult:
    return row(trial, status="error", error_stage="read", error_type="E", error_message="m", channel_cer=None, channel_ok=None)


def unheard(trial: Trial) -> TrialResult:
    return row(trial, channel_cer=None, channel_ok=None)


def work(experiment: Experiment, store: Store) -> dict[str, list[str]]:
    """Trial ids by what is to be done, over all chunks."""
    found: dict[str, list[str]] = {"trial": [], "channel": [], "stored": []}
    for chunk in pending(experiment, store):
        found["stored"] += [trial.trial_id for trial in chunk.stored]
        assert [kind for kind, _ in chunk.work()] == ["channel", "trial"]  # what is there is completed first
        for kind, groups in chunk.work():
            assert groups == (chunk.channels if kind == "channel" else chunk.trials)
            for group, trials in groups:
                assert trials
                assert set(trials) <= set(group.trials)
                found[kind] += [trial.trial_id for trial in trials]
    return found


def mixed(experiment: Experiment, store: Store) -> list[Trial]:
    """Stores the first six trials: two as they should be, two without the channel's verdict, two errors."""
    trials = list(experiment.trials())
    store.append("r1", [row(trials[0]), row(trials[1]), unheard(trials[2]), unheard(trials[3])])
    store.append("r2", [failed(trials[4]), failed(trials[5])])
    return trials


def test_an_empty_store_lacks_everything(store):
    """In the order of the plan."""
    experiment = plan(samples=3)
    every = [trial.trial_id for trial in experiment.trials()]
    assert work(experiment, store) == {"trial": every, "channel": [], "stored": []}
    assert survey(experiment, store) == Survey(planned=3)
    assert survey(experiment, store).to_run == 3


@pytest.mark.parametrize("size", [1, 2, 512])
def test_what_is_stored_needs_no_model_again(store, monkeypatch, size):
    """However many groups are looked up at once. Errors are kept; a missing verdict of the channel is filled in."""
    monkeypatch.setattr(module, "CHUNK", size)
    experiment = plan(samples=4, models=["reader", "sharing"])
    ids = [trial.trial_id for trial in mixed(experiment, store)]
    assert work(experiment, store) == {"trial": ids[6:], "channel": ids[2:4], "stored": ids[:6]}
    found = survey(experiment, store)
    assert found == Survey(planned=8, stored=6, errors=2, channels=2, runs={"r1": 4, "r2": 2})
    assert found.to_run == 2


def test_errors_are_retried_if_asked_for(store):
    """They count as not stored then, and as nobody's."""
    experiment = plan(samples=4, models=["reader", "sharing"], run={"retry_errors": True})
    ids = [trial.trial_id for trial in mixed(experiment, store)]
    assert work(experiment, store) == {"trial": ids[4:], "channel": ids[2:4], "stored": ids[:4]}
    found = survey(experiment, store)
    assert found == Survey(planned=8, stored=4, errors=0, channels=2, runs={"r1": 4})
    assert found.to_run == 4


@pytest.mark.parametrize(
    ("changes", "filled"),
    [
        ({}, 2),
        ({"run": {"channel": False}}, 0),
        ({"codecs": ["mute"]}, 0),
        ({"models": ["reader", "listener"], "run": {"channel": False}}, 2),
    ],
    ids=str,
)
def test_a_verdict_is_filled_in_where_there_can_be_one(store, changes, filled):
    """Where the channel is wanted, or a model needs it, and the codec has a decoder; trials that failed have no verdict to wait for."""
    experiment = plan(**{"samples": 4, "models": ["reader", "sharing"], **changes})
    ids = [trial.trial_id for trial in mixed(experiment, store)]
    found = work(experiment, store)
    assert found["channel"] == ids[2:4][:filled]
    assert found["stored"] == ids[:6]
    assert survey(experiment, store).channels == filled


def test_groups_with_nothing_to_do_are_left_out(store):
    """A stored group costs no sample and no page."""
    experiment = plan(samples=3, codecs=["ink", "mute"])
    trials = list(experiment.trials())
    store.append("r1", [row(trial) for trial in trials if trial.index != 1])
    (chunk,) = pending(experiment, store)
    assert [(group.index, group.codec.label) for group, _ in chunk.trials] == [(1, "ink"), (1, "mute")]
    assert chunk.channels == []
    assert len(chunk.stored) == 4


def test_the_channel_is_wanted_by_the_config_or_by_a_model():
    """A model that stands for the channel cannot do without it."""
    off = {"run": {"channel": False}}
    assert wants_channel(plan())
    assert not wants_channel(plan(**off))
    assert wants_channel(plan(models=["reader", "listener"], **off))


def test_chunks_hold_everything_once():
    """The last one is shorter; of nothing there is none."""
    assert list(chunks(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(chunks(range(4), 2)) == [[0, 1], [2, 3]]
    assert list(chunks([], 2)) == []
    assert module.CHUNK == 512

"""``sampling``: which records come how often, and from which step on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch

from ctxbench import ConfigError, UsageError
from ctxbench_transformers.data import Dataset, Datasets, build
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.distributed import World
from ctxbench_transformers.training.loop import train
from ctxbench_transformers.training.prepare import prepare
from ctxbench_transformers.training.sampling import groups
from ctxbench_transformers.training.schedule import Schedule
from tests.functional.hf.results import weights

CPU = torch.device("cpu")
MakeTraining = Callable[..., TrainConfig]

MIXTURE = [{"weight": 3, "end": 60}, {"weight": 1}, {"weight": 4, "begin": 20}]
PARTS = (np.arange(30), np.arange(30, 50), np.arange(50, 57))
"""Records of each entry; the entries' conditions are tested elsewhere."""


def planned(training: MakeTraining, **values: Any) -> Schedule:
    """100 steps of 16 examples."""
    config = training(**{"sampling": MIXTURE, "max_steps": 100, "epochs": 0, "batch_size": 4, "accumulation": 4} | values)
    return Schedule(config, 60, groups=PARTS)


def seen(schedule: Schedule, first: int, last: int, rank: int = 0) -> list[int]:
    """The records of some steps."""
    return [i for step in range(first, last) for some in schedule.indices(step, rank) for i in some]


def entry(record: int) -> int:
    """Which entry a record is of."""
    return 0 if record < 30 else 1 if record < 50 else 2


def test_entries_come_by_weight_from_their_step_on(training: MakeTraining) -> None:
    """3 : 1 at first, 3 : 1 : 4 from step 20, 1 : 4 from step 60; and no record comes again before all of its entry came."""
    schedule = planned(training)
    assert schedule.examples == 57
    for first, last, shares in ((0, 20, (3, 1, 0)), (20, 60, (3, 1, 4)), (60, 100, (0, 1, 4))):
        counts = np.bincount([entry(i) for i in seen(schedule, first, last)], minlength=3)
        places = 16 * (last - first)
        for count, share in zip(counts, shares, strict=True):
            expected = places * share / sum(shares)
            assert abs(count - expected) <= 4 * (expected * (1 - share / sum(shares))) ** 0.5
    whole = seen(schedule, 0, 100)
    for number, part in enumerate(PARTS):
        own = [i for i in whole if entry(i) == number]
        rounds = [own[start : start + len(part)] for start in range(0, len(own), len(part))]
        assert all(len(set(some)) == len(some) for some in rounds)
        assert len(rounds) > 5
        assert rounds[0] != rounds[1]


def test_what_a_step_sees_depends_on_its_number_alone(training: MakeTraining) -> None:
    """Not on what was asked before, on how long the run is, on how many processes share it, or on the seed of another run."""
    whole = seen(planned(training), 0, 100)
    assert seen(planned(training), 70, 80) == whole[16 * 70 : 16 * 80]
    assert seen(planned(training, max_steps=1000), 0, 100) == whole
    other = seen(planned(training, seed=1), 0, 100)
    assert [entry(i) for i in other] != [entry(i) for i in whole]
    config = training(sampling=MIXTURE, max_steps=100, epochs=0, batch_size=4, accumulation=2)
    two = Schedule(config, 60, 2, groups=PARTS)
    shared = [[some for rank in range(2) for some in two.indices(step, rank)] for step in range(100)]
    assert sorted(i for some in shared for part in some for i in part) == sorted(whole)
    assert [sorted(i for part in some for i in part) for some in shared] == [sorted(whole[16 * s : 16 * s + 16]) for s in range(100)]


def test_like_lengths_go_together_within_a_phase(training: MakeTraining) -> None:
    """The curriculum must hold: sorting by length may move no record across the step at which an entry begins or ends."""
    lengths = np.random.default_rng(0).integers(10, 1000, 60)
    plain = planned(training)
    grouped = attrs.evolve(plain, lengths=lengths)

    def padding(schedule: Schedule) -> int:
        passes = [lengths[some] for step in range(100) for some in schedule.indices(step)]
        return sum(int(some.max()) * len(some) - int(some.sum()) for some in passes)

    assert padding(grouped) < padding(plain) / 2
    assert {entry(i) for i in seen(grouped, 0, 20)} == {0, 1}
    assert {entry(i) for i in seen(grouped, 20, 60)} == {0, 1, 2}
    assert {entry(i) for i in seen(grouped, 60, 100)} == {1, 2}
    assert sorted(seen(grouped, 0, 20)) == sorted(seen(plain, 0, 20))


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_record_is_of_the_first_entry_that_it_meets(
    kind: str, training: MakeTraining, make_data_config: Callable[..., Any], toys: Path, tmp_path: Path
) -> None:
    """By codec, task, augmentation, language and bucket; records of no entry are left out."""
    build(make_data_config(output=str(tmp_path / kind), samples=12, buckets=[3, 5, 7], format=kind))
    split = Dataset(tmp_path / kind).split("train")
    config = training(sampling=[{"bucket": 3}, {"bucket": [3, 5], "codec": "toy_blocks", "task": "toy_letters", "language": "en"}])
    first, second = groups(config, split)
    assert {split[int(i)].sample.bucket for i in first} == {3}
    assert {split[int(i)].sample.bucket for i in second} == {5}
    assert len(first) == len(second) == 4


def test_several_data_sets_are_one(training: MakeTraining, toy_data: Path, make_data_config: Callable[..., Any], tmp_path: Path) -> None:
    """Fingerprint, counts and contexts are those of all; any first records have each set's share; an entry may mean one of them."""
    other = tmp_path / "other"
    build(make_data_config(output=str(other), samples=8, validation=0.25, buckets=[4], seed=9, format="parquet"))
    both = Datasets([str(toy_data), str(other)])
    parts = [Dataset(toy_data), Dataset(other)]
    for name in ("train", "validation"):
        split, ids = both.split(name), [[some.id for some in part.split(name)] for part in parts]
        found = [(some.sample.bucket == 4, some.id) for some in split]
        assert [[i for other, i in found if other == which] for which in (False, True)] == ids
        assert split.lengths() == [sum(split.columns(["tokens"])["tokens"][i].values()) for i in range(len(split))]
        for first in range(len(split)):
            assert abs(sum(other for other, _ in found[:first]) - first * len(ids[1]) / len(found)) <= 1
    assert both.records == {"task": {"toy_letters": 40}, "codec": {"toy_blocks": 40}, "split": {"train": 32, "validation": 8}}
    assert (both.languages, both.longest["visual"]) == ({"en": 40}, 5)
    assert both.fingerprint not in [some.fingerprint for some in parts]
    assert Datasets([str(toy_data)]).fingerprint == parts[0].fingerprint
    config = training(data=both.folders, sampling=[{"data": f"{other}/"}], max_steps=2, evaluate_every=0)
    train(config)
    record = json.loads((Path(config.output) / "ctxbench_training.json").read_text())
    assert [some["fingerprint"] for some in record["training_data"]] == [some.fingerprint for some in parts]
    assert record["data_config"] == {"codecs": ["toy_blocks"], "sets": [some.config for some in parts]}
    assert (record["data_records"]["split"], record["layouts"]) == ({"train": 32, "validation": 8}, {"toy_blocks": {}})
    assert "A LoRA adapter" in (Path(config.output) / "README.md").read_text()
    prepared = prepare(config, World(), CPU)
    assert {prepared.train[i].sample.bucket for step in range(2) for some in prepared.schedule.indices(step) for i in some} == {4}
    with pytest.raises(UsageError, match=r"--resume: data: .*set holds other records"):
        train(attrs.evolve(config, data=(str(toy_data),), sampling=()), resume="latest")


def test_data_sets_that_disagree_are_refused(toy_data: Path, tmp_path: Path) -> None:
    """One task with two meanings of right would give a score that means neither; and a set twice is not how a share is set."""
    other = tmp_path / "other"
    shutil.copytree(toy_data, other)
    manifest = json.loads((other / "ctxbench_data.json").read_text())
    (other / "ctxbench_data.json").write_text(json.dumps(manifest | {"primary_scores": {"toy_letters": "contains"}}))
    with pytest.raises(ConfigError, match=r"task 'toy_letters' is judged by 'toy_exact' in one of the folders and by 'contains'"):
        Datasets([str(toy_data), str(other)])
    with pytest.raises(ConfigError, match=r"is named twice"):
        Datasets([str(toy_data), f"{toy_data}/"])


@pytest.mark.parametrize(
    ("sampling", "said"),
    [
        ([{"codec": "render"}], r"sampling\[0\]: no record is such; the data have codec toy_blocks; task toy_letters;.*bucket 3, 5"),
        ([{}, {"bucket": 5}], r"sampling\[1\]: entries before it have all of its records"),
        ([{"begin": 2}], r"sampling: at step 1 of 9 no entry takes part"),
        ([{"bucket": 3, "end": 4}, {"bucket": 5, "begin": 5}], r"at step 5 of 9 no entry"),
        ([{"weight": 0}], r"at step 1 of 9 no entry"),
        ([{"buckets": 3}], r"sampling\[0\]\.buckets: unknown key 'buckets'.*'bucket'"),
    ],
)
def test_a_mixture_that_means_nothing_is_refused(sampling: list[dict[str, Any]], said: str, training: MakeTraining) -> None:
    """Before the weights are read, with what would be right."""
    with pytest.raises(ConfigError, match=said):
        prepare(training(sampling=sampling), World(), CPU)


def test_a_gap_after_the_last_step_is_none(training: MakeTraining) -> None:
    """An entry may end when the run does."""
    assert prepare(training(sampling=[{"end": 9}]), World(), CPU).schedule.steps == 9


def test_a_curriculum_resumes_bit_for_bit(training: MakeTraining, capsys: pytest.CaptureFixture[str]) -> None:
    """And it is a setting that no checkpoint goes on without; what is left out is said."""
    sampling = [{"bucket": 3, "weight": 2}, {"bucket": 5, "begin": 3}]
    whole, broken, other = (training(name, sampling=sampling, epochs=1, evaluate_every=0) for name in ("whole", "broken", "other"))
    train(whole)
    assert "left out" not in capsys.readouterr().err
    train(broken)
    (Path(broken.output) / "adapter_model.safetensors").unlink()
    checkpoint = str(Path(broken.output) / "checkpoints" / "step-00000004")
    with pytest.raises(UsageError, match=r"made with other settings: sampling"):
        train(attrs.evolve(broken, sampling=()), resume=checkpoint)
    train(broken, resume=checkpoint)
    left, right = weights(whole), weights(broken)
    assert all(torch.equal(left[key], right[key]) for key in left)
    train(attrs.evolve(other, sampling=other.sampling[:1]))
    assert "sampling: 12 of 24 training records are in no entry and are left out" in capsys.readouterr().err

"""The plan: what a trial's id, a cell, a variant and a seed are made of, part by part, and in which order trials come."""

from __future__ import annotations

import hashlib
import json

import attrs
import pytest
from plan_parts import RECORDS, Blur, Count, Free, Ink, Reader, Rule, Words, config, ids, plan, trials

from ctxbench import ConfigError
from ctxbench.plan import metric_version
from ctxbench.resolving import resolve
from ctxbench.seeds import derive_seed, stable_hash
from ctxbench.session import Session


def test_a_model_that_hides_what_it_was_given_is_told_apart():
    """Reference, adapter and options are in a trial's id though the model's own config is silent about all three."""
    base, *others = (
        ids(models=["reader"]),
        ids(models=["reader:large"]),
        ids(models=["reader:small"]),
        ids(models=["reader"], adapters=["a"]),
        ids(models=["reader"], adapters=["b"]),
        ids(models=[{"name": "reader", "depth": 2}]),
        ids(models=["sharing"]),
    )
    assert len(base.union(*others)) == 7 * len(base)


@pytest.mark.parametrize("cls", [Reader, Count, Ink, Blur])
def test_each_component_counts_in_cell_and_variant(monkeypatch, cls):
    """A new version of any one component is another cell of the same variant; other data is another variant."""
    (before,) = plan().cells()
    assert next(plan().cells()).id == before.id
    monkeypatch.setattr(cls, "version", 2)
    (newer,) = plan().cells()
    assert newer.id != before.id
    assert newer.variant == before.variant
    monkeypatch.setattr(cls, "fingerprint", "other data")
    (other,) = plan().cells()
    assert other.id not in (newer.id, before.id)
    assert other.variant != before.variant


@pytest.mark.parametrize(
    "changes",
    [
        {"codecs": [{"name": "ink", "shade": 1}]},
        {"tasks": [{"name": "tally", "language": "zh"}]},
        {"augmentations": [{"name": "blur", "sigma": 2.0}]},
        {"models": [{"name": "reader", "depth": 2}]},
        {"buckets": [65]},
        {"seed": 1},
        {"system": "Be brief."},
        {"tokens": {"family": "twin", "reference": "rule"}},
        {"tokens": {"family": "rule", "reference": "twin"}},
        {"tokens": {"family": "rule:side=14", "reference": "rule"}},
    ],
    ids=str,
)
def test_each_setting_counts_in_cell_and_variant(changes):
    """Nothing that decides an outcome or a count may share a cell with another value of it."""
    (before,), (after,) = plan().cells(), plan(**changes).cells()
    assert before.id != after.id
    assert before.variant != after.variant


def test_a_prompt_template_counts_and_the_usual_prompt_does_not():
    """Two templates are two cells; a plan without one has the ids that it had before there were templates."""
    usual, *others = (
        next(plan(**changes).cells()) for changes in ({}, {"prompt": "{context} {question}"}, {"prompt": "{question} {context}"})
    )
    assert len({cell.id for cell in (usual, *others)}) == len({cell.variant for cell in (usual, *others)}) == 3
    experiment = plan(seed=7, system="Be brief.")
    (cell,) = experiment.cells()
    rules = {"family": "rule", "version": experiment.session.counter("rule").version, "side": 28, "reference": "rule"}
    parts = (cell.reader, cell.task, cell.codec, cell.augmentation)
    assert cell.id == stable_hash([64, 7, "Be brief.", rules, *(part.identity for part in parts)])[:32]
    assert cell.variant == stable_hash([64, 7, "Be brief.", rules, *(part.unversioned for part in parts)])[:32]


def test_a_new_version_of_the_counting_rule_makes_new_trials(monkeypatch):
    """A corrected formula counts otherwise, so its trials are not those that were stored."""
    before = ids()
    monkeypatch.setattr(Rule, "version", 2)
    assert not before & ids()


def test_labels_and_what_changes_no_result_do_not_count():
    """A label is a name for people; batch size, channel and number of samples decide no outcome."""
    base = ids()
    assert ids(codecs=[{"name": "ink", "label": "pen"}]) == base
    assert ids(models=[{"name": "reader", "label": "eye"}]) == base
    assert ids(tasks=[{"name": "tally", "label": "sum"}]) == base
    assert ids(augmentations=[{"name": "blur", "label": "fog"}]) == base
    assert ids(metrics=["words", "letters"]) == base
    assert ids(run={"batch_size": 1, "channel": False}) == base
    assert base < ids(samples=3)


def test_ids_are_hashes_of_a_known_form():
    """32 hexadecimal digits of a SHA-256 of the cell and the two seeds: a change would run every stored trial again."""
    for trial in trials():
        text = f"{trial.cell.id} {trial.sample_seed} {trial.augmentation_seed}"
        assert trial.trial_id == hashlib.sha256(text.encode()).hexdigest()[:32]
        assert len(trial.cell.id) == len(trial.cell.variant) == 32


def test_a_sample_is_drawn_by_run_seed_task_bucket_and_number():
    """By the task's name and not by its label or options, so that two settings of one task are asked about samples of equal seeds."""
    several = {"tasks": ["tally", {"name": "tally", "label": "zh", "language": "zh"}, "free"], "buckets": [64, 128], "seed": 7}
    for trial in trials(**several):
        cell = trial.cell
        assert trial.sample_seed == derive_seed("sample", 7, cell.task.name, cell.bucket, trial.index)
    seeds = {(trial.cell.task.name, trial.cell.bucket, trial.index): trial.sample_seed for trial in trials(**several)}
    assert len(seeds) == len(set(seeds.values())) == 2 * 2 * 2


def test_data_that_runs_out_is_used_row_by_row():
    """Each row once, in an order that hashes of the run's seed and the task's name decide, of each task and length over its own rows."""
    tasks = [{"name": "stock", "rows": 5}, {"name": "stock", "label": "more", "rows": 9}, "tally"]
    found: dict[tuple[str, int], list[int]] = {}
    for trial in trials(tasks=tasks, buckets=[64, 128], samples=5, seed=7):
        found.setdefault((trial.cell.task.label, trial.cell.bucket), []).append(trial.sample_seed)
    seed = derive_seed("sample", 7, "stock")
    for (label, bucket), rows in (("stock", 64), 5), (("stock", 128), 8), (("more", 64), 9), (("more", 128), 12):
        order = sorted(range(rows), key=lambda row: hashlib.sha256(f"{seed} {row}".encode()).digest())
        assert found[label, bucket] == order[:5]
    assert found["tally", 64] == [derive_seed("sample", 7, "tally", 64, index) for index in range(5)]


@pytest.mark.parametrize(
    ("task", "bucket", "message"),
    [
        ({"name": "stock", "rows": 4}, 64, r"4 samples of 64 tokens, and each is used once; 5 are wanted: use -n 4 \(samples: 4\) or less"),
        ({"name": "stock", "rows": 1}, 64, r"1 sample of 64 tokens, and each is used once"),
        ({"name": "stock", "rows": 1}, 128, r"4 samples of 128 tokens, and each is used once"),
        ({"name": "whole", "rows": 1}, None, r"4 samples, and each is used once"),
    ],
    ids=str,
)
def test_more_samples_than_there_are_rows_are_refused(task, bucket, message):
    """With how many there are, and of which length; as many as there are can be used."""
    enough = {"name": task["name"], "label": "enough", "rows": 5 if bucket == 64 else 2}
    assert plan(tasks=[enough], buckets=[bucket], samples=5).size == 5
    with pytest.raises(ConfigError, match=rf"^tasks\[1\] \({task['name']}\): its data has {message}"):
        plan(tasks=[enough, task], buckets=[bucket], samples=5)


def test_all_is_each_row_once_of_every_length():
    """Of data with other numbers of rows by task and length, none is left out and none is used twice; shards still share it out."""
    tasks = [{"name": "stock", "rows": 3}, {"name": "stock", "label": "more", "rows": 5}]
    several = {"tasks": tasks, "buckets": [64, 128], "samples": "all", "augmentations": ["clean", "light"]}
    whole = plan(**several)
    rows: dict[tuple[str, int], list[int]] = {}
    for trial in whole.trials():
        if trial.cell.augmentation.name == "clean" and trial.cell.codec == whole.codecs[0]:
            rows.setdefault((trial.cell.task.label, trial.cell.bucket), []).append(trial.sample_seed)
    supply = {("stock", 64): 3, ("stock", 128): 6, ("more", 64): 5, ("more", 128): 8}
    assert {key: sorted(found) for key, found in rows.items()} == {key: list(range(count)) for key, count in supply.items()}
    assert whole.size == len(list(whole.trials())) == 2 * len(whole.codecs) * len(whole.readers) * sum(supply.values())
    assert whole.config.plain()["samples"] == "all"
    parts = [plan(**several, run={"shard": f"{number}/3"}) for number in (1, 2, 3)]
    assert [part.size for part in parts] == [len(list(part.trials())) for part in parts]
    found = [trial.trial_id for part in parts for trial in part.trials()]
    assert sorted(found) == sorted(trial.trial_id for trial in whole.trials())
    assert {trial.trial_id for trial in plan(**several | {"samples": 3}).trials()} < set(found)  # what a number began, all goes on with
    with pytest.raises(ConfigError, match=r"^tasks\[1\] \(tally\): makes as many samples as are wanted, and has no 'all': use -n"):
        plan(tasks=["stock", "tally"], buckets=[64], samples="all")


def test_trials_share_a_sample_if_task_bucket_and_number_are_the_same():
    """The engine makes a sample once for all trials with its key; two settings of one task draw different samples from equal seeds."""
    several = {"tasks": ["tally", {"name": "tally", "label": "zh", "language": "zh"}], "buckets": [64, 128], "codecs": ["ink", "mute"]}
    keys = [trial.sample_key for trial in trials(**several)]
    assert keys == [(t.cell.task.label, t.cell.bucket, t.index) for t in trials(**several)]
    assert (len(keys), len(set(keys))) == (16, 8)


def test_damage_is_drawn_by_sample_and_level():
    """By the level's name and options: each of them has a draw of its own for each sample, which all codecs and readers share."""
    levels = ["blur", {"name": "blur", "label": "more", "sigma": 2.0}, "clean"]
    found: dict[tuple[str, int], set[int]] = {}
    for trial in trials(augmentations=levels, codecs=["ink", "mute"], models=["reader", "sharing"]):
        level = trial.cell.augmentation
        assert trial.augmentation_seed == derive_seed("augmentation", trial.sample_seed, level.name, level.config)
        found.setdefault((level.label, trial.index), set()).add(trial.augmentation_seed)
    assert [len(seeds) for seeds in found.values()] == [1] * 6
    assert len(set.union(*found.values())) == 6


def test_samples_are_outermost_and_each_codec_is_one_group():
    """A run cut short has whole samples; the trials of a group share sample and codec, levels before readers."""
    experiment = plan(tasks=["tally", "free"], buckets=[64, 65], codecs=["ink", "mute"], models=["reader", "sharing"], adapters=[None, "a"])
    groups = list(experiment.groups())
    order = [(g.index, g.task.label, g.bucket, g.codec.label) for g in groups]
    assert order == [(i, t, b, c) for i in (0, 1) for t in ("tally", "free") for b in (64, 65) for c in ("ink", "mute")]
    for group in groups:
        assert [(t.cell.reader.label, t.cell.reader.adapter) for t in group.trials] == [
            ("reader", None),
            ("reader", "a"),
            ("sharing", None),
            ("sharing", "a"),
        ]
        for trial in group.trials:
            cell = trial.cell
            assert (cell.task, cell.bucket, cell.codec) == (group.task, group.bucket, group.codec)
            assert (trial.index, trial.sample_seed) == (group.index, group.sample_seed)
    assert [trial for group in groups for trial in group.trials] == list(experiment.trials())
    assert {trial.cell.id for trial in experiment.trials()} == {cell.id for cell in experiment.cells()}
    assert len(list(experiment.cells())) == len(list(experiment.trials())) / 2 == 32


def test_the_shards_of_a_plan_are_the_plan():
    """Each trial is in one of them, as many as its size says, and under the id that it has in the whole."""
    several = {
        "samples": 5,
        "tasks": ["tally", "free"],
        "buckets": [64, 65, 66],
        "codecs": ["ink", "mute"],
        "models": ["reader", "sharing"],
    }
    whole = plan(**several)
    shards = [plan(**several, run={"shard": f"{k}/4"}) for k in (1, 2, 3, 4)]
    assert whole.size == len(list(whole.trials())) == 5 * 2 * 3 * 2 * 2
    found = [[trial.trial_id for trial in shard.trials()] for shard in shards]
    assert [shard.size for shard in shards] == [len(ids) for ids in found]
    assert sorted(trial_id for ids in found for trial_id in ids) == sorted(trial.trial_id for trial in whole.trials())
    assert max(map(len, found)) - min(map(len, found)) <= 2 * 2  # one sample in its codecs and readers
    for shard in shards:  # every task and length is in every shard
        assert len({(trial.cell.task.label, trial.cell.bucket) for trial in shard.trials()}) == 6


def test_a_reader_is_what_the_config_names():
    """Label, base name without its reference, adapter, config without the two, and the memory that readers share."""
    alone, *_, sharing = plan(models=["reader:ref", "sharing"], adapters=["a"]).readers
    assert (alone.label, alone.model_name, alone.adapter) == ("reader:ref", "reader", "a")
    assert alone.config == {}
    assert alone.model.given == ("ref", "a", 1)
    assert (alone.memory, sharing.memory) == (alone.identity, "one memory")
    assert plan(models=[{"name": "reader", "depth": 3}]).readers[0].config == {"depth": 3}
    assert plan(models=["open:ref"], adapters=["a"]).readers[0].config == {"depth": 1}


def test_a_reader_is_named_with_its_adapter():
    """In notes and errors."""
    assert [reader.title for reader in plan(adapters=[None, "a"]).readers] == ["model 'reader'", "model 'reader' with adapter 'a'"]


def test_layouts_that_weights_were_trained_on_are_filled_in_and_told(monkeypatch):
    """Before the parts are made, so that the trial's id has them; a config of other options is told as well."""
    monkeypatch.setattr(Reader, "layouts", {"ink": {"shade": 3}})
    filled, strange = plan(), plan(codecs=[{"name": "ink", "shade": 1}])
    assert filled.codecs[0].config == {"shade": 3}
    assert filled.notes == ("ink: shade=3, as model 'reader' was trained on",)
    assert strange.codecs[0].config == {"shade": 1}
    assert [note.partition(";")[0] for note in strange.notes] == ["ink: model 'reader' was trained on shade=3, and here it is shade=1"]
    with pytest.raises(ConfigError, match=r"^codecs\[1\]: .*shade"):
        plan(codecs=["ink", "exact"])
    monkeypatch.setattr(Reader, "layouts", {"exact": {"shade": 3}})
    assert plan(codecs=["ink", "exact"]).codecs[1].config == {"shade": 3}  # one that has no default is given what it needs
    monkeypatch.setattr(Reader, "layouts", {"ink": 3})
    with pytest.raises(ConfigError, match=r"^models\[0\]: the model's layouts must map codec names to options"):
        plan()


def test_the_config_hash_is_of_all_that_decides_results():
    """Where the results go and how the work is done leave it as it is; whatever else is written in the config does not."""
    base = plan().config_hash
    assert plan(run={"batch_size": 3}, store="elsewhere.duckdb").config_hash == base
    assert plan(samples=3).config_hash != base
    assert plan(system="x").config_hash != base


def test_only_decoders_decode():
    """The codec's own word decides whether its pages are decoded, and whether there are none but the context itself."""
    ink, mute = plan(codecs=["ink", "mute"]).codecs
    assert (ink.decodes, ink.verbatim, mute.decodes, mute.verbatim) == (True, False, False, True)
    assert (plan().tasks[0].decodes, plan().tasks[0].verbatim) == (False, False)


def test_the_versions_of_all_distributions_are_recorded():
    """Sorted by name, with the version of each."""
    found = plan().versions()
    assert found["ctxbench-core"] == Session.of().registry.find("model", "channel").origin.version
    assert list(found) == sorted(found)


def test_closing_an_experiment_closes_its_models(monkeypatch):
    """Every reader's, once each."""
    monkeypatch.setattr(Reader, "closed", 0)
    plan(models=["reader:a", "reader:b"]).close()
    assert Reader.closed == 2


def test_metrics_are_the_tasks_own_unless_the_config_names_some():
    """The one that decides *correct* is always among them, once; a task that nothing decides gets none added."""

    def names(**changes) -> dict[str, list[str]]:
        return {task: [part.name for part in parts] for task, parts in plan(**changes).metrics.items()}

    assert names(tasks=["tally", "free"]) == {"tally": ["words"], "free": ["words"]}
    assert names(tasks=["tally", "free"], metrics=["letters"]) == {"tally": ["letters", "words"], "free": ["letters"]}
    assert names(metrics=["words", "letters"]) == {"tally": ["words", "letters"]}


def test_a_metrics_version_is_of_its_release_options_and_data(monkeypatch):
    """Scores under other options or data of a metric are not those that are stored, and are made anew."""

    def version(**options) -> str:
        experiment = plan(metrics=[{"name": "words", **options}])
        (part,) = experiment.metrics["tally"]
        return metric_version(part, experiment.session.component(part))

    (part,) = plan(metrics=["words"]).metrics["tally"]
    expected = hashlib.sha256(json.dumps([part.config, part.fingerprint], separators=(",", ":")).encode()).hexdigest()[:8]
    base = version()
    assert base == f"{part.version}/{expected}"
    assert part.config == {"strict": False}
    assert version(strict=True).rpartition("/")[0] == base.rpartition("/")[0]
    assert version(strict=True) != base
    assert version(label="other") == base
    monkeypatch.setattr(Words, "fingerprint", "word list 2")
    data = version()
    assert data != base
    monkeypatch.setattr(Words, "version", 2)
    assert version().rpartition("/")[2] == data.rpartition("/")[2]
    assert version() != data


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": ["tally", {"name": "free", "langauge": "zh"}]}, r"^tasks\[1\]: task 'free' has no option 'langauge'"),
        ({"codecs": ["inc"]}, r"^codecs\[0\]: no codec named 'inc'"),
        ({"augmentations": ["blur", "blurr"]}, r"^augmentations\[1\]: no augmenter named"),
        ({"metrics": ["words", "leters"]}, r"^metrics\[1\]: no metric named 'leters'"),
        ({"models": ["reader", "raeder"]}, r"^models\[1\]: no model named 'raeder'"),
        ({"tokens": {"family": "rool", "reference": "rule"}}, r"^tokens.family: no token_counter named 'rool'"),
        ({"tokens": {"family": "rule", "reference": "wordless"}}, r"^tokens.reference: 'wordless' has no text tokenizer at hand"),
        ({"run": {"executor": "lokal"}}, r"^run.executor\[0\]: no executor named 'lokal'"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named_by_its_place(changes, message):
    """The key path of the config, before anything runs."""
    with pytest.raises(ConfigError, match=message):
        plan(**changes)


def test_a_tasks_own_metric_that_is_missing_is_named_by_the_task(monkeypatch):
    """Nobody wrote it in the config, so its place is the task that wants it."""
    monkeypatch.setattr(Free, "metrics", ("words", "gone"))
    with pytest.raises(ConfigError, match=r"^tasks\[1\] metrics\[1\]: no metric named 'gone'"):
        plan(tasks=["tally", "free"])


def test_a_family_without_a_tokenizer_may_count_pixels():
    """Only the reference has to count text."""
    assert plan(tokens={"family": "wordless", "reference": "rule"}).config.tokens.family == "wordless"


def test_pixel_budgets_are_options_of_the_family():
    """They reach the family's counter and not the reference's, which knows none."""
    from ctxbench import ImageTokens, TokenCounter, TokenCounterRecord

    @attrs.frozen
    class Bounded(TokenCounter):
        min_pixels: int = 1
        max_pixels: int = 100

        def image(self, width, height):
            return ImageTokens(1, width, height)

    session = Session.of(components=[*RECORDS, TokenCounterRecord("bounded", "s", Bounded)])

    def found(**options) -> str:
        made = resolve(config(tokens={"family": "bounded", "reference": "rule", **options}), session)
        return next(made.cells()).id

    assert len({found(), found(min_pixels=2), found(max_pixels=99)}) == 3
    assert found(min_pixels=1, max_pixels=100) == found()
    for name in ("min_pixels", "max_pixels"):
        with pytest.raises(ConfigError, match=rf"^tokens.family: .*{name}"):
            plan(tokens={"family": "rule", "reference": "rule", name: 5})

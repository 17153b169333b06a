"""Training data: balanced, reproducible, whole or not there, and never what evaluation draws."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ctxbench import (
    Carrier,
    Codec,
    CodecRecord,
    ConfigError,
    CtxbenchError,
    Sample,
    Task,
    TaskRecord,
    contamination,
    derive_seed,
    load_plugins,
    stable_hash,
    tokens,
)
from ctxbench.plugin import Origin
from ctxbench.prompts import answer_room, compose
from ctxbench.session import extended
from ctxbench_transformers import settings
from ctxbench_transformers.data import DataConfig, Dataset, build
from ctxbench_transformers.data.plan import jobs

MakeConfig = Callable[..., DataConfig]


def files(folder: Path) -> dict[str, str]:
    """Hash of every file, by path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_the_same_config_gives_the_same_bytes_with_any_number_of_workers(
    format: str, toys: Path, make_data_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Order and content must not depend on which process finished first; another seed must change the records."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    made = []
    for name, workers, seed in (("one", 1, 0), ("two", 2, 0), ("other", 1, 1)):
        config = make_data_config(output=str(tmp_path / name / "set"), samples=20, buckets=[4, 6], format=format, seed=seed)
        made.append(build(config, workers=workers))
    assert made[0]["fingerprint"] == made[1]["fingerprint"] != made[2]["fingerprint"]
    one, two = files(tmp_path / "one" / "set"), files(tmp_path / "two" / "set")
    assert {k: v for k, v in one.items() if k != "ctxbench_data.json"} == {k: v for k, v in two.items() if k != "ctxbench_data.json"}
    assert list((tmp_path / "one").iterdir()) == [tmp_path / "one" / "set"]  # nothing unfinished is left


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_records_read_back_as_evaluation_would_ask_them(format: str, toys: Path, make_data_config: MakeConfig, tmp_path: Path) -> None:
    """Prompt text by the engine's own composition, pixels exact, answer and metadata intact, in both formats."""
    build(make_data_config(output=str(tmp_path / "set"), samples=70, buckets=[5], validation=0.1, system="sys", format=format))
    data = Dataset(tmp_path / "set")
    train = data.split("train")
    assert (len(train), len(data.split("validation"))) == (70, 7)
    registry = load_plugins()
    for index in (69, 0, 64, 63):
        example = train[index]
        sample = registry.task("toy_letters").sample(5, example.sample.metadata["seed"])
        assert example.sample == sample
        assert example.prompt.text == compose("Read.", None, "5?")
        assert example.prompt.system == "sys"
        assert example.answer == sample.answer
        assert example.prompt.max_new_tokens == answer_room(tokens.count_text(sample.answer))
        page = registry.codec("toy_blocks").encode(sample.context).pages[0]
        assert np.array_equal(np.asarray(example.prompt.pages[0]), np.asarray(page))


def test_shares_are_exact_and_every_prefix_is_balanced(toys: Path, make_data_config: MakeConfig) -> None:
    """0.7 / 0.3 of 500 are 350 and 150, within each bucket too; the first 100 already hold 70 and 30."""
    tasks = ["toy_letters", {"name": "toy_letters", "label": "second"}]
    config = make_data_config(tasks=tasks, task_weights=[0.7, 0.3], buckets=[3, 4], samples=500, validation=0.1)
    planned = list(jobs(config, "train"))
    assert Counter(job.cell.task.label for job in planned) == {"toy_letters": 350, "second": 150}
    assert Counter((job.cell.task.label, job.cell.bucket) for job in planned)["second", 3] == 75
    first = Counter(job.cell.task.label for job in planned[:100])
    assert abs(first["toy_letters"] - 70) <= 2
    assert len(list(jobs(config, "validation"))) == 50


def test_training_never_draws_an_evaluation_seed(toys: Path, make_data_config: MakeConfig) -> None:
    """Seeds are hashes of their parts; training's first part is another word than evaluation's, whatever the rest is."""
    from ctxbench.plan import EVALUATION
    from ctxbench_transformers.data.plan import NAMESPACE

    assert NAMESPACE != EVALUATION
    config = make_data_config(samples=300, buckets=[3])
    train = {job.sample_seed for split in ("train", "validation") for job in jobs(config, split)}  # type: ignore[arg-type]
    assert len(train) == 330
    evaluation = {derive_seed(EVALUATION, seed, "toy_letters", 3, index) for seed in range(20) for index in range(300)}
    assert not train & evaluation


def test_no_validation_context_was_trained_on(toys: Path, make_data_config: MakeConfig, tmp_path: Path) -> None:
    """Three letters of four make 64 contexts; 40 training records take many of them, and validation must draw around those."""
    manifest = build(make_data_config(output=str(tmp_path / "set"), samples=40, buckets=[3], validation=0.5))
    data = Dataset(tmp_path / "set")
    contexts = {name: {example.sample.context for example in data.split(name)} for name in ("train", "validation")}
    assert not contexts["train"] & contexts["validation"]
    assert manifest["redrawn"] > 0
    with pytest.raises(CtxbenchError, match="too few different ones"):
        build(make_data_config(output=str(tmp_path / "none"), samples=300, buckets=[2], validation=0.5))
    assert not (tmp_path / "none").exists()


def test_languages_are_spread_and_handed_to_the_task(toys: Path, make_data_config: MakeConfig) -> None:
    """Half of each; and a language set in two places is an error."""
    planned = list(jobs(make_data_config(languages=["en", "zh"], samples=10), "train"))
    assert Counter(job.cell.task_options()["language"] for job in planned) == {"en": 5, "zh": 5}
    with pytest.raises(ConfigError, match="not in both"):
        build(make_data_config(languages=["en"], tasks=[{"name": "toy_letters", "language": "zh"}]))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bucket": [5]}, "did you mean 'buckets'"),
        ({"samples": "many"}, "samples: must be a whole number"),
        ({"codecs": ["toy_block"]}, r"codecs\[0\].*did you mean 'toy_blocks'"),
        ({"task_weights": [1, 2]}, "2 weights for 1 tasks"),
        ({"validation": 2}, "must be from 0 to 1, got 2"),
        ({"tasks": ["toy_letters", "toy_letters"]}, "label"),
    ],
)
def test_mistakes_in_a_config_are_one_line_with_the_key(
    values: dict[str, Any], message: str, toys: Path, make_data_config: MakeConfig, tmp_path: Path
) -> None:
    """Unknown keys give the nearest known one; nothing is written."""
    with pytest.raises(ConfigError, match=message) as caught:
        build(make_data_config(output=str(tmp_path / "set"), **values))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "set").exists()


def test_yaml_numbers_are_read_as_people_write_them(tmp_path: Path) -> None:
    """YAML 1.1 takes ``2e-4`` for text."""
    from ctxbench_transformers.training.config import TrainConfig

    path = tmp_path / "train.yaml"
    path.write_text("lr: 2e-4\nlora: {dropout: 5e-2}\n")
    config = settings.load(TrainConfig, path, ["lora.r=8"])
    assert (config.lr, config.lora.dropout, config.lora.r) == (2e-4, 0.05, 8)
    path.write_text("lr: fast\n")
    with pytest.raises(ConfigError, match=r"train\.yaml: lr: must be a number"):
        settings.load(TrainConfig, path)


def test_an_existing_folder_is_replaced_only_if_it_is_training_data(toys: Path, make_data_config: MakeConfig, tmp_path: Path) -> None:
    """--overwrite must not remove somebody's folder."""
    config = make_data_config(output=str(tmp_path / "set"), samples=2, buckets=[3])
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="holds no training data"):
        build(config, overwrite=True)
    assert (tmp_path / "set" / "thesis.txt").exists()
    (tmp_path / "set" / "thesis.txt").unlink()
    (tmp_path / "set").rmdir()
    build(config)
    with pytest.raises(ConfigError, match="--overwrite"):
        build(config)
    build(config, overwrite=True)


def test_the_record_knows_every_context_of_its_data_and_no_others(toy_data: Path, make_data_config: MakeConfig, tmp_path: Path) -> None:
    """Every training context must be found again, and a fresh one must not; data of an early version, without a record, gives the same."""
    data = Dataset(toy_data)
    (record,) = data.training_data()
    assert record.fingerprint == data.fingerprint
    for split in ("train", "validation"):
        assert {record.overlap(example.sample.context) for example in data.split(split)} == {1.0}
    assert {record.overlap(f"fresh {i}") for i in range(1000)} == {0.0}
    assert f"all {data.manifest['contexts']} contexts" in record.covers
    shutil.copytree(toy_data, tmp_path / "early")
    (tmp_path / "early" / contamination.FILE).unlink()
    (made,) = Dataset(tmp_path / "early").training_data()
    assert made.plain() == record.plain()


def test_a_template_words_the_records(toys: Path, make_data_config: MakeConfig, tmp_path: Path) -> None:
    """``prompt`` must word training as it words an evaluation, and leave the hash of configs without one as it was."""
    template = "{question} after {hint}{context}"
    plain, worded = make_data_config(samples=2), make_data_config(samples=2, prompt=template, output=str(tmp_path / "set"))
    assert plain.hash != worded.hash
    assert plain.hash == stable_hash({k: v for k, v in plain.plain().items() if k not in ("name", "format", "output", "prompt", "prompts")})
    build(worded)
    example = Dataset(tmp_path / "set").split("train")[0]
    assert example.prompt.text == compose("Read.", None, example.sample.question, template) == f"{example.sample.question} after Read."
    with pytest.raises(ConfigError, match=r"prompt: the placeholder \{question\} is missing"):
        make_data_config(prompt="{hint}{context}")


def test_records_draw_from_several_templates(toys: Path, make_data_config: MakeConfig, tmp_path: Path) -> None:
    """A model that has seen one wording fails at others. Each is drawn about equally often, by every codec on its own, and again alike."""
    templates = ["", "{question} after {hint}{context}", "{context}Say it: {question}"]
    codecs = [{"name": "toy_blocks", "label": label} for label in "ab"]
    config = make_data_config(samples=60, codecs=codecs, prompts=templates, output=str(tmp_path / "set"))
    made = build(config)
    drawn: dict[str, list[int]] = {"a": [], "b": []}
    for example in Dataset(tmp_path / "set").split("train"):
        worded = [compose("Read.", None, example.sample.question, template) for template in templates]
        drawn[example.codec].append(worded.index(example.prompt.text))
    assert drawn["a"] != drawn["b"]
    for some in drawn.values():
        assert all(10 <= some.count(i) <= 30 for i in range(3))
    assert build(config, workers=2, overwrite=True)["fingerprint"] == made["fingerprint"]
    with pytest.raises(ConfigError, match=r"prompts: prompt is set as well"):
        make_data_config(prompt=templates[1], prompts=templates)
    with pytest.raises(ConfigError, match=r"prompts\[1\]: the placeholder \{question\} is missing"):
        make_data_config(prompts=["", "{context}"])


@pytest.mark.parametrize("values", [{"prompt": "{context}{question} {hint}"}, {"system": "Be short."}])
def test_other_words_are_other_data(values: dict[str, str], toys: Path, make_data_config: MakeConfig, tmp_path: Path) -> None:
    """A run that goes on with the same contexts under another instruction is another training."""
    plain, worded = (build(make_data_config(samples=2, output=str(tmp_path / str(i)), **some)) for i, some in enumerate(({}, values)))
    assert plain["fingerprint"] != worded["fingerprint"]


def test_own_components_make_data_in_any_process(toys: Path, make_data_config: MakeConfig, tmp_path: Path) -> None:
    """A codec and a task that no installed plugin offers must work with ``data build`` as they do with ``run``, in workers too."""

    class Upper(Codec):
        """Text in capitals."""

        def encode(self, text: str) -> Carrier:
            return Carrier(text=text.upper())

    class Marks(Task):
        """Letters, marked by who made them."""

        def sample(self, bucket: int, seed: int) -> Sample:
            return Sample(f"own {seed}", "Which?", str(seed), bucket)

        def solve(self, context: str, question: str) -> str:
            return context.partition(" ")[2]

    own = [CodecRecord("upper", "Capitals.", Upper), TaskRecord("marks", "Marks.", Marks)]
    made = []
    for workers in (1, 2):
        output = tmp_path / f"{workers}"
        config = make_data_config(codecs=["upper"], tasks=["marks"], samples=4, output=str(output))
        with pytest.raises(ConfigError, match="no codec named 'upper'"):
            build(config, workers=workers)
        made.append(build(config, workers=workers, components=own)["fingerprint"])
        example = Dataset(output).split("train")[3]
        assert f"OWN {example.answer}" in example.prompt.text
    assert made[0] == made[1]
    registry = extended(load_plugins(), [(record, Origin("notebook", "notebook", "1")) for record in own])
    config = make_data_config(codecs=["upper"], tasks=["marks"], samples=4, output=str(tmp_path / "registry"))
    assert build(config, registry=registry)["fingerprint"] == made[0]


def test_what_a_plugin_makes_is_checked(toys: Path, make_data_config: MakeConfig, tmp_path: Path) -> None:
    """A page that is no RGB image must be told with the codec's name, and must not become training data."""

    class Grey(Codec):
        """A grey page."""

        def encode(self, text: str) -> Carrier:
            return Carrier(pages=[Image.new("L", (28, 28))])

    config = make_data_config(codecs=["grey"], samples=1, output=str(tmp_path / "set"))
    with pytest.raises(CtxbenchError, match="codec 'grey' failed: ValueError: page 0 of the carrier must be an RGB image, got mode L"):
        build(config, components=[CodecRecord("grey", "Grey.", Grey)])
    assert not (tmp_path / "set").exists()

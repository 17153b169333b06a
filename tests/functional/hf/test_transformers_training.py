"""Training: the same weights whether interrupted, killed or spread over processes; the right weights; and what is recorded."""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import ctxbench
import ctxbench_transformers
from ctxbench import ConfigError, CtxbenchError, ModelError, Prompt, Sample, UsageError, load_plugins
from ctxbench.contamination import training_overlap
from ctxbench_transformers import provenance, settings, sources
from ctxbench_transformers.data import DataConfig, Dataset, Datasets, Example, build
from ctxbench_transformers.testing import QWEN2_VL_2B, TRAINED
from ctxbench_transformers.training.checkpoint import State
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.estimate import estimate
from ctxbench_transformers.training.loop import train
from ctxbench_transformers.training.report import Reporter
from ctxbench_transformers.training.schedule import Schedule
from tests.functional.hf.results import losses, same, weights

Folder = Callable[[str], Path]
MakeTraining = Callable[..., TrainConfig]


@pytest.mark.parametrize("method", ["lora", "qlora", "full"])
def test_resuming_gives_the_weights_of_an_uninterrupted_run(method: str, training: MakeTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout, data order, moments and evaluation in between: after an interrupt at step 7 of 9 all must fall into place again."""
    whole, broken = training("whole", method=method), training("broken", method=method)
    train(whole)
    log = Reporter.log

    def interrupted(self: Reporter, step: int, values: dict[str, float]) -> None:
        if step == 7:
            raise KeyboardInterrupt
        log(self, step, values)

    with monkeypatch.context() as patch:
        patch.setattr(Reporter, "log", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(broken)
    torch.manual_seed(random.randrange(10**6))  # whatever the new process's generator holds
    result = train(broken, resume="latest")
    assert result["steps"] == 9
    assert same(whole, broken)
    assert losses(whole) == losses(broken)
    assert losses(whole)[-1] < losses(whole)[0]
    if method != "full":
        configs = [json.loads((Path(c.output) / "adapter_config.json").read_text()) for c in (whole, broken)]
        assert configs[0] == configs[1]
        assert configs[0]["target_modules"] == sorted(configs[0]["target_modules"])
        assert sources.adapter_fingerprint(Path(whole.output)) == sources.adapter_fingerprint(Path(broken.output))


def test_accumulating_equals_a_larger_batch(training: MakeTraining) -> None:
    """The mean is over all answer tokens of a step; a mean of the passes' means would weigh short answers more."""
    large = training("large", batch_size=4, accumulation=1, lora={"dropout": 0.0})
    small = training("small", batch_size=1, accumulation=4, lora={"dropout": 0.0})
    train(large)
    train(small)
    assert losses(small) == pytest.approx(losses(large), rel=1e-5)


def test_gradient_checkpointing_changes_memory_and_not_the_loss(training: MakeTraining) -> None:
    """With dropout on: the second forward pass must draw what the first one drew."""
    plain, spared = training("plain"), training("spared", gradient_checkpointing=True)
    train(plain)
    train(spared)
    assert losses(spared) == pytest.approx(losses(plain), rel=1e-5)


@pytest.mark.long
def test_full_training_learns_to_read_and_its_result_is_a_model(training: MakeTraining, toys: Path, tmp_path: Path) -> None:
    """The thesis in small: grey squares become letters. The score is that of generated answers, and `hf:` reads the result."""
    import ctxbench_transformers

    config = training(method="full", epochs=60, lr=2e-3, batch_size=4, accumulation=1, evaluate_every=0, save_every=0)
    before = Datasets(config.data).split("train")
    result = train(config)
    last = json.loads((Path(config.output) / "log.jsonl").read_text().splitlines()[-1])
    assert last["step"] == result["steps"] == 360
    assert last["loss"] < 0.2
    some = before[:12]

    def correct(folder: str) -> int:
        readings = ctxbench_transformers.load(folder).read([example.prompt for example in some])
        return sum(reading.text == example.answer for reading, example in zip(readings, some, strict=True))

    assert correct(config.model) == 0
    assert correct(config.output) >= 9


@pytest.mark.parametrize("architecture", [name for name in TRAINED if name != "qwen2_vl"])
def test_every_architecture_trains_and_takes_its_adapter_back(architecture: str, training: MakeTraining, tiny_model: Folder) -> None:
    """Image tensors of each shape through collation, checkpointed layers and the loss; the result must load and change answers."""
    import ctxbench_transformers

    folder = str(tiny_model(architecture))
    config = training(model=folder, epochs=1, max_steps=4, lr=0.02, gradient_checkpointing=True, evaluate_every=4)
    train(config)
    assert losses(config)[-1] < losses(config)[0]
    prompts = [example.prompt for example in Datasets(config.data).split("validation")[:3]]
    plain = [r.text for r in ctxbench_transformers.load(folder).read(prompts)]
    assert [r.text for r in ctxbench_transformers.load(folder, config.output).read(prompts)] != plain


def test_an_adapter_on_another_base_model_is_called_out(training: MakeTraining, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Same architecture, other weights: it would load without a word and answer nonsense."""
    import ctxbench_transformers
    from ctxbench_transformers.testing import build

    config = training(max_steps=1, evaluate_every=0)
    train(config)
    ctxbench_transformers.load(config.model, config.output)
    assert "another base model" not in capfd.readouterr().err
    ctxbench_transformers.load(build(tmp_path / "other", seed=1), config.output)
    assert "was trained on another base model" in capfd.readouterr().err


def test_a_loss_that_is_not_finite_ends_the_run(training: MakeTraining) -> None:
    """It must not go on for hours and save NaN."""
    config = training(lr=1e30, clip=0, warmup=0, method="full", evaluate_every=0, save_every=1)
    with pytest.raises(CtxbenchError, match="not finite at step"):
        train(config)


def test_early_stopping_keeps_the_best_weights(training: MakeTraining) -> None:
    """At too high a learning rate validation gets worse: it must stop two evaluations after the best and hand out the best."""
    config = training(lr=0.3, clip=0, epochs=20, warmup=0, schedule="constant", evaluate_every=1, save_every=0, keep=1)
    stopping = settings.make(TrainConfig, config.plain() | {"early_stopping": {"patience": 2}})
    result = train(stopping)
    assert result["steps"] == result["best_step"] + 2 < 120
    best = load_file(Path(config.output) / "checkpoints" / f"step-{result['best_step']:08d}" / "weights.safetensors")
    assert {key.replace(".default", ""): value.sum().item() for key, value in best.items()} == {
        key: value.sum().item() for key, value in weights(config).items()
    }


def test_bf16_keeps_trained_weights_in_float32(training: MakeTraining) -> None:
    """Frozen weights in bfloat16, adapter in float32: an adapter in bfloat16 would lose every small step."""
    config = training(precision="bf16")
    train(config)
    assert {value.dtype for value in weights(config).values()} == {torch.float32}
    assert losses(config)[-1] < losses(config)[0]


def test_an_adapter_knows_what_it_was_trained_on_and_rows_name_it(
    training: MakeTraining, toys: Path, toy_data: Path, tmp_path: Path
) -> None:
    """Three letters of four make 64 contexts, so evaluation meets trained ones: those and no others overlap; rows name the data."""
    config = training(max_steps=1, evaluate_every=0)
    train(config)
    data = Dataset(toy_data)
    record = json.loads((Path(config.output) / provenance.RECORD).read_text())
    assert record["data_fingerprint"] == data.fingerprint
    reader = ctxbench_transformers.load(config.model, config.output)
    assert reader.training_data is not None
    assert (record["layouts"], reader.layouts) == ({"toy_blocks": {}}, {"toy_blocks": {}})
    assert [some.fingerprint for some in reader.training_data] == [data.fingerprint]
    assert ctxbench_transformers.load(config.model).training_data == ()
    from ctxbench.config import make_config

    experiment: dict[str, Any] = {
        "models": [{"name": f"hf:{config.model}", "max_new_tokens": 3}],
        "adapters": [config.output],
        "tasks": ["toy_letters"],
        "codecs": ["toy_blocks"],
        "buckets": [3],
        "samples": 24,
        "tokens": {"family": "toy", "reference": "toy"},
        "store": str(tmp_path / "s.duckdb"),
    }
    store = ctxbench.run(make_config(experiment))
    trained = {example.sample.context for split in ("train", "validation") for example in data.split(split)}
    seeds = store.df("SELECT sample_seed FROM trials").sample_seed
    contexts = [load_plugins().task("toy_letters").sample(3, seed).context for seed in seeds]
    shares = [training_overlap(reader.training_data, context) for context in contexts]
    assert shares == [float(context in trained) for context in contexts]
    assert {0.0, 1.0} == set(shares)
    rows = store.df("SELECT reading_metadata AS m, adapter_fingerprint AS a FROM trials")
    assert all(data.fingerprint in str(value) for value in rows.m)
    assert {len(value) for value in rows.a} == {32}


def fetched(folder: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make ``some/repo`` on the hub stand for ``folder``: the hub's own client decides what of it the patterns let through."""
    import huggingface_hub
    from huggingface_hub.utils import filter_repo_objects

    def download(reference: str, *, revision: str | None, allow_patterns: list[str], ignore_patterns: list[str]) -> str:
        assert reference == "some/repo"
        names = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
        for name in filter_repo_objects(names, allow_patterns=allow_patterns, ignore_patterns=ignore_patterns):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes((folder / name).read_bytes())
        return str(target)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    return "some/repo"


def test_an_adapter_from_a_hub_keeps_its_record_and_one_without_is_unknown(
    training: MakeTraining, toy_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record must be whole or missing, never a name without contexts; a missing one is not the same as an untrained model."""
    config = training(max_steps=1, evaluate_every=0)
    train(config)
    name = fetched(Path(config.output), tmp_path / "cache", monkeypatch)
    reader = ctxbench_transformers.load(config.model, name)
    assert reader.adapter_folder == tmp_path / "cache"
    contexts = [example.sample.context for example in Dataset(toy_data).split("train")]
    assert {training_overlap(reader.training_data, context) for context in contexts} == {1.0}
    cache = tmp_path / "cache"
    (cache / provenance.RECORD).unlink()
    assert ctxbench_transformers.load(config.model, cache).training_data is None
    (cache / provenance.RECORD).write_text('{"data_fingerprint": "f"}')  # of a version that kept contexts in another file
    assert ctxbench_transformers.load(config.model, cache).training_data is None
    (cache / provenance.RECORD).write_text("{")
    with pytest.raises(ModelError, match=r"ctxbench_training\.json: broken"):
        ctxbench_transformers.load(config.model, cache)


def test_a_second_full_training_keeps_the_contexts_of_the_first(
    training: MakeTraining, make_data_config: Callable[..., DataConfig], toy_data: Path, tmp_path: Path
) -> None:
    """What was learned stays learned. Without the first one's record, the second cannot know what its weights have seen."""
    first = training("first", method="full", max_steps=1, evaluate_every=0)
    train(first)
    other = build(make_data_config(output=str(tmp_path / "other"), samples=4, buckets=[7]))
    second = training("second", method="full", max_steps=1, evaluate_every=0, model=first.output, data=str(tmp_path / "other"))
    train(second)
    reader = ctxbench_transformers.load(second.output)
    assert reader.training_data is not None
    assert [some.fingerprint for some in reader.training_data] == [Dataset(toy_data).fingerprint, other["fingerprint"]]
    for folder in (toy_data, tmp_path / "other"):
        for example in Dataset(folder).split("train"):
            assert training_overlap(reader.training_data, example.sample.context) == 1.0
    (Path(first.output) / provenance.RECORD).unlink()
    assert ctxbench_transformers.load(first.output).training_data is None
    third = training("third", method="full", max_steps=1, evaluate_every=0, model=first.output, data=str(tmp_path / "other"))
    train(third)
    assert ctxbench_transformers.load(third.output).training_data is None


def test_a_checkpoint_fits_only_its_own_run(training: MakeTraining, toy_data: Path, tmp_path: Path) -> None:
    """Another seed, a folder that is no checkpoint, an output that holds a run: each is one clear line."""
    config = training(max_steps=2, evaluate_every=0)
    train(config)
    with pytest.raises(UsageError, match="earlier run; go on with --resume latest"):
        train(config)
    other = settings.make(TrainConfig, config.plain() | {"seed": 1})
    with pytest.raises(UsageError, match="seed 0 -> 1"):
        train(other, resume="latest")
    with pytest.raises(UsageError, match="is no checkpoint"):
        train(config, resume=str(tmp_path))
    with pytest.raises(UsageError, match="no checkpoint in"):
        train(training("fresh"), resume="latest")


def test_targets_that_match_nothing_name_what_there_is(training: MakeTraining) -> None:
    """A misspelt layer would otherwise train nothing."""
    with pytest.raises(ConfigError, match=r"'q_porj' matches no linear layer.*q_proj"):
        train(training(lora={"target_modules": ["q_porj"]}))


def test_vision_targets_reach_the_encoder(training: MakeTraining) -> None:
    """Reading a new code is learned in the vision part too."""
    config = training(max_steps=1, evaluate_every=0, lora={"target_modules": ["vision"]})
    train(config)
    assert all("visual" in key for key in weights(config))
    both = training("both", max_steps=1, evaluate_every=0, lora={"target_modules": "all"})
    train(both)
    assert any("language_model" in key for key in weights(both))


def test_the_estimate_counts_what_training_then_has(training: MakeTraining, tmp_path: Path, tiny_model: Folder) -> None:
    """Exact counts from the config alone: there are no weights in the folder that it reads."""
    from ctxbench_transformers.training.trainable import load_trainable, trained_parameters

    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "config.json").write_text((tiny_model("qwen2_vl") / "config.json").read_text())
    for method in ("lora", "full"):
        config = training(method=method)
        found = estimate(settings.make(TrainConfig, config.plain() | {"model": str(bare)}))
        model = load_trainable(config, Path(config.model), torch.device("cpu"))
        assert found.trainable == sum(p.numel() for p in trained_parameters(model).values())
        assert found.parameters == sum(p.numel() for p in model.parameters())
        assert found.steps == 9
        assert found.weights_bytes == 4 * (found.parameters - (found.trainable if method == "lora" else 0))


def test_the_estimate_of_activations_is_near_what_autograd_keeps(training: MakeTraining) -> None:
    """Bytes of every tensor that a forward pass saves for the backward pass, counted once each and without the weights."""
    from ctxbench_transformers.encoding import Encoder
    from ctxbench_transformers.processors import load_processor
    from ctxbench_transformers.training.estimate import activation_bytes
    from ctxbench_transformers.training.examples import collate_labelled, label
    from ctxbench_transformers.training.loss import answer_loss
    from ctxbench_transformers.training.trainable import load_trainable

    config = training(precision="bf16", batch_size=1)
    model = load_trainable(config, Path(config.model), torch.device("cpu"))
    encoder = Encoder(load_processor(Path(config.model)))
    page = Image.new("RGB", (392, 392), (9, 99, 200))
    sample = Sample("", "q", "a" * 150, 150)
    example = Example("0", "toy", Prompt((page,), "q" * 300), sample)
    batch = collate_labelled([label(encoder, example)], 0)
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: list[torch.Tensor] = []  # held, so that no address is used twice

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with hooks, torch.autocast("cpu", dtype=torch.bfloat16):
        answer_loss(model, batch)
    saved = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in kept}
    measured = sum(size for place, size in saved.items() if place not in weights)
    length, visual = len(batch["input_ids"][0]), 14 * 14
    assert 0.6 < activation_bytes(config, model, length, visual, 150) / measured < 1.6


def test_the_estimate_of_the_real_model(training: MakeTraining, tmp_path: Path) -> None:
    """Qwen2-VL-2B has 2,208,985,600 parameters; r 16 on its language model adds 18,464,768; a quarter of the bytes in nf4."""
    from transformers import AutoConfig

    AutoConfig.for_model("qwen2_vl", **QWEN2_VL_2B).save_pretrained(tmp_path / "big")
    paper = {"model": str(tmp_path / "big"), "lora": {"r": 16, "alpha": 32}, "precision": "bf16", "gradient_checkpointing": True}
    lora = estimate(training(**paper))
    assert lora.parameters - lora.trainable == 2_208_985_600
    assert lora.trainable == 18_464_768
    assert lora.weights_bytes == 2 * 2_208_985_600
    assert lora.training_bytes == 16 * 18_464_768
    qlora = estimate(training(method="qlora", **paper))
    assert 1.2e9 < qlora.weights_bytes < 1.7e9
    assert any("18,464,768" in line for line in lora.lines())


CONFIGS = Path(__file__).parents[3] / "configs"


def test_the_shipped_configs_are_the_seed_papers() -> None:
    """Qwen2-VL-2B, r 16, alpha 32, dropout 0.05, 2e-4, batch 1 x 8, 3 epochs; 500 samples a codec, 0.7 / 0.3."""
    config = settings.load(TrainConfig, CONFIGS / "train-qwen2vl.yaml")
    assert (config.model, config.method) == ("Qwen/Qwen2-VL-2B-Instruct", "lora")
    assert (config.lora.r, config.lora.alpha, config.lora.dropout) == (16, 32, 0.05)
    assert (config.lr, config.batch_size, config.accumulation, config.epochs) == (2e-4, 1, 8, 3)
    data = settings.load(DataConfig, CONFIGS / "data-qwen2vl.yaml")
    assert (data.output,) == config.data
    assert (data.samples, data.task_weights) == (500, (0.7, 0.3))
    assert [task.name for task in data.tasks] == ["json_restore", "needle"]
    assert Schedule(config, 500).steps == 188


def test_schedule_and_order(training: MakeTraining) -> None:
    """Every example once an epoch, each process its own; warm-up to the peak, then a cosine to nothing."""
    config = training(epochs=2, batch_size=1, accumulation=3, warmup=0.25)
    plan = Schedule(config, 24, world=2)
    assert plan.steps == 8
    seen = [i for step in range(8) for rank in range(2) for some in plan.indices(step, rank) for i in some]
    assert sorted(seen[:24]) == sorted(seen[24:]) == list(range(24))
    assert seen[:24] != seen[24:]
    assert [plan.lr(step) / config.lr for step in range(3)] == pytest.approx([0.5, 1.0, 1.0])
    assert plan.lr(5) == pytest.approx(config.lr / 2)
    assert plan.lr(7) < 0.07 * config.lr
    odd = Schedule(training(epochs=1, batch_size=2, accumulation=2), 7)
    assert [sum(len(some) for some in odd.indices(step)) for step in range(odd.steps)] == [4, 3]


def test_trackers_get_the_numbers_and_a_missing_one_is_named(
    training: MakeTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """report_to: wandb is called with the step's numbers; what is not installed is an error with its pip command."""
    import types

    calls: list[tuple[int, dict[str, float]]] = []
    run = types.SimpleNamespace(log=lambda values, step: calls.append((step, values)), finish=lambda exit_code: calls.append((-1, {})))
    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=lambda **_: run))
    train(training(max_steps=2, evaluate_every=2, report_to=["wandb"]))
    assert [step for step, _ in calls] == [1, 2, -1]
    assert {"loss", "lr", "grad_norm", "val_loss", "val_score"} <= calls[1][1].keys()
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match="pip install"):
        Reporter(training(report_to=["tensorboard"]), tmp_path, State())


def test_the_table_of_options_is_that_of_the_code() -> None:
    """docs/training.md, row by row: a key that is missing there, or a default that has changed, misleads."""

    def rows(cls: type, above: str = "") -> Iterator[tuple[str, str, str]]:
        for field in attrs.fields(cls):
            default = field.default.factory() if isinstance(field.default, attrs.Factory) else field.default  # type: ignore[arg-type]
            if attrs.has(type(default)):
                yield from rows(type(default), f"{above}{field.name}.")
            else:
                yield f"{above}{field.name}", json.dumps(default), field.metadata["help"]

    text = (Path(__file__).parents[3] / "docs" / "training.md").read_text("utf-8")
    assert re.findall(r"^\| `([\w.]+)` \| `(.*?)` \| (.*) \|$", text, re.M) == list(rows(TrainConfig))

"""Adapters outside ctxbench: the same answers in plain peft and transformers, and from their base once they are merged into it."""

from __future__ import annotations

import functools
import json
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import ctxbench
import ctxbench_transformers
from ctxbench import Prompt, UsageError, contamination
from ctxbench.statistics import wilson
from ctxbench_transformers import provenance, settings
from ctxbench_transformers.data import Datasets
from ctxbench_transformers.processors import load_processor
from ctxbench_transformers.testing import TRAINED, build
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.export import Merging, export
from ctxbench_transformers.training.loop import train
from ctxbench_transformers.weights import quiet

MakeTraining = Callable[..., TrainConfig]
TOKENS = 12

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {"lora": {"target_modules": ["all"]}, "evaluate_every": 3, "evaluate_samples": 4},
    "dora": {"lora": {"use_dora": True, "use_rslora": True}},
    "tied": {"lora": {"modules_to_save": ["lm_head"]}},
    "qlora": {"method": "qlora"},
}


@pytest.fixture(scope="module")
def trained(tiny_model: Callable[[str], Path], toy_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], TrainConfig]:
    """``trained("dora")``: the config of a finished run, three steps at a rate that changes answers."""

    @functools.cache
    def make(variant: str) -> TrainConfig:
        folder = tmp_path_factory.mktemp(variant)
        base = tiny_model("qwen2_vl") if variant != "tied" else tied(tiny_model("qwen2_vl"), folder / "base")
        values = {"model": str(base), "data": str(toy_data), "output": str(folder / "out"), "precision": "fp32", "max_steps": 3}
        values |= {"name": f"toy {variant}", "lr": 0.02, "batch_size": 2, "accumulation": 1, "warmup": 0, "save_every": 0}
        given = VARIANTS[variant]
        lora = {"r": 4, "alpha": 8, "dropout": 0.0} | given.get("lora", {})
        config = settings.make(TrainConfig, values | given | {"lora": lora})
        train(config)
        return config

    return make


def tied(source: Path, folder: Path) -> Path:
    """A model whose input and output embeddings are one, as Qwen2-VL-2B's are."""
    shutil.copytree(source, folder)
    (folder / "model.safetensors").unlink()
    with quiet():
        from transformers import AutoModelForImageTextToText

        model = AutoModelForImageTextToText.from_pretrained(source, dtype="auto")
        model.lm_head.weight = model.get_input_embeddings().weight
        model.config.tie_word_embeddings = model.config.text_config.tie_word_embeddings = True
        model.save_pretrained(folder)
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
    return folder


def prompts_of(config: TrainConfig) -> list[Prompt]:
    """Three validation prompts."""
    return [example.prompt for example in Datasets(config.data).split("validation")[:3]]


def answers(model: Path | str, adapter: Path | str | None, prompts: Sequence[Prompt]) -> list[str]:
    """ctxbench's own."""
    readings = ctxbench_transformers.load(model, adapter, max_new_tokens=TOKENS).read(prompts)
    assert [reading.error for reading in readings] == [None] * len(prompts)
    return [reading.text for reading in readings]


def plain_answers(model: Any, folder: Path | str, prompts: Sequence[Prompt]) -> list[str]:
    """Those of transformers' documented calls, greedy, prompt by prompt."""
    processor = load_processor(Path(folder))
    found = []
    for prompt in prompts:
        content = [*({"type": "image", "image": page} for page in prompt.pages), {"type": "text", "text": prompt.text}]
        turns = [{"role": "user", "content": content}]
        inputs = processor.apply_chat_template([turns], tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True)
        out = model.generate(**inputs, max_new_tokens=TOKENS, do_sample=False)[0, inputs["input_ids"].shape[1] :]
        found.append(processor.tokenizer.decode(out, skip_special_tokens=True))
    return found


def loaded(folder: Path | str) -> Any:
    """A model by plain transformers, which found every tensor in its place."""
    with quiet():
        from transformers import AutoModelForImageTextToText

        model, info = AutoModelForImageTextToText.from_pretrained(folder, dtype="auto", output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return model


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """All weights; an index, where there is one, names these files and these tensors, as loaders believe it."""
    held = {path.name: load_file(path) for path in folder.glob("*.safetensors")}
    index = folder / "model.safetensors.index.json"
    if index.exists():
        assert json.loads(index.read_text())["weight_map"] == {key: name for name, some in held.items() for key in some}
    return {key: value for some in held.values() for key, value in some.items()}


@pytest.mark.parametrize("variant", VARIANTS)
def test_plain_peft_and_the_merged_folder_give_the_adapters_answers(
    variant: str, trained: Callable[[str], TrainConfig], tmp_path: Path
) -> None:
    """A scale, a magnitude, a whole module or a tie that is lost on the way changes answers, and nobody is told."""
    config = trained(variant)
    prompts = prompts_of(config)
    own = answers(config.model, config.output, prompts)
    assert own != answers(config.model, None, prompts)
    with quiet(), warnings.catch_warnings():
        from peft import PeftModel

        warnings.simplefilter("ignore")  # peft asks transformers in an old way
        assert plain_answers(PeftModel.from_pretrained(loaded(config.model), config.output), config.model, prompts) == own

    said = export(Path(config.output), tmp_path / "out", merge=Merging())
    assert (said["kind"], said["dtype"]) == ("merged model", "float32")
    assert answers(tmp_path / "out", None, prompts) == own
    assert plain_answers(loaded(tmp_path / "out"), tmp_path / "out", prompts) == own
    before, after = tensors(Path(config.model)), tensors(tmp_path / "out")
    written = json.loads((tmp_path / "out" / "config.json").read_text())
    ties = (written["tie_word_embeddings"], written["text_config"].get("tie_word_embeddings"))
    if variant == "tied":
        assert after.keys() - before.keys() == {"lm_head.weight"}
        assert not any(ties)  # vLLM ties them where either says so
    else:
        assert after.keys() == before.keys()
    card = (tmp_path / "out" / "README.md").read_text()
    assert ("trained on the base in 4 bit (nf4)" in card) == (variant == "qlora")
    with pytest.raises(UsageError, match="holds a whole model"):
        export(tmp_path / "out", tmp_path / "again", merge=Merging())


def test_training_writes_its_card_and_its_numbers_are_those_of_the_record(trained: Callable[[str], TrainConfig]) -> None:
    """The card is what a reader of the hub sees: its header must parse, its scores be those that were measured."""
    config = trained("plain")
    card = (Path(config.output) / "README.md").read_text()
    header = yaml.safe_load(card.split("---\n")[1])
    assert header["library_name"] == "peft"
    assert header["pipeline_tag"] == "image-text-to-text"
    assert "base_model" not in header  # a folder is no name on the hub
    record = json.loads((Path(config.output) / provenance.RECORD).read_text())
    log = [json.loads(line) for line in (Path(config.output) / "log.jsonl").read_text().splitlines()]
    (cell,) = record["validation"]["cells"]
    low, high = (100 * bound for bound in wilson(cell["score"] * 4, 4))
    assert f"| toy_blocks | toy_letters | 4 | {100 * cell['score']:.1f} % ({low:.1f} to {high:.1f}) |" in card
    assert f"- training loss: {log[-1]['loss']:.4f} at step 3\n- validation loss: {log[-1]['val_loss']:.4f} at step 3" in card
    data = Datasets(config.data)
    assert f"- fingerprint: `{data.fingerprint}`\n- records: 24 for training, 6 for validation" in card
    assert "- languages: 30 en" in card
    assert "| `lr` | 0.02 | 0.0002 |" in card
    assert str(Path(config.model).parent) not in card


def test_merged_weights_are_a_float32_sum_rounded_once(training: MakeTraining, published: Path, tmp_path: Path) -> None:
    """A sum in bfloat16 loses what was learned; a base's index hides all weights; and what both were trained on must stay known."""
    base, out = tmp_path / "base", tmp_path / "merged"
    shutil.copytree(published, base)
    collector = contamination.Collector()
    collector.add("one two three four five six seven eight nine")
    earlier = {"training_data": [collector.data("earlier", "one context").plain()], "layouts": {"other": {"rows": 3}}}
    (base / provenance.RECORD).write_text(json.dumps(earlier))
    config = training(model=str(base), lora={"r": 4, "alpha": 8}, lr=0.01, max_steps=2, evaluate_every=0, save_every=0)
    train(config)
    export(Path(config.output), out, merge=Merging())
    before, after, adapter = tensors(base), tensors(out), tensors(Path(config.output))
    assert after.keys() == before.keys()
    assert {value.dtype for value in after.values()} == {torch.bfloat16}
    name = "layers.0.self_attn.q_proj"
    a, b = (next(value for key, value in adapter.items() if key.endswith(f"{name}.lora_{side}.weight")) for side in "AB")
    key = next(key for key in before if key.endswith(f"{name}.weight"))
    exact = before[key].float() + 2 * (b @ a)
    assert torch.equal(after[key], exact.bfloat16())
    assert not torch.equal(after[key], before[key])
    assert torch.equal(after["lm_head.weight"], before["lm_head.weight"])
    for kept in ("generation_config.json", "chat_template.jinja", "tokenizer.json", "processor_config.json"):
        assert (out / kept).read_bytes() == (base / kept).read_bytes()
    loaded(out)

    reader = ctxbench_transformers.load(out)
    data = Datasets(config.data)
    assert reader.training_data is not None
    assert [some.fingerprint for some in reader.training_data] == ["earlier", data.fingerprint]
    assert reader.layouts == {"other": {"rows": 3}, "toy_blocks": {}}
    written = json.loads((out / "config.json").read_text())
    assert (written["dtype"], written[provenance.MARK]) == ("bfloat16", data.fingerprint)
    (out / provenance.RECORD).unlink()
    assert ctxbench_transformers.load(out).training_data is None  # tuned, and nobody knows on what

    export(Path(config.output), tmp_path / "wide", merge=Merging(dtype="float32"))
    torch.testing.assert_close(tensors(tmp_path / "wide")[key], exact, rtol=0, atol=1e-6)


def test_merging_into_a_base_that_was_named(trained: Callable[[str], TrainConfig], tmp_path: Path) -> None:
    """Whoever names another base may mean it, but is told, and so are readers of the card; a weight must not become infinite unseen."""
    from click.testing import CliRunner

    from ctxbench_cli.main import cli

    ctxbench.load_plugins().manager.add_commands(cli)
    other = build(tmp_path / "other", seed=1)
    command = [
        "train",
        "export",
        trained("plain").output,
        "-o",
        str(tmp_path / "out"),
        "--merge",
        "--base",
        str(other),
        "--dtype",
        "float16",
    ]
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{tmp_path / 'out'}: merged model in float16, ")
    assert "was trained on another base model" in done.stderr
    assert "merged into another base" in (tmp_path / "out" / "README.md").read_text()
    assert {value.dtype for value in tensors(tmp_path / "out").values()} == {torch.float16}
    shutil.rmtree(tmp_path / "out")
    weights = load_file(other / "model.safetensors")
    weights["lm_head.weight"][0, 0] = 1e6  # float16 ends at 65,504
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 1
    assert "lm_head.weight has values that float16 does not hold; choose another --dtype" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


@pytest.mark.long
@pytest.mark.parametrize("architecture", [name for name in TRAINED if name != "qwen2_vl"])
def test_every_architecture_merges(architecture: str, training: MakeTraining, tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    """Each names its tensors in its own way on the disk and in memory; merged ones must be found again under the base's names."""
    config = training(
        model=str(tiny_model(architecture)), lora={"target_modules": ["all"]}, lr=0.02, max_steps=3, warmup=0, evaluate_every=0
    )
    train(config)
    export(Path(config.output), tmp_path / "merged", merge=Merging())
    prompts = prompts_of(config)
    own = answers(config.model, config.output, prompts)
    assert own != answers(config.model, None, prompts)
    assert answers(tmp_path / "merged", None, prompts) == own
    loaded(tmp_path / "merged")
    assert tensors(tmp_path / "merged").keys() == tensors(Path(config.model)).keys()

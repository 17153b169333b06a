"""What the weights of ``tiny`` are made with: tasks and losses of training, the plan of all parts, and the files that ship."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import make
import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tiny_records import MICRO, PRINT, TEXT, codes
from tinytrain import export, places, tasks, texts, words
from tinytrain.model import make_config
from tinytrain.words import entries

from ctxbench import Prompt
from ctxbench.session import Session
from ctxbench_tiny.words import CODEC, FIRST, to_ids
from ctxbench_transformers import load, settings
from ctxbench_transformers.data import DataConfig, Dataset, build
from ctxbench_transformers.data.plan import check
from ctxbench_transformers.training.auxiliary import make_parts
from ctxbench_transformers.training.config import TrainConfig


def test_the_tokenizer_maps_bytes_to_themselves() -> None:
    """The losses read bytes from ids without asking the tokenizer."""
    tokenizer = export.make_tokenizer(with_words=True)
    text = "".join(map(chr, range(256))) + "Grüße 你好 🙂\r\n\t  x"
    assert tokenizer.encode(text) == list(text.encode())
    assert tokenizer.decode(list(text.encode()), clean_up_tokenization_spaces=False) == text
    assert tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>", "<|image_pad|>"]) == [257, 258, 261]


def test_words_are_written_only_where_a_model_chooses_them() -> None:
    """The ids of words decode to what their codes mean; before there are words, the tokenizer is the same but for them."""
    tokenizer = export.make_tokenizer(with_words=True)
    assert len(tokenizer) == FIRST + len(entries())
    assert len(export.make_tokenizer(with_words=False)) == FIRST
    assert tokenizer.decode(to_ids((ord("a"), ord("{")))) == "a{"
    long = max(range(len(entries())), key=lambda i: len(entries()[i]) if entries()[i].isascii() else 0)
    assert tokenizer.decode(to_ids((long,)), clean_up_tokenization_spaces=False) == entries()[long].decode()


def test_words_do_not_change_what_a_model_makes_of_bytes() -> None:
    """Their rows are new, each another one; all others and all weights are the same."""
    from transformers import Qwen2VLForConditionalGeneration as Model

    torch.manual_seed(0)
    plain, wordy = Model._from_config(make_config(**MICRO)), Model._from_config(make_config(**MICRO, words=len(entries())))
    made = words.with_words({k: v for k, v in plain.state_dict().items() if k != export.OUTPUT})
    assert set(wordy.load_state_dict(made, strict=False)[0]) <= {export.OUTPUT}
    ids = torch.tensor([list(b"copy it")])
    with torch.no_grad():
        torch.testing.assert_close(wordy(input_ids=ids).logits[..., :FIRST], plain(input_ids=ids).logits)
    table = made[words.TABLE]
    torch.testing.assert_close(table[FIRST:].norm(dim=1), torch.full((len(entries()),), words.LENGTH))
    for bit in (1, 64, 2048):  # each bit of a code is a direction of its own
        codes = torch.arange(len(entries()))
        steps = (table[FIRST + (codes ^ bit)] - table[FIRST + codes]) * torch.where(codes & bit > 0, -1.0, 1.0)[:, None]
        torch.testing.assert_close(steps, steps[:1].expand_as(steps), atol=1e-4, rtol=1e-4)
    assert len({tuple(row) for row in table[FIRST:].mul(1000).round().tolist()}) == len(entries())


@pytest.mark.parametrize("task", [tasks.Copy(), tasks.Copy(kind="noise"), tasks.Lookup(), tasks.RandomWords()])
def test_tasks_of_training_can_be_solved(task: tasks.Training) -> None:
    """An answer that is not in the context could only be guessed; the same seed gives the same sample."""
    for seed in range(40):
        sample = task.sample(64, seed)
        assert sample.answer
        assert sample.answer in sample.context
        assert task.solve(sample.context, sample.question) == sample.answer
        assert task.sample(64, seed) == sample
    assert len({task.sample(64, seed).context for seed in range(40)}) == 40


def test_texts_are_as_long_as_they_are_asked_for() -> None:
    """And begin and end with something that can be seen."""
    import random

    for kind in tasks.CHARACTERS:
        for n in range(4, 60):
            text = texts.of_kind(random.Random(n), kind, n)
            assert len(text) == n or kind == "document"
            assert text == text.strip()


PARTS = yaml.safe_load((make.HERE / "tiny.yaml").read_text("utf-8"))


def plan(folder: Path, share: float = 1.0) -> make.Plan:
    """All parts, with their files in a folder."""
    return make.Plan(PARTS, folder / "texts", folder / "work", folder / "out", share, 1, "cpu")


def test_the_plan_is_of_configs_that_fit_together(tmp_path: Path) -> None:
    """A typo would show minutes into a run: of an option, of data that no training has, or of records that no entry draws."""
    texts = tmp_path / "texts" / "train.jsonl"
    texts.parent.mkdir()
    texts.write_text(json.dumps({"text": TEXT * 40}) + "\n")
    registry = Session.of(None, tasks.TASKS).registry
    for name in PARTS["data"]:
        config = settings.make(DataConfig, plan(tmp_path).data(name))
        check(config, registry)
        labels = [codec.label for codec in config.codecs]
        assert labels in (["text", "render"], [CODEC])
    used = set()
    for name in PARTS["trainings"]:
        config = settings.make(TrainConfig, plan(tmp_path).training(name))
        make_parts(config)
        used |= {Path(folder).name for folder in config.data}
        assert {folder for entry in config.sampling for folder in entry.data} <= set(config.data)
        half = settings.make(TrainConfig, plan(tmp_path, 0.5).training(name))
        assert half.max_steps == (config.max_steps or 0) // 2
        assert half.answer_begin == config.answer_begin // 2
        for own, whole in ((half.sampling, config.sampling), (half.auxiliary, config.auxiliary)):
            assert [entry.begin for entry in own] == [round(entry.begin / 2) for entry in whole]
            assert [entry.end for entry in own] == [entry.end and round(entry.end / 2) for entry in whole]
    assert used == set(PARTS["data"])
    assert not {*PARTS["prompts"]} & {*PARTS["heldout_prompts"]}


def test_a_share_of_the_steps_is_one_of_what_an_entry_waits_for(tmp_path: Path) -> None:
    """Where it begins and where it ends; what has no end has none."""
    timed = plan(tmp_path, 0.1)._timed({"loss": "x", "begin": 100, "end": 300})
    assert (timed["begin"], timed["end"]) == (10, 30)
    assert plan(tmp_path, 0.1)._timed({"loss": "x"}) == {"loss": "x"}


def test_what_moved_a_page_of_built_data_is_known(tmp_path: Path) -> None:
    """From the record alone: another seed than the data's own would give a page of another size."""
    config = PARTS["data"]["code-words"] | {"samples": 24, "validation": 0, "buckets": [24], "bucket_weights": []}
    built = settings.make(DataConfig, config | {"output": str(tmp_path / "data")})
    build(built, workers=1, components=tasks.TASKS)
    records = [record for record in Dataset(tmp_path / "data").split("train") if places.page_rows(record, 4)]
    levels = {level["label"] if isinstance(level, dict) else level for level in config["augmentations"]}
    assert {record.augmentation.label for record in records} == levels > {"clean", "light"}
    for record in records:
        moved = places.known(record, (places.page_rows(record, 4), places.SQUARES))
        assert moved is not None
        assert np.array_equal(moved, np.eye(3)) == (record.augmentation.label == "clean")


def test_adapters_are_trained_last_and_may_be_at_once() -> None:
    """They need the base, and nothing of each other."""
    names = list(PARTS["trainings"])
    assert list(make.groups(names, together=False)) == [["reading"], ["sight"], ["base"], ["codebook"], ["codebook-dense"]]
    assert list(make.groups(names, together=True)) == [["reading"], ["sight"], ["base"], ["codebook", "codebook-dense"]]
    assert make._without_only(["--only", "base", "--share", "1", "--only=data.real", "--together"]) == ["--share", "1", "--together"]


def micro(folder: Path) -> Path:
    """A file of the same parts, each as small as can be."""
    parts = json.loads(json.dumps(PARTS))
    parts["model"] = MICRO
    parts["data"] = {
        name: {**parts["data"][name], "samples": 8, "buckets": [48], "bucket_weights": []} for name in ("reading", "tasks", "code-tasks")
    }
    chosen = {"reading": ["reading"], "sight": ["tasks"], "base": ["reading", "tasks"], "codebook": ["code-tasks", "tasks"]}
    trainings = {}
    for name, data in chosen.items():
        own = parts["trainings"][name] | {"data": data, "sampling": [], "max_steps": 2, "batch_size": 2, "answer_begin": 0}
        own["auxiliary"] = [
            entry if not entry["loss"].endswith("Look") else entry | {"options": {"heads": [[0, 0], [1, 1]]}} for entry in own["auxiliary"]
        ]
        trainings[name] = own
    (folder / "tiny.yaml").write_text(yaml.safe_dump({**parts, "trainings": trainings}))
    return folder / "tiny.yaml"


def test_all_parts_are_made_in_their_order_and_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data, trainings and packaged files of a tiny run; what is there is not made again; base and adapter load, and are on record."""
    given = ["--texts", str(tmp_path), "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out"), "--workers", "1"]
    given += ["--config", str(micro(tmp_path))]
    for part in ("data.reading", "data.tasks", "data.code-tasks", "reading", "sight", "base", "codebook"):
        monkeypatch.setattr(sys, "argv", ["make.py", *given, "--only", part])
        make.main()
    out, work = tmp_path / "out", tmp_path / "work"
    log = (work / "codebook" / "log.jsonl").read_text()
    (work / "reading" / "ctxbench_training.json").unlink()  # as if it had been ended while it wrote its result
    before = {path: path.stat().st_mtime_ns for path in (work / "data").rglob("*.jsonl")}
    for part in ("data.reading", "reading", "codebook"):
        monkeypatch.setattr(sys, "argv", ["make.py", *given, "--only", part])
        make.main()
    assert {path: path.stat().st_mtime_ns for path in before} == before != {}
    assert (work / "codebook" / "log.jsonl").read_text() == log
    assert (work / "reading" / "ctxbench_training.json").is_file()
    assert {"loss", "loss/kept_vision", "loss/tinytrain.losses:WordBits"} <= {key for line in log.splitlines() for key in json.loads(line)}
    prompt = Prompt((Image.new("RGB", (56, 56), "red"),), "Copy it.")
    base = load(out / "base", max_new_tokens=4)
    adapted = load(out / "base", out / "adapters" / "codebook", max_new_tokens=4)
    assert base.read([prompt])[0].error is None
    assert adapted.read([prompt])[0].error is None
    assert adapted.layouts == {CODEC: codes(2), "render": PRINT}
    assert base.layouts == {"render": PRINT}
    assert base.training_data is not None
    assert adapted.training_data is not None
    for data, folder in zip(base.training_data, ("reading", "tasks"), strict=True):
        context = json.loads((work / "data" / folder / "train.jsonl").read_text().splitlines()[0])["context"]
        assert data.overlap(context) == 1
    assert len(adapted.training_data) == 3  # what both were trained on counts once
    assert b"bfloat16" in (out / "base" / "config.json").read_bytes()
    for path in out.rglob("*.json"):
        assert str(tmp_path) not in path.read_text(), path

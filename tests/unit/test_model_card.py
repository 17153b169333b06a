"""The model card: each number and each statement from the record or the log, and no guess where they are silent."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ctxbench_transformers.training.card import model_card

RECORD: dict[str, Any] = {
    "training_data": [
        {"fingerprint": "f0", "covers": "all 9 contexts of old"},
        {"fingerprint": "f1", "covers": "all 30 contexts of needle"},
    ],
    "earlier_unknown": False,
    "data_fingerprint": "f1",
    "data_config": {
        "name": "d",
        "codecs": ["toy", {"name": "cb", "preset": "a"}, {"name": "cb", "preset": "b"}],
        "output": "/home/me/data",
    },
    "data_records": {"codec": {"toy": 20, "cb": 10}, "task": {"needle": 30}, "split": {"train": 24, "validation": 6}},
    "data_languages": {"zh": 10, "en": 20},
    "layouts": {"toy": {"cell": 4, "kind": "x|y"}},
    "training_config": {
        "name": "mine",
        "model": "Qwen/Qwen2-VL-2B-Instruct",
        "revision": "v1",
        "method": "lora",
        "max_pixels": 100352,
        "lr": 0.02,
        "output": "/home/me/out",
        "seed": 0,
        "early_stopping": {"patience": 2, "metric": "loss"},
        "lora": {"r": 4, "alpha": 8, "use_dora": True, "modules_to_save": ["lm_head"]},
    },
    "chat_template": None,
    "base_model": "Qwen/Qwen2-VL-2B-Instruct",
    "model_fingerprint": "abc",
    "processes": 2,
    "steps": 6,
    "validation": {
        "step": 6,
        "n": 16,
        "loss": 0.75,
        "score": 0.6875,
        "exact": 0.25,
        "cells": [
            {"codec": "toy", "task": "needle", "n": 8, "loss": 0.5, "score": 0.875, "exact": 0.0},
            {"codec": "cb", "task": "needle", "n": 8, "loss": 1.0, "score": 0.5, "exact": 0.5},
        ],
    },
    "changes": [{"step": 3, "key": "lr", "old": 0.1, "new": 0.02}],
}
LOG = [
    {"step": 5, "loss": 0.5},
    {"step": 6, "loss": 0.25, "val_loss": 0.75},
    {"step": 7, "loss": 0.125},
    {"step": 8, "loss": 0.1, "val_loss": 0.9},
]


def header(card: str) -> dict[str, Any]:
    """The YAML that the hub reads."""
    start, text, _ = card.split("---\n", 2)
    assert start == ""
    return dict(yaml.safe_load(text))


def test_the_card_of_an_adapter_says_what_record_and_log_say() -> None:
    """Scores without n and interval, the loss of another step than the one that was kept, or a path of the maker's would mislead."""
    card = model_card(RECORD, LOG, adapter=True)
    assert header(card) == {
        "base_model": "Qwen/Qwen2-VL-2B-Instruct",
        "base_model_relation": "adapter",
        "library_name": "peft",
        "pipeline_tag": "image-text-to-text",
        "tags": ["ctxbench", "lora", "dora"],
        "language": ["en", "zh"],
    }
    expected = [
        "# mine\n",
        "A LoRA adapter (rank 4, alpha 8, DoRA, lm_head trained whole) for `Qwen/Qwen2-VL-2B-Instruct` at revision `v1` (fingerprint",
        "ctxbench run -m hf:Qwen/Qwen2-VL-2B-Instruct --adapter FOLDER -c toy\n",
        "these options of the model: `revision: v1`, `max_pixels: 100352`.",
        'from_pretrained("Qwen/Qwen2-VL-2B-Instruct", dtype="auto", revision="v1")\nmodel = PeftModel.from_pretrained(model, "FOLDER")',
        'AutoProcessor.from_pretrained("Qwen/Qwen2-VL-2B-Instruct", revision="v1", max_pixels=100352)',
        "- records: 24 for training, 6 for validation\n- by codec: 20 toy, 10 cb\n- by task: 30 needle\n- languages: 10 zh, 20 en",
        "- all 9 contexts of old (fingerprint `f0`)\n- all 30 contexts of needle (fingerprint `f1`)",
        "- `toy`: `cell=4`, `kind=x|y`\n- `cb`: in several layouts",
        # Wilson's intervals of 7 in 8, 0 in 8, 4 in 8; of 11 and 4 in 16.
        "| toy | needle | 8 | 87.5 % (52.9 to 97.8) | 0.0 % (0.0 to 32.4) | 0.5000 |",
        "| cb | needle | 8 | 50.0 % (21.5 to 78.5) | 50.0 % (21.5 to 78.5) | 1.0000 |",
        "| all | all | 16 | 68.8 % (44.4 to 85.8) | 25.0 % (10.2 to 49.5) | 0.7500 |",
        "Early stopping chose this step by these records",
        "- steps: 6\n- processes: 2\n- training loss: 0.2500 at step 6\n- validation loss: 0.7500 at step 6",
        "| `lr` | 0.02 | 0.0002 |",
        "| `lora.r` | 4 | 16 |",
        "- after step 3: `lr` 0.1 -> 0.02",
    ]
    assert [text for text in expected if text not in card] == []
    assert "/home/me" not in card
    assert "| `seed`" not in card
    assert "vllm serve" not in card


def test_a_card_says_what_is_not_known() -> None:
    """Records of early versions lack most of it. An empty field would read as none, a default as measured."""
    card = model_card({}, [], adapter=False)
    assert header(card) == {"library_name": "transformers", "pipeline_tag": "image-text-to-text", "tags": ["ctxbench"]}
    for line in (
        *("A model tuned from a base model that is not known (fingerprint not known).", "- fingerprint: not known", "- records: not known"),
        *("- by codec: not known", "- languages: not known", "The config that made the data is not known.", "- steps: not known"),
        *("- training loss: not known", "- validation loss: not known", "Its settings are not known."),
    ):
        assert line in card
    assert card.count("They are not known.") == 3  # layouts, scores, changes
    never = model_card({"training_config": {"evaluate_every": 0}}, [], adapter=True)
    assert "It was not evaluated while it was trained (`evaluate_every: 0`)." in never
    assert "Its base was trained on before" not in never
    assert "What its base was trained on before is not known." in model_card({"earlier_unknown": True}, [], adapter=True)


def test_a_base_that_is_no_name_on_the_hub_is_not_in_the_header() -> None:
    """The hub refuses a path there, and a path tells where its owner keeps files."""
    training = {"model": "/home/me/models/base", "method": "full"}
    for record in ({"base_model": None, "training_config": training}, {"training_config": training}):
        card = model_card(record, [], adapter=False)
        assert "base_model" not in header(card)
        assert "All weights tuned from a base model that is called `base` (fingerprint not known)." in card
        assert "/home/me" not in card
    early = model_card({"training_config": {"model": "owner/base"}}, [], adapter=True)  # whether that was a folder is not recorded
    assert "base_model" not in header(early)
    assert "a base model that is called `owner/base`" in early


@pytest.mark.parametrize(
    ("score", "shown", "partial"),
    [
        (0.5, "50.0 % (15.0 to 85.0)", False),
        (0.6, "60.0 % (20.5 to 89.7)", True),
        (1.5, "1.5 (no interval)", False),
        (None, "not known", False),
    ],
)
def test_scores_that_are_no_shares(score: float | None, shown: str, partial: bool) -> None:
    """A mean of partial credit has a Wilson interval that is rather too wide, and the card says so; above 1 there is none."""
    cell = {"codec": "c", "task": "t", "n": 4, "score": score, "exact": 0.25, "loss": 1}
    card = model_card({"validation": {"step": 1, "n": 4, "cells": [cell]}}, [], adapter=True)
    assert f"| c | t | 4 | {shown} | 25.0 %" in card
    assert ("its interval is rather too wide" in card) == partial
    assert "| all | all" not in card


def test_the_card_of_a_merged_model_says_how_it_differs() -> None:
    """Scores of the adapter on a 4-bit base are not those of the merged weights."""
    training = RECORD["training_config"] | {
        "method": "qlora",
        "quantization": {"type": "nf4", "double_quant": True, "compute_dtype": "bfloat16"},
    }
    record = RECORD | {"training_config": training, "chat_template": "{{ own }}"}
    adapter = model_card(record, LOG, adapter=True)
    assert 'BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,' in adapter
    assert 'processor.chat_template = open("FOLDER/chat_template.jinja"' in adapter
    merged = {"dtype": "bfloat16", "base_fingerprint": "abc", "quantized": "nf4"}
    card = model_card(record | {"merged": merged}, LOG, adapter=False)
    assert header(card)["base_model_relation"] == "finetune"
    assert header(card)["library_name"] == "transformers"
    assert "with a LoRA adapter (rank 4, alpha 8, DoRA, lm_head trained whole) in its weights." in card
    assert "The adapter was added in float32, and the sum rounded to bfloat16." in card
    assert "trained on the base in 4 bit (nf4), and is merged here into the base as it was before quantisation" in card
    assert "another base" not in card
    assert "vllm serve FOLDER" in card
    assert "BitsAndBytesConfig" not in card
    assert "processor.chat_template" not in card
    other = model_card(record | {"merged": merged | {"base_fingerprint": "def"}}, LOG, adapter=False)
    assert "merged into another base (fingerprint `def`)" in other

"""Writes checkpoints as the folders that ship: what a hub repository of a Qwen2-VL holds, and PEFT adapters."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch

from ctxbench_transformers.provenance import MARK as MARK_TRAINED
from tinytrain import words
from tinytrain.model import SPECIAL
from tinytrain.stages import base_of, make_model, with_adapter

MARK = "\u241f"
"""First symbol of a word in the tokenizer's files: by it the word of one byte is another token than the byte, none of which has it."""

PACKAGED = Path(__file__).parents[2] / "src" / "ctxbench_tiny" / "weights"

# Qwen2-VL's template for turns of text and images, without the system message that it adds where there is none.
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PROCESSOR = {
    "processor_class": "Qwen2VLProcessor",
    "image_processor": {
        "image_processor_type": "Qwen2VLImageProcessor",
        "patch_size": 14,
        "merge_size": 2,
        "temporal_patch_size": 2,
        "size": {"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 16384},  # Qwen2-VL's own
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    },
}


def make_tokenizer() -> Any:
    """A tokenizer whose id of a UTF-8 byte is that byte, then Qwen2-VL's special tokens, then the words. It writes every text in bytes."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    byte = _byte_symbols()
    written = [*byte, *SPECIAL, "<|unused|>", *(MARK + "".join(byte[i] for i in word) for word in words.entries())]
    vocabulary = {symbol: i for i, symbol in enumerate(written)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.Sequence([decoders.Replace(MARK, ""), decoders.ByteLevel()])
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")


def _byte_symbols() -> list[str]:
    """The printable symbol of each byte in byte-level BPE (GPT-2's table): what Latin-1 does not print moves up past 255."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    moved = iter(range(256, 512))
    return [chr(byte if byte in printable else next(moved)) for byte in range(256)]


def write_base(model: Any, folder: Path) -> None:
    """Write a model in bfloat16 with its tokenizer, processor and chat template."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model.generation_config.eos_token_id = model.config.text_config.eos_token_id
    model.generation_config.pad_token_id = model.config.text_config.pad_token_id
    setattr(model.config, MARK_TRAINED, "ctxbench-tiny")  # without the record that make.py --records writes, it counts as unknown
    model.to(torch.bfloat16).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE, "utf-8")
    (folder / "processor_config.json").write_text(json.dumps(PROCESSOR, indent=2) + "\n", "utf-8")


def write_adapter(model: Any, options: dict[str, Any], weights: dict[str, torch.Tensor], folder: Path) -> None:
    """Write an adapter in bfloat16."""
    shutil.rmtree(folder, ignore_errors=True)
    adapted = with_adapter(model, options)
    adapted.load_state_dict(weights, strict=False)
    adapted.peft_config["default"].base_model_name_or_path = "ctxbench-tiny"
    adapted.to(torch.bfloat16).save_pretrained(folder, save_embedding_layers=False)  # else peft asks the hub
    (folder / "README.md").unlink(missing_ok=True)


def load_base(config: dict[str, Any], checkpoint: Path) -> Any:
    """The model with a checkpoint's weights.

    Raises:
        ValueError: the checkpoint lacks weights of the model.
    """
    model = make_model(config["model"], words=len(words.entries()))
    missing, _ = model.load_state_dict(words.with_words(torch.load(checkpoint, weights_only=True)["model"]), strict=False)
    if set(missing) - {"lm_head.weight"}:  # tied to the embedding
        raise ValueError(f"{checkpoint} lacks {missing[0]} and {len(missing) - 1} others: a checkpoint of another model")
    return model


def export(config: dict[str, Any], work: Path, names: list[str] | None = None, folder: Path = PACKAGED) -> list[Path]:
    """Write the base, from the last stage that trains it, and the adapters, from their checkpoints in ``work``.

    ``names``: only these, also those that are not ``packaged``.
    """
    stages = config["stages"]
    base = [name for name, stage in stages.items() if "adapter" not in stage][-1]
    passed = {stage.get("after") for stage in stages.values()}  # stages that another goes on from
    adapters = [name for name, stage in stages.items() if "adapter" in stage and stage.get("packaged", True) and name not in passed]
    made: list[Path] = []
    for name in names or [base, *adapters]:
        if "adapter" in stages[name]:
            weights = torch.load(work / f"{name}.pt", weights_only=True)["model"]
            made.append(folder / "adapters" / name)
            write_adapter(load_base(config, work / f"{base_of(config, name)}.pt"), stages[name]["adapter"], weights, made[-1])
        else:
            made.append(folder / "base")
            write_base(load_base(config, work / f"{name}.pt"), made[-1])
    return made

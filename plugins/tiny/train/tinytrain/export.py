"""Writes the folders that training begins with and those that ship: what a hub repository of a Qwen2-VL holds, and PEFT adapters."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch

from ctxbench.contamination import FILE, TrainingData
from ctxbench_transformers.provenance import MARK as MARK_TRAINED
from tinytrain import words
from tinytrain.model import SPECIAL, make_config

MARK = "\u241f"
"""First symbol of a word in the tokenizer's files: by it the word of one byte is another token than the byte, none of which has it."""

PACKAGED = Path(__file__).parents[2] / "src" / "ctxbench_tiny" / "weights"
OUTPUT = "lm_head.weight"
"""Tied to the embedding."""
MOST = 200_000
"""N-grams of training data that a folder keeps; three folders are to have less than 1.5 MB of them."""

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


def make_tokenizer(*, with_words: bool) -> Any:
    """A tokenizer whose id of a UTF-8 byte is that byte, then Qwen2-VL's special tokens, then the words. It writes every text in bytes."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    byte = _byte_symbols()
    written = [*byte, *SPECIAL, "<|unused|>", *(MARK + "".join(byte[i] for i in word) for word in (words.entries() if with_words else ()))]
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


def _write(model: Any, folder: Path, *, with_words: bool) -> None:
    """Write a model with its tokenizer, processor and chat template."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model.generation_config.eos_token_id = model.config.text_config.eos_token_id
    model.generation_config.pad_token_id = model.config.text_config.pad_token_id
    model.save_pretrained(folder)
    make_tokenizer(with_words=with_words).save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE, "utf-8")
    (folder / "processor_config.json").write_text(json.dumps(PROCESSOR, indent=2) + "\n", "utf-8")


def write_start(folder: Path, options: dict[str, Any], seed: int) -> None:
    """Write a model with random weights, that knows bytes and no words."""
    from transformers import Qwen2VLForConditionalGeneration

    torch.manual_seed(seed)
    _write(Qwen2VLForConditionalGeneration._from_config(make_config(**options)).float(), folder, with_words=False)


def write_base(trained: Path, folder: Path, options: dict[str, Any]) -> None:
    """Write the base that ships: what was trained, in bfloat16, with words in its embedding, and the record of its data."""
    from transformers import Qwen2VLForConditionalGeneration

    bytes_alone = Qwen2VLForConditionalGeneration.from_pretrained(trained, dtype=torch.float32)
    model = Qwen2VLForConditionalGeneration._from_config(make_config(**options, words=len(words.entries())))
    weights = {name: value for name, value in bytes_alone.state_dict().items() if name != OUTPUT}
    missing, unknown = model.load_state_dict(words.with_words(weights), strict=False)
    if unknown or set(missing) - {OUTPUT}:
        raise ValueError(f"{trained} is another model: it lacks {missing} and has {unknown}")
    setattr(model.config, MARK_TRAINED, "ctxbench-tiny")
    _write(model.to(torch.bfloat16), folder, with_words=True)
    _keep_record(trained, folder)


def write_adapter(trained: Path, folder: Path) -> None:
    """Copy an adapter that was trained, and the record of its data."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = json.loads((trained / "adapter_config.json").read_text("utf-8"))
    config["base_model_name_or_path"] = "ctxbench-tiny"
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")
    shutil.copyfile(trained / "adapter_model.safetensors", folder / "adapter_model.safetensors")
    _keep_record(trained, folder)


def _keep_record(trained: Path, folder: Path) -> None:
    """Write what of a training's record matters to a run: what it was trained on, with fewer n-grams, and the layouts that it reads."""
    whole = json.loads((trained / FILE).read_text("utf-8"))
    data = [TrainingData.of(each) for each in whole["training_data"]]
    record: dict[str, Any] = {
        "training_data": [each.limited(MOST // len(data)).plain() for each in data],
        "layouts": {codec: options for codec, options in whole["layouts"].items() if options},
        "data_records": whole["data_records"],
        "steps": whole["steps"],
    }
    if (trained / "adapter_config.json").is_file():
        record["model_fingerprint"] = whole["model_fingerprint"]
    (folder / FILE).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", "utf-8")

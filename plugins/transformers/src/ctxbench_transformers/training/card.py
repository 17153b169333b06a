"""The model card beside a result: ``README.md`` with the header that the hub reads, made from the record and the log and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ctxbench.files import write_whole
from ctxbench_transformers import provenance
from ctxbench_transformers.training import account
from ctxbench_transformers.training.log import read_log

CARD = "README.md"


def write_card(folder: Path, record: dict[str, Any], run: Path) -> None:
    """Write the card of the weights in ``folder``; ``run`` is the folder with the log, which may be missing."""
    card = model_card(record, read_log(run), adapter=(folder / "adapter_config.json").is_file())
    write_whole(folder / CARD, card.encode())


def model_card(record: dict[str, Any], log: Sequence[dict[str, Any]], *, adapter: bool) -> str:
    """The card of an adapter, or of a whole model.

    Args:
        record: ``ctxbench_training.json``. What it lacks is said to be not known.
        log: the lines of ``log.jsonl``.
    """
    sections = {
        "How to load it": _loading(record, adapter),
        "What it was trained on": account.data(record),
        "Layouts that it reads": account.layouts(record),
        "Scores": account.scores(record),
        "Training": account.training(record, log),
        "Changes on the way": account.changes(record),
    }
    name = account.config(record).get("name") or "training"
    blocks = [f"---\n{_header(record, adapter)}---", f"# {name}", *_what(record, adapter)]
    for title, paragraphs in sections.items():
        blocks += [f"## {title}", *paragraphs]
    return "\n\n".join(blocks) + "\n"


def _header(record: dict[str, Any], adapter: bool) -> str:
    from huggingface_hub import ModelCardData

    base, lora = record.get(provenance.BASE), _lora(record)
    tags = [name for name, given in (("lora", lora), ("dora", lora.get("use_dora")), ("qlora", _method(record) == "qlora")) if given]
    data = ModelCardData(
        base_model=base,
        base_model_relation=None if base is None else "adapter" if adapter else "finetune",
        language=sorted(account.languages(record) or ()) or None,
        library_name="peft" if adapter else "transformers",
        pipeline_tag="image-text-to-text",
        tags=["ctxbench", *tags],
    )
    return f"{data.to_yaml()}\n"


def _method(record: dict[str, Any]) -> str:
    return str(account.config(record).get("method", ""))


def _lora(record: dict[str, Any]) -> dict[str, Any]:
    """LoRA's settings, empty where all weights were trained."""
    return {} if _method(record) == "full" else dict(account.config(record).get("lora") or {})


def _base(record: dict[str, Any]) -> str:
    """What a user of the card writes for the base."""
    return str(record.get(provenance.BASE) or "BASE")


def _described_base(record: dict[str, Any]) -> str:
    base, given = record.get(provenance.BASE), account.config(record).get("model")
    revision = account.config(record).get("revision")
    fingerprint = f"fingerprint `{record['model_fingerprint']}`" if record.get("model_fingerprint") else "fingerprint not known"
    if base:
        return f"`{base}`{f' at revision `{revision}`' if revision else ''} ({fingerprint})"
    return f"a base model that is {f'called `{_called(record, given)}`' if given else 'not known'} ({fingerprint})"


def _called(record: dict[str, Any], given: str) -> str:
    """The last part of a folder's path. Early records do not tell a folder from a name on the hub, which is kept whole."""
    perhaps_hub = provenance.BASE not in record and given.count("/") == 1 and given[0] not in "/.~"
    return given if perhaps_hub else Path(given).name


def _what(record: dict[str, Any], adapter: bool) -> list[str]:
    base, lora = _described_base(record), _lora(record)
    kinds = [name for name, key in (("DoRA", "use_dora"), ("rsLoRA", "use_rslora")) if lora.get(key)]
    kinds += [f"{', '.join(lora['modules_to_save'])} trained whole"] if lora.get("modules_to_save") else []
    shape = (
        ", ".join([f"rank {lora['r']}, alpha {lora['alpha']}", *kinds]) if {"r", "alpha"} <= lora.keys() else "of a shape that is not known"
    )
    if adapter:
        what = [f"A LoRA adapter ({shape}) for {base}."]
    elif record.get("merged"):
        what = [f"{base[0].upper()}{base[1:]} with a LoRA adapter ({shape}) in its weights.", *_merged(record["merged"], record)]
    else:
        what = [f"{'All weights' if _method(record) == 'full' else 'A model'} tuned from {base}."]
    return [*what, "Made by `ctxbench train`. ctxbench measures how well vision-language models read long texts that pages carry."]


def _merged(merged: dict[str, Any], record: dict[str, Any]) -> list[str]:
    said = [f"The adapter was added in float32, and the sum rounded to {merged['dtype']}."]
    if merged.get("quantized"):
        said.append(
            f"The adapter was trained on the base in 4 bit ({merged['quantized']}), and is merged here into the base as it was before "
            "quantisation: answers differ from those of the adapter on the 4-bit base, which the scores below are of."
        )
    if merged["base_fingerprint"] != record.get("model_fingerprint"):
        said.append(
            f"It was merged into another base (fingerprint `{merged['base_fingerprint']}`) than the one that it was trained on, "
            "which the scores below are of."
        )
    return said


def _loading(record: dict[str, Any], adapter: bool) -> list[str]:
    base, config = _base(record), account.config(record)
    here = "FOLDER is this folder, or the id of this repository" + (
        "; BASE is the folder of the base model." if adapter and base == "BASE" else "."
    )
    codecs = "".join(f" -c {name}" for name in record.get(provenance.LAYOUTS) or ())
    read = f"ctxbench run -m hf:{base} --adapter FOLDER{codecs}" if adapter else f"ctxbench run -m hf:FOLDER{codecs}"
    blocks = [here, f"With ctxbench, which takes the layouts below from the record beside the weights:\n\n```text\n{read}\n```"]
    options = {key: config[key] for key in ("revision", "min_pixels", "max_pixels", "trust_remote_code") if config.get(key)}
    if not adapter:
        options.pop("revision", None)
    if adapter and record.get(provenance.TEMPLATE):
        options["chat_template"] = "FOLDER/chat_template.jinja"
    if options:
        blocks.append(
            f"It was trained with these options of the model: {', '.join(f'`{k}: {account.value(v)}`' for k, v in options.items())}."
        )
    blocks.append(f"With plain {'peft and ' * adapter}transformers:\n\n```python\n{_python(record, adapter)}\n```")
    if adapter:
        blocks.append("`ctxbench train export FOLDER --merge -o OUT` makes a whole model of it, which vLLM loads too.")
    else:
        blocks.append("With vLLM:\n\n```text\nvllm serve FOLDER\n```")
    return blocks


def _python(record: dict[str, Any], adapter: bool) -> str:
    config, where = account.config(record), _base(record) if adapter else "FOLDER"
    common = {"trust_remote_code": True} if config.get("trust_remote_code") else {}
    if adapter and config.get("revision"):
        common["revision"] = config["revision"]
    pixels = {key: config[key] for key in ("min_pixels", "max_pixels") if config.get(key)}
    classes = ["AutoModelForImageTextToText", "AutoProcessor"]
    load = f'AutoModelForImageTextToText.from_pretrained("{where}", dtype="auto"{_arguments(common)}'
    lines = []
    if adapter and _method(record) == "qlora":
        classes.append("BitsAndBytesConfig")
        lines.append(_quantised(config.get("quantization") or {}))
        load += ", quantization_config=quantised"
    lines.append(f"model = {load})")
    if adapter:
        lines.append('model = PeftModel.from_pretrained(model, "FOLDER")')
    lines.append(f'processor = AutoProcessor.from_pretrained("{where}"{_arguments(common | pixels)})')
    if adapter and record.get(provenance.TEMPLATE):
        lines.append('processor.chat_template = open("FOLDER/chat_template.jinja", encoding="utf-8").read()')
    imports = ["from peft import PeftModel"] * adapter + [f"from transformers import {', '.join(classes)}"]
    return "\n".join([*imports, "", *lines])


def _arguments(values: dict[str, Any]) -> str:
    return "".join(f', {key}="{value}"' if isinstance(value, str) else f", {key}={value!r}" for key, value in values.items())


def _quantised(given: dict[str, Any]) -> str:
    names = {"type": "bnb_4bit_quant_type", "double_quant": "bnb_4bit_use_double_quant", "compute_dtype": "bnb_4bit_compute_dtype"}
    arguments = {name: given[key] for key, name in names.items() if key in given}
    return f"quantised = BitsAndBytesConfig(load_in_4bit=True{_arguments(arguments)})"

"""``ctxbench train export``: what a finished run left, as a folder to hand out; an adapter as it is, or merged into its base."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import attrs

from ctxbench import CtxbenchError, ModelError, UsageError, contamination
from ctxbench_transformers import provenance, sources
from ctxbench_transformers.files import sync, whole_folder, write_json
from ctxbench_transformers.training.card import write_card
from ctxbench_transformers.training.log import LOG

_ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "chat_template.jinja")
_MODEL_KINDS = (".safetensors", ".json", ".jinja", ".txt", ".model", ".py")


@attrs.frozen
class Merging:
    """How an adapter is merged.

    Attributes:
        base: the base model, a folder or an id on the hub; ``None`` is the one that the record names.
        dtype: of the weights that are written; ``auto`` is the base's.
        code: let Python code that comes with the base run.
    """

    base: str | None = None
    dtype: str = "auto"
    code: bool = False


@attrs.frozen(eq=False)
class Finished:
    """The folder of a finished run.

    Attributes:
        record: ``ctxbench_training.json``.
        adapter: whether it holds an adapter, and not a whole model.
    """

    folder: Path
    record: dict[str, Any]
    adapter: bool

    @property
    def config(self) -> dict[str, Any]:
        """What it was trained by, as far as the record says."""
        return dict(self.record.get("training_config") or {})


def finished(folder: Path) -> Finished:
    """The finished run in ``folder``.

    Raises:
        UsageError: there is none; the message says what there is.
        ModelError: its record is broken, or a file is missing.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give the output of ctxbench train")
    if provenance.read_record(folder) is None:
        if (folder / "checkpoints").is_dir():
            raise UsageError(f"{folder}: the run in it is not finished; go on with: ctxbench train CONFIG --resume latest")
        raise UsageError(f"{folder}: no finished run of ctxbench train (it has no {provenance.RECORD})")
    record = json.loads((folder / provenance.RECORD).read_text("utf-8"))
    adapter = (folder / "adapter_config.json").is_file()
    if adapter:
        sources.check_adapter(folder, str(folder))
    else:
        sources.check_model(folder, str(folder))
    return Finished(folder, record, adapter)


def export(folder: Path, output: Path, *, merge: Merging | None = None, log: bool = False) -> dict[str, Any]:
    """Write the result in ``folder`` into the new folder ``output``: the weights, their record and a model card; no checkpoints.

    Args:
        merge: merge the adapter into its base model, in float32 on the CPU, which takes 4 bytes of memory for each of its parameters.
        log: with ``log.jsonl``.

    Returns the folder, what it holds, the dtype of merged weights, and its size in bytes.

    Raises:
        UsageError: no finished run, nothing to merge, or ``output`` exists.
        ModelError: the base is missing, quantised or another one than that which the adapter was trained on.
        CtxbenchError: the folder cannot be written; nothing is left behind.
    """
    if output.exists():
        raise UsageError(f"-o: {output} exists; give another folder")
    run = finished(folder)
    if merge is not None and not run.adapter:
        raise UsageError(f"--merge: {folder} holds a whole model, and no adapter to merge; leave --merge out")
    from safetensors import SafetensorError

    try:
        with whole_folder(output) as work:
            record = _copy(run, work) if merge is None else _merge(run, merge, work)
            if log and (folder / LOG).is_file():
                shutil.copyfile(folder / LOG, work / LOG)
            write_card(work, record, folder)
            for path in (*work.iterdir(), work):
                sync(path)
    except OSError as error:
        raise CtxbenchError(f"-o: {output}: {error.strerror or error}") from None
    except SafetensorError as error:
        raise CtxbenchError(f"-o: {output}: the weights cannot be written: {' '.join(str(error).split())}") from None
    kind = "merged model" if merge is not None else "adapter" if run.adapter else "model"
    size = sum(path.stat().st_size for path in output.iterdir())
    return {"output": str(output), "kind": kind, "dtype": (record.get("merged") or {}).get("dtype"), "bytes": size}


def _copy(run: Finished, work: Path) -> dict[str, Any]:
    """The files that a reader needs, and the record as it is."""
    for path in sorted(run.folder.iterdir()):
        wanted = path.name in _ADAPTER_FILES if run.adapter else path.suffix in _MODEL_KINDS
        if path.is_file() and (wanted or path.name == provenance.RECORD):
            shutil.copyfile(path, work / path.name)
    return run.record


def _merge(run: Finished, how: Merging, work: Path) -> dict[str, Any]:
    """The base with the adapter in its weights, and a record that tells what both were trained on."""
    source = _base(run, how)
    from ctxbench_transformers.training.merge import merge_adapter

    config = run.config
    marks = {provenance.MARK: run.record.get("data_fingerprint")}
    dtype = merge_adapter(run.folder, source, work, dtype=how.dtype, chat_template=_template(run), code=how.code, marks=marks)
    earlier, own = provenance.of_model(source), contamination.read(run.folder)
    merged = {
        "dtype": dtype,
        "base_fingerprint": sources.model_fingerprint(source),
        "quantized": config.get("quantization", {}).get("type", "4 bit") if config.get("method") == "qlora" else None,
    }
    record = run.record | {
        "training_data": [some.plain() for some in contamination.together(earlier or (), own or ())],
        "earlier_unknown": earlier is None or own is None or bool(run.record.get("earlier_unknown")),
        provenance.LAYOUTS: provenance.layouts_of(source, run.folder),
        "merged": merged,
    }
    if how.base is not None:
        record[provenance.BASE] = None if Path(how.base).expanduser().is_dir() else how.base
    write_json(work / provenance.RECORD, record)
    return record


def _template(run: Finished) -> str | None:
    """The chat template that the adapter was trained with, if it was not the base's."""
    template = run.record.get(provenance.TEMPLATE)
    return None if template is None else str(template)


def _base(run: Finished, how: Merging) -> Path:
    """The folder of the base model, if it is the one that the adapter was trained on and can take it."""
    config = run.config
    reference = how.base or config.get("model")
    if reference is None:
        raise ModelError(f"{run.folder}: its record names no base model; give it with --base")
    if config.get("trust_remote_code") and not how.code:
        raise ModelError(f"{run.folder}: its base {reference!r} comes with Python code of its own; --trust-remote-code lets that run")
    try:
        source = sources.locate(reference, None if how.base else config.get("revision"), what="base model", code=how.code)
        sources.check_model(source, reference)
    except ModelError as error:
        raise error if how.base else ModelError(f"{error}; or give the base's folder with --base") from None
    _check_unquantised(source)
    here, then = sources.model_fingerprint(source), run.record.get("model_fingerprint")
    if then not in (None, here):
        if how.base is None:
            raise ModelError(
                f"{reference} is another model than the base that {run.folder} was trained on (fingerprint {here}, then {then}); "
                "give the folder of that one, or of this one to merge into it nonetheless, with --base"
            )
        provenance.warn_if_other_base(str(run.folder), provenance.read_record(run.folder), here)
    return source


def _check_unquantised(source: Path) -> None:
    try:
        quantised = json.loads((source / "config.json").read_text("utf-8")).get("quantization_config")
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{source / 'config.json'}: {error}") from None
    if quantised:
        raise ModelError(
            f"--merge: the weights in {source} are quantised, and an adapter cannot be added to such; give the others with --base"
        )

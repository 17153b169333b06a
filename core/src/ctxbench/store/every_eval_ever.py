"""Results in the format of Every Eval Ever: one JSON file for each reader with its cells, and the trials beside it as JSON Lines.

The format is that of the schemas ``eval.schema.json`` and ``instance_level_eval.schema.json`` of https://pypi.org/project/every-eval-ever/.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from ctxbench.errors import StoreError
from ctxbench.files import whole_file
from ctxbench.store import formats

if TYPE_CHECKING:
    from ctxbench.store.store import Store

SCHEMA_VERSION = "0.3.0"
"""Version of the schemas that the files keep to."""

INTERVAL = {"accuracy": "Wilson score interval", "score": "Wilson score interval of the sum of scores, or normal for scores outside [0, 1]"}

_SUMMARY = """SELECT model, adapter, task, bucket, language, codec, augmentation, variant, cell, n, errors, accuracy, accuracy_low,
    accuracy_high, encoded_ratio, compression_ratio, encoded_tokens, reference_tokens, channel_correct, read_seconds, n_variants
    FROM summary WHERE accuracy IS NOT NULL ORDER BY ALL"""

_TRIALS = """SELECT trial_id, cell, variant, sample_index, sample_seed, question, prompt, expected, prediction, outcome, status, correct,
    score, error_message, error_stage, prompt_tokens, completion_tokens, read_seconds, context_sha256, codec, augmentation, task, bucket
    FROM results WHERE model = ? AND adapter IS NOT DISTINCT FROM ? AND correct IS NOT NULL
    ORDER BY task, bucket, codec, augmentation, sample_index, trial_id"""


@attrs.frozen
class Written:
    """A file of the export: where, and how many results or trials it holds."""

    path: Path
    rows: int


def export(store: Store, output: Path, *, organization: str = "unknown") -> list[Written]:
    """Write ``<output>/data/ctxbench/<developer>/<model>/<id>.json`` and ``<id>_samples.jsonl`` for each model with each adapter.

    Every cell of the view ``summary`` that has an accuracy becomes one result, with its interval; every trial of it one instance.

    Args:
        organization: who publishes the figures.

    Raises:
        StoreError: nothing to write, or a file cannot be written (none is left half written).
    """
    cells = _records(store, _SUMMARY)
    if not cells:
        raise StoreError(f"{store.path}: no trial has an outcome, so there is nothing to export")
    library = store.query("SELECT ctxbench_version, started_at FROM runs ORDER BY started_at DESC LIMIT 1").rows
    version, started = (str(library[0][0]), library[0][1]) if library else ("unknown", None)
    found: list[Written] = []
    for model, adapter in sorted({(cell["model"], cell["adapter"]) for cell in cells}, key=lambda key: (key[0], key[1] or "")):
        own = [cell for cell in cells if (cell["model"], cell["adapter"]) == (model, adapter)]
        found += _write_reader(store, output, own, version, started, organization)
    return found


def _write_reader(
    store: Store, output: Path, cells: Sequence[dict[str, Any]], version: str, started: Any, organization: str
) -> Iterator[Written]:
    model, adapter = cells[0]["model"], cells[0]["adapter"]
    identifier = model_id(model, adapter)
    stamp = _epoch(store)
    evaluation = f"ctxbench/{identifier.replace('/', '_')}/{stamp}"
    digest = hashlib.sha256("\n".join([evaluation, *(cell["cell"] for cell in cells)]).encode("utf-8")).digest()
    name = str(uuid.UUID(bytes=digest[:16], version=4))  # the same store gives the same name
    developer, _, short = identifier.partition("/")
    folder = Path("data", "ctxbench", developer, short)
    instances = list(_instances(store, cells, evaluation, identifier))
    lines = b"".join((json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8") for row in instances)
    trials = output / folder / f"{name}_samples.jsonl"
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": evaluation,
        **({"evaluation_timestamp": started.isoformat()} if started is not None else {}),
        "retrieved_timestamp": stamp,
        "source_metadata": {
            "source_name": "ctxbench",
            "source_type": "evaluation_run",
            "source_organization_name": organization,
            "evaluator_relationship": "other",
        },
        "eval_library": {"name": "ctxbench", "version": version},
        "model_info": _model_info(model, adapter, identifier, developer),
        "evaluation_results": [_result(cell) for cell in cells],
        "detailed_evaluation_results": {
            "format": "jsonl",
            "file_path": (folder / trials.name).as_posix(),
            "hash_algorithm": "sha256",
            "checksum": hashlib.sha256(lines).hexdigest(),
            "total_rows": len(instances),
        },
    }
    with whole_file(trials, error=StoreError) as file:
        file.write(lines)
    path = output / folder / f"{name}.json"
    with whole_file(path, error=StoreError) as file:
        file.write((json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8"))
    yield Written(path, len(cells))
    yield Written(trials, len(instances))


def model_id(model: str, adapter: str | None) -> str:
    """A model's name as ``developer/name``: that of the hub where it comes from there, else under ``ctxbench``. Both are folders' names."""
    bare = (model.partition(":")[2] or model).partition("@")[0]
    parts = [_safe(part) for part in bare.split("/") if part not in ("", ".", "..")]
    developer, name = parts[-2:] if len(parts) > 1 else ("ctxbench", parts[0] if parts else "model")
    return f"{developer}/{name}" if adapter is None else f"{developer}/{name}+{_safe(Path(adapter).name or 'adapter')}"


def _model_info(model: str, adapter: str | None, identifier: str, developer: str) -> dict[str, Any]:
    kind = model.partition(":")[0]
    deployed = "externally_managed" if kind == "openai" else "self_deployed"
    weights = "unknown" if kind == "openai" else "open_weights"
    details = {"deployment_type": deployed, "model_availability": weights, **({"adapter": adapter} if adapter else {})}
    return {
        "name": model if adapter is None else f"{model} + {adapter}",
        "id": identifier,
        "developer": developer,
        "additional_details": details,
    }


def _name(cell: dict[str, Any]) -> str:
    return f"ctxbench {cell['task']}, {cell['bucket']} tokens, {cell['codec']}, {cell['augmentation']}"


def _result(cell: dict[str, Any]) -> dict[str, Any]:
    """A cell's accuracy with its interval; what it cost stands in the details."""
    details = {key: cell[key] for key in ("encoded_ratio", "compression_ratio", "encoded_tokens", "reference_tokens", "channel_correct")}
    details |= {"read_seconds": cell["read_seconds"], "errors": cell["errors"]}
    labels = {key: cell[key] for key in ("task", "bucket", "language", "codec", "augmentation", "variant", "cell")}
    return {
        "evaluation_result_id": cell["cell"],
        "evaluation_name": _name(cell),
        "source_data": {"dataset_name": f"ctxbench {cell['task']}", "source_type": "other", "additional_details": _texts(labels)},
        "metric_config": {
            "metric_id": "accuracy",
            "metric_name": "Accuracy",
            "metric_kind": "accuracy",
            "metric_unit": "proportion",
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0,
            "max_score": 1,
        },
        "score_details": {
            "score": cell["accuracy"],
            "details": _texts(details),
            "uncertainty": {
                "confidence_interval": {
                    "lower": cell["accuracy_low"],
                    "upper": cell["accuracy_high"],
                    "confidence_level": 0.95,
                    "method": INTERVAL["accuracy"],
                },
                "num_samples": cell["n"],
            },
        },
    }


def _instances(store: Store, cells: Sequence[dict[str, Any]], evaluation: str, identifier: str) -> Iterator[dict[str, Any]]:
    """The trials of these cells, in the order of the samples."""
    by_key = {_key(cell): cell for cell in cells}
    for row in _records(store, _TRIALS, [cells[0]["model"], cells[0]["adapter"]]):
        cell = by_key.get(_key(row))
        if cell is None or (row["cell"] and row["cell"] != cell["cell"]):
            continue  # of an older release, which the summary leaves out
        yield _instance(row, cell, evaluation, identifier)


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return (*(row[name] for name in ("task", "bucket", "codec", "augmentation")), row["variant"] or "")


def _instance(row: dict[str, Any], cell: dict[str, Any], evaluation: str, identifier: str) -> dict[str, Any]:
    question, expected, answer = (row[key] or "" for key in ("question", "expected", "prediction"))
    counted = row["prompt_tokens"] is not None and row["completion_tokens"] is not None
    usage = {"input_tokens": row["prompt_tokens"], "output_tokens": row["completion_tokens"]}
    known = {key: row[key] for key in ("outcome", "codec", "augmentation", "bucket", "context_sha256", "sample_seed", "trial_id")}
    made: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": evaluation,
        "model_id": identifier,
        "evaluation_name": _name(cell),
        "evaluation_result_id": cell["cell"],
        "sample_id": f"{row['task']}/{row['bucket']}/{row['sample_index']}",
        "sample_hash": hashlib.sha256((question + expected).encode("utf-8")).hexdigest(),
        "interaction_type": "single_turn",
        "input": {"raw": question, "formatted": row["prompt"], "reference": [expected]},
        "output": {"raw": [answer]},
        "answer_attribution": [
            {
                "turn_idx": 0,
                "source": "output.raw",
                "extracted_value": answer,
                "extraction_method": "task metric",
                "is_terminal": True,
            }
        ],
        "evaluation": {"score": float(bool(row["correct"])), "is_correct": bool(row["correct"])},
        "token_usage": {**usage, "total_tokens": sum(usage.values())} if counted else None,
        "performance": None if row["read_seconds"] is None else {"latency_ms": 1000 * row["read_seconds"]},
        "error": f"{row['error_stage']}: {row['error_message']}" if row["status"] == "error" else None,
        "metadata": _texts(known),
    }
    return made


def _records(store: Store, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
    table = store.query(sql, list(parameters))
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def _texts(values: dict[str, Any]) -> dict[str, str]:
    """What is known of some values, as texts; the format's details hold nothing else."""
    return {key: formats.text_of(value) for key, value in values.items() if value is not None}


def _epoch(store: Store) -> str:
    """When the newest trial was stored, so that exporting a store twice writes the same files."""
    (found,) = store.query("SELECT epoch(max(created_at)) FROM trials").rows[0]
    return f"{found:.6f}"


def _safe(name: str) -> str:
    """A folder's name: names come from configs, and may hold what no folder's name can."""
    return re.sub(r"[^\w.+-]", "_", name).strip(".") or "model"


__all__ = ["export"]

"""Cells of a store as runs of an experiment tracker: MLflow, or Weights & Biases."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ctxbench.errors import StoreError

if TYPE_CHECKING:
    from ctxbench.store.store import Store

LABELS = ("model", "adapter", "task", "bucket", "language", "codec", "augmentation", "variant", "seed", "token_family")
VERSIONS = ("model_version", "task_version", "codec_version", "augmentation_version")
_LEFT_OUT = {*LABELS, *VERSIONS, "cell", "n_variants"}


def cells(store: Store) -> Iterator[tuple[str, str, dict[str, str], dict[str, float]]]:
    """(cell, name, parameters, metrics) of each row of ``summary``; figures that are not known are left out.

    Raises:
        StoreError: the store is empty.
    """
    table = store.query("SELECT * FROM summary")
    if not table.rows:
        raise StoreError(f"{store.path}: the store is empty, so there is nothing to export")
    for values in table.rows:
        row = dict(zip(table.columns, values, strict=True))
        reader = row["model"] if row["adapter"] is None else f"{row['model']} + {row['adapter']}"
        name = f"{reader}, {row['task']}, {row['bucket']}, {row['codec']}, {row['augmentation']}"
        parameters = {key: "none" if row[key] is None else str(row[key]) for key in (*LABELS, *VERSIONS)}
        numbers = {key: value for key, value in row.items() if key not in _LEFT_OUT and isinstance(value, (int, float))}
        yield row["cell"], name, parameters, {key: float(value) for key, value in numbers.items() if math.isfinite(value)}


def to_mlflow(store: Store, uri: str, experiment: str = "ctxbench") -> tuple[int, int]:
    """Make each cell a finished MLflow run with its labels as parameters and its figures as metrics; (new runs, runs that were there).

    A cell that the experiment has already, with the same figures, is not added again.

    Args:
        uri: a tracking server's address, ``sqlite:///file.db``, or a folder.

    Raises:
        StoreError: MLflow is not installed, the store is empty, or the tracker refuses.
    """
    try:
        from mlflow.entities import Metric, Param, RunTag
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError:
        raise StoreError("export to MLflow needs it: pip install mlflow (or the smaller mlflow-skinny)") from None
    made = there = 0
    try:
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        identifier = client.create_experiment(experiment) if found is None else found.experiment_id
        for cell, name, parameters, metrics in cells(store):
            tag = f"{cell} n={metrics.get('n', 0):.0f}"
            if client.search_runs([identifier], f"tags.`ctxbench.cell` = '{tag}'", max_results=1):
                there += 1
                continue
            run = client.create_run(identifier, run_name=name)
            client.log_batch(
                run.info.run_id,
                metrics=[Metric(key, value, run.info.start_time, 0) for key, value in metrics.items()],
                params=[Param(key, value[:6000]) for key, value in parameters.items()],
                tags=[RunTag("ctxbench.cell", tag), RunTag("ctxbench.store", store.path.name)],
            )
            client.set_terminated(run.info.run_id)
            made += 1
    except MlflowException as error:
        raise StoreError(f"{uri}: MLflow says: {' '.join(str(error).split())[:500]}") from error
    return made, there


def to_wandb(store: Store, folder: Path, project: str = "ctxbench") -> int:
    """Write each cell as a Weights & Biases run and return their number.

    Runs are written offline into ``folder/wandb``, unless ``WANDB_MODE`` says otherwise; ``wandb sync`` sends them. Run ids follow from
    the cells, so that what is sent again takes the place of what was sent before.

    Raises:
        StoreError: W&B is not installed, or the store is empty.
    """
    try:
        import wandb
    except ImportError:
        raise StoreError("export to Weights & Biases needs it: pip install wandb") from None
    folder.mkdir(parents=True, exist_ok=True)
    mode = os.environ.get("WANDB_MODE", "offline")
    made = 0
    for cell, name, parameters, metrics in cells(store):
        settings = wandb.Settings(silent=True, console="off", x_disable_stats=True)
        run = wandb.init(
            project=project, name=name, id=cell[:32], dir=str(folder), config=parameters, mode=mode, settings=settings, reinit=True
        )
        run.summary.update(metrics)
        run.finish()
        made += 1
    return made


__all__ = ["to_mlflow", "to_wandb"]

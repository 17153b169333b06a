"""The JSON Schema of a config, for editors and other programs."""

from __future__ import annotations

from typing import Any

from ctxbench.config.experiment import ExperimentConfig
from ctxbench.config.values import Section


def json_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of an experiment config. A component's own options are checked when the experiment is planned."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ctxbench experiment",
        **Section(ExperimentConfig).schema(),
    }

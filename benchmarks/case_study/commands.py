"""The commands that the page lists, and their output as tables. They are run as a reader types them, from the root of the repository."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FAMILIES = ("qwen2-vl", "qwen3-vl", "gpt-5.4", "claude", "gemini-3", "internvl2", "deepseek-ocr")
CONFIG = "benchmarks/case_study"
COST = f"ctxbench cost case-study/documents --config {CONFIG}/documents.yaml " + " ".join(f"--family {family}" for family in FAMILIES)
RUNS = {name: f"ctxbench run {CONFIG}/{name}.yaml" for name in ("documents", "questions", "tiny")}
STORES = {"ratios": "documents", "channel": "documents", "equal": "documents", "questions": "questions", "tiny": "tiny"}
QUERIES = {name: f"ctxbench sql - --store case-study/{store}.duckdb < {CONFIG}/{name}.sql" for name, store in STORES.items()}

Table = list[dict[str, str]]
"""Rows of a table, each from column to what stands there; all have the same columns in the same order."""


def output(command: str, *more: str) -> str:
    """What a command prints, with further options.

    Raises:
        SystemExit: it failed; with its messages.
    """
    program, redirect, source = command.partition(" < ")
    environment = {**os.environ, "NO_COLOR": "1", "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    words = [*program.split(), *more]
    text = (ROOT / source).read_text("utf-8") if redirect else None
    done = subprocess.run(words, cwd=ROOT, input=text, stdout=subprocess.PIPE, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\nexit code {done.returncode}")
    return done.stdout


def queried(name: str) -> Table:
    """The rows of one of the queries."""
    return list(csv.DictReader(io.StringIO(output(QUERIES[name], "--format", "csv"))))


def costs() -> dict[str, Any]:
    """What ``ctxbench cost`` prints as JSON."""
    found: dict[str, Any] = json.loads(output(COST, "--format", "json"))
    return found


def measure(workers: int) -> None:
    """Run what is not stored yet."""
    for command in RUNS.values():
        print(f"$ {command}", flush=True)
        print(output(command, "--workers", str(workers)), flush=True)

"""``log.jsonl``: the numbers of each step of a run, one JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LOG = "log.jsonl"


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's log, in order; empty if there is none. What is no line of a log (a kill cut it short) is left out."""
    found = []
    path = folder / LOG
    for line in path.read_text("utf-8", "replace").splitlines() if path.is_file() else ():
        try:
            values = json.loads(line)
        except ValueError:
            continue
        if isinstance(values, dict) and isinstance(values.get("step"), int):
            found.append(values)
    return found

"""A stage's log, one row a step, as a small table: one row a track every so many steps."""

from __future__ import annotations

import csv
from pathlib import Path

FIELDS = ("stage", "step", "minutes", "track", "length", "loss", "batches")


def condense(log: Path, every: int = 100) -> list[dict[str, object]]:
    """Mean loss (nats a byte) of each track at its longest length, over every ``every`` steps; steps repeated after a kill count once."""
    with log.open(newline="") as file:
        rows = {int(row["step"]): row for row in csv.DictReader(file)}
    groups: dict[tuple[int, str, int], list[float]] = {}
    minutes: dict[int, float] = {}
    for step, row in rows.items():
        block = -(-step // every) * every
        minutes[block] = max(minutes.get(block, 0.0), float(row["seconds"]) / 60)
        if float(row["loss"]):  # steps of the vision part alone have none
            groups.setdefault((block, row["track"], int(row["length"])), []).append(float(row["loss"]))
    longest = {(b, t): max(n for b2, t2, n in groups if (b2, t2) == (b, t)) for b, t, _ in groups}
    return [
        {
            "stage": log.stem,
            "step": block,
            "minutes": round(minutes[block], 1),
            "track": track,
            "length": length,
            "loss": round(sum(losses) / len(losses), 4),
            "batches": len(losses),
        }
        for (block, track, length), losses in sorted(groups.items())
        if length == longest[block, track]
    ]


def write(logs: list[Path], out: Path, every: int = 100) -> None:
    """Condense several stages' logs into one CSV file."""
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        for log in logs:
            writer.writerows(condense(log, every))

"""Sums the costs of several documents in one codec."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ctxbench import tokens

_SUMS = ("pages", "text_tokens", "visual_tokens", "marker_tokens", "tokens", "context_bytes")


def added_up(costs: Sequence[tuple[int, Sequence[dict[str, Any]]]]) -> list[dict[str, Any]]:
    """A row for each family: sums over the documents that the codec can carry and the family takes, and ratios of the sums.

    Args:
        costs: for each document its reference tokens and its rows, as ``ctxbench cost`` has them.

    Returns:
        Rows with ``documents``, how many they are made of, and ``left_out``: how many are missing, with the reason of the first.
    """
    families = dict.fromkeys(row["family"] for _, rows in costs for row in rows if row["family"])
    if not families:  # the codec can carry none of them
        row = costs[0][1][0]
        return [{**row, "documents": 0, "error": _left_out([str(rows[0]["error"]) for _, rows in costs], len(costs))}]
    return [_family(family, costs) for family in families]


def _family(family: str, costs: Sequence[tuple[int, Sequence[dict[str, Any]]]]) -> dict[str, Any]:
    rows = [(count, next((row for row in found if row["family"] == family), found[0])) for count, found in costs]
    good = [(count, row) for count, row in rows if not row.get("error")]
    errors = [str(row["error"]) for _, row in rows if row.get("error")]
    head = {"codec": rows[0][1]["codec"], "family": family, "documents": len(good)}
    if not good:
        return {**head, "error": _left_out(errors, len(rows))}
    total = {key: sum(row[key] for _, row in good) for key in _SUMS}
    payloads = [row["payload_bytes"] for _, row in good]
    payload = None if None in payloads else sum(payloads)
    ratio = tokens.ratio(sum(count for count, _ in good), total["tokens"])
    factor = total["context_bytes"] / payload if payload else None
    return {
        **head,
        **total,
        "page_sizes": [size for _, row in good for size in row["page_sizes"]],
        "payload_bytes": payload,
        "text_factor": factor,
        "ratio": ratio,
        "carrier_factor": ratio / factor if ratio and factor else None,
        "loses_pixels": any(row["loses_pixels"] for _, row in good),
        "left_out": _left_out(errors, len(rows)) if errors else None,
        "error": None,
    }


def _left_out(errors: Sequence[str], documents: int) -> str:
    return f"{len(errors)} of {documents} documents left out: {errors[0]}"

"""The figure: what each carrier costs, and how much of the text its decoder gives back, from clean over light to heavy damage."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.case_study.commands import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVELS = ("back, clean", "light", "heavy")
COST = "tokens, text = 100"
KINDS = {
    "print": ("#1b6ca8", lambda name: name.startswith("render") or name == "half resolution"),
    "code": ("#c2410c", lambda name: name.startswith(("codebook", "QR"))),
    "text": ("#4b5563", lambda name: name in ("text", "brotli64")),
}


def source(rows: Table) -> str:
    """A hash of the rows, which the figure carries."""
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def draw(rows: Table, path: Path) -> None:
    """Write the figure of the table ``equal``."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 3, figsize=(11, 4.6), sharey=True, layout="constrained")
    for panel, level in zip(panels, LEVELS, strict=True):
        _panel(panel, rows, level)
    panels[0].set_ylabel("characters that came back, %")
    figure.supxlabel("cost: tokens of the carrier, plain text = 100 (Qwen2-VL's rule)", fontsize=10)
    handles: list[Any] = [plt.Line2D([], [], marker="o", linestyle="", color=color, label=kind) for kind, (color, _) in KINDS.items()]
    handles.append(plt.Line2D([], [], linestyle="--", color="#6b7280", label="truncation at that cost"))
    figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False)
    figure.savefig(path, dpi=130, facecolor="white", metadata={"Source": source(rows)})
    plt.close(figure)


def _panel(panel: Axes, rows: Table, level: str) -> None:
    panel.set_title(level.removeprefix("back, "), fontsize=11)
    panel.set_xscale("log")
    panel.set_xlim(2, 260)
    panel.set_ylim(-6, 112)
    panel.set_xticks([3, 10, 30, 100, 200], ["3", "10", "30", "100", "200"])
    panel.minorticks_off()
    panel.grid(color="#e5e7eb", linewidth=0.7)
    panel.plot(range(2, 101), range(2, 101), "--", color="#6b7280", linewidth=1)
    points = []
    for row in rows:
        for color, holds in KINDS.values():
            if holds(row["carrier"]):
                points.append((float(row[COST]), float(row[level]), row["carrier"], color))
    for x, y, _, color in points:
        panel.plot(x, y, "o", color=color, markersize=5, alpha=0.85)
    _label(panel, points)


def _label(panel: Axes, points: list[tuple[float, float, str, str]]) -> None:
    """Names beside the points; those that stand close together are written one below the other, a line leading to each."""
    taken: list[tuple[float, float]] = []
    for x, y, name, color in sorted(points, key=lambda point: (-point[1], point[0])):
        short = name.replace("render ", "").replace("codebook ", "code ").replace("half resolution", "half res.")
        at = y - 1
        left = x > 45
        side = x / 1.16 if left else x * 1.16
        while any(abs(at - other) < 5.4 and 0.42 < side / beside < 2.4 for beside, other in taken):
            at -= 5.4
        taken.append((side, at))
        panel.annotate(
            short,
            (x, y),
            (side, at),
            fontsize=7.5,
            color=color,
            ha="right" if left else "left",
            va="center",
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.4, "shrinkA": 0, "shrinkB": 2},
        )

"""The figure: what each carrier costs, and beside it how much of the text its decoder gives back after no, light and heavy damage."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from benchmarks.case_study.commands import Table

COST = "tokens, text = 100"
LEVELS = {
    "clean": {"label": "clean", "marker": "o", "markersize": 9, "markerfacecolor": "none", "markeredgewidth": 1.4},
    "light": {"label": "light", "marker": "D", "markersize": 4.5},
    "heavy": {"label": "heavy", "marker": "x", "markersize": 7, "markeredgewidth": 1.8},
}
COLORS = {"print": "#1b6ca8", "code": "#c2410c", "text": "#4b5563"}


def kind(carrier: str) -> str:
    """``print``, ``code`` or ``text``."""
    if carrier.startswith(("codebook", "QR")):
        return "code"
    return "print" if carrier.startswith("render") or carrier == "half resolution" else "text"


def source(rows: Table) -> str:
    """A hash of the rows, which the figure carries."""
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def draw(rows: Table, path: Path) -> None:
    """Write the figure of the table ``equal``."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = [row for row in rows if not row["carrier"].startswith("truncate")]
    figure, (cost, back) = plt.subplots(1, 2, figsize=(10, 5.2), sharey=True, layout="constrained", width_ratios=[2, 3])
    for y, row in enumerate(shown):
        color, paid = COLORS[kind(row["carrier"])], float(row[COST])
        cost.barh(y, paid, height=0.62, color=color)
        cost.text(paid + 3, y, f"{paid:.0f}", va="center", fontsize=9)
        back.plot([min(paid, 100)], [y], "|", color="#6b7280", markersize=13, markeredgewidth=1.6)
        back.plot([float(row["light, worst"]), float(row["light"])], [y, y], color=color, linewidth=1.2, alpha=0.45)
        for level, style in LEVELS.items():
            back.plot([float(row[level])], [y], linestyle="", color=color, **{key: style[key] for key in style if key != "label"})
    cost.set(xlim=(0, 215), xlabel="cost: tokens, plain text = 100\n(Qwen2-VL's rule, markers included)")
    cost.set_yticks(range(len(shown)), [row["carrier"] for row in shown], fontsize=10)
    cost.invert_yaxis()
    back.set(
        xlim=(-4, 104),
        xlabel="characters that its decoder gives back, %: median document\n(line: to the worst document under light damage)",
    )
    for panel in (cost, back):
        panel.grid(axis="x", color="#e5e7eb", linewidth=0.8)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    levels = [plt.Line2D([], [], linestyle="", color="#111827", **style) for style in LEVELS.values()]
    levels.append(plt.Line2D([], [], linestyle="", marker="|", color="#6b7280", markersize=13, label="kept by truncation at that cost"))
    back.legend(handles=levels, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False, fontsize=9)
    kinds = [plt.Rectangle((0, 0), 1, 1, color=color, label=name) for name, color in COLORS.items()]
    cost.legend(handles=kinds, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize=9)
    figure.savefig(path, dpi=130, facecolor="white", metadata={"Source": source(rows)})
    plt.close(figure)

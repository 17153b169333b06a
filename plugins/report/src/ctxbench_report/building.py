"""``ctxbench report``: everything that a store says, in one HTML file."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
from matplotlib.figure import Figure

from ctxbench import UsageError
from ctxbench.files import write_whole
from ctxbench.store import Store, image_folder
from ctxbench_report import images, samples, tables
from ctxbench_report.data import Filters, NothingToPlot, check, counted, passing, summary_rows
from ctxbench_report.drawing import SHARE, Drawn, Helper, helper
from ctxbench_report.learning import learning_curve
from ctxbench_report.page import render
from ctxbench_report.plots import KINDS
from ctxbench_report.style import TooManyPanels, file_bytes, settings

MOST_PLOTS = 16
MOST_SPLITS = 2
"""Figures of single models and tasks that are drawn in place of one that would have too many panels."""

MOST_SHAPES = 600
"""Bars and texts of a figure above which it is put in as PNG: so many are smaller and drawn sooner as pixels."""

CAPTIONS = {
    "cost-accuracy": "How often the answer was right, over what the context cost in tokens. Up and to the left is better.",
    "ratio-accuracy": "The same over how many reference text tokens each carrier token stands for. Right of the dashed line, where an image"
    " costs as much as the text, it is cheaper.",
    "robustness": "How much accuracy is left when the page arrives damaged.",
    "frontier": "What is worth its tokens: filled points are not beaten by a cheaper one, the line is the most that is reached for so many"
    " tokens. Where a point lies below its grey dash, the pixels hold more than the model read.",
    "attribution": "Where answers were lost: in the pixels, from which the codec's own decoder could not recover the answer either, or by"
    " the reader, although the decoder could.",
    "outcomes": "In what way trials ended.",
    "depth-length": "Accuracy by where the needle stands in the context and how long the context is.",
    "prior-gap": "How much is guessing: the same reader and codec on content that language gives away and on content that must be read. A"
    " wide gap says that the first is no measure of reading.",
    "trust": "Whether a reader says so when the answer is not in the context, and whether the numbers and codes that it asserts are right"
    " to the character.",
    "confusions": "Which characters were said in place of which, in answers that are like what was expected. Beside an expected character"
    " stands how often it was asked for; none is a character that is missing, or one too many.",
    "page-position": "Where on the page the characters stood that came back wrong: of answers that were to be the whole context, and of"
    " codecs that can say where each character is drawn.",
    "costs": "Mean seconds of reading and, where prices are known, US dollars of a trial.",
    "learning-curve": "Loss over the steps of training.",
}
"""What a person who was not there needs to know to read each plot."""


@attrs.frozen
class Report:
    """A report that was written.

    Attributes:
        path: the file.
        trials, cells, plots: what it is about.
        samples: trials that it lets people look at.
        undrawn: plots that are not in it, and why.
    """

    path: Path
    trials: int
    cells: int
    plots: int
    samples: int
    undrawn: tuple[tuple[str, str], ...]


def write_report(
    store: Store, path: Path, filters: Filters, *, title: str | None, most_samples: int, embed_mb: float, logs: Sequence[Path]
) -> Report:
    """See :func:`ctxbench_report.report`."""
    if most_samples < 0 or embed_mb < 0:
        raise UsageError("a report has no fewer than 0 samples and 0 MB of images")
    check(store, filters)
    with helper(store, filters, len(summary_rows(store)), tuple(KINDS)) as second:
        return _write(store, path, filters, title, most_samples, embed_mb, logs, second)


def _write(
    store: Store, path: Path, filters: Filters, title: str | None, most_samples: int, embed_mb: float, logs: Sequence[Path], second: Helper
) -> Report:
    totals, cells = tables.totals(store, filters), tables.cells_table(store, filters)
    if not totals["trials"]:
        raise NothingToPlot(f"{store.path}: no trial passes all of these filters together")
    chosen = samples.choose(store, filters, cells.places, most_samples)
    pages = images.collect(chosen.rows, image_folder(store.path), path, round(embed_mb * 1_000_000))
    plots, undrawn = _plots(store, filters, logs, second)
    runs, run_count = tables.runs(store)
    data = {
        "cells": {"columns": tables.CELL_COLUMNS, "rows": cells.rows},
        "samples": {"columns": samples.COLUMNS, "rows": chosen.rows},
        "texts": chosen.texts,
        "images": pages.inside,
        "folder": pages.folder,
    }
    names = list(dict.fromkeys(run["name"] for run in runs))
    context = {
        "title": title or f"ctxbench: {', '.join(names[:3]) or store.path.stem}",
        "version": runs[0]["ctxbench_version"] if runs else "",
        "store_name": store.path.name,
        "filter_text": "; ".join(f"{name} {', '.join(map(str, values))}" for name, values in filters.conditions().items()),
        "totals": totals,
        "cell_count": cells.total,
        "headline": tables.headline(store, filters),
        "plots": plots,
        "undrawn": undrawn,
        "runs": runs,
        "run_count": run_count,
        "devices": _devices(store, filters),
        "notes": _notes(cells),
        "sample_text": _sample_text(chosen, pages),
        "ratio_text": "Its interval is a bootstrap's, 95 %."
        if cells.has_ratio_bounds
        else "With so many trials its interval is left to the view ratios.",
    }
    write_whole(path, render(context, data).encode("utf-8"))
    return Report(path, totals["trials"], cells.total, len(plots), len(chosen.rows), tuple(undrawn))


def _notes(cells: tables.Cells) -> list[str]:
    if cells.total > len(cells.rows):
        return [f"The table of cells and the samples are of the first {len(cells.rows):,} of {cells.total:,} cells."]
    return []


def _sample_text(chosen: samples.Samples, pages: images.Images) -> str:
    told = f"{len(chosen.rows):,} of {chosen.total:,} trials are in this file"
    if left := chosen.total - len(chosen.rows):
        told += f", of every outcome in every cell the same number as far as there are any; {left:,} are left out"
    told += f"; cut: {counted(chosen.clipped, 'long text')}" if chosen.clipped else ""
    if pages.inside or pages.linked:
        told += f". Page images: {len(pages.inside):,} in this file, {pages.linked:,} shown from the folder beside the store"
        told += f", {pages.missing:,} missing" if pages.missing else ""
    elif any(row[-1] for row in chosen.rows):
        told += ". Page images were not kept; ctxbench run --images all keeps them"
    return told + "."


def _devices(store: Store, filters: Filters) -> list[list[str]]:
    """Each reader with the fingerprints of its weights and what it settled on (device, dtype)."""
    sql = f"""SELECT DISTINCT CASE WHEN adapter IS NULL THEN model ELSE model || ' + ' || adapter END, model_fingerprint,
        adapter_fingerprint, model_runtime FROM trials WHERE {filters.where()} ORDER BY ALL LIMIT 100"""
    found = []
    for reader, weights, adapter, runtime in store.query(sql).rows:
        settled = ", ".join(f"{key} {value}" for key, value in json.loads(runtime or "{}").items())
        found.append([reader, (weights or "")[:16], (adapter or "")[:16], settled])
    return found


def _plots(store: Store, filters: Filters, logs: Sequence[Path], second: Helper) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """Every plot that can be drawn, as an image with its caption, and the others with the reason."""
    plots: list[dict[str, Any]] = []
    undrawn: list[tuple[str, str]] = []
    with settings():
        drawn = {kind: draw_kind(store, kind, filters) for kind in KINDS if second.process is None or kind not in SHARE}
        drawn |= second.results()
        for kind in KINDS:
            for name, plot in drawn[kind] if kind in drawn else draw_kind(store, kind, filters):
                if isinstance(plot, str):
                    undrawn.append((name, plot))
                elif len(plots) >= MOST_PLOTS:
                    undrawn.append((name, f"a report has {MOST_PLOTS} plots at most; choose with --model, --task or --codec"))
                else:
                    plots.append(plot)
        if logs:
            plots.append(_image("learning-curve", learning_curve(logs)))
    return plots, undrawn


def draw_kind(store: Store, kind: str, filters: Filters) -> Drawn:
    """One kind of plot: its name and image for each figure that it takes, or why there is none."""
    figures = _figures(store, kind, filters)
    return [(kind + part, figure if isinstance(figure, str) else _image(kind + part, figure)) for part, figure in figures]


def _figures(store: Store, kind: str, filters: Filters) -> Iterator[tuple[str, Figure | str]]:
    """One figure; or, if it had too many panels, one for each model and task; or why there is none."""
    try:
        yield "", KINDS[kind](store, filters)
        return
    except NothingToPlot as reason:
        yield "", str(reason).removeprefix(f"{store.path}: ")
        return
    except TooManyPanels:
        pass
    rows = summary_rows(store)
    for place, (model, task) in enumerate(sorted({(row["model"], row["task"]) for row in passing(rows, filters)})):
        if place >= MOST_SPLITS:
            yield f" of {model}, {task}", f"for the size of this file; ctxbench plot {kind} -m {shlex.quote(model)} -t {shlex.quote(task)}"
            continue
        try:
            yield f" of {model}, {task}", KINDS[kind](store, attrs.evolve(filters, models=(model,), tasks=(task,)))
        except (NothingToPlot, TooManyPanels) as reason:
            yield f" of {model}, {task}", str(reason).removeprefix(f"{store.path}: ")


def _image(name: str, figure: Figure) -> dict[str, Any]:
    title = str(figure.get_suptitle())
    heading, _, note = title.partition("\n")
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    kind, media = (
        ("svg", "image/svg+xml")
        if sum(len(axes.patches) + len(axes.texts) for axes in figure.axes) <= MOST_SHAPES
        else ("png", "image/png")
    )
    data = file_bytes(figure, kind)
    uri = f"data:{media};base64,{base64.b64encode(data).decode('ascii')}"
    caption = CAPTIONS[name.partition(" of ")[0]]
    return {"uri": uri, "alt": f"{heading}. {' '.join(note.split())}", "caption": caption, "width": width, "height": height}

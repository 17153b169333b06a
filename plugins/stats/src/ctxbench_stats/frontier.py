"""The effective compression ratio: the largest measured ratio at which a reader still reads, found by sequential bisection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs

import ctxbench
from ctxbench import UsageError
from ctxbench.config import ExperimentConfig, make_config
from ctxbench.engine import Progress, RunReport
from ctxbench.plugin import plugin_output_to_stderr
from ctxbench.statistics import wilson
from ctxbench.store import Store
from ctxbench_stats.density import Candidate, candidates, carrier_tokens, first_sample
from ctxbench_stats.proportions import Pairs, mcnemar, paired_interval

LOOKS = (0.25, 0.5, 1.0)
"""Shares of the samples after which a hopeless density is given up. None is accepted before all samples are in, so that looking early
never makes a ratio look better than it is."""


@attrs.frozen(kw_only=True)
class Point:
    """One density, measured through the whole pipeline.

    Attributes:
        value: of the density option; ``None`` for text and baselines. ``label``: as the store shows it.
        n, right, errors: trials, those answered right, those that ended in an error (which are not right).
        low, high: 95 % Wilson interval of ``accuracy``.
        ratio: mean reference tokens over mean tokens of the carriers as encoded; ``tokens``: the latter mean.
        channel: share that the codec's own decoder and the task's solver answer right; ``None`` if the codec has no decoder.
        passes: whether the lower bound lies above the threshold; ``None`` for text and baselines.
    """

    value: Any
    label: str
    cell: str
    n: int
    right: int
    errors: int
    low: float
    high: float
    ratio: float | None
    tokens: float | None
    channel: float | None
    passes: bool | None = None

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.right / self.n


@attrs.frozen(kw_only=True)
class Baseline:
    """A baseline at the tokens of the point it stands beside, on the same samples.

    ``difference`` is the accuracy of the codec less that of the baseline, with its 95 % interval and McNemar's exact p.
    """

    point: Point
    difference: float
    low: float
    high: float
    p: float


@attrs.frozen(kw_only=True)
class Frontier:
    """What a search found.

    Attributes:
        text: the same model on plain text. ``threshold``: tau times its accuracy.
        points: every density that was measured, the sparsest first; ``skipped`` cannot be encoded.
        best: the passing point of the largest ratio, which is the effective compression ratio; ``None`` if none passes.
        baselines: beside the best point, or beside the sparsest where none passes.
        notes: what to know of it, a line each.
    """

    tau: float
    text: Point
    threshold: float
    points: list[Point]
    skipped: list[Candidate]
    best: Point | None
    baselines: list[Baseline]
    notes: list[str]

    @property
    def ecr(self) -> float | None:
        """ECR@tau."""
        return None if self.best is None else self.best.ratio


def bisect(count: int, passes: Callable[[int], bool]) -> int | None:
    """The last index of ``range(count)`` that passes, if all that come before one that passes do too; ``None`` if the first fails."""
    low, high = -1, count
    while high - low > 1:
        middle = (low + high) // 2
        if passes(middle):
            low = middle
        else:
            high = middle
    return None if low < 0 else low


@attrs.define
class Search:
    """A search for the densest carrier that one model still reads, for one task, length and level of damage.

    Attributes:
        config: models, adapters, tasks, buckets and augmentations of one entry each; its codecs are those that the search sets.
        codec, options: the codec, and what else is set of it. ``option``, ``values``: what is varied.
        tau: share of the accuracy on text that must be kept.
    """

    config: ExperimentConfig
    codec: str
    options: dict[str, Any]
    option: str
    values: list[Any]
    tau: float
    progress: Callable[[], Progress] | None = None
    command: str = ""
    say: Callable[[str], None] = lambda line: None

    def run(self) -> Frontier:
        """Measure text, then densities by bisection, then the baselines at the tokens of the best. What is stored already is not run again.

        Raises:
            UsageError: several models, tasks, lengths or levels; the model answers nothing right from text; or too few samples to show
                any density to pass.
        """
        _check_single(self.config)
        if not 0 < self.tau <= 1:
            raise UsageError(f"tau must be above 0 and at most 1, got {self.tau}")
        registry = ctxbench.load_plugins()
        sample = first_sample(registry, self.config)
        found = candidates(registry, self.codec, self.options, self.option, self.values, sample.context, self.config)
        usable = [candidate for candidate in found if candidate.ratio is not None]
        text = self.measure("text", {}, None, self.config.samples)
        threshold = self.tau * text.accuracy
        self._check_reachable(text, threshold)
        self.say(f"text: {text.right} of {text.n} right; a density passes if its lower bound is above {100 * threshold:.1f} %")
        points: dict[int, Point] = {}

        def passes(index: int) -> bool:
            points[index] = self._look(usable[index].value, threshold)
            return bool(points[index].passes)

        bisect(len(usable), passes)
        measured = [points[index] for index in sorted(points)]
        passing = [point for point in measured if point.passes and point.ratio is not None]
        best = max(passing, key=lambda point: point.ratio or 0.0, default=None)
        beside = best or (measured[0] if measured else None)
        baselines = self._baselines(beside, sample.context) if beside else []
        skipped = [candidate for candidate in found if candidate.ratio is None]
        return Frontier(
            tau=self.tau,
            text=text,
            threshold=threshold,
            points=measured,
            skipped=skipped,
            best=best,
            baselines=baselines,
            notes=self._notes(measured, best, usable),
        )

    def _look(self, value: Any, threshold: float) -> Point:
        """A density, measured until it is clear that it fails or all samples are in."""
        label = f"{self.codec}:{self.option}={value}"
        point: Point | None = None
        for samples in sorted({max(1, round(share * self.config.samples)) for share in LOOKS}):
            point = self.measure(self.codec, {**self.options, self.option: value}, value, samples, label)
            if point.high < threshold:
                break
        assert point is not None
        passes = point.n >= self.config.samples and point.low > threshold
        self.say(f"{label}: {point.right} of {point.n} right, ratio {_number(point.ratio)}: {'passes' if passes else 'does not pass'}")
        return attrs.evolve(point, passes=passes)

    def measure(self, codec: str, options: dict[str, Any], value: Any, samples: int, label: str | None = None) -> Point:
        """Run one codec through the pipeline, and read its cell from the store."""
        data = self.config.plain()
        data["codecs"] = [{"name": codec, "label": label or codec, **options}]
        data["samples"] = samples
        config = make_config(data, "frontier")
        report = RunReport()
        with plugin_output_to_stderr():
            store = ctxbench.run(config, command=self.command, report=report, progress=self.progress() if self.progress else None)
        with store:
            (cell,) = report.cells
            return read_point(store, cell, samples, value, label or codec)

    def _check_reachable(self, text: Point, threshold: float) -> None:
        if not text.right:
            raise UsageError(
                f"the model answers none of {text.n} questions right from plain text (errors: {text.errors}), so nothing can be held "
                "against it; choose another model, task or length"
            )
        n = self.config.samples
        if wilson(n, n)[0] > threshold:
            return
        enough = next((more for more in range(n, 100_000) if wilson(more, more)[0] > threshold), None)
        hint = f"-n {enough} at least" if enough else "a smaller --tau"
        raise UsageError(
            f"-n {n} is too small: even {n} of {n} right have a lower bound of {100 * wilson(n, n)[0]:.1f} %, and "
            f"{100 * threshold:.1f} % is asked for; it takes {hint}"
        )

    def _baselines(self, beside: Point, context: str) -> list[Baseline]:
        """What the same tokens buy otherwise: of each tunable baseline that is installed, the setting that costs nearest to as many."""
        if beside.ratio is None or beside.tokens is None:
            return []
        found = []
        for name, options in equal_cost(beside.ratio, context, self.config):
            label = f"{name}:" + ",".join(f"{key}={value}" for key, value in options.items())
            if name == self.codec and {**self.options, self.option: beside.value} == options:
                continue
            point = self.measure(name, options, None, beside.n, label)
            pairs = self._paired(beside.cell, point.cell, beside.n)
            low, high = paired_interval(pairs)
            found.append(Baseline(point=point, difference=pairs.difference, low=low, high=high, p=mcnemar(pairs)))
        return found

    def _paired(self, cell: str, other: str, samples: int) -> Pairs:
        sql = """SELECT coalesce(a.correct, FALSE), coalesce(b.correct, FALSE)
            FROM results a JOIN results b ON b.sample_seed = a.sample_seed AND b.augmentation_seed = a.augmentation_seed
            WHERE a.cell = ? AND b.cell = ? AND a.sample_index < ?"""
        with Store.open_read_only(self.config.store) as store:
            rows = store.query(sql, [cell, other, samples]).rows
        return Pairs.count([a for a, _ in rows], [b for _, b in rows])

    def _notes(self, measured: Sequence[Point], best: Point | None, usable: Sequence[Candidate]) -> list[str]:
        notes = []
        if best is not None and best.value == usable[-1].value:
            notes.append("the densest value passes: the ratio may be larger beyond it")
        if best is None:
            notes.append("not even the sparsest value passes: the ratio, if there is one, lies below it")
        ordered = sorted((point for point in measured if point.ratio is not None), key=lambda point: point.ratio or 0.0)
        if best is not None and any(not point.passes and (point.ratio or 0) < (best.ratio or 0) for point in ordered):
            notes.append("a sparser value failed though a denser one passes: accuracy does not fall steadily; look at more values")
        if len(usable) > len(measured):
            notes.append(f"{len(usable) - len(measured)} of {len(usable)} values were not run: bisection takes them to lie in between")
        return notes


def read_point(store: Store, cell: str, samples: int, value: Any, label: str) -> Point:
    """The first ``samples`` samples of a cell."""
    sql = """SELECT count(*), count(*) FILTER (correct), count(*) FILTER (status = 'error'),
            sum(reference_tokens) FILTER (encoded_tokens IS NOT NULL) / nullif(sum(encoded_tokens), 0), avg(encoded_tokens),
            avg(channel_correct::INTEGER)
        FROM results WHERE cell = ? AND sample_index < ?"""
    n, right, errors, ratio, cost, channel = store.query(sql, [cell, samples]).rows[0]
    low, high = wilson(int(right), int(n))
    return Point(
        value=value,
        label=label,
        cell=cell,
        n=int(n),
        right=int(right),
        errors=int(errors),
        low=low,
        high=high,
        ratio=ratio,
        tokens=cost,
        channel=channel,
    )


def equal_cost(ratio: float, context: str, config: ExperimentConfig) -> list[tuple[str, dict[str, Any]]]:
    """Baselines that are installed and can be set to a cost, each with the setting nearest to this ratio that costs no less."""
    registry = ctxbench.load_plugins()
    names = registry.names("codec")
    found: list[tuple[str, dict[str, Any]]] = []
    if "truncate" in names:
        found.append(("truncate", {"ratio": round(max(1.0, ratio), 3)}))
    scales = [round(0.1 + step * 0.05, 2) for step in range(19)]
    for name, option, settings in (("half_resolution", "scale", scales), ("render", "font_size", list(range(5, 25)))):
        if name not in names:
            continue
        sizes = candidates(registry, name, {}, option, settings, context, config)
        known = [candidate for candidate in sizes if candidate.ratio is not None]
        fitting = [candidate for candidate in known if (candidate.ratio or 0.0) <= ratio]
        chosen = max(fitting, key=lambda c: c.ratio or 0.0) if fitting else min(known, key=lambda c: c.ratio or 0.0)
        found.append((name, {option: chosen.value}))
    return found


def _check_single(config: ExperimentConfig) -> None:
    for key in ("models", "adapters", "tasks", "buckets", "augmentations"):
        values = getattr(config, key)
        if len(values) != 1:
            raise UsageError(f"frontier searches for one of {key} at a time, got {len(values)}")


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


__all__ = ["Baseline", "Frontier", "Point", "Search", "bisect", "carrier_tokens", "equal_cost", "read_point"]

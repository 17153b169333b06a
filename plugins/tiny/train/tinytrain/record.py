"""What the packaged weights were trained on, as the records of n-grams that lie beside them.

The trainer draws its contexts as it goes and keeps none. The record is made of as many contexts, at the lengths that the learning curves
show, by the tasks that made the trained ones: others, of the same kind. A share of overlap with it is what the trained ones would give, up
to chance. It must be made with the versions of the tasks that the training used. Random characters and random words, drawn for reading
alone, are left out: no task asks for them.
"""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs

import ctxbench
from ctxbench.contamination import FILE, Collector
from tinytrain.sources import TaskSource
from tinytrain.stages import base_of, make_tracks

MOST = 200_000
"""N-grams that a record keeps; three records are to stay below 1.5 MB."""


@attrs.frozen
class Draw:
    """So many contexts of one track at one length, in reference tokens."""

    stage: str
    track: str
    source: TaskSource
    length: int
    count: int

    def contexts(self) -> Iterator[str]:
        """The contexts."""
        r = random.Random(f"{self.stage} {self.track} {self.length}")
        for _ in range(self.count):
            yield self.source.draw(r, self.length).context


def stages_of(config: dict[str, Any], name: str) -> list[str]:
    """The stages that trained what a stage ends with: from the first for the base, from the base on for an adapter."""
    chain = [name]
    while (before := config["stages"][chain[0]].get("after")) and ("adapter" in config["stages"][before]) == (
        "adapter" in config["stages"][name]
    ):
        chain.insert(0, before)
    return chain


def batches(curves: Path, stage: str, focus: Callable[[str], float], lengths: Callable[[str], list[int]]) -> Counter[tuple[str, int]]:
    """Batches by track and length. The curves count those at a track's longest length in use; the rest are uniform over all in use."""
    found: Counter[tuple[str, int]] = Counter()
    with curves.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["stage"] != stage:
                continue
            track, top, count = row["track"], int(row["length"]), int(row["batches"])
            used = [length for length in lengths(track) if length <= top] or [top]
            at_top = focus(track) + (1 - focus(track)) / len(used)
            for length in used:
                found[track, length] += count if length == top else round(count / at_top * (1 - focus(track)) / len(used))
    return found


def draws(config: dict[str, Any], curves: Path, stage: str) -> list[Draw]:
    """What a stage drew from tasks. A batch holds as many examples as fill its tokens, measured on eight of each length."""
    tracks = {track.name: track for track in make_tracks(config["stages"][stage]["tracks"])}
    budget, made = config["stages"][stage]["settings"]["tokens"], []
    counts = batches(curves, stage, lambda name: tracks[name].focus, lambda name: list(tracks[name].source.lengths))
    for (name, length), count in counts.items():
        source = tracks[name].source
        if type(source) is TaskSource and count:
            tokens = sum(len(source.make(random.Random(i), length)) for i in range(8)) / 8
            made.append(Draw(stage, name, source, length, round(count * (budget / tokens + 0.5))))
    return made


def layouts(config: dict[str, Any], name: str) -> dict[str, dict[str, Any]]:
    """The options of each codec whose pages the stage shows: what its weights read. A run fills them in where none are given."""
    tracks = config["stages"][name]["tracks"].values()
    return {track["codec"]: dict(track["codec_options"]) for track in tracks if track.get("codec_options")}


def write_record(config: dict[str, Any], curves: Path, name: str, folder: Path, tell: Callable[[str], None]) -> None:
    """Write the record of what a stage ends with beside its weights."""
    chain = stages_of(config, name)
    collector, counts, tasks = Collector(MOST), Counter[str](), set[str]()
    plan = [draw for stage in chain for draw in draws(config, curves, stage)]
    for draw in plan:
        for context in draw.contexts():
            collector.add(context)
        counts[draw.source.task] += draw.count
        tasks.add(f"{draw.source.task} version {ctxbench.load_plugins().task(draw.source.task).version}")
        tell(f"{draw.stage} {draw.track} at {draw.length} tokens: {draw.count} contexts")
    covers = (
        f"{', '.join(f'{count} contexts of {task}' for task, count in sorted(counts.items()))}, as many and as long as those of the stages "
        f"{', '.join(chain)}, drawn anew by the tasks that drew the trained ones ({', '.join(sorted(tasks))}); "
        "random characters and words, drawn for reading alone, are left out"
    )
    plain = [[d.stage, d.track, d.source.task, d.source.task_options, d.length, d.count] for d in plan]
    data = collector.data(ctxbench.stable_hash([plain, sorted(tasks)]), covers)
    record: dict[str, Any] = {"training_data": [data.plain()], "layouts": layouts(config, name)}
    if base_of(config, name) != name:
        from ctxbench_transformers.sources import model_fingerprint

        record["model_fingerprint"] = model_fingerprint(folder.parents[1] / "base")
    (folder / FILE).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", "utf-8")


def write_records(config: dict[str, Any], curves: Path, folder: Path, tell: Callable[[str], None]) -> list[Path]:
    """Write the records of the packaged base and of the packaged adapters that ``folder`` holds."""
    base = [name for name, stage in config["stages"].items() if "adapter" not in stage][-1]
    targets = {base: folder / "base"} | {path.name: path for path in sorted((folder / "adapters").iterdir())}
    for name, target in targets.items():
        write_record(config, curves, name, target, tell)
    return [target / FILE for target in targets.values()]

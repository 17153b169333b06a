"""``ctxbench data build``: streams records to disk, and leaves either a whole data set or none."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs

from ctxbench import ComponentRecord, ConfigError, CtxbenchError, Registry
from ctxbench.config import TokenConfig
from ctxbench.contamination import FILE, Collector
from ctxbench.images import page_sha256
from ctxbench.session import Recipe, Session
from ctxbench_cli.progress import Bar
from ctxbench_transformers.data.config import DataConfig
from ctxbench_transformers.data.plan import Job, SplitName, check, jobs, primary_scores, total
from ctxbench_transformers.data.record import Record, make_record
from ctxbench_transformers.data.writers import WRITERS
from ctxbench_transformers.files import write_json

MANIFEST = "ctxbench_data.json"
ATTEMPTS = 20
"""How often a record is drawn anew when its context is taken or cannot be carried."""


@attrs.define
class Tally:
    """What is known of the data so far."""

    digest: Any = attrs.field(factory=hashlib.sha256)
    contexts: set[str] = attrs.field(factory=set)
    ngrams: Collector = attrs.field(factory=Collector)
    counts: dict[str, dict[str, int]] = attrs.field(factory=dict)
    lengths: dict[str, list[int]] = attrs.field(factory=lambda: {"text": [], "visual": [], "answer": []})
    redrawn: int = 0

    def add(self, record: Record) -> None:
        """Count a record, and bind its id, context, answer and pixels into the fingerprint."""
        pages = [page_sha256(page) for page in record.pages]
        answer = hashlib.sha256(record.sample.answer.encode()).hexdigest()
        self.digest.update("\n".join([record.job.id, record.context_sha256, answer, *pages, ""]).encode())
        if record.context_sha256 not in self.contexts:
            self.contexts.add(record.context_sha256)
            self.ngrams.add(record.sample.context)
        for key, label in (("task", record.job.cell.task.label), ("codec", record.job.codec.label), ("split", record.job.split)):
            table = self.counts.setdefault(key, {})
            table[label] = table.get(label, 0) + 1
        for key, value in record.tokens.items():
            self.lengths[key].append(value)

    def tokens(self) -> dict[str, dict[str, float]]:
        """Mean and maximum of each kind of tokens."""
        return {key: {"mean": round(sum(v) / len(v), 1), "max": max(v)} for key, v in self.lengths.items() if v}


def build(
    config: DataConfig,
    *,
    workers: int = 1,
    overwrite: bool = False,
    registry: Registry | None = None,
    components: Iterable[ComponentRecord] = (),
) -> dict[str, Any]:
    """Make the data set in ``config.output`` and return its manifest.

    The same config gives the same records, the same pixels and the same fingerprint, with any number of workers.

    Args:
        workers: processes; 1 works in this one.
        overwrite: replace training data that is there.
        registry: where components come from; by default the installed plugins.
        components: records of further ones, for what is in no plugin yet, as for :func:`ctxbench.run`.

    Raises:
        ConfigError: a component is missing or refuses its options, or the output folder exists.
        CtxbenchError: a record cannot be made even after several draws; nothing is left behind.
    """
    session = Session.of(registry, components)
    check(config, session.registry)
    output = Path(config.output)
    if output.exists() and not (overwrite and (output / MANIFEST).is_file()):
        hint = "give --overwrite to replace it" if (output / MANIFEST).is_file() else "it holds no training data of ctxbench; give another"
        raise ConfigError(f"output: {output} exists; {hint}")
    work = output.with_name(f".{output.name}.partial-{os.getpid()}")
    shutil.rmtree(work, ignore_errors=True)
    try:
        work.mkdir(parents=True)
        manifest = _write(config, work, workers, session)
        if output.exists():
            shutil.rmtree(output)
        work.rename(output)
    except OSError as error:
        raise ConfigError(f"output: {output}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return manifest


def _write(config: DataConfig, folder: Path, workers: int, session: Session) -> dict[str, Any]:
    tally = Tally()
    registry, attempt = session.registry, _Attempt(config.tokens, session.recipe())
    with Bar("building", total(config)) as progress, _mapper(workers) as mapper:
        for split in ("train", "validation"):
            taken = frozenset(tally.contexts) if split == "validation" else frozenset()
            _write_split(config, folder, split, taken, tally, attempt, mapper, progress)
    manifest = {
        "format": config.format,
        "fingerprint": tally.digest.hexdigest(),
        "config_hash": config.hash,
        "config": config.plain(),
        "primary_scores": primary_scores(config, registry),
        "records": tally.counts,
        "contexts": len(tally.contexts),
        "redrawn": tally.redrawn,
        "tokens": tally.tokens(),
        "versions": {o.distribution: o.version for o in sorted(registry.manager.origins.values(), key=lambda o: o.distribution)},
    }
    trained_on = tally.ngrams.data(manifest["fingerprint"], covers(manifest))
    write_json(folder / FILE, {"training_data": [trained_on.plain()]})
    write_json(folder / MANIFEST, manifest)
    return manifest


def covers(manifest: dict[str, Any]) -> str:
    """What the n-grams of a data set are of."""
    tasks = ", ".join(sorted(manifest["records"].get("task", {})))
    return f"all {manifest['contexts']} contexts, training and validation, of {tasks}"


def _write_split(
    config: DataConfig,
    folder: Path,
    split: SplitName,
    taken: frozenset[str],
    tally: Tally,
    attempt: _Attempt,
    mapper: Mapper,
    progress: Bar,
) -> None:
    writer = WRITERS[config.format](folder, split)
    try:
        for made in mapper.map(attempt, jobs(config, split)):
            record = _fresh(made, taken, attempt, tally)
            tally.add(record)
            writer.write(record)
            progress.advance()
    finally:
        writer.close()


@attrs.frozen(eq=False)
class _Made:
    job: Job
    record: Record | None
    error: str | None


@attrs.frozen
class _Attempt:
    """Does jobs, in this process or in a worker, which gets a copy of it."""

    counting: TokenConfig
    recipe: Recipe

    def __call__(self, job: Job) -> _Made:
        try:
            return _Made(job, make_record(job, self.counting, self.recipe.session()), None)
        except CtxbenchError as error:
            return _Made(job, None, str(error))


def _fresh(made: _Made, taken: frozenset[str], attempt: _Attempt, tally: Tally) -> Record:
    """The record, drawn anew while it cannot be made or its context is in ``taken`` (a validation context that was trained on)."""
    for _ in range(ATTEMPTS):
        if made.record is not None and made.record.context_sha256 not in taken:
            return made.record
        tally.redrawn += 1
        made = attempt(attrs.evolve(made.job, attempt=made.job.attempt + 1))
    cell = made.job.cell
    where = f"codec {made.job.codec.label!r}, task {cell.task.label!r}, bucket {cell.bucket}, {made.job.id}"
    why = made.error or "every context it draws is in the training split; there are too few different ones"
    raise CtxbenchError(f"no record after {ATTEMPTS} draws ({where}): {why}")


class Mapper:
    """Maps over jobs in order, in this process or in a pool of fresh ones."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.pool: Any = None

    def __enter__(self) -> Mapper:
        if self.workers > 1:
            self.pool = multiprocessing.get_context("spawn").Pool(self.workers)
        return self

    def __exit__(self, *_: object) -> None:
        if self.pool is not None:
            self.pool.terminate()
            self.pool.join()

    def map(self, function: Any, items: Iterable[Any]) -> Iterator[Any]:
        """``function(item)`` for each item, in order."""
        return self.pool.imap(function, items, chunksize=4) if self.pool is not None else map(function, items)


_mapper = Mapper

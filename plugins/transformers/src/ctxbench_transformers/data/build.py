"""``ctxbench data build``: streams records to disk, and leaves either a whole data set or none."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs

from ctxbench import ComponentRecord, CtxbenchError, Registry
from ctxbench.config import TokenConfig
from ctxbench.session import Recipe, Session
from ctxbench_cli.progress import Bar
from ctxbench_transformers.data.config import DataConfig
from ctxbench_transformers.data.folder import Tally, new_folder, write_manifest
from ctxbench_transformers.data.plan import Job, SplitName, check, jobs, primary_scores, total
from ctxbench_transformers.data.record import Record, make_record
from ctxbench_transformers.data.writers import WRITERS

ATTEMPTS = 20
"""How often a record is drawn anew when its context is taken or cannot be carried."""


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
    with new_folder(Path(config.output), overwrite) as work:
        return _write(config, work, workers, session)


def _write(config: DataConfig, folder: Path, workers: int, session: Session) -> dict[str, Any]:
    tally = Tally()
    registry, attempt = session.registry, _Attempt(config.tokens, session.recipe())
    with Bar("building", total(config)) as progress, _mapper(workers) as mapper:
        for split in ("train", "validation"):
            taken = frozenset(tally.contexts) if split == "validation" else frozenset()
            _write_split(config, folder, split, taken, tally, attempt, mapper, progress)
    manifest = {
        "format": config.format,
        "config_hash": config.hash,
        "config": config.plain(),
        "primary_scores": primary_scores(config, registry),
        "versions": versions(registry),
        **tally.manifest(),
    }
    write_manifest(folder, manifest, tally)
    return manifest


def versions(registry: Registry) -> dict[str, str]:
    """What is installed, by distribution."""
    return {o.distribution: o.version for o in sorted(registry.manager.origins.values(), key=lambda o: o.distribution)}


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

"""``ctxbench data import``: training data of a user's own questions, about their own pages, or about texts that a codec carries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import attrs

from ctxbench import Codec, ComponentRecord, ConfigError, CtxbenchError, Registry, Sample, stable_hash, tokens
from ctxbench.config import Component, ComponentConfig, Section, Template, TokenConfig, named, setting
from ctxbench.options import Integer, ListOf, String
from ctxbench.pipeline import ask
from ctxbench.plugin import plugin_work
from ctxbench.prompts import compose
from ctxbench.session import Session
from ctxbench_cli.progress import Bar
from ctxbench_transformers.data.build import versions
from ctxbench_transformers.data.config import check_wording
from ctxbench_transformers.data.folder import Tally, new_folder, write_manifest
from ctxbench_transformers.data.plan import Cell, Job, SplitName, wording
from ctxbench_transformers.data.record import Record, finished
from ctxbench_transformers.data.rows import OwnRow, read_rows
from ctxbench_transformers.data.writers import WRITERS
from ctxbench_transformers.settings import Number, plain
from ctxbench_transformers.sources import file_sha256

PAGES = named("pages")
"""Stands for the codec of pages that the user made."""


@attrs.frozen
class OwnConfig:
    """Training data of a user's own."""

    files: tuple[str, ...] = setting(ListOf(String()), "JSON lines, a JSON list or Parquet.", factory=tuple)
    output: str = setting(String(), "Folder that takes the data.", "data")
    codec: ComponentConfig = setting(Component("codec"), "What carries texts without pages.", factory=lambda: named("text"))
    task: str = setting(String(), "What the records are called in validation by task.", "own")
    score: str = setting(String(), "Score that decides whether an answer is correct (1.0); empty for equality.", "")
    validation: float = setting(Number(0, 0.9), "Share of the texts, or pages, that is kept for validation.", 0.1)
    seed: int = setting(Integer(0), "Which ones.", 0)
    system: str = setting(String(), "System message of every prompt.", "")
    prompt: str = setting(
        Template(), "Template of the text after the pages, with {hint}, {context} and {question}; empty for the usual one.", ""
    )
    prompts: tuple[str, ...] = setting(
        ListOf(Template(), minimum=0),
        "Several such templates: each record draws one; an empty text is the usual one.",
        factory=tuple,
    )
    tokens: TokenConfig = setting(Section(TokenConfig), "How the records' tokens are counted.", factory=lambda: TokenConfig("qwen2-vl"))
    format: str = setting(String(("jsonl", "parquet")), "jsonl: lines and PNG files. parquet: images inside the table.", "jsonl")

    def __attrs_post_init__(self) -> None:
        check_wording(self.prompt, self.prompts)


def import_records(
    config: OwnConfig, *, overwrite: bool = False, registry: Registry | None = None, components: Iterable[ComponentRecord] = ()
) -> dict[str, Any]:
    """Make the data set in ``config.output`` and return its manifest. Each row becomes one record, in order.

    Rows about the same text or the same pages are in the same split. The same files and config give the same fingerprint.

    Args:
        overwrite: replace training data that is there.
        registry: where codecs and scores come from; by default the installed plugins.
        components: records of further ones.

    Raises:
        CtxbenchError: a file or a row is not what is wanted, or a text cannot be carried; nothing is left behind.
    """
    if not config.files:
        raise ConfigError("files: name at least one")
    session = Session.of(registry, components)
    session.registry.make("codec", config.codec.name, **config.codec.options)
    if config.score:
        session.registry.metric(config.score)
    rows, kept = _splits(config)
    with new_folder(Path(config.output), overwrite) as work, Bar("importing", rows) as progress:
        return _write(config, work, kept, session, progress)


def _all_rows(config: OwnConfig) -> Iterator[OwnRow]:
    for name in config.files:
        yield from read_rows(Path(name))


def _splits(config: OwnConfig) -> tuple[int, frozenset[str]]:
    """How many rows there are, and the keys of those for validation: a share of the keys, by hash."""
    count, keys = 0, set()
    for row in _all_rows(config):
        count += 1
        keys.add(row.key)
    if not count:
        raise ConfigError(f"files: no rows in {', '.join(config.files)}")
    ordered = sorted(keys, key=lambda key: stable_hash([config.seed, key]))
    return count, frozenset(ordered[: round(config.validation * len(ordered))])


def _write(config: OwnConfig, folder: Path, kept: frozenset[str], session: Session, progress: Bar) -> dict[str, Any]:
    tally, used = Tally(), {}
    splits: Sequence[SplitName] = ("train", "validation")
    writers = {split: WRITERS[config.format](folder, split) for split in splits}
    counts = dict.fromkeys(splits, 0)
    try:
        for row in _all_rows(config):
            split: SplitName = "validation" if row.key in kept else "train"
            record = _record(config, row, split, counts[split], session)
            counts[split] += 1
            used[record.job.codec.label] = record.job.codec
            tally.add(record)
            if not row.text:  # nobody knows what the pages say; the answer is what can be learned by heart
                tally.contexts.add(row.key)
                tally.ngrams.add(row.answer)
            writers[split].write(record)
            progress.advance()
    finally:
        for writer in writers.values():
            writer.close()
    described = plain(config) | {"codecs": [codec.plain() for codec in used.values() if codec is not PAGES]}
    manifest = {
        "format": config.format,
        "config": described | {"sha256": [file_sha256(Path(name)) for name in config.files]},
        "primary_scores": {config.task: config.score} if config.score else {},
        "versions": versions(session.registry),
        **tally.manifest(),
    }
    write_manifest(folder, manifest, tally)
    return manifest


def _record(config: OwnConfig, row: OwnRow, split: SplitName, index: int, session: Session) -> Record:
    bucket = tokens.count_text(row.text, config.tokens.reference)
    sample = Sample(row.text, row.question, row.answer, bucket, row.language, {"source": row.where})
    codec = PAGES if row.pages else config.codec
    cell = Cell(named(config.task), bucket, None, named("clean"))
    template = wording(config.prompts or (config.prompt,), config.seed, split, codec, index)
    job = Job(split, codec, cell, index, config.seed, config.system, template)
    if row.pages:
        pages, text = row.open_pages(), compose("", None, row.question, template)
    else:
        carrier = cast(Codec, session.made("codec", codec.name, codec.options))
        try:
            with session.active(), plugin_work(f"codec {codec.label!r}"):
                asked = ask(carrier, sample, template)
        except CtxbenchError as error:
            raise CtxbenchError(f"{row.where}: {error}") from None
        pages, text = asked.carrier.pages, asked.text
    return finished(job, sample, index, text, pages, config.tokens)

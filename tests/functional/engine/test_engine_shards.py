"""A plan in parts, each in a store of its own, brought together again; and how far it has come."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_parts import config, rows

from ctxbench import ConfigError
from ctxbench.engine import RunReport, preview, run, status
from ctxbench.shards import Shard
from ctxbench.store import Store
from ctxbench.store.merge import merge

PLAN = {"samples": 5, "buckets": [64, 128], "augmentations": ["clean", "noise"]}
COLUMNS = "trial_id, prediction, outcome, augmentation_seed"


def run_part(tmp_path: Path, number: int, total: int) -> RunReport:
    """Run one part into its own store."""
    shard, report = Shard(number, total), RunReport()
    whole = config(tmp_path, **PLAN)
    part = config(tmp_path, **PLAN, run={"shard": str(shard)}, store=shard.store(whole.store))
    run(part, report=report).close()
    return report


def test_parts_together_are_the_whole(parts, tmp_path):
    """The same trials with the same results, whatever the number of parts; merging twice adds nothing."""
    sizes = [run_part(tmp_path, number, 3).planned for number in (1, 2, 3)]
    with Store.open(tmp_path / "merged.duckdb") as merged:
        for number in (1, 2, 3, 2):
            merge(merged, Path(Shard(number, 3).store(str(tmp_path / "s.duckdb"))))
        together = rows(merged, COLUMNS)
    with run(config(tmp_path, **PLAN)) as store:
        assert together == rows(store, COLUMNS)
    assert sum(sizes) == len(together) == 20
    assert max(sizes) - min(sizes) <= 4


def test_a_part_is_planned_by_its_own_size_and_goes_on(parts, tmp_path):
    """Run again, nothing of it is left; the hash of the experiment is that of the whole."""
    run_part(tmp_path, 1, 3)
    assert run_part(tmp_path, 1, 3).finished == 0
    part = config(tmp_path, **PLAN, run={"shard": "2/3"})
    assert preview(part)["planned"] == preview(part)["to_run"] == 8
    assert preview(part)["config_hash"] == preview(config(tmp_path, **PLAN))["config_hash"]


def test_status_counts_over_all_stores(parts, tmp_path):
    """Parts that ran, what is missing cell by cell, and errors; a trial in two stores counts once."""
    run_part(tmp_path, 1, 3)
    run_part(tmp_path, 2, 3)
    found = status(config(tmp_path, **PLAN))
    assert (found.planned, found.stored, found.errors, found.missing) == (20, 14, 0, 6)
    assert sorted(found.stores.values()) == [6, 8]
    missing = {(cell.bucket, cell.augmentation): cell.planned - cell.stored for cell in found.cells}
    assert missing == {(64, "clean"): 1, (64, "noise"): 1, (128, "clean"): 2, (128, "noise"): 2}
    run(config(tmp_path, **PLAN, models=["picky"])).close()
    found = status(config(tmp_path, **PLAN))
    assert (found.stored, found.missing) == (20, 0)


def test_status_counts_errors(parts, tmp_path):
    """An error is stored, and said; it counts no longer once another store holds the finished trial."""
    settings = {"models": [{"name": "picky", "how": "raise"}], "samples": 1, "augmentations": ["clean"]}
    run(config(tmp_path, **settings)).close()
    found = status(config(tmp_path, **settings))
    assert (found.planned, found.stored, found.errors) == (1, 1, 1)


def test_a_wrong_shard_is_a_wrong_config(tmp_path):
    """With its place."""
    with pytest.raises(ConfigError, match=r"run\.shard: shard 4/3: the first number must be from 1 to the second"):
        config(tmp_path, run={"shard": "4/3"})

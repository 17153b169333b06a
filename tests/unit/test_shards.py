"""Parts of a plan: each sample in exactly one, every cell spread evenly."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from ctxbench import ConfigError
from ctxbench.shards import Shard, stores_beside


@pytest.mark.parametrize(("samples", "total"), [(10, 3), (2, 7), (16, 4), (1, 1)])
def test_every_sample_is_in_exactly_one_part(samples, total):
    """And the counts, which a part gives without walking through its samples, are those."""
    shards = [Shard(number, total) for number in range(1, total + 1)]
    for index, cell in product(range(samples), range(5)):
        assert sum(shard.holds(index, cell) for shard in shards) == 1
    for shard, cell in product(shards, range(5)):
        held = sum(shard.holds(index, cell) for index in range(samples))
        assert shard.samples(samples, cell) == held
        assert held in (samples // total, samples // total + 1)


def test_cells_begin_in_different_parts():
    """With fewer samples than parts the cells do not all fall to the first."""
    assert [cell for cell in range(4) if Shard(1, 4).holds(0, cell)] == [0]
    assert [cell for cell in range(4) if Shard(2, 4).holds(0, cell)] == [1]


def test_parse():
    """The third of sixteen, and back."""
    assert Shard.parse(" 3 / 16") == Shard(3, 16)
    assert str(Shard(3, 16)) == "3/16"
    for number, total in ((1, 1), (1, 4), (4, 4), (1, 100_000), (100_000, 100_000)):  # the limits themselves
        assert Shard.parse(f"{number}/{total}") == Shard(number, total)


@pytest.mark.parametrize("text", ["", "3", "0/4", "0/1", "5/4", "1/100001", "-1/4", "1/2/3", "a/b"])
def test_what_is_no_shard(text):
    """One line says what it must be."""
    with pytest.raises(ConfigError, match="shard"):
        Shard.parse(text)


def test_stores(tmp_path):
    """Names sort by number, and none but the parts of the same store are found."""
    assert Shard(3, 16).store("a/results.duckdb") == "a/results.shard-03-of-16.duckdb"
    made = [Shard(number, 12).store(str(tmp_path / "r.duckdb")) for number in (2, 11)]
    for name in (*made, str(tmp_path / "r.duckdb"), str(tmp_path / "r2.shard-01-of-2.duckdb"), str(tmp_path / "r.shard-x-of-2.duckdb")):
        Path(name).touch()
    assert [str(path) for path in stores_beside(str(tmp_path / "r.duckdb"))] == made
    assert stores_beside(str(tmp_path / "no such folder" / "r.duckdb")) == []

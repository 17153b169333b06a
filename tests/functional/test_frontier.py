"""``ctxbench frontier``: densities in order, bisection, and the whole search through the pipeline with a reader that is known exactly."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

import ctxbench
from ctxbench import UsageError
from ctxbench.config import make_config
from ctxbench.statistics import wilson
from ctxbench.store import Store
from ctxbench_cli.main import Cli
from ctxbench_stats.density import candidates, first_sample, parse_vary
from ctxbench_stats.frontier import Search, bisect
from ctxbench_stats.frontier_command import command


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("cell=2..5", [2, 3, 4, 5]),
        ("cell=2..8:3", [2, 5, 8]),
        ("scale=0.2..0.5:0.1", [0.2, 0.3, 0.4, 0.5]),
        ("symbol=byte,dictionary", ["byte", "dictionary"]),
        ("ratio=1.5, 4,1.5", [1.5, 4]),
    ],
)
def test_values_of_an_option(text, values):
    """Ranges include their end and have no rounding dust; lists keep their order, each value once."""
    assert parse_vary(text)[1] == values


@pytest.mark.parametrize(
    "text", ["cell", "=1,2", "cell=3", "cell=5..2", "cell=1..9:0", "cell=a..b", "cell=1..99999", "cell=1,", "cell=[1],2"]
)
def test_values_that_are_none(text):
    """One message, with what was expected."""
    with pytest.raises(UsageError, match="--vary"):
        parse_vary(text)


def test_bisection_finds_every_boundary_with_few_looks():
    """For each number of values and each place where they stop passing: the right one, in at most log2(n) + 1 looks."""
    for count in range(1, 20):
        for last in range(-1, count):
            asked: list[int] = []

            def passes(index: int, last: int = last, asked: list[int] = asked) -> bool:
                asked.append(index)
                return index <= last

            assert bisect(count, passes) == (None if last < 0 else last)
            assert len(asked) == len(set(asked)) <= count.bit_length()


def config(tmp_path, **changes):
    data = {"models": ["channel"], "tasks": ["needle"], "buckets": [128], "samples": 40, "store": str(tmp_path / "f.duckdb")}
    return make_config({**data, "run": {"executor": {"name": "local", "workers": 0}}, **changes})


def test_values_are_ordered_by_what_they_cost(tmp_path):
    """The sparsest first, whichever way the option goes; what the codec refuses comes last with its reason."""
    wanted = config(tmp_path)
    registry = ctxbench.load_plugins()
    context = first_sample(registry, wanted).context
    found = candidates(registry, "truncate", {}, "ratio", [4, 0.5, 2], context, wanted)
    assert [candidate.value for candidate in found] == [2, 4, 0.5]
    assert found[0].ratio == pytest.approx(2, rel=0.05)
    assert found[2].ratio is None
    assert "ratio must be from 1" in found[2].error
    with pytest.raises(UsageError, match="no value of ratio can be encoded"):
        candidates(registry, "truncate", {}, "ratio", [0.1, 0.2], context, wanted)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Truncation read by a perfect reader: accuracy falls with the share of contexts whose needle is cut off."""
    folder = tmp_path_factory.mktemp("frontier")
    said: list[str] = []
    search = Search(config(folder), "truncate", {"keep": "head"}, "ratio", [1, 1.02, 2, 4, 8], 0.75, say=said.append)
    return search, search.run(), said


def test_the_ratio_is_the_largest_measured_one_that_passes(searched):
    """Every measured density is judged by the lower bound against tau times text; the ratio comes from the store, not from the option."""
    search, found, _ = searched
    assert (found.text.accuracy, found.threshold) == (1.0, 0.75)
    for point in found.points:
        assert (point.low, point.high) == wilson(point.right, point.n)
        assert point.passes == (point.n == 40 and point.low > 0.75)
        assert point.accuracy == point.channel  # the reader is the channel, so its ceiling is what it reached
    assert any(point.accuracy > 0.75 and not point.passes for point in found.points)  # above the bar, but not shown to be
    passing = [point for point in found.points if point.passes]
    assert found.best == max(passing, key=lambda point: point.ratio)
    with Store.open_read_only(search.config.store) as store:
        measured = store.query("SELECT sum(reference_tokens) / sum(encoded_tokens) FROM trials WHERE cell = ?", [found.best.cell]).rows
    assert found.ecr == pytest.approx(measured[0][0])


def test_hopeless_densities_are_given_up_early(searched):
    """Half of a context loses half of the needles: a quarter of the samples shows it; what passes has had them all."""
    _, found, said = searched
    failed = [point for point in found.points if not point.passes]
    assert failed
    assert min(point.n for point in failed) < 40
    assert all(point.high < 0.75 for point in failed if point.n < 40)
    assert all(point.n == 40 for point in found.points if point.passes)
    assert len(said) == 1 + len(found.points)


def test_baselines_cost_what_the_best_costs_and_are_paired(searched):
    """Truncation at the same ratio is the codec itself, and not listed; smaller print costs no less than the point it stands beside."""
    _, found, _ = searched
    assert found.baselines
    for row in found.baselines:
        assert row.point.n == found.best.n
        assert row.difference == pytest.approx(found.best.accuracy - row.point.accuracy)
        assert row.low <= row.difference <= row.high


def test_the_same_search_runs_nothing_again(searched):
    """All of it goes through the store."""
    search, found, _ = searched
    with Store.open_read_only(search.config.store) as store:
        before = store.query("SELECT count(*) FROM trials").rows
        labels = {label for (label,) in store.query("SELECT DISTINCT codec FROM trials").rows}
    assert search.run() == found
    with Store.open_read_only(search.config.store) as store:
        assert store.query("SELECT count(*) FROM trials").rows == before
    assert {"text", *(f"truncate:ratio={point.value}" for point in found.points)} <= labels


@pytest.mark.parametrize(
    ("changes", "tau", "words"),
    [
        ({"samples": 10}, 0.9, "-n 10 is too small: even 10 of 10 right have a lower bound of 72.2 %, .* it takes -n 35 at least"),
        ({"models": ["mock"], "samples": 4}, 0.9, "answers none of 4 questions right from plain text"),
        ({"buckets": [128, 256]}, 0.9, "one of buckets at a time, got 2"),
        ({}, 0.0, "tau must be above 0"),
    ],
)
def test_searches_that_can_find_nothing_are_refused(tmp_path, changes, tau, words):
    """Before any density is run."""
    with pytest.raises(UsageError, match=words):
        Search(config(tmp_path, **changes), "truncate", {}, "ratio", [1, 2], tau).run()


def test_the_command_prints_what_the_search_found(searched, tmp_path):
    """Table and JSON tell the same ratio; a wrong option is one line."""
    search, found, _ = searched
    group = Cli("ctxbench", commands={"frontier": command})
    args = ["frontier", "truncate:keep=head", "--vary", "ratio=1,1.02,2,4,8", "-t", "needle", "-b", "128", "-n", "40", "--tau", "0.75"]
    args += ["--store", search.config.store, "--set", "run.executor.workers=0"]
    table = CliRunner().invoke(group, args)
    assert table.exit_code == 0, table.output
    assert f"ECR@0.75 = {found.ecr:.2f}, at ratio={found.best.value}" in table.stdout
    assert "baselines at the tokens of" in table.stdout
    told = json.loads(CliRunner().invoke(group, [*args, "--json"]).stdout)
    assert (told["ecr"], told["best"]["n"], told["threshold"]) == (found.ecr, 40, 0.75)
    assert [point["value"] for point in told["points"]] == [point.value for point in found.points]
    wrong = CliRunner().invoke(group, ["frontier", "truncate", "--vary", "ratios=1,2", "--store", str(tmp_path / "x.duckdb")])
    assert wrong.exit_code == 2
    assert "did you mean 'ratio'?" in wrong.stderr
    assert len(wrong.stderr.strip().splitlines()) == 1

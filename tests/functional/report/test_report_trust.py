"""Prior gap, trust, characters taken for others, errors by position, and costs: their figures against counts by hand."""

from __future__ import annotations

import hashlib
import json
import math

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.collections import PathCollection
from report_records import make_store, make_trial

import ctxbench_report
from ctxbench import load_plugins
from ctxbench.statistics import wilson
from ctxbench_cli.main import Cli
from ctxbench_report import characters, dots, positions
from ctxbench_report.answers import bare
from ctxbench_report.data import NothingToPlot


def answers(path, pairs, **changes):
    return make_store(path, [make_trial(i, a == b, expected=a, prediction=b, **changes) for i, (a, b) in enumerate(pairs)])


def test_confusions_count_edits_of_answers_that_are_alike(tmp_path):
    """8 for B three times of six, one character missing, one too many; an answer that is another text says nothing of characters."""
    pairs = [
        ("ABBA 17", "A8BA 17"),
        ("ABBA 17", "A88A 17"),
        ("ABBA 17", "ABBA 1"),
        ("ABBA 17", "```\nABBA 177\n```"),
        ("ABBA 17", "not found"),
    ]
    store = answers(tmp_path / "s.duckdb", pairs)
    found = {(c.expected, c.said): (c.count, c.of) for c in ctxbench_report.confusions(store)}
    assert found == {("B", "8"): (3, 8), ("7", ""): (1, 4), ("", "7"): (1, 28)}
    first = ctxbench_report.confusions(store)[0]
    assert (first.model, first.codec, first.low, first.high) == ("channel", "book", *wilson(3, 8))


def test_the_matrix_shows_counts_and_says_what_is_left_out(tmp_path):
    """Twelve confusions of one kind: one square, at 12 of 24, and the one answer that was too unlike in the note."""
    store = answers(tmp_path / "s.duckdb", [("0000 1111", "O000 1111")] * 12 + [("0000 1111", "something else entirely")])
    figure = ctxbench_report.figure(store, "confusions")
    (axes,) = figure.axes
    assert np.asarray(axes.images[0].get_array()).tolist() == [[12 / 48]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0  (48)"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["O"]
    assert "12 answers, 108 characters asked for" in figure.get_suptitle().replace("\n", " ")
    assert "1 too unlike" in figure.get_suptitle().replace("\n", " ")


def test_few_wrong_characters_make_no_matrix(tmp_path):
    """Nine are said to be too few; questions without an answer and errors are not asked."""
    store = answers(tmp_path / "s.duckdb", [("0000 1111", "O000 1111")] * (characters.LEAST_WRONG - 1))
    with pytest.raises(NothingToPlot, match=r"9 wrong characters of a reader and codec at most in 9 answers"):
        ctxbench_report.figure(store, "confusions")
    absent = answers(tmp_path / "t.duckdb", [("not found", "not fouhd")] * 20, sample_metadata={"answerable": False})
    with pytest.raises(NothingToPlot, match="no answer is like"):
        ctxbench_report.figure(absent, "confusions")


def test_bare_takes_off_fence_and_space():
    """A fence inside of the answer stays."""
    assert bare(' ```json\n{"a": 1}\n``` ') == '{"a": 1}'
    assert bare("a\n```\nb\n```") == "a\n```\nb\n```"


TEXT = "".join(chr(97 + i % 26) for i in range(108 * 8))


def page_store(path, wrong, count=6, **changes):
    """Answers to the whole of :data:`TEXT` in which the characters at ``wrong`` are others."""
    said = "".join("#" if i in wrong else c for i, c in enumerate(TEXT))
    settings = {"codec": "pages", "codec_config": {}, "context_sha256": hashlib.sha256(TEXT.encode()).hexdigest(), **changes}
    trials = [make_trial(i, not wrong, expected=TEXT, prediction=said, **settings) for i in range(count)]
    return make_store(path, trials, config={"codecs": [{"name": "render", "label": "pages"}]})


def test_errors_stand_where_the_codec_drew_the_characters(tmp_path):
    """Wrong characters in the last line alone: only squares of its height have errors, at the rate that a count of places gives."""
    wrong = set(range(108 * 7, 108 * 7 + 54))  # left half of the eighth line
    found = ctxbench_report.page_errors(page_store(tmp_path / "s.duckdb", wrong))
    places = load_plugins().codec("render").places(TEXT)
    expected = {}
    for at, (_, x, y) in enumerate(places):
        counts = expected.setdefault((int(x * 8), int(y * 10)), [0, 0])
        counts[0] += 6
        counts[1] += 6 * (at in wrong)
    assert {(s.column, s.row): [s.characters, s.wrong] for s in found.squares} == expected
    with_errors = {(s.column, s.row) for s in found.squares if s.wrong}
    assert {row for _, row in with_errors} == {int(places[-1][2] * 10)}
    assert max(column for column, _ in with_errors) < 5
    assert {s.answers for s in found.squares} == {6}
    assert {s.half for s in found.squares} == {0.0}  # all six answers are the same
    assert found.unplaced == {}


def test_the_interval_of_a_square_goes_by_answers():
    """Five answers of ten characters, one of them all wrong: the standard error is that of five items, not of fifty characters."""
    square = positions._square(("m", "c", 0, 0), [(10, 10), *[(10, 0)] * 4])
    residuals = (10 - 0.2 * 10) ** 2 + 4 * (0.2 * 10) ** 2
    assert square.half == pytest.approx(1.959963984540054 * math.sqrt(5 / 4 * residuals) / 50)
    assert positions._square(("m", "c", 0, 0), [(10, 1)] * 4).half is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"codec": "codebook"}, "cannot say where on a page"),
        ({"codec": "gone"}, "the codec cannot be made again"),
        ({"codec_version": "0.1.0/1"}, "made by version 1, and 2 is installed"),
        ({"context_sha256": "0" * 64}, "no answer is like a whole context"),
        ({"count": 4}, "4 answers a square of the page at most"),
    ],
)
def test_what_cannot_be_placed_is_said(tmp_path, changes, reason):
    """Another codec, one that is not installed or has changed since, an answer that is not the context, and too few answers."""
    store = page_store(tmp_path / "s.duckdb", {1, 2, 3}, **changes)
    with pytest.raises(NothingToPlot, match=reason):
        ctxbench_report.figure(store, "page-position")


def gap_store(path, count=8, right=2):
    natural = {"task": "easy", "task_config": {"entropy": "words"}, "sample_metadata": {"entropy": "words"}}
    random = {"task": "hard", "task_config": {"entropy": "random"}, "sample_metadata": {"entropy": "random"}}
    trials = [make_trial(i, True, **natural) for i in range(count)] + [make_trial(100 + i, i < right, **random) for i in range(count)]
    return make_store(path, trials)


def test_prior_gap_draws_both_payloads_and_the_gap(tmp_path):
    """Points at 100 and 25 %, and the gap with its interval as the view has it."""
    figure = ctxbench_report.figure(gap_store(tmp_path / "s.duckdb"), "prior-gap")
    (axes,) = figure.axes
    assert [line.get_xdata()[0] for line in axes.lines if line.get_marker() != "None"] == [1.0, 0.25]
    assert any(text.get_text().startswith("+75 [+") for text in axes.texts)
    assert "words against random" in " ".join(text.get_text().replace("\n", " ") for text in axes.texts)


def test_no_gap_says_why(tmp_path):
    """One payload alone, and pairs of too few trials."""
    with pytest.raises(NothingToPlot, match="differ in their payload alone"):
        ctxbench_report.figure(make_store(tmp_path / "s.duckdb", [make_trial(i) for i in range(9)]), "prior-gap")
    with pytest.raises(NothingToPlot, match="4 trials of a payload at most"):
        ctxbench_report.figure(gap_store(tmp_path / "t.duckdb", count=4), "prior-gap")


def scattered(axes):
    """Value of each point, and whether it is hollow."""
    found = [collection for collection in axes.collections if isinstance(collection, PathCollection)]
    return [
        (round(float(x), 6), face.tolist()[:3] == [1, 1, 1])
        for collection in found
        for (x, _), face in zip(collection.get_offsets(), collection.get_facecolors(), strict=True)
    ]


def test_trust_draws_what_was_asked(tmp_path):
    """Six of eight say that the answer is not there; the task without such questions has no row."""
    trials = [make_trial(i, i < 6, sample_metadata={"answerable": False}) for i in range(8)] + [make_trial(20 + i) for i in range(5)]
    trials += [make_trial(40 + i, task="other") for i in range(5)]
    figure = ctxbench_report.figure(make_store(tmp_path / "s.duckdb", trials), "trust")
    assert [[value for value, _ in scattered(axes)] for axes in figure.axes] == [[0.75], [1.0]]
    assert [axes.get_title() for axes in figure.axes] == [dots.TRUST[0].heading, dots.TRUST[1].heading]
    with pytest.raises(NothingToPlot, match=r"absent: 0\.3"):
        ctxbench_report.figure(make_store(tmp_path / "t.duckdb", [make_trial(i) for i in range(9)]), "trust")


def test_costs_have_intervals_where_there_are_several_batches(tmp_path):
    """Two cells of one label and different settings are two rows; money is drawn where it is known, one batch is hollow."""
    cheap = {"model_config": {"dtype": "int8"}, "cell": "a" * 32, "variant": "a" * 32, "seed": 1}
    dear = {"model_config": {"dtype": "float32"}, "cell": "b" * 32, "variant": "b" * 32, "seed": 1}
    trials = [make_trial(i, read_seconds=1.0 + i % 2, cost_usd=0.01 * (1 + i % 3), **cheap) for i in range(6)]
    trials += [make_trial(10 + i, read_seconds=3.0, **dear) for i in range(6)]
    store = make_store(tmp_path / "s.duckdb", trials)
    figure = ctxbench_report.figure(store, "costs")
    drawn = [scattered(axes) for axes in figure.axes]
    assert drawn == [[(3.0, True)], [], [(1.5, False)], [(0.02, False)]]
    rows = " ".join(text.get_text() for axes in figure.axes for text in axes.texts).replace("\n", "")
    assert "dtype=int8" in rows
    assert "dtype=float32" in rows
    made = ctxbench_report.report(store, tmp_path / "r.html")
    data = json.loads(made.path.read_text("utf-8").partition('id="data">')[2].partition("</script>")[0])
    names = [column[0] for column in data["cells"]["columns"]]
    found = {row[names.index("model")]: (row[names.index("read_seconds")], row[names.index("cost_usd")]) for row in data["cells"]["rows"]}
    assert found["channel [dtype=float32]"] == ([3, None, None], None)
    seconds, dollars = found["channel [dtype=int8]"]
    assert (seconds[0], dollars[0]) == (1.5, 0.02)
    assert seconds[1] < 1.5 < seconds[2]
    assert dollars[1] < 0.02 < dollars[2]


def run_cli(*args):
    cli = Cli("ctxbench")
    load_plugins().manager.add_commands(cli)
    return CliRunner().invoke(cli, [str(arg) for arg in args])


def test_the_command_lists_confusions(tmp_path):
    """Table, CSV and JSON say the same; a filter that nothing passes is an error of one line."""
    store = answers(tmp_path / "s.duckdb", [("ABBA 17", "A8BA 17")] * 3)
    table = run_cli("confusions", "--store", store)
    assert table.stdout == "channel, book: 'B' as '8': 3 of 6, 50.0 % [18.8, 81.2]\n"
    assert json.loads(run_cli("confusions", "--store", store, "--format", "json").stdout)[0]["count"] == 3
    assert run_cli("confusions", "--store", store, "--format", "csv").stdout.splitlines()[1].startswith("channel,book,B,8,3,6,0.18")
    assert run_cli("confusions", "--store", store, "-c", "nothing").exit_code == 1

"""The plots show what the store holds: right numbers in the right panel, and files that are the same each time."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

import ctxbench
import ctxbench_report
from ctxbench import UsageError
from ctxbench.results import TrialResult
from ctxbench.statistics import wilson
from ctxbench.store import Store
from ctxbench_cli.main import Cli
from ctxbench_report import bars, curves, heatmap, learning
from ctxbench_report.data import Filters, NothingToPlot, summary_rows
from ctxbench_report.style import round_numbers, settings, wrapped

KINDS = ("cost-accuracy", "ratio-accuracy", "robustness", "frontier", "attribution", "outcomes", "depth-length")


def trial(number: int, right: bool = True, **columns) -> TrialResult:
    empty = {f"{part}_config": {} for part in ("model", "task", "codec", "augmentation")}
    base = {
        **empty,
        "trial_id": f"t{number}",
        "model": "channel",
        "adapter": None,
        "model_fingerprint": "",
        "adapter_fingerprint": "",
        "task": "needle",
        "bucket": 512,
        "language": "en",
        "sample_index": number,
        "sample_seed": 1,
        "codec": "text",
        "augmentation": "clean",
        "augmentation_seed": 1,
        "status": "ok",
        "outcome": "correct" if right else "confabulated",
        "sample_metadata": {"depth": 0.5},
        "carrier_tokens": 512,
        "compression_ratio": 1.0,
    }
    return TrialResult(**{**base, **columns})


def make(path, trials):
    with Store.open(path) as store:
        store.append("run", trials)
    return path


@pytest.fixture
def store(tmp_path):
    """Codec text: 6 of 8 right at 512 tokens, 3 of 6 at 1024. Codec book: 1 of 4 right, under two levels, one flagged, one an error."""
    trials = [trial(i, i > 1) for i in range(8)]
    trials += [trial(10 + i, i < 3, bucket=1024, carrier_tokens=1024, sample_metadata={"depth": 0.25}) for i in range(6)]
    book = {"codec": "book", "model": "hf:$x$ & <b>", "adapter": "mine"}
    for i, tokens in enumerate((100, 140)):
        trials.append(trial(20 + i, i == 0, **book, carrier_tokens=tokens, compression_ratio=512 / tokens))
    trials.append(trial(22, False, **book, augmentation="heavy", carrier_tokens=200, compression_ratio=2.56, token_flag="budget_scaled"))
    failed = {"status": "error", "outcome": None, "carrier_tokens": None, "compression_ratio": None, "error_type": "DecodeError"}
    trials.append(trial(23, False, **book, **failed))
    with Store.open_read_only(make(tmp_path / "s.duckdb", trials)) as opened:
        yield opened


def drawn(axes):
    """Label-free content of a panel: (x, y) of every line with markers."""
    return [(line.get_xdata().tolist(), line.get_ydata().tolist()) for line in axes.lines if line.get_marker() not in ("None", "_", "|")]


def figure(function, store, **filters):
    with settings():
        return function(store, Filters(**filters))


def panel_titles(fig):
    return [axes.get_title() for axes in fig.axes if axes.get_title()]


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"), [(0, 10, 0, 0.2775), (8, 10, 0.4902, 0.9433), (3, 3, 0.4385, 1), (1, 1, 0.2065, 1)]
)
def test_wilson_interval(correct, n, low, high):
    """Known values; the normal approximation would give (1, 1) for 3 of 3."""
    assert wilson(correct, n) == pytest.approx((low, high), abs=1e-4)


def test_cost_plot_shows_means_and_counts_errors_as_wrong(store):
    fig = figure(curves.cost_accuracy, store)
    assert panel_titles(fig) == ["clean", "heavy"]
    text, empty, book, heavy = fig.axes
    assert drawn(text) == [([512, 1024], [0.75, 0.5])]
    assert drawn(empty) == []
    assert drawn(book) == [([120], [pytest.approx(1 / 3)])]  # the error has no cost and is not right
    assert drawn(heavy) == [([200], [0])]
    assert text.get_xscale() == "log"
    assert "n = 1 to 8 trials a point" in fig.get_suptitle()
    assert "512, 1,024 tokens" in fig.get_suptitle()


def test_cost_plot_intervals_are_wilsons(store):
    text = figure(curves.cost_accuracy, store).axes[0]
    (intervals,) = [collection for collection in text.collections if len(collection.get_segments()) == 2]
    low, high = wilson(6, 8)
    assert np.asarray(intervals.get_segments()[0]) == pytest.approx(np.array([[512, low], [512, high]]))


def test_ratio_plot_leaves_flagged_token_counts_out(store):
    fig = figure(curves.ratio_accuracy, store)
    assert panel_titles(fig) == ["clean"]  # the only heavy trial is flagged
    assert drawn(fig.axes[1]) == [([pytest.approx(1024 / 240)], [pytest.approx(1 / 3)])]  # a ratio of means, as in summary
    assert "left out: 1 trial whose token count is not sure" in " ".join(fig.get_suptitle().split())
    low, high = fig.axes[0].get_xlim()
    assert low < 1 < high  # where an image costs as much as the text


def test_robustness_pools_lengths_and_orders_levels_by_strength(store, tmp_path):
    fig = figure(curves.robustness, store)
    assert [tick.get_text() for tick in fig.axes[-1].get_xticklabels()] == ["clean", "heavy"]
    assert [y for _, y in drawn(fig.axes[0])] == [[pytest.approx(9 / 14)]]
    assert [y for _, y in drawn(fig.axes[1])] == [[pytest.approx(1 / 3), 0]]
    levels = ["stress:9", "heavy", "light", "clean"]
    path = make(tmp_path / "o.duckdb", [trial(i, augmentation=level) for i, level in enumerate(levels)])
    with Store.open_read_only(path) as other:
        axes = figure(curves.robustness, other).axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["clean", "light", "heavy", "stress:9"]


def test_heatmap_puts_depth_down_and_length_across(store):
    fig = figure(heatmap.depth_length, store, codecs=("text",))
    (axes,) = fig.axes
    values = np.asarray(axes.images[0].get_array().filled(-1))
    assert values.tolist() == [[-1, 50], [75, -1]]  # depth 25 % only at 1,024 tokens, 50 % only at 512
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["25", "50"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["512", "1,024"]
    low, high = wilson(6, 8)
    assert f"{100 * low:.0f}-{100 * high:.0f}" in [text.get_text() for text in axes.texts]


def test_many_depths_are_binned_into_tenths(tmp_path):
    path = make(tmp_path / "d.duckdb", [trial(i, sample_metadata={"depth": i / 80}) for i in range(81)])
    with Store.open_read_only(path) as opened:
        (axes,) = figure(heatmap.depth_length, opened).axes
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    assert labels == [f"{10 * i}-{10 * i + 10}" for i in range(10)]
    assert "n = 8 to 9 trials" in axes.figure.get_suptitle()


def test_few_samples_widen_the_bands_of_depth(tmp_path):
    """21 depths of one trial each: no tenth has five of them, fifths have; nothing is lost between the bands."""
    path = make(tmp_path / "d.duckdb", [trial(i, i % 2 == 0, sample_metadata={"depth": i / 20}) for i in range(26) if i <= 20 or i == 25])
    with Store.open_read_only(path) as opened:
        fig = figure(heatmap.depth_length, opened)
    (axes,) = fig.axes
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    assert len(labels) < 10
    n = [int(part) for part in fig.get_suptitle().partition("n = ")[2].split(" trials")[0].split(" to ")]
    assert min(n) >= heatmap.LEAST


def test_a_square_of_few_trials_tells_their_number_alone(tmp_path):
    """Four right answers of four leave the interval half of the scale: no colour and no share is drawn for them."""
    many = [trial(i, sample_metadata={"depth": 0.5}) for i in range(5)]
    few = [trial(10 + i, bucket=1024, sample_metadata={"depth": 0.5}) for i in range(4)]
    with Store.open_read_only(make(tmp_path / "d.duckdb", many + few)) as opened:
        fig = figure(heatmap.depth_length, opened)
    (axes,) = fig.axes
    assert np.asarray(axes.images[0].get_array().filled(-1)).tolist() == [[100, -1]]
    assert "n = 4" in [text.get_text() for text in axes.texts]
    assert "n = 5 trials a square" in fig.get_suptitle()


def test_a_heatmap_of_too_few_trials_is_not_drawn_and_says_how_many_it_needs(tmp_path):
    path = make(tmp_path / "d.duckdb", [trial(i, sample_metadata={"depth": i / 4}) for i in range(4)])
    with Store.open_read_only(path) as opened, pytest.raises(NothingToPlot, match=r"2 trials a square .* too few .* ctxbench run -n 15"):
        figure(heatmap.depth_length, opened)


def test_variants_of_equal_labels_are_not_pooled(tmp_path):
    """One model in two precisions and two seeds under one label: a point each, named by what differs, in every plot."""
    trials = [trial(i, True, model_config={"dtype": "bfloat16"}, seed=1, cell="a" * 32, variant="a" * 32) for i in range(6)]
    trials += [trial(10 + i, False, model_config={"dtype": "float32"}, seed=1, cell="b" * 32, variant="b" * 32) for i in range(6)]
    with Store.open_read_only(make(tmp_path / "v.duckdb", trials)) as opened:
        assert [row["labels"]["model"] for row in summary_rows(opened)] == ["channel [dtype=bfloat16]", "channel [dtype=float32]"]
        for function in (curves.cost_accuracy, curves.robustness, curves.frontier):
            points = [y for axes in figure(function, opened).axes for _, y in drawn(axes)]
            assert points == [[1], [0]]  # pooled, it would be one point at 50 %
        squares = [np.asarray(axes.images[0].get_array().filled(-1)).tolist() for axes in figure(heatmap.depth_length, opened).axes]
        assert squares == [[[100]], [[0]]]


@pytest.mark.parametrize(
    ("first", "second", "labels"),
    [
        ({"seed": 1}, {"seed": 2}, {"channel [seed 1]", "channel [seed 2]"}),
        (
            {"adapter": "x", "adapter_fingerprint": "aaaaaaaa"},
            {"adapter": "x", "adapter_fingerprint": "bb"},
            {"channel + x [adapter aaaaaa]", "channel + x [adapter bb]"},
        ),
        ({}, {}, {"channel [variant aaaaaa]", "channel [variant bbbbbb]"}),
        ({"model_config": {"a": {"b": 1}}}, {}, {"channel [a.b=1]", "channel [a.b unset]"}),
    ],
)
def test_what_differs_between_variants_stands_behind_the_label(tmp_path, first, second, labels):
    """Also where nothing that is stored tells them apart but their hash."""
    trials = [trial(1, cell="a" * 32, variant="a" * 32, **first), trial(2, cell="b" * 32, variant="b" * 32, **second)]
    with Store.open_read_only(make(tmp_path / "v.duckdb", trials)) as opened:
        assert {row["labels"]["model"] for row in summary_rows(opened)} == labels


def test_a_variant_keeps_its_name_where_it_is_alone(tmp_path):
    """A codec of two sizes at 512 tokens and of one at 1,024: the line of that one goes on and is not a third codec."""
    small, large = {"codec_config": {"cell": 4}}, {"codec_config": {"cell": 8}}
    trials = [trial(1, cell="a" * 32, variant="a" * 32, **small), trial(2, cell="b" * 32, variant="b" * 32, **large)]
    trials += [trial(3, bucket=1024, carrier_tokens=1024, cell="c" * 32, variant="c" * 32, **small)]
    with Store.open_read_only(make(tmp_path / "v.duckdb", trials)) as opened:
        lines = drawn(figure(curves.cost_accuracy, opened).axes[0])
    assert sorted(lines) == [([512], [1]), ([512, 1024], [1, 1])]


def test_older_releases_are_left_out_and_the_note_says_so(tmp_path):
    """As in summary: of a variant measured with two releases the newest counts."""
    with Store.open(tmp_path / "r.duckdb") as writing:
        writing.append("run", [trial(i, False, cell="a" * 32, variant="v" * 32, codec_version="1") for i in range(3)])
        writing.append("run", [trial(9, True, cell="b" * 32, variant="v" * 32, codec_version="2")])
    with Store.open_read_only(tmp_path / "r.duckdb") as opened:
        fig = figure(curves.cost_accuracy, opened)
    assert drawn(fig.axes[0]) == [([512], [1])]
    assert "left out: 3 trials of older releases" in " ".join(fig.get_suptitle().split())


def test_frontier_joins_what_is_reached_and_hollows_what_is_beaten(tmp_path):
    """A code of 100 tokens that is never wrong beats one of 300 that often is, and text at 512, which is no better."""
    codes = {"good": (100, 100), "bad": (300, 25), "text": (512, 100)}
    trials = [
        trial(1000 * k + i, i < right, codec=codec, carrier_tokens=tokens, channel_correct=i < 75)
        for k, (codec, (tokens, right)) in enumerate(codes.items())
        for i in range(100)
    ]
    with Store.open_read_only(make(tmp_path / "f.duckdb", trials)) as opened:
        (axes,) = figure(curves.frontier, opened).axes
    (line,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    assert line.get_xdata().tolist() == [100]  # text costs more and is no better, bad costs more and is worse
    hollow = {tuple(line.get_xdata()) for line in axes.lines if line.get_markerfacecolor() == "white"}
    assert hollow == {(300,), (512,)}
    ceilings = [line.get_ydata().tolist() for line in axes.lines if line.get_marker() == "_"]
    assert ceilings == [[0.75, 0.75, 0.75]]


def test_attribution_bars_are_the_views_shares(tmp_path):
    """8 trials: 3 right, 1 right in spite of the channel, 2 lost by the reader, 1 in the channel, 1 error; the line is the right ones'."""
    kinds = [(True, True)] * 3 + [(True, False)] + [(False, True)] * 2 + [(False, False)]
    trials = [trial(i, right, channel_correct=channel) for i, (right, channel) in enumerate(kinds)]
    trials.append(trial(9, False, status="error", outcome=None, error_type="X", carrier_tokens=None, compression_ratio=None))
    with Store.open_read_only(make(tmp_path / "a.duckdb", trials)) as opened:
        fig, endings = figure(bars.attribution, opened), figure(bars.outcome_shares, opened)
    (axes,) = fig.axes
    assert [patch.get_width() for patch in axes.patches] == pytest.approx([3 / 8, 1 / 8, 2 / 8, 1 / 8, 1 / 8])
    assert [patch.get_x() for patch in axes.patches] == pytest.approx([0, 3 / 8, 4 / 8, 6 / 8, 7 / 8])
    names = ["right", "right in spite of the channel", "lost by the reader", "lost in the channel", "error"]
    assert [text.get_text() for text in fig.legends[0].get_texts()] == names
    low, high = wilson(4, 8)
    assert np.asarray(axes.collections[-1].get_segments()[0])[:, 0] == pytest.approx([low, high])
    assert [patch.get_width() for patch in endings.axes[0].patches] == pytest.approx([4 / 8, 3 / 8, 1 / 8])
    assert [text.get_text() for text in endings.legends[0].get_texts()] == ["correct", "confabulated", "error"]


@pytest.mark.parametrize("n", [4, 400])
def test_points_stay_readable_with_few_and_with_many_trials(tmp_path, n):
    """A bar of an interval is never drawn over a point, and the wide ones of few trials are fainter than the narrow ones of many."""
    path = make(tmp_path / "n.duckdb", [trial(i, i % 4 > 0) for i in range(n)])
    with Store.open_read_only(path) as opened:
        (axes,) = figure(curves.robustness, opened).axes
    (bar,), (line,) = axes.collections, [line for line in axes.lines if line.get_marker() == "o"]
    assert bar.get_zorder() < line.get_zorder()
    assert bar.get_alpha() == (0.3 if n == 4 else 0.5)


def test_figures_are_returned_to_python(store):
    """With the store open or by its path, and the plot's text safe from what matplotlib takes for mathematics."""
    for given in (store, store.path):
        fig = ctxbench_report.figure(given, "cost-accuracy", filters=Filters(codecs=("book",)))
        assert [y for axes in fig.axes for _, y in drawn(axes)] == [[pytest.approx(1 / 3)], [0]]
        assert not any(text.get_parse_math() for axes in fig.axes for text in axes.texts)
    with pytest.raises(UsageError, match="no plot named 'pie'"):
        ctxbench_report.figure(store, "pie")


@pytest.mark.parametrize(
    "function",
    [
        curves.cost_accuracy,
        curves.ratio_accuracy,
        curves.robustness,
        curves.frontier,
        bars.attribution,
        bars.outcome_shares,
        heatmap.depth_length,
    ],
)
def test_nothing_covers_anything(store, function):
    """Legend, axis labels, titles and panels do not overlap, and all of it lies on the figure."""
    fig = figure(function, store)
    canvas = FigureCanvasAgg(fig)
    with settings():
        canvas.draw()
    renderer = canvas.get_renderer()
    boxes = [axes.get_tightbbox(renderer) for axes in fig.axes] + [legend.get_window_extent() for legend in fig.legends]
    boxes.append(fig._suptitle.get_window_extent())
    for i, box in enumerate(boxes):
        assert box.x0 >= -1
        assert box.y0 >= -1
        assert box.x1 <= fig.bbox.x1 + 1
        assert box.y1 <= fig.bbox.y1 + 1
        for other in boxes[i + 1 :]:
            assert min(box.x1, other.x1) - max(box.x0, other.x0) < 2 or min(box.y1, other.y1) - max(box.y0, other.y0) < 2


def test_codecs_keep_their_colour_whatever_is_filtered(store):
    both, one = figure(curves.cost_accuracy, store), figure(curves.cost_accuracy, store, codecs=("book",))

    def colour(fig):
        return {t.get_text(): h.get_color() for t, h in zip(fig.legends[0].get_texts(), fig.legends[0].legend_handles, strict=True)}

    assert list(colour(both)) == ["text", "book"]  # the baseline comes first, in black
    assert colour(both)["text"] == "#000000"
    assert colour(one)["book"] == colour(both)["book"] != colour(both)["text"]


@pytest.mark.parametrize("kind", KINDS)
def test_files_are_the_same_bytes_each_time_and_can_be_read(store, tmp_path, kind):
    for ending in ("svg", "png", "pdf"):
        first = ctxbench_report.plot(store, kind, tmp_path / f"a.{ending}")
        second = ctxbench_report.plot(store.path, kind, tmp_path / "new" / f"b.{ending}")
        assert first.read_bytes() == second.read_bytes()
    assert ET.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")
    assert b"<dc:date>" not in (tmp_path / "a.svg").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF-")
    with Image.open(tmp_path / "a.png") as image:
        assert image.width > 700
        assert len(image.convert("RGB").getcolors(1 << 24)) > 10
    assert sorted(p.name for p in tmp_path.glob("*.partial")) == []


def test_the_users_matplotlib_is_left_alone(store, tmp_path):
    mpl.rcParams["lines.linewidth"] = 7.5
    try:
        before = dict(mpl.rcParams)
        path = ctxbench_report.plot(store, "robustness", tmp_path / "a.svg")
        mpl.rcParams["lines.linewidth"] = 1.5
        assert ctxbench_report.plot(store, "robustness", tmp_path / "b.svg").read_bytes() == path.read_bytes()
        mpl.rcParams["lines.linewidth"] = 7.5
        assert dict(mpl.rcParams) == before
    finally:
        mpl.rcdefaults()
    assert "matplotlib.pyplot" not in {name for name in sys.modules if name.startswith("ctxbench_report")}


def test_what_cannot_be_drawn_says_so(store, tmp_path):
    with pytest.raises(UsageError, match="no plot named 'pie'; there are: cost-accuracy, ratio-accuracy, robustness, frontier"):
        ctxbench_report.plot(store, "pie", tmp_path / "a.png")
    with pytest.raises(UsageError, match=r"a.gif: a plot is written as png, svg or pdf"):
        ctxbench_report.plot(store, "robustness", tmp_path / "a.gif")
    with pytest.raises(NothingToPlot, match=r"no trial has task \"x' OR 1=1 --\"; there are: needle"):
        ctxbench_report.plot(store, "robustness", tmp_path / "a.png", filters=Filters(tasks=("x' OR 1=1 --",)))
    with pytest.raises(NothingToPlot, match="no trial has bucket 7; there are: 512, 1024"):
        ctxbench_report.plot(store, "robustness", tmp_path / "a.png", filters=Filters(buckets=(7,)))
    many = [trial(i, model=f"m{i}", augmentation=level) for i, level in enumerate(["clean", "light"] * 40)]
    with pytest.raises(UsageError, match="80 x 2 panels are too many to read; choose with --model"):
        ctxbench_report.plot(make(tmp_path / "many.duckdb", many), "cost-accuracy", tmp_path / "a.png")


def run(*args):
    registry = ctxbench.load_plugins()
    cli = Cli("ctxbench")
    registry.manager.add_commands(cli)
    return CliRunner().invoke(cli, ["plot", *map(str, args)])


def test_command_draws_all_that_the_store_has_rows_for(store, tmp_path):
    done = run("--store", store.path, "-o", tmp_path / "out")
    lacking = ("prior-gap", "trust", "confusions", "page-position", "costs")  # this store has no rows for them
    written = [str(tmp_path / "out" / f"{kind}.{ending}") for kind in KINDS if kind not in lacking for ending in ("png", "svg")]
    assert (done.exit_code, done.stdout.splitlines()) == (0, written)
    assert [line.partition(": not drawn: ")[0] for line in done.stderr.splitlines()] == list(lacking)
    assert sorted(map(str, (tmp_path / "out").iterdir())) == sorted(written)


def test_command_skips_a_plot_without_rows_unless_it_was_asked_for(tmp_path):
    path = make(tmp_path / "j.duckdb", [trial(0, task="json_restore", sample_metadata={})])
    done = run("--store", path, "--format", "svg", "-o", tmp_path / "p")
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 6
    assert done.stderr.startswith("depth-length: not drawn: ")
    done = run("depth-length", "--store", path)
    assert done.exit_code == 1
    assert done.stderr == f"error: {path}: no trial has a needle depth; run a task that hides one: ctxbench run -t needle --store {path}\n"


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("pie",), 2, "'pie' is not one of 'cost-accuracy'"),
        (("--format", "gif"), 2, "'gif' is no format; choose from png, svg and pdf"),
        (("--store", "/nowhere/missing.duckdb"), 1, "missing.duckdb: no such store"),
        (("-m", "gpt"), 1, "no trial has model 'gpt'; there are: channel, hf:$x$ & <b>"),
    ],
)
def test_command_explains_mistakes_in_one_line(store, args, code, message):
    done = run("--store", store.path, *args)
    assert done.exit_code == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_command_on_an_empty_store(tmp_path):
    path = make(tmp_path / "e.duckdb", [])
    done = run("--store", path)
    assert (done.exit_code, done.stderr) == (1, f"error: {path}: the store is empty; run first: ctxbench run --store {path}\n")


@pytest.mark.parametrize("bounds", [(90, 130), (0.5, 2), (100, 5000), (0.9, 1.1), (1, 1e6), (300, 340)])
def test_log_axes_have_a_readable_number_of_round_ticks(bounds):
    ticks = round_numbers(*bounds)
    assert 2 <= len(ticks) <= 7
    assert all(bounds[0] <= tick <= bounds[1] for tick in ticks)


def test_long_names_are_broken_where_names_have_joints():
    assert wrapped("hf:Qwen/Qwen2-VL-2B-Instruct, needle", 20) == "hf:Qwen/\nQwen2-VL-2B-Instruct,\nneedle"
    assert wrapped("heavy:noise_std=0.1,perspective=0.05", 14) == "heavy:\nnoise_std=0.1,\nperspective=\n0.05"
    assert wrapped("short", 20) == "short"
    assert wrapped("x" * 45, 20) == "\n".join(["x" * 20, "x" * 20, "x" * 5])


def test_learning_curves_of_both_kinds_of_log(tmp_path):
    """What ``ctxbench train`` writes and a table with stages and tracks; the points are the log's."""
    (tmp_path / "run").mkdir()
    log = tmp_path / "run" / "log.jsonl"
    log.write_text('{"step": 1, "loss": 2.5, "lr": 1}\n\n{"step": 2, "loss": 1.5}\n{"step": 2, "val_loss": 1.75}\n{"event": "end"}\n')
    table = tmp_path / "stages.csv"
    table.write_text("stage,step,track,loss\na,100,text,0.5\na,100,page,0.9\nb,100,text,0.1\na,200,text,0.25\n")
    with settings():
        figure = learning.learning_curve([log, table])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["run", "a", "b"]
    lines = {line.get_label(): list(map(tuple, line.get_xydata())) for line in figure.axes[0].get_lines()}
    assert lines == {"training": [(1, 2.5), (2, 1.5)], "validation": [(2, 1.75)]}
    assert [tuple(point) for point in figure.axes[1].get_lines()[0].get_xydata()] == [(100, 0.5), (200, 0.25)]
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {"training", "validation", "text", "page"}


def test_learning_curves_by_the_command(tmp_path):
    """Without a store; a log that is none gives one message."""
    log = tmp_path / "log.csv"
    log.write_text("step,loss\n1,2\n2,1\n")
    done = run("--log", log, "-o", tmp_path, "--format", "png")
    assert done.exit_code == 0, done.output
    with Image.open(tmp_path / "learning-curve.png") as image:
        assert np.asarray(image.convert("L")).std() > 5
    for text, message in (("", "no row has a step and a loss"), ("{", "no training log")):
        bad = tmp_path / "bad.jsonl"
        bad.write_text(text)
        done = run("learning-curve", "--log", bad)
        assert done.exit_code == 2
        assert message in done.output
    done = run("learning-curve")
    assert done.exit_code == 2
    assert "name one with --log" in done.output

"""What stands in a report: the store's figures, bounded in number and size, and escaped wherever they go."""

from __future__ import annotations

import hashlib
import html
import json
import re
import shutil
import sys
from html.parser import HTMLParser
from importlib.resources import files

import attrs
import pytest
from click.testing import CliRunner
from report_records import keep_page, make_store, make_trial, page_row

import ctxbench
import ctxbench_report
from ctxbench import CtxbenchError, UsageError
from ctxbench.statistics import wilson
from ctxbench.store import Store
from ctxbench_cli.main import Cli
from ctxbench_report import building, drawing, images, plots, samples, style, tables
from ctxbench_report.data import Filters, NothingToPlot
from ctxbench_report.page import LICENCES, SCRIPTS, STYLES, script_json


@pytest.fixture(autouse=True)
def few_plots(request, monkeypatch):
    """Most of a report's time goes into plots, which most of these tests are not about."""
    if "all_plots" not in request.fixturenames:
        monkeypatch.setattr(building, "KINDS", {"robustness": plots.KINDS["robustness"]})


@pytest.fixture
def all_plots():
    """For a test that needs all of them."""


class Page(HTMLParser):
    """Scripts, images and text of a report, as an HTML parser sees them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self._inside = tag
        if tag == "script":
            self.scripts.append("")
        self.links += [value or "" for name, value in attributes if name in ("src", "href")]
        assert not any(name.startswith("on") for name, _ in attributes)

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.words.append(data)

    @property
    def data(self):
        return json.loads(self.scripts[0])


def read(made) -> Page:
    return Page(made.path.read_text("utf-8"))


def sample_column(page: Page, name: str) -> list:
    place = page.data["samples"]["columns"].index(name)
    return [row[place] for row in page.data["samples"]["rows"]]


def test_figures_are_those_of_the_views(tmp_path):
    """3 of 4 right with Wilson's bounds and n in the first table and in the cells; the bootstrap's bounds of the ratio as in ``ratios``."""
    path = make_store(
        tmp_path / "s.duckdb", [make_trial(i, i > 0, carrier_tokens=60 + i, compression_ratio=512 / (60 + i)) for i in range(4)]
    )
    page = read(ctxbench_report.report(path, tmp_path / "r.html"))
    (row,) = page.data["cells"]["rows"]
    cell = dict(zip([name for name, _, _ in page.data["cells"]["columns"]], row, strict=True))
    assert cell["accuracy"] == pytest.approx([0.75, *wilson(3, 4)], rel=1e-5)
    assert cell["channel_correct"] == pytest.approx([1, *wilson(4, 4)], rel=1e-5)
    with Store.open_read_only(path) as store:
        expected = store.query("SELECT compression_ratio, compression_ratio_low, compression_ratio_high FROM ratios").rows[0]
    assert cell["compression_ratio"] == pytest.approx(expected, rel=1e-5)
    assert (cell["n"], cell["errors"]) == (4, 0)
    words = " ".join(page.words)
    for told in ("75 %", "30–95,", "n = 4", "8.00", "ctxbench run study.yaml", "c" * 64, "Linux-x86_64, Python 3.11.7", "numpy", "abc123"):
        assert told in words


def test_the_same_store_gives_the_same_file(tmp_path, all_plots):
    """No time of day, no order of chance: a report can be compared with the one before."""
    path = make_store(tmp_path / "s.duckdb", [make_trial(i, i % 2 == 0, codec=f"c{i % 3}") for i in range(9)])
    first = ctxbench_report.report(path, tmp_path / "a.html").path.read_bytes()
    assert ctxbench_report.report(path, tmp_path / "b.html").path.read_bytes() == first


def test_nothing_is_loaded_from_a_network(tmp_path):
    """Every source and link is inside the file or a place on its page; the scripts are the packages' own, whose hashes the policy names."""
    text = ctxbench_report.report(make_store(tmp_path / "s.duckdb", [make_trial(1)]), tmp_path / "r.html").path.read_text("utf-8")
    page, text = Page(text), html.unescape(text)
    assert all(link.startswith(("data:", "#")) for link in page.links)
    assert len(page.scripts) == 1 + len(SCRIPTS)
    assert "default-src 'none'" in text
    assert text.count("'sha256-") == len(SCRIPTS)


def test_libraries_are_what_their_list_says():
    """Each is the file of the named version, with its licence beside it; a changed byte shows."""
    folder = files("ctxbench_report").joinpath("assets")
    listed = re.findall(r"^([0-9a-f]{64})  (\S+)  \S+ \S+  \S+ \((\S+)\)$", folder.joinpath("VENDORED.txt").read_text("utf-8"), re.M)
    assert {name for _, name, _ in listed} == {*SCRIPTS, *STYLES} - {"report.js", "report.css"}
    for digest, name, licence in listed:
        assert hashlib.sha256(folder.joinpath(name).read_bytes()).hexdigest() == digest
        assert licence in LICENCES
        assert "copyright" in folder.joinpath(licence).read_text("utf-8").lower()


@pytest.mark.parametrize("text", ["</script>", "<!--", "<script", "&lt;", "\u2028\u2029", "\x00\x07", "]]>", "\\u003c", "\ud800"])
def test_no_text_ends_the_data(text):
    """The data come back as they were, and an HTML parser sees one script whatever they hold."""
    written = script_json({"a": text})
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == {"a": text.replace("\ud800", "?")}
    assert Page(f"<script>{written}</script>").scripts == [written]


def test_samples_are_of_every_outcome_in_every_cell(tmp_path):
    """100 right and 3 wrong trials in one cell, 2 in another: a choice of 6 has the wrong ones and the small cell."""
    trials = [make_trial(i) for i in range(100)] + [make_trial(200 + i, False) for i in range(3)]
    trials += [make_trial(300 + i, codec="other") for i in range(2)]
    made = ctxbench_report.report(make_store(tmp_path / "s.duckdb", trials), tmp_path / "r.html", samples=6)
    page = read(made)
    assert sorted(sample_column(page, "trial_id")) == ["t0", "t1", "t200", "t201", "t300", "t301"]
    assert made.samples == 6
    assert "6 of 105 trials are in this file, of every" in " ".join(page.words)
    assert "99 are left out." in " ".join(page.words)


def test_texts_are_bounded_and_shared(tmp_path, monkeypatch):
    """A text that all trials share is in the file once; one that is too long is cut and says so; too many of them end the choice."""
    long = {"expected": "e" * 50_000, "question": "q"}
    trials = [make_trial(i, **long, prediction=f"{i}" + "p" * 999) for i in range(9)]
    path = make_store(tmp_path / "s.duckdb", trials)
    page = read(ctxbench_report.report(path, tmp_path / "r.html"))
    assert page.data["texts"].count("q") == 1
    (cut,) = [text for text in page.data["texts"] if text.startswith("e")]
    assert cut == "e" * 20_000 + " … [30,000 more characters]"
    assert "cut: 9 long texts" in " ".join(page.words)
    monkeypatch.setattr(samples, "TEXT_BYTES", 24_000)
    made = ctxbench_report.report(path, tmp_path / "r.html")
    assert made.samples == 3  # 20,028 bytes they share, and 1,001 for each


def test_too_many_cells_are_left_out_and_said(tmp_path, monkeypatch):
    """The table and the first table are bounded; the totals are of all."""
    monkeypatch.setattr(tables, "MOST_CELLS", 3)
    monkeypatch.setattr(tables, "MOST_HEADLINES", 2)
    trials = [make_trial(i, codec=f"c{i}") for i in range(5)]
    made = ctxbench_report.report(make_store(tmp_path / "s.duckdb", trials), tmp_path / "r.html")
    page, words = read(made), " ".join(read(made).words)
    assert (len(page.data["cells"]["rows"]), made.cells, made.samples) == (3, 5, 3)
    assert "first 3 of 5 cells" in words
    assert "2 of 5 rows" in words


def test_images_are_embedded_up_to_a_bound_and_linked_beyond(tmp_path):
    """Two images kept, room for one: the other is linked; one that is gone, and paths that are none of the store's, are neither."""
    path = tmp_path / "s.duckdb"
    kept = [keep_page(path, shade) for shade in (10, 20)]
    gone = keep_page(path, 30)
    (tmp_path / "s.duckdb.pages" / gone.path).unlink()
    secret = tmp_path / "secret.png"
    secret.write_bytes(images.PNG + b"secret")
    odd = [page_row("x", "../secret.png"), page_row("y", str(secret)), page_row("z", None)]
    trials = [make_trial(i, pages=(page,)) for i, page in enumerate([*kept, gone, *odd])]
    size = (tmp_path / "s.duckdb.pages" / kept[0].path).stat().st_size
    make_store(path, trials)
    page = read(ctxbench_report.report(path, tmp_path / "r.html", embed_mb=1.5 * size / 1e6))
    assert list(page.data["images"]) == [kept[0].sha256]
    assert page.data["folder"] == "s.duckdb.pages/"
    paths = [pages[0][1] for pages in sample_column(page, "pages")]
    assert paths == [kept[0].path, kept[1].path, None, None, None, None]
    assert "Page images: 1 in this file, 1 shown from the folder beside the store, 3 missing" in " ".join(page.words)


def test_variants_and_older_releases_are_told(tmp_path):
    """Two models under one label are two rows with what differs; a cell with an older release says what it leaves out."""
    trials = [make_trial(1, cell="a" * 32, variant="a" * 32, model_config={"dtype": "bf16"})]
    trials += [make_trial(2, cell="b" * 32, variant="b" * 32, model_config={"dtype": "f32"})]
    path = make_store(tmp_path / "s.duckdb", trials)
    with Store.open(path) as store:
        store.append("r1", [make_trial(3, False, cell="c" * 32, variant="b" * 32, model_config={"dtype": "f32"}, codec_version="2")])
    rows = read(ctxbench_report.report(path, tmp_path / "r.html")).data["cells"]["rows"]
    assert [row[0] for row in rows] == ["channel [dtype=bf16]", "channel [dtype=f32]"]
    assert [row[-1] for row in rows] == [
        "one of 2 variants of these labels",
        "one of 2 variants of these labels; 1 trial of older releases left out",
    ]


def test_errors_are_samples_too(tmp_path):
    """A trial without answer, tokens or pages is a row with its stage, type and message."""
    empty = {"prediction": None, "score": None, "primary_score": None, "carrier_tokens": None, "compression_ratio": None, "pages": ()}
    failed = make_trial(1, status="error", outcome=None, error_stage="read", error_type="RuntimeError", error_message="no memory", **empty)
    page = read(ctxbench_report.report(make_store(tmp_path / "s.duckdb", [failed, make_trial(2)]), tmp_path / "r.html"))
    message = page.data["texts"][sample_column(page, "error_message")[0]]
    assert (sample_column(page, "status")[0], sample_column(page, "error_type")[0], message) == ("error", "RuntimeError", "no memory")


def test_plots_that_cannot_be_drawn_are_named_with_the_reason(tmp_path, all_plots):
    """Nothing is dropped in silence; a plot of too many panels is drawn for single models and tasks instead."""
    made = ctxbench_report.report(make_store(tmp_path / "s.duckdb", [make_trial(1)]), tmp_path / "r.html")
    assert [kind for kind, _ in made.undrawn] == ["depth-length", "prior-gap", "trust", "confusions", "page-position"]
    assert "depth-length: 1 trial a square" in " ".join("".join(read(made).words).split())


def test_a_plot_of_too_many_panels_is_drawn_for_single_models_and_tasks(tmp_path, monkeypatch):
    """Where 8 panels are too many, two tasks are drawn, and the commands that draw the others are named."""
    monkeypatch.setattr(style, "MAX_PANELS", 3)
    monkeypatch.setattr(building, "KINDS", {"frontier": plots.KINDS["frontier"]})
    trials = [make_trial(i, task=f"t{i % 4}", bucket=64 * (1 + i // 4)) for i in range(8)]
    made = ctxbench_report.report(make_store(tmp_path / "m.duckdb", trials), tmp_path / "m.html", samples=0)
    assert made.plots == 2
    assert [kind for kind, _ in made.undrawn] == ["frontier of channel, t2", "frontier of channel, t3"]
    assert made.undrawn[0][1].endswith("ctxbench plot frontier -m channel -t t2")


def run(*args):
    registry = ctxbench.load_plugins()
    cli = Cli("ctxbench")
    registry.manager.add_commands(cli)
    return CliRunner().invoke(cli, ["report", *map(str, args)])


def test_command_names_what_it_wrote(tmp_path):
    """The path alone on stdout, for scripts; what is in it on stderr. Filters and title arrive."""
    path = make_store(tmp_path / "s.duckdb", [make_trial(i, codec=f"c{i % 2}") for i in range(4)])
    done = run(path, "-o", tmp_path / "new" / "r.html", "-c", "c1", "--title", "Mine & <yours>", "--samples", 1)
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 'new' / 'r.html'}\n")
    assert "2 trials in 1 cell, " in done.stderr
    assert "1 to look at" in done.stderr
    words = " ".join(Page((tmp_path / "new" / "r.html").read_text("utf-8")).words)
    assert "Mine & <yours>" in words
    assert "only codec c1" in words


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("missing.duckdb",), 1, "missing.duckdb: no such store"),
        (("s.duckdb", "--store", "t.duckdb"), 2, "two stores are named, s.duckdb and t.duckdb; name one"),
        (("STORE", "-c", "pie"), 1, "no trial has codec 'pie'; there are: book"),
        (("STORE", "--samples", "-1"), 2, "-1 is not in the range x>=0"),
        (("STORE", "-o", "STORE/r.html"), 1, "s.duckdb/r.html: "),
        (("STORE", "--log", "none.jsonl"), 2, "none.jsonl: no training log"),
    ],
)
def test_command_explains_mistakes_in_one_line(tmp_path, args, code, message):
    path = make_store(tmp_path / "s.duckdb", [make_trial(1)])
    done = run(*[str(arg).replace("STORE", str(path)) for arg in args], *([] if "-o" in args else ["-o", tmp_path / "r.html"]))
    assert done.exit_code == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "r.html").exists()


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    """Whole or not at all, and no part of it beside."""
    path = make_store(tmp_path / "s.duckdb", [make_trial(1)])
    (tmp_path / "r.html").write_text("old")
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(CtxbenchError, match="No space left on device"):
        ctxbench_report.report(path, tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text() == "old"
    assert not list(tmp_path.glob(".*"))


def test_bad_arguments_from_python(tmp_path):
    path = make_store(tmp_path / "s.duckdb", [make_trial(1), attrs.evolve(make_trial(2), codec="b", bucket=64)])
    with pytest.raises(UsageError, match="no fewer than 0 samples"):
        ctxbench_report.report(path, tmp_path / "r.html", samples=-1)
    with pytest.raises(NothingToPlot, match="no trial passes all of these filters together"):
        ctxbench_report.report(path, tmp_path / "r.html", filters=Filters(codecs=("b",), buckets=(512,)))


@pytest.mark.parametrize("python", [sys.executable, "/nowhere/python", shutil.which("false") or "false"])
def test_a_second_process_draws_the_same(tmp_path, monkeypatch, python):
    """The report is the same file whether one process draws all of it, two do, or the second cannot start or fails."""
    monkeypatch.setattr(building, "KINDS", {kind: plots.KINDS[kind] for kind in ("robustness", "outcomes", "page-position")})
    store = make_store(tmp_path / "s.duckdb", [make_trial(i, i % 3 > 0, prediction="7319" if i % 3 else "7819") for i in range(45)])
    alone = ctxbench_report.report(store, tmp_path / "alone.html")
    monkeypatch.setattr(drawing, "LEAST_CELLS", 1)
    monkeypatch.setattr(drawing, "_cores", lambda: 2)
    monkeypatch.setattr(sys, "executable", python)
    both = ctxbench_report.report(store, tmp_path / "both.html")
    assert (both.plots, both.undrawn) == (alone.plots, alone.undrawn)
    assert both.path.read_bytes() == alone.path.read_bytes()

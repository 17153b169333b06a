"""json_restore: exact lengths, valid documents of the shape that was asked for, the same ones everywhere."""

from __future__ import annotations

import hashlib
import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxbench import ConfigError, SampleError, load_plugins
from ctxbench.testing import TaskContract
from ctxbench.tokens import count_text
from ctxbench_json_restore.draft import Draft
from ctxbench_json_restore.structure import depth_of, keys_in
from ctxbench_json_restore.task import JsonRestore

ENTROPIES = ("words", "realistic", "random")


class TestContractDefault(TaskContract):
    """The task as it comes."""

    name = "json_restore"

    @pytest.fixture
    def task(self):
        return JsonRestore()


class TestContractChinese(TaskContract):
    """Chinese keys and values, indented."""

    name = "json_restore"

    @pytest.fixture
    def task(self):
        return JsonRestore(language="zh", entropy="random", indent=2, depth=4)


def no_duplicates(pairs):
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


TASKS = st.builds(
    JsonRestore,
    language=st.sampled_from(("en", "zh")),
    entropy=st.sampled_from(ENTROPIES),
    depth=st.integers(1, 6),
    indent=st.sampled_from((None, 0, 2)),
)


@settings(max_examples=120, deadline=None)
@given(TASKS, st.integers(150, 3000) | st.sampled_from((512, 1024, 2048, 4096)), st.integers(0, 2**63 - 1))
def test_any_bucket_is_met_exactly_by_a_valid_document(task, bucket, seed):
    """To the token, with no key twice in an object, at exactly the depth, and written as ``json.dumps`` writes it."""
    sample = task.sample(bucket, seed)
    assert count_text(sample.context) == bucket
    document = json.loads(sample.context, object_pairs_hook=no_duplicates)
    assert depth_of(document) == task.depth == sample.metadata["nesting"]
    assert keys_in(document) == sample.metadata["fields"]
    separators = (",", ":") if task.indent is None else (",", ": ")
    assert json.dumps(document, ensure_ascii=False, indent=task.indent, separators=separators) == sample.context
    assert task.solve(sample.context, sample.question) == sample.answer == sample.context


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("entropy", ENTROPIES)
def test_the_usual_buckets_from_64_to_16384(language, entropy):
    """Every length of the paper's sweep and its neighbours, a few seeds each."""
    task = JsonRestore(language=language, entropy=entropy)
    for bucket in (64, 65, 99, 128, 256, 512, 1024, 2048, 4096, 8192, 16384):
        for seed in range(12 if bucket < 300 else 1):
            assert count_text(task.sample(bucket, seed).context) == bucket, (bucket, seed)


@settings(max_examples=60, deadline=None)
@given(TASKS, st.integers(7, 40), st.integers(1000, 3000), st.integers(0, 1000))
def test_field_count_is_met_while_values_fill_the_bucket(task, fields, bucket, seed):
    """Few fields in a large bucket get long values; the number of keys on all levels stays what was asked for."""
    task = JsonRestore(**{**task.config, "field_count": fields})
    sample = task.sample(bucket, seed)
    assert keys_in(json.loads(sample.context)) == fields
    assert count_text(sample.context) == bucket


@pytest.mark.parametrize(("fields", "bucket"), [(20, 130), (30, 210)])
def test_values_are_shortened_where_the_fields_are_too_long(fields, bucket, monkeypatch):
    """In a tight bucket the longest values shrink, and the document is counted anew: else it would be called impossible."""
    again = []
    monkeypatch.setattr(Draft, "rewrite", lambda draft, rewrite=Draft.rewrite: (again.append(1), rewrite(draft)))
    for seed in range(10):
        sample = JsonRestore(field_count=fields).sample(bucket, seed)
        assert keys_in(json.loads(sample.context)) == fields
        assert count_text(sample.context) == bucket
    assert again


def kinds(value) -> Counter:
    found = Counter([type(value).__name__])
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        found += kinds(inner)
    return found


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("entropy", ENTROPIES)
def test_every_json_type_occurs(language, entropy):
    """Objects, arrays, strings, whole and other numbers, booleans and null, in a document of ordinary length."""
    found = kinds(json.loads(JsonRestore(language=language, entropy=entropy).sample(1024, 3).context))
    assert set(found) == {"dict", "list", "str", "int", "float", "bool", "NoneType"}
    assert found["str"] > 15


def test_a_flat_document_has_plain_values_only():
    """Depth 1 leaves no array either."""
    document = json.loads(JsonRestore(depth=1).sample(600, 1).context)
    assert not any(isinstance(value, (dict, list)) for value in document.values())


def test_entropy_costs_tokens():
    """Random values hold fewer characters a token than common words; were the dial dead, these would be alike."""
    sizes = {name: len(JsonRestore(entropy=name).sample(2048, 1).context) for name in ENTROPIES}
    assert sizes["random"] < 0.75 * sizes["words"]


def test_compact_is_the_default_and_indent_costs_tokens():
    """The default spends nothing on layout."""
    assert "\n" not in JsonRestore().sample(512, 0).context
    assert JsonRestore(indent=4).sample(512, 0).context.startswith('{\n    "')


def test_strings_that_need_escapes_occur():
    """Quotes, backslashes and line breaks are part of real documents."""
    text = JsonRestore().sample(16384, 0).context
    assert all(escape in text for escape in ('\\"', "\\\\", "\\n", "\\t"))


GOLDEN = {
    ("en", "realistic"): "d1a590030adefd46",
    ("zh", "random"): "9cb67a490b4a6fee",
}


@pytest.mark.parametrize(("language", "entropy"), GOLDEN)
def test_samples_of_version_2_never_change(language, entropy):
    """Stored trials are found again by the task's version: another document for the same seed needs a higher version."""
    assert JsonRestore.version == 2
    context = JsonRestore(language=language, entropy=entropy).sample(512, 7).context
    assert hashlib.sha256(context.encode()).hexdigest()[:16] == GOLDEN[language, entropy]


@pytest.mark.parametrize(
    ("options", "bucket", "message"),
    [
        ({}, 23, "depth 3 needs a bucket of at least 24 tokens, got 23"),
        ({"field_count": 100_000}, 128, "field_count 100000 needs a bucket of at least 300000 tokens, got 128"),
        ({"field_count": 40}, 128, r"field_count 40 needs a bucket of about \d+ tokens, got 128"),
        ({"depth": 32}, 48, r"depth 32 needs a bucket of about \d+ tokens, got 48"),
        ({"depth": 5, "field_count": 5}, 500, "is a contradiction: the depth alone takes 6 fields"),
    ],
)
def test_impossible_shapes_say_what_would_be_possible(options, bucket, message):
    """The options and the bucket that clash, and how large a bucket would do."""
    with pytest.raises(SampleError, match=message):
        JsonRestore(**options).sample(bucket, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 0}, "depth must be from 1 to 32, got 0"),
        ({"depth": True}, "got True"),
        ({"field_count": 0}, "field_count must be from 1 to 1000000, got 0"),
        ({"entropy": "high"}, "entropy must be one of words, realistic, random, got 'high'"),
        ({"language": "fr"}, "language must be one of en, zh, got 'fr'"),
        ({"indent": -1}, "indent must be from 0 to 16, got -1"),
        ({"fieldcount": 3}, "did you mean 'field_count'"),
    ],
)
def test_wrong_options_are_refused(options, message):
    """The message quotes the value and the legal range."""
    with pytest.raises(ConfigError, match=message):
        load_plugins().task("json_restore", **options)


def test_a_damaged_document_is_given_back_as_it_is():
    """A perfect reader restores what it sees, without the white space around it."""
    assert JsonRestore().solve('\n {"a":1,"b \n', "?") == '{"a":1,"b'

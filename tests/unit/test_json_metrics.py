"""JSON metrics on answers that a wrong parser, a wrong path or a wrong search for the answer would score otherwise."""

from __future__ import annotations

import json
import random

import pytest

from ctxbench import Sample, load_plugins
from ctxbench_metrics.agreement import compare
from ctxbench_metrics.documents import JsonExactMatch, JsonF1, JsonKeyValueMean
from ctxbench_metrics.extraction import extract_json, parse_json

NAMES = ("json_key_value_mean", "key_precision", "key_recall", "key_f1", "value_accuracy")
REFERENCE = '{"id": 7, "tags": ["a", "b"], "owner": {"name": "李雷", "age": 30.5}, "ok": true, "note": null}'


def sample(answer: str) -> Sample:
    return Sample("...", "?", answer, 64)


def exact(prediction: str, answer: str) -> float:
    return JsonExactMatch().score(prediction, sample(answer)).values["json_exact_match"]


def structural(prediction: str, answer: str) -> tuple[float, ...]:
    values = JsonKeyValueMean().score(prediction, sample(answer)).values
    assert set(values) == set(NAMES)
    return tuple(values[name] for name in NAMES)


def f1(prediction: str, answer: str) -> tuple[float, ...]:
    values = JsonF1().score(prediction, sample(answer)).values
    assert set(values) == {"json_f1", "json_precision", "json_recall"}
    return values["json_f1"], values["json_precision"], values["json_recall"]


@pytest.mark.parametrize(
    ("prediction", "answer", "equal"),
    [
        ('{"b": 2, "a": 1}', '{"a": 1, "b": 2}', True),
        ('{ "a" :\n1 }', '{"a":1}', True),
        ('{"a": 1.0}', '{"a": 1}', True),  # JSON has one kind of number
        ('{"a": 1e2}', '{"a": 100}', True),
        ('{"a": -0}', '{"a": 0}', True),
        ('{"a": true}', '{"a": 1}', False),
        ('{"a": 0}', '{"a": false}', False),
        ('{"a": "1"}', '{"a": 1}', False),
        ('{"a": null}', '{"a": false}', False),
        ('{"a": null}', "{}", False),
        ('{"a": {}}', '{"a": []}', False),
        ('{"a": ""}', '{"a": []}', False),
        ("[1, 2]", "[2, 1]", False),
        ("[1, 2, 3]", "[1, 2]", False),
        ('{"a": 1, "a": 1}', '{"a": 1}', False),  # a key said twice
        ('{"a": 0.1}', '{"a": 0.1000000000000000055511151231257827}', False),  # one double, two numbers
        ('{"a": 12345678901234567890123}', '{"a": 12345678901234567890124}', False),
        ('{"caf\\u00e9": "\\ud83d\\ude00"}', '{"café": "😀"}', True),
        ('{"a": "e\\u0301"}', '{"a": "é"}', False),  # another sequence of code points
        ('{"A": 1}', '{"a": 1}', False),
        ('{"a": NaN}', '{"a": null}', False),
        ("{'a': 1}", '{"a": 1}', False),
        ('{"a": 1,}', '{"a": 1}', False),
        ("3.0", "3", True),
        ('"x"', '"x"', True),
    ],
)
def test_exact_match_respects_json_types(prediction, answer, equal):
    assert exact(prediction, answer) == float(equal)


def test_structural_scores_by_hand():
    """Expected leaves: id, tags[0], tags[1], owner.name, owner.age, ok, note. Said: 6, of which 5 at expected paths, 3 right."""
    said = '{"id": 7, "tags": ["b"], "owner": {"name": "李雷", "years": 30.5}, "ok": 1, "note": null}'
    f1 = 2 * 5 / (6 + 7)
    assert structural(said, REFERENCE) == pytest.approx(((f1 + 3 / 5) / 2, 5 / 6, 5 / 7, f1, 3 / 5))
    assert structural(REFERENCE, REFERENCE) == (1, 1, 1, 1, 1)
    assert structural("{}", REFERENCE) == (0, 0, 0, 0, 0)
    assert structural("no idea", REFERENCE) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("said", "expected", "matched"),
    [
        ('{"a.b": 1}', '{"a": {"b": 1}}', 0),
        ('{"a[0]": 1}', '{"a": [1]}', 0),
        ('{"a": {"0": 1}}', '{"a": [1]}', 0),
        ('{"a": {"": 1}}', '{"a": 1}', 0),
        ('{"": {"": 1}}', '{"": {"": 1}}', 1),
        ('{"a": {}}', '{"a": []}', 1),  # the place is right, the value is not
        ('{"a.b": 1, "a": {"b": 1}}', '{"a": {"b": 1}, "a.b": 2}', 2),
    ],
)
def test_keys_are_paths_not_joined_strings(said, expected, matched):
    assert compare(parse_json(said), parse_json(expected)).matched == matched


def test_repeated_keys_cost_precision():
    f1 = 2 * 1 / (2 + 1)
    assert structural('{"a": 1, "a": 2}', '{"a": 1}') == pytest.approx(((f1 + 1) / 2, 1 / 2, 1, f1, 1))


def test_scores_never_leave_their_range_and_full_marks_mean_exact_match():
    rng = random.Random(7)

    def value(depth):
        kind = rng.randrange(7 if depth else 5)
        if kind < 5:
            return rng.choice([0, 1, True, None, "", "x", 0.5, [], {}])
        if kind == 5:
            return [value(depth - 1) for _ in range(rng.randrange(4))]
        return {rng.choice("abc."): value(depth - 1) for _ in range(rng.randrange(4))}

    documents = [json.dumps({"r": value(3)}) for _ in range(300)]
    for said, expected in zip(documents, documents[1:] + documents[:1], strict=True):
        for pair in ((said, expected), (said, said)):
            scores = structural(*pair)
            assert all(0 <= score <= 1 for score in scores)
            assert (scores == (1, 1, 1, 1, 1)) == bool(exact(*pair)) == (parse_strict(pair[0]) == parse_strict(pair[1]))


def parse_strict(text: str):
    """Equality with types: `True` is not 1."""
    return repr(json.loads(text, object_pairs_hook=lambda pairs: ("object", sorted(pairs, key=repr))))


DOCUMENT = '{"a": [1, {"b": "}]"}], "c": "say \\"hi\\""}'


@pytest.mark.parametrize(
    ("prediction", "how"),
    [
        (DOCUMENT, "raw"),
        (f"\ufeff \n{DOCUMENT}\n", "raw"),
        (f"```json\n{DOCUMENT}\n```", "fence"),
        (f"```\n{DOCUMENT}```", "fence"),
        (f"```{DOCUMENT}```", "fence"),
        (f"Here it is:\n\n```JSON\r\n{DOCUMENT}\r\n```\nAnything else?", "fence"),
        (f"```json\n{DOCUMENT}", "fence"),  # never closed
        (f'```python\nprint("[1]")\n```\n```json\n{DOCUMENT}\n```', "fence"),
        (f'Short: ```{{"x": 1}}``` long: ```{DOCUMENT}```', "fence"),
        (f"The document is {DOCUMENT}. I hope that helps!", "prose"),
        (f"See [1] and {{this}}: {DOCUMENT} [end]", "prose"),
        (f"(It's 5\" wide) [note: {DOCUMENT}]", "prose"),
        (f"An open [bracket and then {DOCUMENT}", "prose"),
        (f"A stray ] and }} first. {DOCUMENT}", "prose"),
        (f'Draft {{"a": 0}} Final {DOCUMENT}', "prose"),
        (f'Open {{"draft\n{DOCUMENT}', "prose"),  # no string holds a line break
        (f"<think>[1, 2</think>{DOCUMENT}", "prose"),
        (DOCUMENT[:-1], "none"),
        (f"```json\n{DOCUMENT[:-1]}\n```", "none"),
        (DOCUMENT.replace(", ", ",, "), "none"),
        ('{"a": [1, {"b": 2}], "c": ', "none"),  # the inner object is not the answer
        ('{"outer": {"a": 1}, oops}', "none"),
        ("not found", "none"),
        ("I could not read it, see [1].", "none"),
        ("", "none"),
        ("```\n```", "none"),
    ],
)
def test_an_answer_is_found_wherever_it_stands(prediction, how):
    """Cut or broken documents give nothing, never one of their parts."""
    found = extract_json(prediction, DOCUMENT)
    assert found.how == how
    score = JsonExactMatch().score(prediction, sample(DOCUMENT))
    assert (score.values["json_exact_match"], score.extraction) == (float(how != "none"), how)
    assert JsonKeyValueMean().score(prediction, sample(DOCUMENT)).extraction == how


def test_of_two_answers_of_one_structure_the_last_counts():
    """Whichever is right: giving several answers wins nothing."""
    for right in (1, 2):
        answer = f'{{"a": {right}}}'
        assert extract_json('First I read {"a": 1}, on second thoughts {"a": 2}.', answer).text == '{"a": 2}'
        assert extract_json('```\n{"a": 1}\n```\n```\n{"a": 2}\n```', answer).text == '{"a": 2}'


OTHER = '{"total": 3, "pages": ["one", "two", "three"], "remark": "an object that is longer than the document that was asked for"}'
ENCODED = json.dumps(DOCUMENT)


@pytest.mark.parametrize(
    ("prediction", "how"),
    [
        (f"{DOCUMENT}\nFor comparison, the one of page 2: {OTHER}", "prose"),  # a longer other object behind it
        (f"{OTHER} belongs to page 2, and {DOCUMENT}", "prose"),
        (f"```json\n{OTHER}\n```\nThe document:\n```json\n{DOCUMENT}\n```", "fence"),  # the second of two fences
        (f"```json\n{DOCUMENT}\n```\nThe schema:\n```json\n{OTHER}\n```", "fence"),
        (f'```json\n{{"a": [], "c": ""}}\n```\nis empty. Filled:\n```json\n{DOCUMENT}\n```', "fence"),
        (f"```json\n{OTHER}\n```\nis the schema of {DOCUMENT}.", "prose"),
        (f"{OTHER[:-1]}, broken and longer than {DOCUMENT}", "none"),  # a fragment within what is broken
        (ENCODED, "raw"),  # string-encoded JSON
        (f"```\n{ENCODED}\n```", "fence"),
        (f"The answer is {ENCODED}.", "prose"),
        (json.dumps(ENCODED), "none"),  # encoded twice is not what was asked for
        (json.dumps("not found"), "none"),
        ('I see a list:\n```json\n["a", "c"]\n```', "none"),  # no JSON of the kind that was asked for
    ],
)
def test_the_document_that_was_asked_for_is_told_from_others(prediction, how):
    """By the structure, not by its length or place; strings that hold JSON are opened once."""
    score = JsonExactMatch().score(prediction, sample(DOCUMENT))
    assert score.values["json_exact_match"] == float(how != "none")
    assert score.extraction == how or prediction.startswith('"')  # JSON, though no document


@pytest.mark.parametrize("between", ["\n", "\n\n  ", " "])
def test_an_echo_of_the_prompt_is_no_answer(between):
    """The document of a text prompt is in its echo; only what follows the question counts."""
    question = "Write out the JSON document exactly as it is. Answer with the JSON only."
    asked = Sample("...", question, DOCUMENT, 64)
    echo = f"This is a JSON document:\n{DOCUMENT}{between}{question.replace(' ', between)}"
    for metric, name in ((JsonExactMatch(), "json_exact_match"), (JsonF1(), "json_f1"), (JsonKeyValueMean(), "json_key_value_mean")):
        assert metric.score(echo, asked).values[name] == 0
        assert metric.score(f"{echo}\n{DOCUMENT}", asked).values[name] == 1
        assert metric.score(f'{echo}\n{{"a": 1}}', asked).values[name] < 1


def test_a_list_is_told_from_another_by_its_length():
    assert extract_json("The list [1, 2, 3] and a longer one, [1, 2, 3, 4, 5, 6, 7].", "[1, 2, 3]").text == "[1, 2, 3]"


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_what_json_has_no_number_for_is_no_json(constant):
    """Python's own parser takes them, and NaN is not even equal to itself."""
    assert extract_json(f'{{"a": {constant}}}', "{}").how == "none"


def test_prose_around_an_expected_array_is_searched_for_arrays():
    found = extract_json('The list in {"x": 1} style is [1, 2, {"y": 3}].', "[]")
    assert (found.how, found.text) == ("prose", '[1, 2, {"y": 3}]')


@pytest.mark.parametrize(
    "hostile",
    [
        "[" * 5_000_000,
        '{"a":' * 1_000_000,
        '{"a":[' * 500_000 + "]}" * 500_000,
        "[" * 2_000_000 + "]" * 2_000_000,
        "[]" * 1_000_000,
        '{"a" ' + '\\"' * 2_000_000,
        '{"' * 1_000_000,
        '"' * 2_000_000 + "{}",
        "`" * 2_000_000,
        "```\n" * 500_000,
        "{x}" * 500_000,
        '{"a": ' + "9" * 1_000_000 + "}",
        '{"a": 1e99999999999999999999999}',
        '{"a": NaN, "b": -Infinity}',
        '{"a": "\ud800"}',
        "\ud800" * 1000,
        "\x00" * 1000,
        "{" + " " * 1_000_000,
        "{ " * 500_000,
    ],
    ids=range(19),
)
def test_hostile_predictions_score_low_and_never_raise(hostile):
    """Deep nesting, huge numbers, lone surrogates, megabytes of one bracket: a quadratic search would not end."""
    assert exact(hostile, REFERENCE) == 0
    assert structural(hostile, REFERENCE)[4] in (0, 1)
    assert 0 <= f1(hostile, REFERENCE)[0] < 0.3


def test_deep_but_legal_answers_are_compared_without_recursion():
    deep = '{"k":' * 400 + "1" + "}" * 400
    assert exact(deep, deep) == 1
    assert exact(deep.replace("1", "2"), deep) == 0
    assert f1(deep, deep) == (1, 1, 1)
    assert f1(deep.replace("1", "[3, 1]"), deep.replace("1", "[1, 2]")) == (1 / 2, 1 / 2, 1 / 2)


def test_many_leaves_far_down_do_not_multiply():
    """Written-out paths would take (depth x leaves) memory: 400 x 500,000 here."""
    wide = '{"k":' * 400 + "[" + "1," * 500_000 + "1]" + "}" * 400
    assert structural(wide, wide) == (1, 1, 1, 1, 1)
    assert f1(wide, wide) == (1, 1, 1)


def test_a_reference_that_is_no_json_is_the_tasks_mistake():
    with pytest.raises(ValueError, match=r"expected answer is not JSON .*; JSON metrics score tasks whose answer is a JSON document"):
        exact("{}", "forty-two")


def test_metrics_are_registered():
    registry = load_plugins()
    assert registry.metric("json_exact_match") == JsonExactMatch()
    for name in ("json_f1", "json_key_value_mean"):
        assert registry.metric(name).higher_is_better
        assert registry.metric(name).config == {}
    assert JsonExactMatch.version == 2  # another extraction than version 1

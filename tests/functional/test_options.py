"""Options are declared once: what is checked, what ``config schema`` says and what ``plugins show`` prints come from one place."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import attrs
import jsonschema
import pytest

import ctxbench
from ctxbench import ConfigError
from ctxbench.config import json_schema, make_config, read_text, read_yaml
from ctxbench.options import Anything, Boolean, Either, Further, Integer, Items, ListOf, Number, OneOf, Optional, String, Table, option
from ctxbench.plugin import KINDS
from ctxbench.plugin.options import options_of

ROOT = Path(__file__).parents[2]


@attrs.frozen
class Declared:
    """A class whose fields say what they take.

    Attributes:
        size: of a dot in px.
        mode: how it is drawn.
        key: of the account.
    """

    size: int = option(Integer(1, 9), 3)
    mode: str = option(String(("round", "square")), "round")
    key: str | None = option(Optional(String()), None, secret=True)
    _hidden: int = attrs.field(default=0, init=False)


def made(size: Annotated[int, Integer(2, 4)] = 2, mode: str = "square") -> Declared:
    """A function that makes one, with bounds of its own."""
    return Declared(size, mode)


def plain(count: int, share: float = 0.5, *, name: str | None = None, kind: Literal["a", "b"] = "a", where: Path = Path()) -> object:
    """A stranger's function, which declares nothing beside its signature.

    Args:
        count: how many.
    """
    return object()


def forwards(size: int = 1, **options: Annotated[Any, Further(edge=Number(0, 1))]) -> object:
    """A function that passes options on."""
    return object()


def test_one_declaration_for_class_and_function():
    """A class's field, and a function that returns the class, must tell the same; the function's own bounds go before."""
    known = options_of(Declared).known
    assert [(o.name, o.type, o.default, o.required, o.meaning, o.secret) for o in known.values()] == [
        ("size", "whole number from 1 to 9", 3, False, "of a dot in px.", False),
        ("mode", "one of round, square", "round", False, "how it is drawn.", False),
        ("key", "text, or null", None, False, "of the account.", True),
    ]
    own = options_of(made).known
    assert (own["size"].type, own["size"].meaning) == ("whole number from 2 to 4", "of a dot in px.")
    assert (own["mode"].value, own["mode"].default) == (known["mode"].value, "square")
    assert own.keys() == {"size", "mode"}


def test_a_strangers_signature_is_enough():
    """Types that YAML has are checked, others are left to the factory, and None as a default allows null."""
    known = options_of(plain).known
    assert {name: o.value for name, o in known.items()} == {
        "count": Integer(),
        "share": Number(),
        "name": Optional(String()),
        "kind": String(("a", "b")),
        "where": Anything(),
    }
    assert [name for name, o in known.items() if o.required] == ["count"]
    assert known["count"].meaning == "how many."


@pytest.mark.parametrize(
    ("factory", "given", "message"),
    [
        (Declared, {"sise": 3}, "codec 'x' has no option 'sise'; did you mean 'size'?"),
        (Declared, {"size": 10}, "codec 'x': size must be from 1 to 9, got 10"),
        (Declared, {"size": "3"}, "codec 'x': size must be a whole number, got '3'"),
        (Declared, {"size": True}, "codec 'x': size must be a whole number, got True"),
        (Declared, {"mode": "squar"}, "codec 'x': mode must be one of round, square, got 'squar'; did you mean 'square'?"),
        (made, {"size": 9}, "codec 'x': size must be from 2 to 4, got 9"),
        (plain, {"share": 1}, "codec 'x' needs the option 'count', which has no default"),
        (plain, {"count": 1, "share": "half"}, "codec 'x': share must be a number, got 'half'"),
        (plain, {"count": 1, "kind": "c"}, "codec 'x': kind must be one of a, b, got 'c'"),
        (forwards, {"edges": 1}, "codec 'x' has no option 'edges'; did you mean 'edge'?"),
        (forwards, {"edge": 2}, "codec 'x': edge must be from 0 to 1, got 2"),
    ],
)
def test_wrong_options(factory, given, message):
    """Each wrong option is one sentence with what, where and what is right."""
    with pytest.raises(ConfigError) as caught:
        options_of(factory).check("codec 'x'", given)
    assert str(caught.value) == message


def test_right_options():
    """What fits passes, null where it may be, and a factory with ``**options`` of which nothing is known takes all."""
    options_of(Declared).check("x", {"size": 9, "mode": "square", "key": None})
    options_of(plain).check("x", {"count": 2, "share": 1, "name": None, "where": 17})
    options_of(functools.partial(dict)).check("x", {"anything": 1})


def test_a_class_checks_what_it_is_given_by_anyone():
    """The same bounds hold where a class is made without the registry."""
    with pytest.raises(ValueError, match=r"^size must be from 1 to 9, got 0$"):
        Declared(size=0)
    assert "secret" not in repr(Declared(key="secret"))


def test_a_secret_is_not_quoted():
    """A key in the wrong place must not stand in a message that is logged."""
    for make in (lambda: Declared(key=12345678), lambda: options_of(Declared).check("x", {"key": 12345678})):
        with pytest.raises((ValueError, ConfigError), match="key must be text, or null") as caught:
            make()
        assert "1234" not in str(caught.value)
    with pytest.raises(ConfigError, match="count must be a whole number") as caught:
        options_of(plain, ["count"]).check("x", {"count": "12345678"})
    assert "1234" not in str(caught.value)


def test_the_registry_checks_what_a_stranger_annotated(fake_distribution):
    """A factory that checks nothing itself is given nothing but what its signature says."""
    source = """
import ctxbench

class Said(ctxbench.Codec):
    def encode(self, text):
        return ctxbench.Carrier(text=text)

def make(times: int = 1, mode: str = "a"):
    return Said()

@ctxbench.hookimpl
def ctxbench_codecs():
    yield ctxbench.CodecRecord("said", "Said again.", make)
"""
    fake_distribution("said-codec", source)
    registry = ctxbench.load_plugins(reload=True)
    assert registry.codec("said", times=2).encode("x").text == "x"
    with pytest.raises(ConfigError, match=r"^codec 'said': times must be a whole number, got 'two'$"):
        registry.codec("said", times="two")
    with pytest.raises(ConfigError, match=r"^codec 'said' has no option 'time'; did you mean 'times'\?$"):
        registry.codec("said", time=2)


VALUES: list[tuple[Any, list[Any], list[Any]]] = [
    (Integer(1, 9), [1, 9], [0, 10, 1.5, "1", True, None]),
    (Integer(), [-(10**6), 0], [0.5, False]),
    (Number(0, 1), [0, 0.5, 1], [-0.1, 1.1, "1", True]),
    (Number(above=0), [0.001, 5], [0, -1]),
    (Boolean(), [True, False], [0, "true", None]),
    (String(), ["", "a"], [1, None]),
    (String(empty=False), ["a"], ["", 1]),
    (String(("a", "b")), ["a"], ["c", None, 1]),
    (OneOf(2, 4), [2], [3, "2"]),
    (Optional(Integer(1)), [None, 1], [0, "x"]),
    (ListOf(Integer(1)), [1, [1, 2]], [[], [0], "x"]),
    (Items(Number(0, 1), 2), [[0, 1]], [[0], [0, 1, 1], 0.5, [0, 2]]),
    (Items(String(), least=1), [["a"]], [[], "a"]),
    (Table(Integer(0)), [{}, {"a": 1}], [{"a": -1}, [], "a"]),
    (Either(String(), Integer(0)), ["a", 1], [-1, None, [1]]),
]


@pytest.mark.parametrize(("value", "right", "wrong"), VALUES)
def test_the_schema_takes_what_the_check_takes(value, right, wrong):
    """An editor that follows the schema must agree with the command, on what is right and on what is wrong."""
    validator = jsonschema.Draft202012Validator(value.schema())
    for item in right:
        value.parse(item, "x")
        assert validator.is_valid(item), item
    for item in wrong:
        with pytest.raises(ConfigError, match=r"^x"):
            value.parse(item, "x")
        assert not validator.is_valid(item), item
    assert value.words


def _options() -> Iterator[tuple[str, str, Any]]:
    registry = ctxbench.load_plugins()
    for kind in KINDS:
        for name in registry.names(kind):
            if registry.find(kind, name).origin.distribution.startswith("ctxbench"):
                for found in registry.options(kind, name).known.values():
                    yield kind, name, found


def test_every_option_of_ours_has_a_meaning_and_a_type():
    """``plugins show`` leaves no blank, and no option of ours is checked by nobody."""
    blank = [f"{kind} {name}: {found.name}" for kind, name, found in _options() if not found.meaning]
    unchecked = [f"{kind} {name}: {found.name}" for kind, name, found in _options() if isinstance(found.value, Anything)]
    assert not blank
    assert not unchecked


def test_every_default_of_ours_is_allowed():
    """A default that its own declaration refuses could not be written into a config."""
    for kind, name, found in _options():
        if not found.required and not found.further:
            found.value.parse(found.default, f"{kind} {name} {found.name}")


@pytest.fixture(scope="module")
def validator():
    schema = json_schema()
    assert json.loads(json.dumps(schema)) == schema
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


CONFIGS = [
    *sorted(ROOT.glob("configs/*.yaml")),
    *sorted(ROOT.glob("cli/src/ctxbench_cli/configs/*.yaml")),
    ROOT / "plugins/tiny/experiment.yaml",
]
OTHERS = {"data-qwen2vl.yaml", "train-qwen2vl.yaml"}
"""Of ``data build`` and ``train``, which have schemas of their own."""


@pytest.mark.parametrize("path", [path for path in CONFIGS if path.name not in OTHERS], ids=lambda path: path.name)
def test_our_configs_fit_the_schema(validator, path):
    """Every experiment in the repository must be right by the schema that editors use."""
    data = read_yaml(read_text(path), str(path))
    validator.validate(data)
    validator.validate(make_config(data).plain())


@pytest.mark.parametrize(
    ("data", "fits"),
    [
        ({"codecs": ["render", {"name": "render", "font_size": 14, "label": "large"}]}, True),
        ({"codecs": {"name": "render", "profile": "glyph", "line_height": 12}}, True),
        ({"codecs": {"name": "render", "font_size": 4}}, False),
        ({"codecs": {"name": "render", "fontsize": 12}}, False),
        ({"codecs": "rendr"}, False),
        ({"codecs": {"name": "codebook", "preset": "colour4"}}, False),
        ({"tasks": {"name": "needle", "depth": [0, 0.5]}}, True),
        ({"tasks": {"name": "needle", "depth": 1.5}}, False),
        ({"tasks": "qa"}, True),  # its path is missing, which a name alone cannot show
        ({"tasks": {"name": "qa"}}, False),
        ({"models": ["channel", {"name": "mock", "answer": "x"}]}, True),
        ({"models": {"name": "mock", "answer": 7}}, False),
        ({"augmentations": {"name": "custom", "scale": [0.5, 1], "fill": 0}}, True),
        ({"augmentations": {"name": "custom", "scale": 9}}, False),
        ({"run": {"executor": {"name": "local", "workers": 0}}}, True),
        ({"run": {"executor": {"name": "local", "workers": -1}}}, False),
        ({"metrics": {"name": "character_error_rate", "cap": 0}}, False),
    ],
)
def test_the_schema_knows_the_options_of_components(validator, data, fits):
    """An editor must mark a wrong option, value or name, and nothing that a run would take."""
    assert validator.is_valid(data) is fits


def test_models_with_a_reference(validator):
    """``hf:<id>`` and ``openai:<name>`` are names; what takes no reference has none."""
    pytest.importorskip("ctxbench_openai")
    assert validator.is_valid({"models": ["openai:m@http://h/v1", {"name": "openai:m@http://h/v1", "temperature": 1}]})
    assert not validator.is_valid({"models": {"name": "openai:m@http://h/v1", "temperature": 3}})
    assert not validator.is_valid({"models": "channel:x"})


def test_what_cannot_be_loaded_may_have_any_option(fake_distribution):
    """A component whose module is broken must not break the schema of the others."""
    record = "ctxbench.CodecRecord('odd', 'Odd.', 'nowhere:Odd')"
    fake_distribution("odd", f"import ctxbench\n@ctxbench.hookimpl\ndef ctxbench_codecs():\n    yield {record}\n")
    schema = json_schema(ctxbench.load_plugins(reload=True))
    assert schema["$defs"]["codec.odd"]["additionalProperties"] is True
    assert schema["$defs"]["codec.render"]["additionalProperties"] is False

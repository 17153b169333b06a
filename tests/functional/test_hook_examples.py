"""Every example of docs/hooks.md, of the hook specifications' docstrings and of the README is a plugin that keeps its contract."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ctxbench import ConfigError
from ctxbench.plugin import KINDS, spec
from ctxbench.registry import load_plugins
from ctxbench.testing.checking import check_rules
from ctxbench.testing.subject import Subject

ROOT = Path(__file__).parents[2]
HOOKS = (ROOT / "docs" / "hooks.md").read_text("utf-8")
MODULES = dict(re.findall(r"```python\n# (\w+)\.py\n(.*?)```", HOOKS, re.S))
DOTS = re.search(r"```python title=dots_codec.py\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
EXAMPLES = {
    name: inspect.cleandoc(inspect.getdoc(getattr(spec, name)).partition("Example::")[2])
    for name in vars(spec)
    if name.startswith("ctxbench_")
}


@pytest.fixture
def examples(fake_distribution, tmp_path):
    """The modules of docs/hooks.md on ``sys.path``, and each docstring's example as an installed plugin."""
    for name, source in MODULES.items():
        (tmp_path / "site" / f"{name}.py").write_text(source, "utf-8")
    for hook, example in EXAMPLES.items():
        fake_distribution(f"example-{hook.replace('_', '-')}", f"import click, ctxbench\n\n{example}\n")
    yield load_plugins(reload=True)
    for name in MODULES:
        sys.modules.pop(name, None)


def broken(kind: str, component: object, name: str | None) -> list[str]:
    """The rules that a component breaks."""
    return [f"{r.rule}: {r.text}" for r in check_rules(Subject(kind, component, name)) if r.outcome == "FAIL"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_every_kind_keeps_its_contract(examples, kind):
    """Whoever pastes an example begins with a plugin that is right: docstring, docs/hooks.md and rules fit together."""
    assert examples.failures == []
    ours = [name for name in examples.names(kind) if examples.find(kind, name).origin.distribution.startswith("example-")]
    assert len(ours) == 1
    assert broken(kind, examples.make(kind, ours[0]), ours[0]) == []


def test_every_module_of_the_documents_is_tried():
    """An example that is added to docs/hooks.md is found by these tests: it is a module that a docstring's example names, or a test."""
    named = {name for example in EXAMPLES.values() for name in re.findall(r'"(\w+):\w+"', example)}
    assert set(MODULES) - {"test_rot13", "caesar_codec"} == named
    assert HOOKS.count("```python") == len(MODULES)


def test_the_first_example_alone_is_a_plugin(fake_distribution):
    """``rot13_codec.py`` brings its own hook, as it stands."""
    fake_distribution("rot13-codec", MODULES["rot13_codec"])
    registry = load_plugins(reload=True)
    assert registry.failures == []
    assert broken("codec", registry.codec("rot13"), "rot13") == []


def test_the_example_of_options(fake_distribution):
    """The class with declared options keeps the contract, and its options are checked and told as the page says."""
    offer = """

@ctxbench.hookimpl
def ctxbench_codecs():
    yield ctxbench.CodecRecord("caesar", "Letters moved.", Caesar)
"""
    fake_distribution("caesar-codec", MODULES["caesar_codec"] + offer)
    registry = load_plugins(reload=True)
    assert broken("codec", registry.codec("caesar"), "caesar") == []
    with pytest.raises(ConfigError) as caught:
        registry.codec("caesar", shift=99)
    assert f"*{caught.value}*" in HOOKS
    assert [(o.name, o.type, o.meaning) for o in registry.options("codec", "caesar").known.values()] == [
        ("shift", "whole number from 1 to 25", "places by which a letter is moved."),
        ("direction", "one of forward, back", "which way."),
    ]


def test_the_example_of_a_test_runs(tmp_path):
    """``test_rot13.py`` finds the contract's tests and all of them pass."""
    for name in ("rot13_codec", "test_rot13"):
        (tmp_path / f"{name}.py").write_text(MODULES[name], "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_rot13.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= 38


def test_the_plugin_of_the_readme_keeps_its_contract(fake_distribution):
    """The codec that the README shows is found, and is right."""
    fake_distribution("dots-codec", DOTS[1])
    registry = load_plugins(reload=True)
    assert broken("codec", registry.codec("dots"), "dots") == []

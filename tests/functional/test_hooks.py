"""Meta-tests: every hook is documented with its exact signature and has a test here; and the tests themselves."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ctxbench.plugin import spec
from ctxbench.registry import load_plugins
from ctxbench_cli.main import COMMANDS, Cli, cli

HOOKS = sorted(name for name in vars(spec) if name.startswith("ctxbench_"))
DOCS = Path(__file__).parents[2] / "docs" / "hooks.md"

COMPONENT = """
import attrs, ctxbench
from ctxbench import *

@attrs.frozen
class Thing({interface}):
    size: int = 1
    def encode(self, text): return Carrier(text=text)
    def apply(self, image, rng): return image.copy()
    def sample(self, bucket, seed): return Sample("c", "q", "a", bucket)
    def solve(self, context, question): return "a"
    def score(self, prediction, sample): return {{"thing": 1.0}}
    def read(self, prompts): return [Reading("x") for _ in prompts]
    def image(self, width, height): return ImageTokens(width * height, width, height)
    def map(self, function, jobs, *, window): return (function(job) for job in jobs)

@hookimpl
def {hook}():
    yield {record}("thing", "A thing.", Thing)
"""


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented_with_its_signature(hook):
    """docs/hooks.md has a section whose heading is the hook's signature, so that it cannot drift."""
    signature = str(inspect.signature(getattr(spec, hook))).replace("'", "")
    assert f"\n## `{hook}{signature}`\n" in DOCS.read_text("utf-8")


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_test(hook):
    """This file holds a test named after each hook."""
    tree = ast.parse(Path(__file__).read_text("utf-8"))
    tests = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert f"test_{hook}" in tests


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_an_example_that_parses(hook):
    """The example in a hook's docstring is code that can be pasted."""
    example = inspect.getdoc(getattr(spec, hook)).partition("Example::")[2]
    assert f"def {hook}(" in example
    ast.parse(inspect.cleandoc(example))


def test_the_docs_name_no_hook_that_does_not_exist():
    """A hook that was renamed must not live on in the documents."""
    assert set(re.findall(r"^## `(ctxbench_\w+)\(", DOCS.read_text("utf-8"), re.M)) == set(HOOKS)


def component_hook(fake_distribution, hook, record, interface, kind):
    fake_distribution("thing-dist", COMPONENT.format(hook=hook, record=record, interface=interface))
    registry = load_plugins(reload=True)
    assert registry.failures == []
    thing = registry.make(kind, "thing", size=7)
    assert thing.config == {"size": 7}
    return thing


def test_ctxbench_codecs(fake_distribution):
    """A codec that a plugin offers can be made and encodes."""
    assert component_hook(fake_distribution, "ctxbench_codecs", "CodecRecord", "Codec", "codec").encode("t").text == "t"


def test_ctxbench_augmenters(fake_distribution):
    """An augmenter that a plugin offers can be made."""
    component_hook(fake_distribution, "ctxbench_augmenters", "AugmenterRecord", "Augmenter", "augmenter")


def test_ctxbench_tasks(fake_distribution):
    """A task that a plugin offers can be made and gives samples."""
    assert component_hook(fake_distribution, "ctxbench_tasks", "TaskRecord", "Task", "task").sample(64, 1).bucket == 64


def test_ctxbench_metrics(fake_distribution):
    """A metric that a plugin offers can be made."""
    component_hook(fake_distribution, "ctxbench_metrics", "MetricRecord", "Metric", "metric")


def test_ctxbench_models(fake_distribution):
    """A model that a plugin offers can be made and reads."""
    assert component_hook(fake_distribution, "ctxbench_models", "ModelRecord", "Model", "model").read([1, 2])[1].text == "x"


def test_ctxbench_token_counters(fake_distribution):
    """A family that a plugin offers counts through ``ctxbench.tokens``."""
    from ctxbench import tokens

    component_hook(fake_distribution, "ctxbench_token_counters", "TokenCounterRecord", "TokenCounter", "token_counter")
    assert tokens.visual_tokens(3, 5, family="thing") == 15


def test_ctxbench_executors(fake_distribution):
    """An executor that a plugin offers runs jobs."""
    thing = component_hook(fake_distribution, "ctxbench_executors", "ExecutorRecord", "Executor", "executor")
    assert list(thing.map(abs, [-1], window=1)) == [1]


COMMAND = """
import click, ctxbench
@ctxbench.hookimpl
def ctxbench_commands(cli):
    @cli.command()
    def hello():
        click.echo("hello from a plugin")
"""


def test_ctxbench_commands(fake_distribution):
    """A plugin's command runs; one that replaces a command, or raises, is left out and changes nothing."""
    fake_distribution("a-command", COMMAND)
    fake_distribution("b-command", COMMAND.replace("hello from a plugin", "stolen"))
    fake_distribution("c-command", COMMAND.replace("    @cli.command()", "    cli.commands.clear()\n    1 / 0\n    @cli.command()"))
    fake_distribution("d-command", COMMAND.replace("def hello", "def doctor"))
    group = Cli("ctxbench")
    registry = load_plugins(reload=True)
    registry.manager.add_commands(group, reserved=["doctor"])
    assert CliRunner().invoke(group, ["doctor", "--help"]).output.startswith("Usage: ctxbench doctor [OPTIONS]\n\n  Check this")
    assert CliRunner().invoke(group, ["hello"]).output == "hello from a plugin\n"
    problems = [(f.origin.distribution, f.stage, f.error) for f in registry.failures]
    assert problems == [
        ("b-command", "ctxbench_commands", "PluginError: command 'hello' is taken"),
        ("c-command", "ctxbench_commands", "ZeroDivisionError: division by zero"),
        ("d-command", "ctxbench_commands", "PluginError: command 'doctor' is taken"),
    ]


def test_listed_commands():
    """The list of commands, which imports none of them, says what each says of itself."""
    for name, text in COMMANDS.items():
        command = cli.get_command(click.Context(cli), name)
        assert (command.name, command.get_short_help_str(200)) == (name, text)


def test_start_imports_little():
    """``ctxbench --help`` knows every plugin and imports neither arrays nor images, YAML or a command of ours."""
    code = (
        "import sys; from ctxbench_cli import main; sys.argv = ['ctxbench', '--help']\n"
        "try: main.run_command()\nexcept SystemExit: pass\n"
        "print(sorted({'numpy', 'PIL', 'yaml', 'duckdb', 'torch', 'multiprocessing.pool', 'ctxbench_cli.commands.run'} & set(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1] == "[]"


FINISHED = """
import ctxbench
seen = []
@ctxbench.hookimpl
def ctxbench_trial_finished(result):
    seen.append(result.trial_id)
    {then}
"""


def test_ctxbench_trial_finished(fake_distribution, tmp_path):
    """Every stored trial is told to every plugin; one that raises is reported once and the run goes on."""
    import importlib

    from ctxbench.config import make_config
    from ctxbench.engine import RunReport, run

    fake_distribution("good-listener", FINISHED.format(then="pass"))
    fake_distribution("bad-listener", FINISHED.format(then="1 / 0"))
    registry = load_plugins(reload=True)
    config = make_config(
        {
            "samples": 2,
            "buckets": [64],
            "tasks": ["needle"],
            "codecs": ["text"],
            "models": ["mock"],
            "store": str(tmp_path / "s.duckdb"),
            "run": {"executor": {"name": "local", "workers": 0}},
        }
    )
    report = RunReport()
    with run(config, registry=registry, report=report) as store:
        stored = {row[0] for row in store.query("SELECT trial_id FROM trials").rows}
    assert len(stored) == report.planned
    assert set(importlib.import_module("good_listener").seen) == stored
    assert len(importlib.import_module("bad_listener").seen) == 2
    assert [f.origin.distribution for f in registry.failures] == ["bad-listener"]

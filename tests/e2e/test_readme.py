"""Everything in README.md is run: its commands in order, its files, its codec."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from benchmarks.readme import blocks, commands, normal, run_block
from ctxbench.testing import CodecContract

README = Path(__file__).parents[2] / "README.md"
DOCUMENT = README.read_text("utf-8")


def slow(text: str) -> bool:
    """Whether a block runs trials, or asks for those that such a block stored."""
    return any("ctxbench run" in command or "channel.duckdb" in command for command in commands(text))


def test_the_quick_commands_print_what_the_readme_shows(tmp_path):
    """All but the runs and what is asked about their results: a user's own text, and the codec of the README."""
    ran = 0
    for block in blocks(DOCUMENT):
        if block.language != "console" or not slow(block.text):
            assert normal(run_block(block, tmp_path), block.neural) == normal(block.text, block.neural)
            ran += len(commands(block.text)) if block.language == "console" else 0
    assert ran >= 3


@pytest.mark.long
def test_every_command_prints_what_the_readme_shows(tmp_path):
    """All console blocks run in one folder, in order; their output is the README's, but for times."""
    ran = 0
    for block in blocks(DOCUMENT):
        assert normal(run_block(block, tmp_path), block.neural) == normal(block.text, block.neural)
        ran += len(commands(block.text)) if block.language == "console" else 0
    assert ran >= 8


def test_the_pictures_exist():
    """Every image and file that the README links to is in the repository."""
    import re

    for target in re.findall(r"\]\((?!http)([^)#]+)", DOCUMENT):
        assert (README.parent / target).exists(), target


@pytest.fixture(scope="module")
def dots(tmp_path_factory):
    source = next(block.text for block in blocks(DOCUMENT) if block.title == "dots_codec.py")
    assert len([line for line in source.splitlines() if line.strip()]) <= 40
    path = tmp_path_factory.mktemp("dots") / "dots_codec.py"
    path.write_text(source, "utf-8")
    spec = importlib.util.spec_from_file_location("dots_codec", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["dots_codec"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["dots_codec"]


class TestDots(CodecContract):
    """The codec of the README is at most 40 lines and passes the contract that it is told to pass."""

    @pytest.fixture
    def codec(self, dots):
        return dots.Dots()

"""Everything in README.md is run: its commands in order, its files, its codec."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from benchmarks.readme import blocks, commands, normal, run_block
from ctxbench.testing import CodecContract

README = Path(__file__).parents[2] / "README.md"
DOCUMENT = README.read_text("utf-8")


def test_every_command_prints_what_the_readme_shows(tmp_path):
    """All console blocks run in one folder, in order; their output is the README's, but for times."""
    ran = 0
    for block in blocks(DOCUMENT):
        assert normal(run_block(block, tmp_path)) == normal(block.text)
        ran += len(commands(block.text)) if block.language == "console" else 0
    assert ran >= 8


def test_the_pictures_exist():
    """Every image and file that the README links to is in the repository."""
    import re

    for target in re.findall(r"\]\((?!http)([^)#]+)", DOCUMENT):
        assert (README.parent / target).exists(), target


def _dots():
    source = next(block.text for block in blocks(DOCUMENT) if block.title == "dots_codec.py")
    assert len([line for line in source.splitlines() if line.strip()]) <= 40
    spec = importlib.util.spec_from_loader("dots_codec", loader=None)
    module = importlib.util.module_from_spec(spec)
    exec(compile(source, "dots_codec.py", "exec"), module.__dict__)
    return module


class TestDots(CodecContract):
    """The codec of the README passes the contract that it is told to pass."""

    @pytest.fixture
    def codec(self):
        return _dots().Dots()

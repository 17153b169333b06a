"""docs/documents.md: every command is run, in order, and prints what the page shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from benchmarks.readme import blocks, commands, normal, run_block
from ctxbench.config import make_config

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "documents.md"
DOCUMENT = PAGE.read_text("utf-8")


@pytest.mark.long
def test_every_command_prints_what_the_page_shows(tmp_path):
    """All console blocks run in one folder, in order."""
    ran = 0
    for block in blocks(DOCUMENT):
        assert normal(run_block(block, tmp_path)) == normal(block.text)
        ran += len(commands(block.text)) if block.language == "console" else 0
    assert ran >= 8


def test_the_costs_are_what_the_page_shows(tmp_path):
    """The quick part of it: the files of the page, and what they cost."""
    made = [block for block in blocks(DOCUMENT) if block.title or "ctxbench cost" in block.text]
    assert len(made) == 4
    for block in made:
        assert normal(run_block(block, tmp_path)) == normal(block.text)


def test_what_the_page_links_to_is_there():
    """Links of a page go by its own folder; the example is a config."""
    for target in re.findall(r"\]\((?!http)([^)#]+)", DOCUMENT):
        assert (PAGE.parent / target).exists(), target
    config = make_config(yaml.safe_load((ROOT / "configs/documents.yaml").read_text()), "documents.yaml")
    assert [task.name for task in config.tasks] == ["transcribe"]

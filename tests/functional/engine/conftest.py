"""The parts of the engine's tests, installed as a plugin is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))  # engine_parts

from engine_parts import PARTS  # noqa: E402

from ctxbench.registry import load_plugins  # noqa: E402


@pytest.fixture
def parts(fake_distribution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """The parts, installed; ``parts()`` gives the calls so far, those in worker processes included."""
    fake_distribution("parts-dist", PARTS)
    monkeypatch.setenv("PARTS_LOG", str(tmp_path / "calls"))
    load_plugins(reload=True)

    def calls() -> list[str]:
        path = tmp_path / "calls"
        return path.read_text().splitlines() if path.exists() else []

    return calls


@pytest.fixture
def bad_parts(fake_distribution):
    """``bad_parts(source)`` installs one more plugin beside the good parts: a stranger's, with the usual imports at hand."""
    head = "import os, attrs, ctxbench\nfrom ctxbench import *\nfrom PIL import Image\n"

    def install(source: str) -> None:
        fake_distribution("bad-dist", head + source)
        load_plugins(reload=True)

    return install

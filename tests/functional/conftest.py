"""Fake distributions on sys.path, found exactly as installed ones are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ctxbench.registry import load_plugins

FakeDistribution = Callable[..., None]


@pytest.fixture
def fake_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDistribution]:
    """``fake_distribution("dist-name", "module source")`` installs a module with an entry point in group ``ctxbench``."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    modules: list[str] = []

    def install(name: str, source: str, *, entry_point: str | None = None, version: str = "1.0") -> None:
        module = name.replace("-", "_")
        modules.append(module)
        (folder / f"{module}.py").write_text(source, "utf-8")
        info = folder / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8")
        (info / "entry_points.txt").write_text(f"[ctxbench]\n{entry_point or name} = {module}\n", "utf-8")

    yield install
    monkeypatch.undo()  # sys.path and environment first, or the plugins would load again
    for module in modules:
        sys.modules.pop(module, None)
    load_plugins(reload=True)

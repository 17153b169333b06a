"""The notebook that people start from runs from top to bottom, and says what it is there to say."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "start.py"


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    """Its app, to be run in an empty folder."""
    pytest.importorskip("marimo")
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("start", NOTEBOOK)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "start", module)
    spec.loader.exec_module(module)
    return module.app


def test_the_notebook_runs_and_its_figures_are_those_of_its_run(notebook, tmp_path):
    """Costs, a run of 48 trials, SQL, figures and the report; text comes back exactly, and no codec costs what another does."""
    _, found = notebook.run()
    costs = {row["codec"]: row for row in found["costs"]}
    assert (costs["text"]["ratio"], costs["text"]["pages"]) == (1.0, 0)
    assert costs["small print"]["tokens"] < costs["render"]["tokens"]
    survived = found["survived"].set_index(["codec", "augmentation"])
    assert len(survived) == 8
    assert set(survived["n"]) == {6}
    assert survived.loc["text", "exact"].tolist() == [1.0, 1.0]
    assert survived.loc[("small print", "heavy"), "exact"] < 1
    assert (found["report"].trials, found["report"].cells, found["report"].plots >= 5) == (48, 8, True)
    assert (tmp_path / "start-report.html").stat().st_size > 100_000
    assert found["figure"].axes
    found["store"].close()

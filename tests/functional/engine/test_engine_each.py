"""Models that answer prompts one by one: each answer is kept as it comes."""

from __future__ import annotations

import engine_parts as parts_of_tests
import pytest

import ctxbench
from ctxbench.engine import RunReport

ONE_BY_ONE = """
@attrs.frozen
class Each(Model):
    at_once = 3
    how: str = ""
    def read(self, prompts): raise RuntimeError("it reads one by one")
    def read_each(self, prompts):
        with open(os.environ["PARTS_LOG"], "a") as file: file.write(f"batch {len(prompts)}\\n")
        for i in reversed(range(len(prompts))):
            if self.how == "interrupt" and i == 0: raise KeyboardInterrupt
            if self.how == "break" and i == 0: raise RuntimeError("broke")
            if self.how == "twice": yield 1, Reading("x")
            if self.how == "missing" and i == 0: return
            yield i, Reading(prompts[i].text.split()[-1], cost_usd=0.25)

@hookimpl
def ctxbench_models(): yield ModelRecord("each", "s", Each)
"""


@pytest.fixture
def run(parts, bad_parts, tmp_path):
    """``run("break")`` runs four trials, one sample each, with this model; gives the store's rows by sample."""
    bad_parts(ONE_BY_ONE)

    def go(how: str, report: RunReport | None = None):
        model = {"name": "each", "label": "each", "how": how}
        changes = {"models": [model], "samples": 4, "augmentations": ["clean"], "run": {"batch_size": 1}}
        with ctxbench.run(parts_of_tests.config(tmp_path, **changes), report=report) as store:
            return store.query("SELECT status, prediction, sample_seed, error_message, cost_usd FROM results ORDER BY sample_index").rows

    return go


def test_more_at_once_than_the_batch_size(run, parts):
    """The model is given as many prompts as it can use, each answer is its own prompt's, and the row holds its cost."""
    report = RunReport()
    rows = run("", report)
    assert [(status, prediction) for status, prediction, *_ in rows] == [("ok", str(seed)) for _, _, seed, *_ in rows]
    assert [line for line in parts() if line.startswith("batch")] == ["batch 3", "batch 1"]
    assert [cost for *_, cost in rows] == [0.25] * 4
    assert report.spent_usd == 1.0


def test_an_error_keeps_what_had_come(run):
    """Two of three answers had come: the third prompt alone is an error."""
    rows = run("break")
    assert [status for status, *_ in rows] == ["error", "ok", "ok", "error"]
    assert [message for *_, message, _ in rows] == ["broke", None, None, "broke"]


def test_an_interrupt_keeps_what_had_come(run, tmp_path):
    """Ctrl-C in the middle of a batch stores the answers that are there, and no errors."""
    with pytest.raises(KeyboardInterrupt):
        run("interrupt")
    with ctxbench.Store.open_read_only(tmp_path / "s.duckdb") as store:
        assert store.query("SELECT sample_index, status FROM trials ORDER BY 1").rows == [(1, "ok"), (2, "ok")]
        assert store.query("SELECT status, finished, errors, spent_usd FROM runs").rows == [("interrupted", 2, 0, 0.5)]


@pytest.mark.parametrize(
    ("how", "message"), [("twice", "read_each() gave index 1 twice"), ("missing", "read_each() gave 2 readings for 3 prompts")]
)
def test_wrong_indices_are_those_trials_errors(run, how, message):
    """An index that comes twice or not at all ends the batch; what had come is kept."""
    rows = run(how)
    assert message in {row[3] for row in rows}
    assert rows[2][:2] == ("ok", str(rows[2][2]))

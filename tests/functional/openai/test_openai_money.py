"""Prices, the budget, and answers that are kept."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import fault_server as fs
import pytest
from PIL import Image

import ctxbench
from ctxbench import BudgetReached, ConfigError, Prompt
from ctxbench.config import make_config
from ctxbench.engine import RunReport

PRICES = {"input": 100.0, "cached": 10.0, "output": 1000.0}
PAGE = Image.new("RGB", (56, 84), (1, 2, 3))


def experiment(server, tmp_path, **changes):
    """Twelve needles in text, asked at the server."""
    model = {"name": f"openai:served@{server.url}", "prices": PRICES, "concurrency": 2, **changes.pop("model", {})}
    run = {"executor": {"name": "local", "workers": 0}, "channel": False, "batch_size": 1, **changes.pop("run", {})}
    settings = {"samples": 12, "buckets": [64], "tasks": ["needle"], "codecs": ["text"], "augmentations": ["clean"]}
    return make_config({"models": [model], **settings, "run": run, "store": str(tmp_path / "s.duckdb"), **changes})


def test_the_price_of_an_answer(server, served):
    """(40 - 16) input, 16 cached, 2 output tokens at $100, $10, $1,000 a million; a page's probe is paid and no cost of the answer."""
    usage = {"prompt_tokens": 40, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 16}}
    rest = {"prompt_tokens": 10, "completion_tokens": 1}
    server.always(lambda handler, body: handler.answer("x", usage if fs.pages_of(body) else rest))
    (reading,) = served(prices=PRICES).read([Prompt((PAGE,), "?")])
    assert reading.cost_usd == pytest.approx((24 * 100 + 16 * 10 + 2 * 1000) / 1e6)
    assert reading.spent_usd == pytest.approx(reading.cost_usd + (10 * 100 + 1 * 1000) / 1e6)
    assert served().read([Prompt((), "?")])[0].cost_usd is None


def test_an_attempt_that_may_have_been_billed_is_counted(server, served):
    """An answer that was cut off was made all the same: it counts as the most that it can cost."""
    server.first(fs.cut)
    model = served(prices=PRICES)
    prompt = Prompt((), "?", max_new_tokens=50)
    (reading,) = model.read([prompt])
    assert reading.spent_usd == pytest.approx(reading.cost_usd + model.most_usd(prompt))
    server.always(fs.error(400, "no"))
    assert model.read([Prompt((), "other")])[0].spent_usd == 0.0


def test_equal_prompts_are_paid_once(served):
    """Three equal prompts are one request: each row has its cost, and the run has paid one."""
    readings = served(prices=PRICES).read([Prompt((), "?")] * 3)
    assert len({reading.cost_usd for reading in readings}) == 1
    assert sum(reading.spent_usd for reading in readings) == pytest.approx(readings[0].cost_usd)
    assert readings[0].cost_usd > 0


def test_the_bound_is_above_what_any_rule_counts(served):
    """Of every family that ships, none spends more on a page than the bound; text has at most as many tokens as bytes."""
    model = served(prices={"input": 1e6, "output": 0}, probe=False)
    registry = ctxbench.load_plugins()
    for size in ((1, 1), (28, 28), (600, 800), (1000, 1000), (1988, 1500)):
        most = model.most_usd(Prompt((Image.new("RGB", size),), ""))
        for name in registry.names("token_counter"):
            image = registry.token_counter(name).image(*size)
            assert image.tokens + image.markers <= most, (name, size)
    assert model.most_usd(Prompt((), "语" * 100, "s" * 50)) >= 350


def test_a_run_stops_before_its_budget_is_passed_and_goes_on(server, tmp_path):
    """What was paid never passes the budget; every answer is stored; the same config runs the rest; the rows hold the money."""
    reports = []
    while sum(report.finished for report in reports) < 12:
        reports.append(RunReport())
        with contextlib.suppress(BudgetReached):
            ctxbench.run(experiment(server, tmp_path, run={"budget": 0.2}), report=reports[-1]).close()
        assert 0 < reports[-1].spent_usd <= 0.2
        assert reports[-1].finished > 0
    assert len(reports) > 1
    with ctxbench.Store.open_read_only(tmp_path / "s.duckdb") as store:
        assert store.query("SELECT count(*), count(DISTINCT trial_id) FROM trials WHERE status = 'ok'").rows == [(12, 12)]
        runs = store.query("SELECT status, spent_usd FROM runs ORDER BY started_at").rows
        (total,) = store.query("SELECT sum(cost_usd) FROM results").rows[0]
    assert [status for status, _ in runs] == ["interrupted"] * (len(reports) - 1) + ["finished"]
    assert [spent for _, spent in runs] == pytest.approx([report.spent_usd for report in reports])
    assert sum(spent for _, spent in runs) == pytest.approx(total)
    assert len(server.arrivals) == 12


def test_the_command_says_why_it_stopped(server, tmp_path):
    """``--budget`` ends with exit code 3 and one line; without it the run goes on from there and says what it spent."""
    (tmp_path / "c.yaml").write_text(json.dumps(experiment(server, tmp_path).plain()))
    stopped = ctxbench_command(tmp_path, "run", "c.yaml", "--budget", "0.2")
    assert stopped.returncode == 3
    assert stopped.stderr.strip().splitlines()[-1].startswith("error: stopped before the budget of $0.2 is passed: $0.")
    finished = ctxbench_command(tmp_path, "run", "c.yaml", "--format", "json")
    assert finished.returncode == 0
    found = json.loads(finished.stdout)
    assert found["stored_before"] > 0
    assert found["stored_before"] + found["finished"] == 12
    assert found["spent_usd"] > 0
    assert ctxbench_command(tmp_path, "run", "c.yaml", "--budget", "0").returncode == 2


def ctxbench_command(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, whose signal handlers it changes."""
    command = [sys.executable, "-c", "from ctxbench_cli.main import main; main()", *args]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_a_budget_needs_prices(server, tmp_path):
    """A model that may cost anything is not run on a budget; nothing is asked."""
    config = experiment(server, tmp_path, model={"prices": None}, run={"budget": 1})
    with pytest.raises(ConfigError, match=r"run.budget: model 'openai:served@.*has no price: give prices=\{input: "):
        ctxbench.run(config)
    assert server.arrivals == []


def test_an_answer_is_kept_and_asked_once(server, served, tmp_path):
    """A second model, in a process of its own for all it knows, takes the answer and its usage from the folder and pays nothing."""
    folder = str(tmp_path / "cache")
    prompt = Prompt((PAGE,), "?", "system", 9)
    (first,) = served(cache=folder, prices=PRICES, family="qwen2-vl").read([prompt])
    asked = len(server.arrivals)
    (second,) = served(cache=folder, prices=PRICES, family="qwen2-vl").read([prompt])
    assert len(server.arrivals) == asked == 2
    assert (second.text, second.usage, second.cost_usd) == (first.text, first.usage, first.cost_usd)
    assert (first.metadata["from_cache"], second.metadata["from_cache"], second.spent_usd) == (False, True, 0.0)


def test_everything_that_decides_an_answer_is_in_the_key(server, served, tmp_path):
    """Another pixel, page order, word, limit, setting, model or address is another request."""
    folder = str(tmp_path / "cache")
    other = PAGE.copy()
    other.putpixel((0, 0), (9, 9, 9))
    base = Prompt((PAGE, other), "?", "system", 9)
    served(cache=folder, probe=False).read([base])
    prompts = [
        Prompt((PAGE, PAGE), "?", "system", 9),
        Prompt((other, PAGE), "?", "system", 9),
        Prompt((PAGE, other), "??", "system", 9),
        Prompt((PAGE, other), "?", "System", 9),
        Prompt((PAGE, other), "?", "system", 10),
    ]
    for prompt in prompts:
        served(cache=folder, probe=False).read([prompt])
    assert len(server.arrivals) == 6
    options = ({"temperature": 1.0}, {"seed": 1}, {"extra": {"top_k": 1}}, {"detail": "low"}, {"name": "other"}, {"deployment": "d"})
    for change in options:
        served(cache=folder, probe=False, **change).read([base])
    assert len(server.arrivals) == 12


@pytest.mark.parametrize("damage", ["cut", "other request", "not an object"])
def test_a_damaged_file_is_no_answer(server, served, tmp_path, damage):
    """It is asked again and written anew; nothing but whole files lies in the folder."""
    folder = tmp_path / "cache"
    prompt = Prompt((), "?")
    (before,) = served(cache=str(folder)).read([prompt])
    (file,) = [path for path in folder.rglob("*") if path.is_file()]
    whole = file.read_text()
    kept = json.loads(whole)
    kept["request"]["text"] = "another"
    file.write_text({"cut": whole[:-5], "other request": json.dumps(kept), "not an object": "[]"}[damage])
    (after,) = served(cache=str(folder)).read([prompt])
    assert after.text == before.text
    assert len(server.arrivals) == 2
    assert [path for path in folder.rglob("*") if path.is_file()] == [file]
    assert json.loads(file.read_text())["answer"]["choices"][0]["message"]["content"] == before.text


def test_errors_are_not_kept(server, served, tmp_path):
    """A refusal of today may be an answer of tomorrow."""
    folder = tmp_path / "cache"
    server.first(fs.error(400, "no"))
    model = served(cache=str(folder))
    assert model.read([Prompt((), "?")])[0].error is not None
    assert not folder.exists()
    assert model.read([Prompt((), "?")])[0].error is None


def test_a_folder_that_cannot_be_written_loses_no_answer(server, served, tmp_path, capsys):
    """The answers are there; one line says that they are not kept."""
    Path(tmp_path / "cache").write_text("a file")
    readings = served(cache=str(tmp_path / "cache")).read([Prompt((), "?"), Prompt((), "!")])
    assert [reading.error for reading in readings] == [None, None]
    assert capsys.readouterr().err.count("ctxbench: answers are not kept in ") == 1

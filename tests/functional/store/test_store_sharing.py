"""Out of the store to where people keep results: data card, Every Eval Ever, experiment trackers; and into data frames."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner
from store_records import failure, run_record, trial

from ctxbench import QueryError, StoreError
from ctxbench.store import Store, every_eval_ever
from ctxbench.store.every_eval_ever import model_id
from ctxbench_cli.main import cli

SCHEMAS = Path(__file__).parents[2] / "data" / "every_eval_ever"


@pytest.fixture
def full(tmp_path):
    """Two readers, one with an adapter; right, wrong and failed trials; hostile texts."""
    path = tmp_path / "s.duckdb"
    with Store.open(path) as store:
        store.start_run(run_record())
        rows = [trial(i, cell="a", variant="va", seed=0, encoded_tokens=50, encoded_ratio=2.0) for i in range(3)]
        rows += [
            trial(10, cell="a", variant="va", seed=0, sample_index=3, outcome="confabulated", score=0.0, prediction='</script>"\n\x00|')
        ]
        rows += [failure(11, cell="a", variant="va", seed=0, sample_index=4)]
        hub = {"model": "hf:Qwen/Qwen2-VL-2B-Instruct", "adapter": "../evil/../mine", "cell": "b", "variant": "vb", "seed": 0}
        rows += [trial(20 + i, **hub, prompt_tokens=80, completion_tokens=3, read_seconds=0.5) for i in range(2)]
        store.append("r1", rows)
        store.finish_run("r1", "finished", {"finished": 7, "errors": 1})
    return path


def call(*args, exit_code: int = 0):
    done = CliRunner().invoke(cli, [str(arg) for arg in args])
    assert done.exit_code == exit_code, done.output
    return done


def test_every_eval_ever_keeps_to_its_schemas(full, tmp_path):
    """Both files of each reader validate, refer to each other by path and checksum, and hold the figures of ``summary``."""
    with Store.open_read_only(full) as store:
        written = every_eval_ever.export(store, tmp_path / "out", organization="A lab")
        first = [made.path.read_bytes() for made in written]
        again = every_eval_ever.export(store, tmp_path / "out", organization="A lab")
        summary = {cell: (accuracy, low, high, n) for cell, accuracy, low, high, n in store.query(
            "SELECT cell, accuracy, accuracy_low, accuracy_high, n FROM summary").rows}  # fmt: skip
    assert [made.path for made in again] == [made.path for made in written]
    assert [made.path.read_bytes() for made in again] == first
    aggregate = json.loads((SCHEMAS / "eval.schema.json").read_text("utf-8"))
    instance = json.loads((SCHEMAS / "instance_level_eval.schema.json").read_text("utf-8"))
    seen = {}
    for made in written:
        assert made.path.is_relative_to(tmp_path / "out" / "data" / "ctxbench")
        if made.path.suffix != ".json":
            continue
        document = json.loads(made.path.read_text("utf-8"))
        jsonschema.validate(document, aggregate)
        assert document["schema_version"] == every_eval_ever.SCHEMA_VERSION == aggregate["version"]
        details = document["detailed_evaluation_results"]
        lines = (tmp_path / "out" / details["file_path"]).read_bytes()
        assert hashlib.sha256(lines).hexdigest() == details["checksum"]
        rows = [json.loads(line) for line in lines.splitlines()]
        assert len(rows) == details["total_rows"]
        results = {result["evaluation_result_id"]: result for result in document["evaluation_results"]}
        for row in rows:
            jsonschema.validate(row, instance)
            assert row["evaluation_id"] == document["evaluation_id"]
            assert row["evaluation_result_id"] in results
        for cell, result in results.items():
            own = [row for row in rows if row["evaluation_result_id"] == cell]
            interval = result["score_details"]["uncertainty"]["confidence_interval"]
            figures = (result["score_details"]["score"], interval["lower"], interval["upper"], len(own))
            assert figures == summary[cell]
            assert sum(row["evaluation"]["is_correct"] for row in own) == pytest.approx(figures[0] * len(own))
        seen[document["model_info"]["id"]] = rows
    assert set(seen) == {"ctxbench/channel", "Qwen/Qwen2-VL-2B-Instruct+mine"}
    answers = [row["output"]["raw"][0] for row in seen["ctxbench/channel"]]
    assert '</script>"\n\x00|' in answers
    assert [row["error"] for row in seen["ctxbench/channel"]].count("read: no memory") == 1


def test_every_eval_ever_by_its_own_validator(full, tmp_path):
    """The package's own checks, the semantic ones included, where it can be installed."""
    core = pytest.importorskip(
        "every_eval_ever.validator.validation_core", reason="every-eval-ever needs Python 3.12; its schemas are kept"
    )
    with Store.open_read_only(full) as store:
        written = every_eval_ever.export(store, tmp_path)
    files = {made.path.relative_to(tmp_path).as_posix() for made in written}
    for made in written:
        report = core.validate_file(
            made.path,
            repo_path=made.path.relative_to(tmp_path).as_posix(),
            available_files=files,
            read_repo_file=lambda name: (tmp_path / name).read_text("utf-8"),
            run_semantic_checks=True,
        )
        assert (report.valid, report.errors, report.warnings) == (True, [], [])


@pytest.mark.parametrize(
    ("model", "adapter", "wanted"),
    [
        ("channel", None, "ctxbench/channel"),
        ("hf:Qwen/Qwen2-VL-2B-Instruct", None, "Qwen/Qwen2-VL-2B-Instruct"),
        ("openai:gpt@http://host:1/v1", None, "ctxbench/gpt"),
        ("hf:/models/../..", None, "ctxbench/models"),
        ("hf:a/b", "x/y z", "a/b+y_z"),
    ],
)
def test_a_models_name_is_a_folder_below(model, adapter, wanted):
    """``developer/name``, and nothing in it that leads elsewhere."""
    assert model_id(model, adapter) == wanted


def test_an_empty_store_has_nothing_to_export(tmp_path):
    """One message for each target."""
    Store.open(tmp_path / "e.duckdb").close()
    with Store.open_read_only(tmp_path / "e.duckdb") as store, pytest.raises(StoreError, match="nothing to export"):
        every_eval_ever.export(store, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_data_card_goes_with_exported_tables(full, tmp_path):
    """It names files, rows and hashes as they are; a text from the store stays in its cell; the folder is imported as before."""
    out = tmp_path / "out"
    assert "the data card" in call("store", "export", "-o", out, "--store", full).stdout
    text = (out / "README.md").read_text("utf-8")
    assert text.startswith("---\npretty_name:")
    assert "7 trials, 1 of them errors" in text
    for name, rows in (("runs", 1), ("trials", 7), ("scores", 6), ("pages", 6)):
        digest = hashlib.sha256((out / f"{name}.parquet").read_bytes()).hexdigest()
        assert f"| {name}.parquet | {rows} | {digest} |" in text
    assert "| model | channel, hf:Qwen/Qwen2-VL-2B-Instruct |" in text
    assert "- runs: `run_id` VARCHAR" in text
    call("store", "import", out, "--store", tmp_path / "new.duckdb")
    with Store.open_read_only(tmp_path / "new.duckdb") as store:
        assert store.query("SELECT count(*) FROM trials").rows == [(7,)]


def test_what_leads_nowhere_is_told(full, tmp_path):
    """A missing destination, a table with a tracker, a tracker without an address: one line, exit code 2."""
    for args, words in (
        (("store", "export", "--store", full), "say where to with -o"),
        (("store", "export", "trials", "--to", "mlflow", "--store", full), "exports the whole store, not trials"),
        (("store", "export", "--to", "mlflow", "--store", full), "say where MLflow keeps its runs"),
    ):
        error = call(*args, exit_code=2).stderr
        assert words in error
        assert len(error.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("target", "module", "words"), [("mlflow", "mlflow", "pip install mlflow"), ("wandb", "wandb", "pip install wandb")]
)
def test_a_tracker_that_is_not_installed_is_told(full, tmp_path, monkeypatch, target, module, words):
    """The command says what to install."""
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, f"{module}.entities", None)
    args = ("--uri", "sqlite:///x.db") if target == "mlflow" else ("-o", tmp_path / "w")
    assert words in call("store", "export", "--to", target, *args, "--store", full, exit_code=1).stderr


@pytest.mark.long
def test_mlflow_takes_every_cell_once(full, tmp_path):
    """A real tracking store: parameters are the labels, metrics the figures of ``summary``; a second export adds nothing."""
    pytest.importorskip("mlflow", reason="mlflow is not installed: pip install mlflow")
    pytest.importorskip("sqlalchemy", reason="MLflow keeps runs in SQLite by sqlalchemy: pip install mlflow")
    script = f"""
import sys
from mlflow.tracking import MlflowClient
from ctxbench.store import Store
from ctxbench.store.trackers import to_mlflow
uri = "sqlite:///{tmp_path}/m.db"
with Store.open_read_only({str(full)!r}) as store:
    print(to_mlflow(store, uri), to_mlflow(store, uri))
    accuracy = dict(store.query("SELECT model, accuracy FROM summary").rows)
client = MlflowClient(uri)
runs = client.search_runs([client.get_experiment_by_name("ctxbench").experiment_id])
print(sorted((run.data.params["model"], run.data.params["adapter"], run.info.status) for run in runs))
assert {{run.data.params["model"]: run.data.metrics["accuracy"] for run in runs}} == accuracy
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == "(2, 0) (0, 2)"
    assert second == str([("channel", "none", "FINISHED"), ("hf:Qwen/Qwen2-VL-2B-Instruct", "../evil/../mine", "FINISHED")])


@pytest.mark.long
def test_wandb_writes_offline_runs(full, tmp_path):
    """Each cell becomes a run on disk, without a network or an account."""
    pytest.importorskip("wandb", reason="wandb is not installed: pip install wandb")
    env = {key: value for key, value in os.environ.items() if not key.startswith("WANDB")}
    script = f"""
from pathlib import Path
from ctxbench.store import Store
from ctxbench.store.trackers import to_wandb
with Store.open_read_only({str(full)!r}) as store:
    print(to_wandb(store, Path({str(tmp_path / "w")!r})))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "2"
    runs = sorted((tmp_path / "w" / "wandb").glob("offline-run-*/*.wandb"))
    assert len(runs) == 2
    assert all(b"accuracy" in run.read_bytes() for run in runs)


def test_parameters_are_values(full):
    """``?`` and ``$name`` in every way of asking; a value that looks like SQL stays a value; what does not fit is an error."""
    with Store.open_read_only(full) as store:
        sql = "SELECT count(*) AS n FROM trials WHERE model = ? AND status = ?"
        assert store.query(sql, ["channel", "ok"]).rows == [(4,)]
        assert list(store.rows("SELECT $a AS x", {"a": "'; DROP TABLE trials"})) == [("'; DROP TABLE trials",)]
        assert store.df(sql, ("channel", "error")).n.tolist() == [1]
        assert store.arrow(sql, ["x", "ok"]).to_pylist() == [{"n": 0}]
        assert store.arrow_reader("SELECT ? AS y", parameters=[7]).read_all().to_pylist() == [{"y": 7}]
        for wrong in ([], ["channel"], ["channel", "ok", "more"], {"model": "channel"}, "ok", 7):
            with pytest.raises(QueryError):
                store.query(sql, wrong)
        assert store.query("SELECT count(*) FROM trials").rows == [(7,)]


def test_a_polars_frame_has_the_stores_values(full):
    """Types and NULLs as in the store; the same rows as pandas and Arrow."""
    polars = pytest.importorskip("polars")
    with Store.open_read_only(full) as store:
        frame = store.pl("SELECT trial_id, bucket, score, channel_ok, created_at FROM trials ORDER BY trial_id")
        assert frame.rows() == [
            tuple(row) for row in store.query("SELECT trial_id, bucket, score, channel_ok, created_at FROM trials ORDER BY trial_id").rows
        ]
        assert frame.schema["bucket"] == polars.Int64
        assert frame["score"].null_count() == 1
        assert store.pl("summary").height == 2
        with pytest.raises(QueryError, match="no table or view 'sumary'"):
            store.pl("sumary")


def test_a_missing_polars_is_told(full, monkeypatch):
    """What to install, and what works without it."""
    monkeypatch.setitem(sys.modules, "polars", None)
    with Store.open_read_only(full) as store, pytest.raises(QueryError, match="pip install polars"):
        store.pl("summary")

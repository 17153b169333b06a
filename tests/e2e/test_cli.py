"""The command as a user runs it."""

from __future__ import annotations

import json
import re

import pytest
import yaml

QUICK = ("-n", "1", "-b", "128", "--workers", "0", "--format", "json")


def test_help_lists_every_command(ctxbench):
    """All built-in commands and those of plugins are there."""
    text = ctxbench("--help").stdout
    for name in ("run", "sql", "plugins", "encode", "decode", "cost", "plot", "report", "config", "store", "doctor"):
        assert re.search(rf"^  {name}\b", text, re.M), name


def test_run_resumes_and_answers_sql(ctxbench):
    """A run stores its trials; the same command adds nothing; a larger one adds the rest; SQL sees them."""
    args = ("run", "-m", "channel", *QUICK, "-c", "text", "-c", "codebook", "-t", "needle")
    first = json.loads(ctxbench(*args).stdout)
    assert (first["planned"], first["finished"], first["errors"]) == (6, 6, 0)
    cells = {(cell["codec"], cell["augmentation"]): cell for cell in first["cells"]}
    assert cells["codebook", "clean"]["accuracy"] == 1.0
    assert cells["codebook", "clean"]["encoded_ratio"] > cells["text", "clean"]["encoded_ratio"] == 1.0
    second = json.loads(ctxbench(*args).stdout)
    assert (second["stored_before"], second["finished"]) == (6, 0)
    assert second["cells"] == first["cells"]
    third = json.loads(ctxbench(*args[:4], "2", *args[5:]).stdout)
    assert (third["planned"], third["stored_before"], third["finished"]) == (12, 6, 6)
    rows = json.loads(ctxbench("sql", "SELECT count(*) AS n FROM results", "--format", "json").stdout)
    assert rows == [{"n": 12}]


def test_the_table(ctxbench):
    """The table names every codec and level, and nothing but the table and its legend goes to stdout."""
    done = ctxbench(
        "run", "-m", "channel", "-n", "1", "-b", "128", "-c", "text", "-c", "codebook_external", "-t", "needle", "--workers", "0"
    )
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["model", "task", "bucket", "codec", "tokens", "ratio", "clean", "light", "heavy"]
    text = next(line for line in lines if " text " in line)
    assert text.split() == ["channel", "needle", "128", "text", "128", "1.00", "100", "%", "100", "%", "100", "%"]
    assert done.stderr == ""


def test_a_config_file_with_flags_on_top(ctxbench, tmp_path):
    """A file says what to run; flags and --set change it; ``config show`` prints the same hash as the dry run."""
    (tmp_path / "c.yaml").write_text("name: mine\nsamples: 4\ncodecs: [text]\ntasks: [{name: needle, language: zh}]\nstore: own.duckdb\n")
    plan = json.loads(ctxbench("run", "c.yaml", "-b", "1k,2k", "--set", "seed=3", "--dry-run", "--format", "json").stdout)
    assert plan["buckets"] == [1024, 2048]
    assert plan["planned"] == 8
    assert not (tmp_path / "own.duckdb").exists()
    shown = ctxbench("config", "show", "c.yaml", "--set", "seed=3", "--set", "buckets=[1024, 2048]").stdout
    assert plan["config_hash"] in shown
    assert yaml.safe_load(shown)["tasks"] == [{"name": "needle", "language": "zh"}]


def test_shipped_examples_are_valid(ctxbench):
    """``config init`` writes configs that pass a dry run; the paper's sweep is complete; nothing is overwritten."""
    for name in ("commented", "quickstart", "paper-sweep"):
        ctxbench("config", "init", "--example", name, "-o", f"{name}.yaml")
        ctxbench("run", f"{name}.yaml", "--dry-run")
    plan = json.loads(ctxbench("run", "paper-sweep.yaml", "--dry-run", "--format", "json").stdout)
    assert plan["buckets"] == [512, 1024, 2048, 4096]
    assert plan["codecs"] == ["text", "render", "codebook", "codebook_external"]
    assert (plan["tasks"], plan["augmentations"]) == (["json_restore", "needle"], ["clean", "light", "heavy"])
    assert "exists already" in ctxbench("config", "init", "-o", "commented.yaml", exit_code=1).stderr


def test_config_schema_is_json(ctxbench):
    """Editors can load the schema."""
    assert json.loads(ctxbench("config", "schema").stdout)["additionalProperties"] is False


@pytest.mark.parametrize("codec", ["text", "codebook", "codebook_external", "codebook_external:format=datamatrix", "codebook:preset=bw4"])
def test_encode_and_decode_give_the_text_back(ctxbench, tmp_path, codec):
    """Byte for byte, line ends and all; pages in any order."""
    text = "Zeile 1\r\nвторая\t世界 🎉\n\n  indented\n" * 40
    (tmp_path / "in.txt").write_bytes(text.encode())
    ctxbench("encode", "in.txt", "-c", codec, "-o", "pages")
    ctxbench("decode", "pages", "-c", codec, "-o", "out.txt")
    assert (tmp_path / "out.txt").read_bytes() == text.encode()
    manifest = json.loads((tmp_path / "pages" / "carrier.json").read_text())
    assert manifest["codec"] == codec.partition(":")[0]
    assert all((tmp_path / "pages" / name).exists() for name in manifest["files"])


def test_encode_does_not_overwrite_unless_told(ctxbench, tmp_path):
    """Pages that are there stay, or go whole: no page of an older, longer text is left among the new ones."""
    ctxbench("encode", "-", "-c", "codebook_external", "-o", "p", stdin="long " * 4000)
    before = sorted(path.name for path in (tmp_path / "p").iterdir())
    assert "already holds" in ctxbench("encode", "-", "-c", "text", "-o", "p", stdin="short", exit_code=1).stderr
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == before
    ctxbench("encode", "-", "-c", "text", "-o", "p", "--force", stdin="short")
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == ["carrier.json", "carrier.txt"]


def test_cost(ctxbench, tmp_path):
    """The costs are those of the pages that ``encode`` writes, for every family."""
    (tmp_path / "in.txt").write_text('{"a": [1, 2, 3]}\n' * 100)
    costs = json.loads(ctxbench("cost", "in.txt", "--format", "json").stdout)
    rows = {(row["codec"], row["family"]): row for row in costs["costs"]}
    assert rows["text", "qwen2-vl"]["ratio"] == 1.0
    made = ctxbench("encode", "in.txt", "-c", "codebook", "-o", "p").stdout
    assert f"{rows['codebook', 'qwen2-vl']['visual_tokens']} visual tokens" in made
    assert {"qwen2-vl", "qwen2.5-vl", "qwen3-vl"} <= {row["family"] for row in costs["costs"]}
    assert len({row["family"] for row in costs["costs"]}) >= 5
    table = ctxbench("cost", "in.txt", "-c", "codebook", "--family", "qwen2-vl").stdout
    assert str(rows["codebook", "qwen2-vl"]["tokens"]) in table


def test_cost_takes_the_codecs_of_a_config(ctxbench, tmp_path):
    """All of the config's codecs under their labels and no others; codecs from two places are refused, and so is an unknown one."""
    (tmp_path / "in.txt").write_text('{"a": [1, 2, 3]}\n' * 40)
    (tmp_path / "c.yaml").write_text("codecs: [text, {label: big, name: render, font_size: 20}, render]")
    costs = json.loads(ctxbench("cost", "in.txt", "--config", "c.yaml", "--family", "qwen2-vl", "--format", "json").stdout)["costs"]
    assert [row["codec"] for row in costs] == ["text", "big", "render"]
    assert costs[1]["tokens"] > costs[2]["tokens"]
    assert "one of them" in ctxbench("cost", "in.txt", "--config", "c.yaml", "-c", "text", exit_code=2).stderr
    (tmp_path / "c.yaml").write_text("codecs: [teext]")
    assert "did you mean 'text'" in ctxbench("cost", "in.txt", "--config", "c.yaml", exit_code=2).stderr


def test_cost_counts_markers_and_splits_the_ratio(ctxbench, tmp_path):
    """Text, pages and markers add up; the ratio is the product of what the codec compresses and what its carrier gains."""
    text = '{"a": [1, 2, 3]}\n' * 100
    (tmp_path / "in.txt").write_text(text)
    arguments = (
        "-c",
        "codebook",
        "-c",
        "render",
        "-c",
        "text",
        "-c",
        "brotli64",
        "--family",
        "smolvlm",
        "--family",
        "deepseek-ocr:mode=tiny",
    )
    costs = json.loads(ctxbench("cost", "in.txt", *arguments, "--format", "json").stdout)
    assert costs["bytes"] == len(text)
    for row in costs["costs"]:
        assert row["tokens"] == row["text_tokens"] + row["visual_tokens"] + row["marker_tokens"]
        assert row["ratio"] == costs["reference_tokens"] / row["tokens"]
        assert row["text_factor"] == len(text) / row["payload_bytes"]
        assert abs(row["text_factor"] * row["carrier_factor"] - row["ratio"]) < 1e-9
    rows = {(row["codec"], row["family"]): row for row in costs["costs"]}
    assert rows["render", "smolvlm"]["marker_tokens"] > 3
    assert rows["render", "deepseek-ocr:mode=tiny"]["visual_tokens"] == 73 * rows["render", "smolvlm"]["pages"]
    assert rows["render", "deepseek-ocr:mode=tiny"]["loses_pixels"]
    assert rows["codebook", "smolvlm"]["text_factor"] >= rows["brotli64", "qwen2-vl"]["text_factor"] > 2
    table = ctxbench("cost", "in.txt", *arguments).stdout
    assert "markers" in table
    assert "pages lose pixels" in table
    assert "mode must be one of tiny" in ctxbench("cost", "in.txt", "--family", "deepseek-ocr:mode=big", exit_code=2).stderr


def test_plugins(ctxbench):
    """The listing names every first-party distribution; ``check`` tries a component; an unknown one gets the nearest name."""
    listed = json.loads(ctxbench("plugins", "--json").stdout)
    assert listed["failures"] == []
    assert "codebook_external" in ctxbench("plugins").stdout
    assert "decoded exactly" in ctxbench("plugins", "check", "codebook").stdout
    assert "did you mean 'codebook'" in ctxbench("plugins", "check", "codbook", exit_code=1).stderr


def test_doctor(ctxbench):
    """Every check passes on a complete installation, and a switched-off tokenizer is told."""
    assert "everything works" in ctxbench("doctor").stdout
    broken = ctxbench("doctor", exit_code=1, env={"CTXBENCH_DISABLE_PLUGINS": "qwen-tokens"})
    assert "FAIL  reference tokenizer" in broken.stdout


def test_all_trials_failing_is_exit_code_1_and_some_is_0(ctxbench):
    """A cell that fails does not fail the run and is counted; nothing but failures does, and says how to see them."""
    args = ("run", "-m", "channel", "-n", "1", "--workers", "0", "-t", "json_restore", "-a", "clean", "-c", "text", "--format", "json")
    done = json.loads(ctxbench(*args, "-b", "8,128", "--store", "some.duckdb").stdout)
    assert (done["finished"], done["errors"]) == (2, 1)
    done = ctxbench(*args, "-b", "8", exit_code=1)
    assert "all 1 trials failed; see: ctxbench sql errors" in done.stderr
    assert "SampleError" in ctxbench("sql", "errors").stdout

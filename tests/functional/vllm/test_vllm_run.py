"""The model ``vllm`` in a run, where vLLM is missing, and a folder as vLLM wants it."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import ctxbench
from ctxbench import Model
from ctxbench.config import make_config
from ctxbench_cli.main import cli
from ctxbench_vllm import folder as folders

Make = Callable[..., Model]


def experiment(folder: Path, store: Path, **options: Any) -> Any:
    """Needles as text and as pages."""
    return make_config(
        {
            "models": [{"name": f"vllm:{folder}", "max_new_tokens": 3, **options}],
            "tasks": ["needle"],
            "codecs": ["text", "render"],
            "buckets": [64],
            "samples": 3,
            "store": str(store),
            "run": {"channel": False},
        }
    )


def test_a_run_stores_what_vllm_read(vllm: Any, folder: Path, tmp_path: Path) -> None:
    """Rows have vLLM's version, counts without a flag, and the answers; a second run asks nothing again."""
    store = ctxbench.run(experiment(folder, tmp_path / "s.duckdb"))
    rows = store.df("SELECT codec, error_type, token_source, token_flag, carrier_visual_tokens AS visual, model_runtime AS r FROM trials")
    assert len(rows) == 6
    assert rows.error_type.isna().all()
    assert rows.token_flag.isna().all()
    assert (rows.visual[rows.codec == "render"] > 0).all()
    assert {json.loads(runtime)["device"] for runtime in rows.r} == {"cpu"}
    store.close()
    before = len(vllm.made)
    ctxbench.run(experiment(folder, tmp_path / "s.duckdb")).close()
    assert len(vllm.made) == before


@pytest.mark.parametrize(("policy", "flagged"), [("error", False), ("flag", True)])
def test_a_mismatch_is_never_a_plain_row(vllm: Any, folder: Path, tmp_path: Path, policy: str, flagged: bool) -> None:
    """A page that vLLM did not scale as told is an error or a row flagged ``count_mismatch``; rows of text are as ever."""
    vllm.engine.faults["budget"] = True
    store = ctxbench.run(experiment(folder, tmp_path / "s.duckdb", max_pixels=28 * 28 * 4, on_mismatch=policy))
    rows = store.df("SELECT codec, error_type, token_flag FROM trials")
    pages = rows[rows.codec == "render"]
    if flagged:
        assert pages.token_flag.str.contains("count_mismatch").all()
        assert pages.error_type.isna().all()
    else:
        assert set(pages.error_type) == {"CountMismatchError"}
    assert rows[rows.codec == "text"].error_type.isna().all()
    store.close()


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is here")
def test_without_vllm_one_line_says_what_to_install(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin is installed with all others; vLLM is not."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["run", "-m", f"vllm:{folder}", "-n", "1", "-b", "64"])
    assert done.exit_code == 1
    assert "needs vLLM, which is not installed: pip install 'ctxbench-vllm[vllm]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_video_processor_is_described(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """vLLM loads the whole processor and refuses a folder that says nothing of videos, as ctxbench's own do; the folder stays as it is."""
    from transformers.models.auto import video_processing_auto

    monkeypatch.setitem(video_processing_auto.VIDEO_PROCESSOR_MAPPING_NAMES, "qwen2_vl", {"torchvision": "Qwen2VLVideoProcessor"})
    before = sorted(path.name for path in folder.iterdir())
    prepared = folders.Prepared(folder)
    assert prepared.path != folder
    assert json.loads((prepared.path / folders.VIDEO).read_text()) == {"video_processor_type": "Qwen2VLVideoProcessor"}
    assert sorted(path.name for path in prepared.path.iterdir()) == sorted([*before, folders.VIDEO])
    assert (prepared.path / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    prepared.close()
    assert not prepared.path.exists()
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize("name", [folders.VIDEO, "preprocessor_config.json"])
def test_a_folder_that_says_it_is_used_as_it_is(folder: Path, tmp_path: Path, name: str) -> None:
    """Hub repositories describe their video processor in one of these."""
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / name).write_text("{}")
    prepared = folders.Prepared(tmp_path)
    assert prepared.path == tmp_path
    prepared.close()
    assert (tmp_path / name).is_file()

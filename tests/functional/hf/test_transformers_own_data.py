"""``ctxbench data import``: a user's own rows become records, each once, as evaluation would put them; nothing leaks into validation."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ctxbench import CtxbenchError, Sample, UsageError, load_plugins
from ctxbench.contamination import training_overlap
from ctxbench.images import page_sha256
from ctxbench.pipeline import ask
from ctxbench_transformers import provenance, settings
from ctxbench_transformers.data import Dataset, Example, OwnConfig, import_records
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.loop import train

MakeTraining = Callable[..., TrainConfig]


def own(tmp_path: Path, *files: Path, **values: Any) -> OwnConfig:
    """A config."""
    base: dict[str, Any] = {"files": [str(file) for file in files], "output": str(tmp_path / "set"), "codec": "toy_blocks"}
    return settings.make(OwnConfig, base | {"tokens": {"family": "toy", "reference": "toy"}} | values)


def examples(folder: str | Path) -> dict[str, list[Example]]:
    """The records of both splits."""
    return {name: list(Dataset(folder).split(name)) for name in ("train", "validation")}


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    """Ten texts, two questions about each."""
    path = tmp_path / "own.jsonl"
    rows = [{"text": "abcd" * 3 + chr(97 + i), "question": f"{q}?", "answer": q * (i + 1)} for i in range(10) for q in "xy"]
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    return path


def test_texts_are_carried_as_in_evaluation_and_no_text_is_in_both_splits(toys: Path, letters: Path, tmp_path: Path) -> None:
    """Each row is there once and in order; a validation question about a trained text would measure memory."""
    config = own(tmp_path, letters, validation=0.3, system="Be short.")
    manifest = import_records(config)
    found = examples(config.output)
    assert {name: len(some) for name, some in found.items()} == manifest["records"]["split"] == {"train": 14, "validation": 6}
    contexts = {name: {example.sample.context for example in some} for name, some in found.items()}
    assert not contexts["train"] & contexts["validation"]
    rows = [json.loads(line) for line in letters.read_text().split("\n") if line]
    for name, some in found.items():
        wanted = [row for row in rows if row["text"] in contexts[name]]
        assert [(e.sample.context, e.sample.question, e.answer) for e in some] == [(r["text"], r["question"], r["answer"]) for r in wanted]
        for example, row in zip(some, wanted, strict=True):
            asked = ask(load_plugins().codec("toy_blocks"), Sample(row["text"], row["question"], row["answer"], 0))
            assert (example.prompt.text, example.prompt.system) == (asked.text, "Be short.")
            assert [page_sha256(page) for page in example.prompt.pages] == [page_sha256(page) for page in asked.carrier.pages]
            assert (example.codec, example.task) == ("toy_blocks", "own")
    assert (
        import_records(own(tmp_path, letters, validation=0.3, system="Be short.", output=str(tmp_path / "again")))["fingerprint"]
        == manifest["fingerprint"]
    )
    other = import_records(own(tmp_path, letters, validation=0.3, system="Be short.", seed=1, output=str(tmp_path / "other")))
    assert other["fingerprint"] != manifest["fingerprint"]
    data = Dataset(config.output)
    assert training_overlap(data.training_data(), rows[0]["text"]) == 1.0
    assert [codec.name for codec in data.codecs] == ["toy_blocks"]


def png(shade: int) -> bytes:
    """A page."""
    out = io.BytesIO()
    Image.new("RGB", (56, 28), (shade, shade, 255 - shade)).save(out, "PNG")
    return out.getvalue()


def test_pages_of_ones_own_are_trained_on_as_they_are(toys: Path, training: MakeTraining, tmp_path: Path) -> None:
    """From lines with paths beside the file, from a list, and from a table as the datasets library writes it: the same records."""
    folder = tmp_path / "files"
    folder.mkdir()
    for i in range(6):
        (folder / f"{i}.png").write_bytes(png(40 * i))
    rows = [{"question": "Which?", "answer": "abcdef"[i], "pages": [f"{i}.png", f"{(i + 1) % 6}.png"]} for i in range(6)]
    (folder / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "own.json").write_text(json.dumps(rows))
    table = [{**row, "pages": [{"bytes": png(40 * ((i + k) % 6)), "path": None} for k in (0, 1)]} for i, row in enumerate(rows)]
    pq.write_table(pa.Table.from_pylist(table), folder / "own.parquet")
    made = {}
    for kind in ("jsonl", "json", "parquet"):
        config = own(tmp_path, folder / f"own.{kind}", validation=0, output=str(tmp_path / kind), format="parquet")
        assert import_records(config)["records"] == {"task": {"own": 6}, "codec": {"pages": 6}, "split": {"train": 6}}
        made[kind] = examples(tmp_path / kind)["train"]
    for i, example in enumerate(made["jsonl"]):
        wanted = [page_sha256(Image.open(io.BytesIO(png(40 * ((i + k) % 6))))) for k in (0, 1)]
        for some in made.values():
            assert [page_sha256(page) for page in some[i].prompt.pages] == wanted
            assert (some[i].prompt.text, some[i].answer) == ("Which?", example.answer)
    with pytest.raises(UsageError, match=r"evaluate_every: .* no validation records"):
        train(training(data=str(tmp_path / "jsonl"), max_steps=1, evaluate_every=1))
    config = training(data=str(tmp_path / "jsonl"), max_steps=1, evaluate_every=0)
    train(config)
    record = json.loads((Path(config.output) / provenance.RECORD).read_text())
    assert record["layouts"] == {}  # no codec made these pages
    assert record["data_fingerprint"] == Dataset(tmp_path / "jsonl").fingerprint


BAD: list[tuple[str, str]] = [
    ('{"text": "ab", "question": "?"}', r"own\.jsonl:2: 'answer' must be a text"),
    ('{"text": "ab", "answer": "b", "question": 3}', r"own\.jsonl:2: 'question' must be a text that is not empty, got 3"),
    ('{"question": "?", "answer": "b", "body": "x"}', r"own\.jsonl:2: neither 'pages' nor 'text'.*question, answer, body"),
    ('{"pages": "none.png", "question": "?", "answer": "b"}', r"own\.jsonl:2: .*none\.png"),
    ('{"text": "ab", "question": "?", "answer": "b", "language": "fr"}', r"own\.jsonl:2: 'language' must be en or zh"),
    ('{"text": "\u4e2d", "question": "?", "answer": "b"}', r"own\.jsonl:2: "),  # the codec cannot carry it
    ('{"text": ', r"own\.jsonl:2: no JSON"),
    ("3", r"own\.jsonl:2: expected a mapping"),
]


def test_a_bad_row_is_named_and_leaves_nothing_behind(toys: Path, tmp_path: Path) -> None:
    """In a file of a million rows, which one?"""
    path = tmp_path / "own.jsonl"
    for line, said in BAD:
        path.write_text('{"text": "ab", "question": "?", "answers": {"text": ["b", "c"]}}\n' + line + "\n")
        with pytest.raises(CtxbenchError, match=said):
            import_records(own(tmp_path, path))
        assert [entry.name for entry in tmp_path.iterdir()] == ["own.jsonl"]
    path.write_text("\n")
    with pytest.raises(CtxbenchError, match="no rows in"):
        import_records(own(tmp_path, path))
    for name, said in (("own.csv", r"expected \.jsonl"), ("gone.jsonl", "No such file"), ("gone.parquet", "No such file")):
        with pytest.raises(CtxbenchError, match=said):
            import_records(own(tmp_path, tmp_path / name))
    (tmp_path / "no.parquet").write_text("no table")
    with pytest.raises(CtxbenchError, match="no Parquet file"):
        import_records(own(tmp_path, tmp_path / "no.parquet"))
    with pytest.raises(CtxbenchError, match="toy_block"):
        import_records(own(tmp_path, path, codec="toy_block"))


def test_the_command_imports(toys: Path, letters: Path, tmp_path: Path) -> None:
    """As a user types it; an existing folder is only replaced if asked."""
    from click.testing import CliRunner

    from ctxbench_cli.main import cli

    load_plugins().manager.add_commands(cli)
    output = str(tmp_path / "set")
    counting = ["--set", "tokens.family=toy", "--set", "tokens.reference=toy"]
    command = ["data", "import", str(letters), "-o", output, "-c", "toy_blocks", "--set", "validation=0.5", *counting]
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 0, done.output
    assert "10 train, 10 validation records" in done.output
    assert "toy_blocks 20" in done.output
    again = CliRunner().invoke(cli, command)
    assert again.exit_code == 2
    assert "--overwrite" in again.output
    assert CliRunner().invoke(cli, [*command, "--overwrite", "--json"]).exit_code == 0

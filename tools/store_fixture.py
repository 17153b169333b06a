"""``python -m tools.store_fixture FILE``: a small store of the present schema as SQL text, kept in ``tests/data/store`` for later versions.

Each schema version has its file, ``schema-N.sql``, written by the program of its time: tables with their rows, the migrations that it had
had, and its views, as a store of that age has them. A test migrates each and compares what the views say. A new migration needs a new file.
"""

from __future__ import annotations

import argparse
import datetime
import tempfile
from pathlib import Path
from typing import Any

import attrs
import duckdb

from ctxbench.results import PageRow, RunRecord, ScoreRow, TrialResult
from ctxbench.store import Store

WHEN = datetime.datetime(2031, 4, 1, 12, 30, tzinfo=datetime.UTC)


def known(record: Any, **values: Any) -> Any:
    """A record with those of the values that it has a field for."""
    names = {field.name for field in attrs.fields(record)}
    return record(**{name: value for name, value in values.items() if name in names})


def trial(number: int) -> TrialResult:
    """Of two codecs, eight trials each: errors, wrong answers, a channel that fails, pages and scores."""
    codec, i = ("text", "render")[number // 8], number % 8
    failed, right = i == 7, i < (6 if codec == "text" else 3)
    cost = 100 if codec == "text" else 40 + i
    page = known(
        PageRow,
        page=0,
        encoded_width=140,
        encoded_height=280,
        width=140,
        height=280,
        processed_width=140,
        processed_height=280,
        resize_factor=1.0,
        budget_scaled=False,
        visual_tokens=cost,
        sha256=f"{number:064x}",
    )
    found: TrialResult = known(
        TrialResult,
        **{f"{part}_config": {} for part in ("model", "task", "codec", "augmentation")},
        **{f"{name}_seconds": None if failed else 0.5 + i / 10 for name in ("encode", "augment", "channel", "read", "score")},
        trial_id=f"{number:032x}",
        model="channel",
        adapter=None,
        model_fingerprint="f",
        adapter_fingerprint="",
        task="needle",
        bucket=128,
        language="en",
        seed=7,
        sample_index=i,
        sample_seed=i,
        codec=codec,
        augmentation="clean",
        augmentation_seed=i,
        status="error" if failed else "ok",
        error_stage="read" if failed else None,
        error_type="RuntimeError" if failed else None,
        error_message="no 'memory'" if failed else None,
        outcome=None if failed else "correct" if right else "confabulated",
        primary_score=None if failed else "hit",
        score=None if failed else float(right),
        finish_reason=None if failed else "stop",
        context_chars=500,
        question="What is it?\n漢字",
        expected="7319",
        prediction=None if failed else "7319" if right else "it's 1\n",
        sample_metadata={"depth": i / 8},
        reference_tokens=128,
        carrier_text_tokens=None if failed else 0 if codec == "render" else cost,
        carrier_visual_tokens=None if failed else cost if codec == "render" else 0,
        encoded_visual_tokens=None if failed else cost if codec == "render" else 0,
        carrier_tokens=None if failed else cost,
        encoded_tokens=None if failed else cost,
        prompt_tokens=None if failed else cost + 30,
        formula_prompt_tokens=None if failed else cost + 30,
        text_prompt_tokens=None if failed else 160,
        compression_ratio=None if failed else 128 / cost,
        encoded_ratio=None if failed else 128 / cost,
        prompt_ratio=None if failed else 160 / (cost + 30),
        n_pages=int(codec == "render" and not failed),
        channel_ok=None if failed or codec == "text" else i < 4,
        channel_correct=None if failed or codec == "text" else i < 4,
        channel_cer=None if failed or codec == "text" else 0.0 if i < 4 else 0.25,
        scores=() if failed else (ScoreRow("hit", "1", "hit", float(right), True),),
        pages=(page,) if codec == "render" and not failed else (),
    )
    return found


def fill(path: Path) -> None:
    """Make the store."""
    run = known(
        RunRecord,
        run_id="r1",
        name="kept",
        config_hash="c" * 64,
        config={"samples": 8},
        seed=7,
        command="ctxbench run",
        started_at=WHEN,
        ctxbench_version="0.1.0",
        versions={},
        python="3.11",
        platform="Linux",
        git_revision=None,
        planned=16,
    )
    with Store.open(path) as store:
        store.start_run(run)
        store.append("r1", [trial(number) for number in range(16)])
        store.finish_run("r1", "finished", {"finished": 16, "errors": 2})


def dump(path: Path) -> str:
    """All tables with their rows, and all views, as SQL."""
    lines: list[str] = []
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, sql in connection.execute("SELECT table_name, sql FROM duckdb_tables() WHERE NOT internal ORDER BY 1").fetchall():
            columns = [row[0] for row in connection.execute(f"DESCRIBE {name}").fetchall()]
            texts = ", ".join(f'"{column}"::VARCHAR' for column in columns)
            lines.append(sql)
            for row in connection.execute(f"SELECT {texts} FROM {name} ORDER BY ALL").fetchall():
                lines.append(f"INSERT INTO {name} VALUES ({', '.join(map(_literal, row))});")
        views = "SELECT view_name, sql, comment FROM duckdb_views() WHERE NOT internal ORDER BY view_name <> 'summary', view_name"
        for name, sql, comment in connection.execute(views).fetchall():
            lines.append(sql)
            lines += [f"COMMENT ON VIEW {name} IS {_literal(comment)};"] if comment else []
    return "\n".join(lines) + "\n"


def _literal(value: str | None) -> str:
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    file = parser.parse_args().file
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "store.duckdb")
        fill(path)
        file.write_text(dump(path), "utf-8")


if __name__ == "__main__":
    main()

"""Rows of JSONL, CSV and Parquet files, read through DuckDB, in memory and with nothing but the file at hand."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ctxbench import CtxbenchError
from ctxbench.texts import Found
from ctxbench_documents.options import DELIMITERS

KINDS = {
    ".jsonl": "json",
    ".ndjson": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".json": "document",
}
"""What each ending means; a further ``.gz`` is unpacked for JSONL and CSV."""

LONGEST = 1 << 28
"""Bytes of the longest line of a JSONL or CSV file."""


def kind_of(name: str) -> str | None:
    """``json``, ``csv``, ``parquet`` or ``document`` (JSON as a whole), by a file's ending; ``None`` if it is no table's."""
    path = Path(name.lower())
    packed = path.suffix == ".gz"
    kind = KINDS.get(Path(path.stem).suffix if packed else path.suffix)
    return None if packed and kind not in ("json", "csv") else kind


def only_tables(files: Sequence[Found]) -> list[Found]:
    """The files whose ending is a table's.

    Raises:
        CtxbenchError: there is none.
    """
    tables = [file for file in files if kind_of(file.label)]
    if not tables:
        endings = ", ".join(KINDS)
        raise CtxbenchError(f"{files[0].label}: not a table; columns are read from files that end in {endings}")
    return tables


def read_rows(file: Found, columns: Sequence[str], delimiter: str = "comma") -> list[dict[str, Any]]:
    """Every row as a mapping of the wanted columns, in the file's order; values as the file has them, missing ones ``None``.

    Raises:
        CtxbenchError: the file is broken, or lacks a column; the message says where and which columns there are.
    """
    kind = kind_of(file.label)
    if kind == "document":
        return _document(file, columns)
    if kind == "json":
        return _lines(file, columns)
    if kind == "csv":
        sign = "\t" if file.label.lower().removesuffix(".gz").endswith(".tsv") else DELIMITERS[delimiter]
        there = _header(file, sign)
        _check_columns(file, columns, there)
        return _select(file, columns, _csv(there, sign))
    return _select(file, columns, "read_parquet(?)")


def _connect() -> Any:
    import duckdb

    connection = duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})
    connection.execute("SET enable_progress_bar = false")
    return connection


def _failed(file: Found, error: Exception) -> CtxbenchError:
    """What DuckDB says of a file, without its advice on options that are not there and without the path."""
    text = " ".join(str(error).replace(_escaped(file.path), file.label).replace(str(file.path), file.label).split())
    said = re.split(r"\s+(?:Possible |LINE \d|file = )", text)[0]
    return CtxbenchError(f"{file.label}: {said[:300].strip()}")


def _escaped(path: Path) -> str:
    """A path that DuckDB takes for itself and for no pattern."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in str(path))


def _lines(file: Found, columns: Sequence[str]) -> list[dict[str, Any]]:
    """JSONL: each line as the JSON that it is, so that no value is taken for a date or rounded."""
    import duckdb

    sql = f"SELECT json::VARCHAR FROM read_json_objects(?, format='newline_delimited', maximum_object_size={LONGEST})"
    try:
        with _connect() as connection:
            lines = [line for (line,) in connection.execute(sql, [_escaped(file.path)]).fetchall()]
    except duckdb.Error as error:
        raise _failed(file, error) from None
    return _objects(file, (json.loads(line) for line in lines), columns)


def _objects(file: Found, values: Iterable[Any], columns: Sequence[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    known: dict[str, None] = {}
    for i, value in enumerate(values):
        if not isinstance(value, dict):
            raise CtxbenchError(f"{file.label}: row {i + 1} is no JSON object but {type(value).__name__}")
        known |= dict.fromkeys(value)
        rows.append({name: value.get(name) for name in columns})
    if rows:
        _check_columns(file, columns, list(known))
    return rows


def _document(file: Found, columns: Sequence[str]) -> list[dict[str, Any]]:
    """A JSON file that is a list of objects, or one with such a list under ``data``."""
    value = read_json(file)
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        value = value["data"]
    if not isinstance(value, list):
        raise CtxbenchError(f"{file.label}: expected a list of records, or an object with one under 'data', got {type(value).__name__}")
    return _objects(file, value, columns)


def read_json(file: Found) -> Any:
    """What a JSON file holds.

    Raises:
        CtxbenchError: it cannot be read, or is no JSON.
    """
    try:
        return json.loads(file.path.read_bytes())
    except OSError as error:
        raise CtxbenchError(f"{file.label}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise CtxbenchError(f"{file.label}: not JSON: {error}") from None


def _header(file: Found, delimiter: str) -> list[str]:
    """The names in a CSV file's first row. DuckDB is told them, so that it guesses nothing: neither comments nor a row to begin at."""
    opened = gzip.open if file.label.lower().endswith(".gz") else open
    try:
        with opened(file.path, "rt", encoding="utf-8-sig", newline="") as lines:
            names = next(csv.reader(lines, delimiter=delimiter, strict=True), [])
    except UnicodeDecodeError:
        raise CtxbenchError(f"{file.label}: not UTF-8 text; save it as UTF-8") from None
    except (OSError, EOFError, csv.Error) as error:
        raise CtxbenchError(f"{file.label}: {getattr(error, 'strerror', None) or error}") from None
    for i, name in enumerate(names):
        if name in names[:i]:
            raise CtxbenchError(f"{file.label}: its first row names the column {name!r} twice")
    return names


def _csv(names: Sequence[str], delimiter: str) -> str:
    columns = ", ".join(f"{_literal(name)}: 'VARCHAR'" for name in names)
    signs = f"delim='{delimiter}', quote='\"', escape='\"', comment=''"
    return f"read_csv(?, auto_detect=false, header=true, columns={{{columns}}}, {signs}, max_line_size={LONGEST})"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _select(file: Found, columns: Sequence[str], source: str) -> list[dict[str, Any]]:
    import duckdb

    path = _escaped(file.path)
    wanted = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
    try:
        with _connect() as connection:
            there = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}", [path]).fetchall()]
            _check_columns(file, columns, there)
            rows = connection.execute(f"SELECT {wanted} FROM {source}", [path]).fetchall()
    except duckdb.Error as error:
        raise _failed(file, error) from None
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _check_columns(file: Found, wanted: Sequence[str], there: Sequence[str]) -> None:
    for name in wanted:
        if name not in there:
            shown = ", ".join(there[:20]) + (", ..." if len(there) > 20 else "")
            raise CtxbenchError(f"{file.label}: no column {name!r}; there are {shown or 'none'}")

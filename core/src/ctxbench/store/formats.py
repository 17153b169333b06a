"""Rows as CSV, JSON and JSON Lines: exact, streamed, in UTF-8."""

from __future__ import annotations

import datetime
import decimal
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO


def write_csv(out: BinaryIO, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """RFC 4180 with ``\\n`` line ends; the number of rows. NULL and NaN are empty, an empty text is ``""``."""
    out.write(_csv_line(columns))
    count = 0
    for row in rows:
        out.write(_csv_line(row))
        count += 1
    return count


def write_jsonl(out: BinaryIO, columns: Sequence[str], types: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """One JSON object a line; the number of rows."""
    count = 0
    for row in rows:
        out.write((_json_object(columns, types, row) + "\n").encode("utf-8"))
        count += 1
    return count


def write_json(out: BinaryIO, columns: Sequence[str], types: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """One JSON array of objects, an object a line; the number of rows."""
    out.write(b"[")
    count = 0
    for row in rows:
        out.write((",\n " if count else "\n ").encode() + _json_object(columns, types, row).encode("utf-8"))
        count += 1
    out.write(b"\n]\n" if count else b"]\n")
    return count


def text_of(value: Any) -> str:
    """A value as text that loses nothing: floats as their shortest exact form, times in ISO 8601, lists and structs as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, (list, tuple, Mapping)):
        return json.dumps(json_value(value), ensure_ascii=False)
    return repr(value) if isinstance(value, float) else str(value)


def json_value(value: Any, kind: str = "") -> Any:
    """A value as JSON can express it: NaN and infinities as null, a column of type JSON as what it holds, bytes in hexadecimal."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return _parsed(value) if kind == "JSON" else value
    if isinstance(value, decimal.Decimal):
        return _number(value)
    if isinstance(value, Mapping):
        return {text_of(key): json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(item) for item in value]
    return text_of(value)


def _json_object(columns: Sequence[str], types: Sequence[str], row: Sequence[Any]) -> str:
    values = {name: json_value(value, kind) for name, kind, value in zip(columns, types, row, strict=True)}
    return json.dumps(values, ensure_ascii=False, allow_nan=False)


def _parsed(text: str) -> Any:
    try:
        return json_value(json.loads(text))
    except ValueError:
        return text


def _number(value: decimal.Decimal) -> Any:
    """A decimal as a JSON number where a double holds it exactly enough to give it back, else as text."""
    if not value.is_finite():
        return None
    if value == value.to_integral_value():
        return int(value)
    as_float = float(value)
    return as_float if decimal.Decimal(repr(as_float)) == value else str(value)


def _csv_line(values: Sequence[Any]) -> bytes:
    return (",".join(_csv_cell(value) for value in values) + "\n").encode("utf-8")


def _csv_cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    text = text_of(value)
    if text == "" or any(mark in text for mark in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


__all__ = ["text_of", "write_csv", "write_json", "write_jsonl"]

"""Records as Arrow tables, ready for a bulk insert. Columns and their types follow from the fields of the records."""

from __future__ import annotations

import datetime
import json
import math
import operator
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import attrs
import pyarrow as pa

from ctxbench.results import PageRow, RunRecord, ScoreRow, TrialResult
from ctxbench.store.arrays import TIMESTAMP, array, repeated

_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), datetime.datetime: TIMESTAMP}


@attrs.frozen
class Column:
    """A column that holds a record's field of the same name; ``is_json`` if the field is a mapping, kept as JSON text."""

    name: str
    type: Any
    is_json: bool


def columns_of(record: type, *, without: Iterable[str] = ()) -> tuple[Column, ...]:
    """The columns of a record class, in the order of its fields."""
    hints = typing.get_type_hints(record)
    left_out = set(without)
    return tuple(_column(field.name, hints[field.name]) for field in attrs.fields(record) if field.name not in left_out)


def _column(name: str, hint: Any) -> Column:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        (hint,) = (part for part in typing.get_args(hint) if part is not types.NoneType)
    if typing.get_origin(hint) is Literal:
        hint = str
    if typing.get_origin(hint) is dict:
        return Column(name, pa.string(), True)
    return Column(name, _TYPES[hint], False)


TRIAL_COLUMNS = columns_of(TrialResult, without=("scores", "pages"))
SCORE_COLUMNS = columns_of(ScoreRow)
PAGE_COLUMNS = columns_of(PageRow)
RUN_COLUMNS = columns_of(RunRecord)


def trial_table(results: Sequence[TrialResult], run_id: str, now: datetime.datetime) -> Any:
    """One row for each result, with ``run_id`` and ``created_at``."""
    table = _table(TRIAL_COLUMNS, results)
    table = table.append_column("run_id", repeated(run_id, pa.string(), len(results)))
    return _stamped(table, now)


def score_table(scores: Mapping[str, Sequence[ScoreRow]], now: datetime.datetime) -> Any:
    """One row for each score, with ``trial_id`` and ``created_at``."""
    return _child_table(SCORE_COLUMNS, scores, now)


def page_table(pages: Mapping[str, Sequence[PageRow]], now: datetime.datetime) -> Any:
    """One row for each page, with ``trial_id`` and ``created_at``."""
    return _child_table(PAGE_COLUMNS, pages, now)


def verdict_table(verdicts: Mapping[str, Any]) -> Any:
    """``trial_id``, ``outcome``, ``primary_score`` and ``score`` of each verdict."""
    found = list(verdicts.values())
    return pa.table(
        {
            "trial_id": array(list(verdicts), pa.string()),
            "outcome": array([verdict.outcome for verdict in found], pa.string()),
            "primary_score": array([verdict.primary_score for verdict in found], pa.string()),
            "score": array([verdict.score for verdict in found], pa.float64()),
        }
    )


def id_table(trial_ids: Iterable[str]) -> Any:
    """Trial ids, each once."""
    return pa.table({"trial_id": array(list(dict.fromkeys(trial_ids)), pa.string())})


def _child_table(columns: Sequence[Column], children: Mapping[str, Sequence[Any]], now: datetime.datetime) -> Any:
    records = [record for group in children.values() for record in group]
    table = _table(columns, records)
    owners = [trial_id for trial_id, group in children.items() for _ in group]
    return _stamped(table.append_column("trial_id", array(owners, pa.string())), now)


def _stamped(table: Any, now: datetime.datetime) -> Any:
    return table.append_column("created_at", repeated(now, TIMESTAMP, table.num_rows))


def _table(columns: Sequence[Column], records: Sequence[Any]) -> Any:
    return pa.table({column.name: _array(column, records) for column in columns})


def _array(column: Column, records: Sequence[Any]) -> Any:
    values: list[Any] = list(map(operator.attrgetter(column.name), records))
    if column.is_json:
        values = _json_column(values)
    try:
        return array(values, column.type)
    except UnicodeEncodeError:
        return array([None if value is None else storable_text(value) for value in values], column.type)


def _json_column(values: Sequence[Any]) -> list[str]:
    """JSON text of each mapping. Thousands of trials share one config object, so each object is written once."""
    texts: dict[int, str] = {}
    return [texts[id(value)] if id(value) in texts else texts.setdefault(id(value), json_text(value)) for value in values]


def storable_text(text: str) -> str:
    """``text`` with lone surrogates, which UTF-8 cannot hold, replaced by U+FFFD; a surrogate pair becomes its character."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def json_text(value: Any) -> str:
    """JSON text that any JSON reader takes: NaN and infinities become null, and what JSON cannot express becomes its ``str``."""
    if not value and isinstance(value, dict):
        return "{}"
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)


def plain(value: Any) -> Any:
    """``value`` as JSON-serialisable values, losing as little as possible."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    as_python: Callable[[], Any] | None = getattr(value, "tolist", None)  # numpy scalars and arrays
    return plain(as_python()) if callable(as_python) else str(value)

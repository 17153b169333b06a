"""Arrow arrays from Python values.

``pyarrow.array`` and ``pyarrow.scalar`` import pandas where it is installed, 0.4 s of CPU time at the start of every run; arrays that are
made from buffers do not.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

TIMESTAMP = pa.timestamp("us", tz="UTC")
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
_LONGEST = 2**31 - 1  # bytes that 32-bit offsets reach


def array(values: Sequence[Any], kind: Any) -> Any:
    """An Arrow array of the type ``kind``: string, int64, float64, bool or :data:`TIMESTAMP`; ``None`` becomes null.

    Strings of more than 2 GiB together become a large_string array.

    Raises:
        TypeError: a value is of another Python type.
        OverflowError: a whole number does not fit into 64 bits.
        UnicodeEncodeError: a string holds a lone surrogate.
    """
    missing = [value is None for value in values]
    nulls = sum(missing)
    valid = pa.py_buffer(np.packbits(np.logical_not(missing), bitorder="little")) if nulls else None
    if kind == pa.string():
        return _strings(values, valid, nulls)
    expected, filler, dtype = _NUMBERS[kind]
    for value in values:
        if not isinstance(value, expected) and value is not None:
            raise TypeError(f"a column of type {kind} holds {' or '.join(one.__name__ for one in expected)}, got {value!r}")
    if kind == TIMESTAMP:
        values = [None if value is None else (value - _EPOCH) // _MICROSECOND for value in values]
    filled: npt.NDArray[Any] = np.array([filler if value is None else value for value in values] if nulls else values, dtype)
    data = np.packbits(filled, bitorder="little") if kind == pa.bool_() else filled
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(data)], null_count=nulls)


def repeated(value: Any, kind: Any, times: int) -> Any:
    """An array of one value over and over."""
    return array([value] * times, kind)


_NUMBERS: dict[Any, tuple[tuple[type, ...], Any, type]] = {
    pa.int64(): ((int,), 0, np.int64),
    pa.float64(): ((float, int), 0.0, np.float64),
    pa.bool_(): ((bool,), False, np.bool_),
    TIMESTAMP: ((datetime.datetime,), 0, np.int64),
}
"""What a type takes, what stands under a null, and how numpy holds it."""


def _strings(values: Sequence[str | None], valid: Any, nulls: int) -> Any:
    texts = [b"" if value is None else value.encode("utf-8") for value in values]
    ends = np.cumsum([0, *map(len, texts)])
    kind, offsets = (pa.string(), np.int32) if ends[-1] <= _LONGEST else (pa.large_string(), np.int64)
    buffers = [valid, pa.py_buffer(ends.astype(offsets)), pa.py_buffer(b"".join(texts))]
    return pa.Array.from_buffers(kind, len(texts), buffers, null_count=nulls)

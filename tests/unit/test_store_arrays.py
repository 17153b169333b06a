"""Arrow arrays made from buffers are those that pyarrow's own converter makes."""

from __future__ import annotations

import datetime
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ctxbench.store.arrays import TIMESTAMP, array, repeated

_DRAW = random.Random(5)
_ZONES = (datetime.UTC, datetime.timezone(datetime.timedelta(hours=5, minutes=30)))


def _text() -> str:
    return "".join(_DRAW.choice("a\0é中😀") for _ in range(_DRAW.randrange(6)))


def _moment() -> datetime.datetime:
    return datetime.datetime(_DRAW.randrange(1900, 2200), 2, 3, 4, 5, 6, _DRAW.randrange(10**6), tzinfo=_DRAW.choice(_ZONES))


KINDS: dict[str, tuple[Any, Callable[[], Any]]] = {
    "string": (pa.string(), _text),
    "int64": (pa.int64(), lambda: _DRAW.randrange(-(2**63), 2**63)),
    "float64": (pa.float64(), lambda: _DRAW.choice([_DRAW.random(), 3, float("inf"), -0.0, 1e-310])),
    "bool": (pa.bool_(), lambda: _DRAW.random() < 0.5),
    "timestamp": (TIMESTAMP, _moment),
}


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0], ids=["no nulls", "some nulls", "nulls only"])
@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 200])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_array_as_pyarrow_makes(kind: str, length: int, share: float) -> None:
    """Values, type and nulls, around the ends of a byte of the validity bitmap too."""
    arrow, draw = KINDS[kind]
    values = [None if _DRAW.random() < share else draw() for _ in range(length)]
    made = array(values, arrow)
    made.validate(full=True)
    assert made.equals(pa.array(values, arrow))


def test_one_value_repeated() -> None:
    """The value, so many times."""
    assert repeated("run", pa.string(), 3).to_pylist() == ["run"] * 3


@pytest.mark.parametrize(
    ("kind", "value"), [("int64", 1.5), ("int64", "1"), ("float64", "1"), ("bool", 1), ("timestamp", 5), ("int64", [1]), ("string", 3)]
)
def test_a_value_of_another_type_is_refused(kind: str, value: object) -> None:
    """numpy would cut 1.5 to 1 without a word."""
    with pytest.raises((TypeError, AttributeError)):
        array([value], KINDS[kind][0])


def test_a_number_beyond_64_bits_is_refused() -> None:
    """It would wrap around."""
    with pytest.raises(OverflowError):
        array([2**63], pa.int64())


def test_a_lone_surrogate_is_told() -> None:
    """The caller replaces it; nothing half-encoded may come out."""
    with pytest.raises(UnicodeEncodeError):
        array(["\ud800"], pa.string())


def test_a_run_needs_no_pandas(tmp_path: Path) -> None:
    """pyarrow's converters import it wherever it is installed, which doubles the time to the first trial."""
    script = """
import sys
from ctxbench_cli.main import main
try:
    sys.argv = ["ctxbench", "run", *"-m mock -t needle -c text -a clean -b 64 -n 1 --workers 0 --store s.duckdb".split()]
    main()
except SystemExit as end:
    assert not end.code, end.code
print(sorted({"pandas", "torch", "matplotlib", "cv2", "statsmodels"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"

"""Symbols as matrices of modules: QR through segno, DataMatrix and Aztec through zxing-cpp."""

from __future__ import annotations

import functools
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

Modules = npt.NDArray[np.bool_]

# What zxing-cpp reads back from the largest symbols at the writer's own level of error correction.
DATAMATRIX_BYTES = 1550
AZTEC_BYTES = 1390
QR_BYTES = 2946


@attrs.frozen
class Size:
    """A kind of symbol: bytes it holds, header included, and modules on a side, border not counted. ``version`` is QR's."""

    capacity: int
    modules: int
    version: int | None = None


@functools.lru_cache(maxsize=4)
def qr_sizes(error: str) -> tuple[Size, ...]:
    """Every QR version at a level of error correction, smallest first, in byte mode."""
    from segno import consts

    level = {"L": consts.ERROR_LEVEL_L, "M": consts.ERROR_LEVEL_M, "Q": consts.ERROR_LEVEL_Q, "H": consts.ERROR_LEVEL_H}[error]
    capacity: Any = consts.SYMBOL_CAPACITY
    sizes = []
    for version in range(1, 41):
        bits = int(capacity[version][level])
        head = 4 + (8 if version < 10 else 16)  # mode indicator and character count
        sizes.append(Size(min((bits - head) // 8, QR_BYTES), 17 + 4 * version, version))
    return tuple(sizes)


def qr(data: bytes, size: Size, error: str) -> Modules:
    """A QR symbol of exactly this version."""
    import segno

    # One fixed mask: choosing the best of eight takes most of the time, and what it guards against, large uniform areas, whitened
    # or compressed data does not have.
    symbol = segno.make_qr(data, version=size.version, error=error, mode="byte", boost_error=False, mask=1)
    return np.array(symbol.matrix, np.uint8) > 0


def zxing(data: bytes, kind: str) -> Modules:
    """A DataMatrix or Aztec symbol, as large as the data needs."""
    import zxingcpp

    formats: dict[str, Any] = {"datamatrix": zxingcpp.BarcodeFormat.DataMatrix, "aztec": zxingcpp.BarcodeFormat.Aztec}
    image = zxingcpp.create_barcode(data, formats[kind]).to_image(scale=1, add_quiet_zones=False)
    return np.asarray(np.asarray(image) == 0, np.bool_)

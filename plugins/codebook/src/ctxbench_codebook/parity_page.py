"""The optional parity page: the exclusive or of all other pages, from which any one of them can be made again.

As in RAID 4 (Patterson, Gibson and Katz, *A case for redundant arrays of inexpensive disks*, 1988). Each page counts as a record: the
length of its bytes (3 bytes, big-endian), the bytes, and zeros up to the longest page's end. The parity page holds the exclusive or of
all records, and its number in the header is the number of pages, one more than the last.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ctxbench import DecodeError

LENGTH_BYTES = 3


def _sum(records: Iterable[bytes], size: int) -> npt.NDArray[np.uint8]:
    total = np.zeros(size, np.uint8)
    for record in records:
        total[: len(record)] ^= np.frombuffer(record, np.uint8)
    return total


def _record(data: bytes) -> bytes:
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def make(pages: list[bytes]) -> bytes:
    """The parity page's bytes, for the bytes of all other pages."""
    return _sum(map(_record, pages), LENGTH_BYTES + max(map(len, pages))).tobytes()


def restore(parity: bytes, others: list[bytes]) -> bytes:
    """The bytes of the one page that is not among ``others``.

    Raises:
        DecodeError: the pages do not belong together.
    """
    if max(map(len, others), default=0) + LENGTH_BYTES > len(parity):
        raise DecodeError("the parity page is shorter than a page that it should protect")
    record = _sum([parity, *map(_record, others)], len(parity)).tobytes()
    length = int.from_bytes(record[:LENGTH_BYTES], "big")
    if length > len(parity) - LENGTH_BYTES or any(record[LENGTH_BYTES + length :]):
        raise DecodeError("the parity page does not belong to the other pages")
    return record[LENGTH_BYTES : LENGTH_BYTES + length]

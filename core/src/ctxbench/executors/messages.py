"""Large messages through a connection, received where they stay: page images are megabytes, and every copy of them costs."""

from __future__ import annotations

import os
import struct
from multiprocessing.connection import Connection

LARGE_BYTES = 1 << 16
"""From this length on a message goes beside the connection's own framing, which would copy it twice on arrival."""

_DIRECT = hasattr(os, "readv")
_LARGE = b"large"  # no pickle and no other message of ours begins so
_LENGTH = struct.Struct("=Q")


def send(connection: Connection, data: bytes) -> None:
    """Send a message for :func:`receive`."""
    if not _DIRECT or len(data) < LARGE_BYTES:
        connection.send_bytes(data)
        return
    connection.send_bytes(_LARGE + _LENGTH.pack(len(data)))
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(connection.fileno(), rest) :]


def receive(connection: Connection) -> bytes | bytearray:
    """The next message, which :func:`send` or ``send_bytes`` sent.

    Raises:
        EOFError, OSError: the other end is closed.
    """
    data = connection.recv_bytes()
    if not data.startswith(_LARGE):
        return data
    large = bytearray(_LENGTH.unpack(data[len(_LARGE) :])[0])
    rest = memoryview(large)
    while rest:
        count = os.readv(connection.fileno(), [rest])
        if not count:
            raise EOFError
        rest = rest[count:]
    return large

"""Seeds derived by hashing: the order of work can change, the randomness cannot."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces and no NaN: equal values give equal text on every platform.

    Raises:
        TypeError: ``value`` holds something that JSON cannot express.
        ValueError: it holds NaN or an infinity.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def stable_hash(value: Any) -> str:
    """SHA-256 of the canonical JSON of ``value``, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode("utf-8")).hexdigest()


def derive_seed(*parts: Any) -> int:
    """A 63-bit seed that depends on every part and on their order."""
    return int(stable_hash(list(parts))[:16], 16) >> 1

"""NFC normalisation in linear time.

Python's own sorts each run of combining marks by insertion, so that two megabytes of alternating marks would take an hour.
"""

from __future__ import annotations

import itertools
import re
import unicodedata

# Combining marks are neither word characters nor white space; nor is punctuation, but of that no text has so much in a row.
_LONG_RUN = re.compile(r"[^\w\s]{512,}")


def _order_marks(run: re.Match[str]) -> str:
    """The run decomposed, each group of marks sorted by combining class: canonically equivalent, and cheap to normalise."""
    decomposed = "".join(unicodedata.normalize("NFD", character) for character in run.group())
    groups = itertools.groupby(decomposed, key=lambda character: unicodedata.combining(character) != 0)
    return "".join("".join(sorted(group, key=unicodedata.combining) if marks else group) for marks, group in groups)


def nfc(text: str) -> str:
    """``text`` in Unicode's normalisation form C."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _LONG_RUN.sub(_order_marks, text))

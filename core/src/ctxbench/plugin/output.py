"""Results alone on stdout: what plugins print while they load and work goes to stderr."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import TextIO

_lock = threading.Lock()
_depth = 0
_saved: TextIO | None = None


@contextlib.contextmanager
def plugin_output_to_stderr() -> Iterator[None]:
    """Send what Python code prints on stdout to stderr, so that a plugin's ``print`` spoils no JSON or CSV.

    Around everything that runs a plugin's code; not around what prints a result. Calls nest, and threads may overlap: the first to enter
    redirects, the last to leave restores. Output of C libraries and of child processes is not touched.
    """
    global _depth, _saved
    with _lock:
        if _depth == 0:
            _saved, sys.stdout = sys.stdout, sys.stderr
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                assert _saved is not None
                sys.stdout, _saved = _saved, None

"""A fresh process with another hash seed, in which a component is made anew and asked."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from ctxbench.records import Carrier
from ctxbench.testing.rule import require

_START = (
    "import json, sys; request = json.load(sys.stdin); sys.path = request['path']; from ctxbench.testing import child; child.main(request)"
)


def ask(request: dict[str, Any], seed: str) -> list[Any]:
    """The answers of :func:`ctxbench.testing.child.main` to ``request``, from a process of this hash seed.

    Raises:
        AssertionError: the component cannot be made there, or failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"  # a file: whatever the plugin prints does not get into it
        done = subprocess.run(
            [sys.executable, "-c", _START],
            input=json.dumps({**request, "answer": str(answer)}),
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stderr.strip().splitlines()
        require(done.returncode == 0 and answer.exists(), f"failed in another process: {said[-1] if said else f'exit {done.returncode}'}")
        found: list[Any] = json.loads(answer.read_text("utf-8"))
        return found


def pack_page(page: Image.Image) -> str:
    """A page as text, losslessly."""
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def unpack_page(text: str) -> Image.Image:
    """The page of :func:`pack_page`, which knows nothing of the process that made it."""
    with Image.open(io.BytesIO(base64.b64decode(text))) as image:
        image.load()
        return image.copy()


def pack_carrier(carrier: Carrier) -> list[Any]:
    """A carrier as JSON."""
    return [carrier.text, [pack_page(page) for page in carrier.pages]]

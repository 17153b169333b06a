"""Answers kept in a folder, each in a file of its own under the hash of everything that decides it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from ctxbench import CtxbenchError, stable_hash
from ctxbench.files import write_whole

FORMAT = 1


@attrs.define
class Cache:
    """A folder of answers. Any number of processes may use it at once: a file is there whole or not at all."""

    folder: Path
    _told: bool = attrs.field(default=False, init=False)

    def path(self, identity: Mapping[str, Any]) -> Path:
        """Where the answer to a request is kept."""
        key = stable_hash(identity)
        return self.folder / key[:2] / f"{key}.json"

    def get(self, identity: Mapping[str, Any]) -> dict[str, Any] | None:
        """The answer to a request, or ``None``. A file that cannot be read, or is of another request, counts as none."""
        try:
            kept = json.loads(self.path(identity).read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        fits = isinstance(kept, dict) and kept.get("format") == FORMAT and kept.get("request") == json.loads(json.dumps(identity))
        answer = kept.get("answer") if fits else None
        return answer if isinstance(answer, dict) else None

    def put(self, identity: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """Keep an answer. That it cannot be kept (a full disk) is told once and costs nothing else."""
        path = self.path(identity)
        text = json.dumps({"format": FORMAT, "request": identity, "answer": answer}, ensure_ascii=True)
        try:
            write_whole(path, text.encode("ascii"), sync=True)
        except CtxbenchError as error:
            if not self._told:
                self._told = True
                print(f"ctxbench: answers are not kept in {self.folder}: {error}", file=sys.stderr)

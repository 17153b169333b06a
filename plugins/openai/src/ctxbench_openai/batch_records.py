"""What is known on this machine of batches under way, so that a run that was cut off finds them again."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from ctxbench import CtxbenchError
from ctxbench.files import write_whole

FORMAT = 1
KEPT_SECONDS = 30 * 86_400.0
"""How long a batch is looked for: its files live no longer on OpenAI's servers."""


@attrs.frozen
class Record:
    """A batch. No text of a prompt is in it, and no key.

    Attributes:
        nonce: a random name, which the server keeps with the batch.
        api_key_env: the environment variable that held the key; ``None`` if none is sent.
        model: the name that the server knows the model by.
        requests: the ids of its requests whose results are not stored yet, in the order of its file.
        created: when it was submitted, in seconds since 1970.
        batch: the server's id; ``None`` from before the batch is made until the server has said it.
        seen: its results were read before, by a run that did not end by itself.
    """

    nonce: str
    base_url: str
    api_key_env: str | None
    model: str
    requests: tuple[str, ...]
    created: float
    batch: str | None = None
    seen: bool = False

    @classmethod
    def of(cls, value: object) -> Record | None:
        """A record from a file's JSON; ``None`` if it is none."""
        names = {field.name for field in attrs.fields(cls)}
        if not isinstance(value, Mapping) or value.get("format") != FORMAT or set(value) != names | {"format"}:
            return None
        found = {name: value[name] for name in names}
        return cls(**{**found, "requests": tuple(found["requests"])})


@attrs.frozen
class Records:
    """A folder of records, a file each, which any number of processes may use at once."""

    folder: Path

    def path(self, record: Record) -> Path:
        """Where a record is."""
        return self.folder / f"{record.nonce}.json"

    def all(self) -> list[Record]:
        """Every record, the oldest first. Those that no server will remember are removed."""
        found = []
        for path in self.folder.glob("*.json"):
            record = read(path)
            if record is not None and time.time() - record.created > KEPT_SECONDS:
                self.remove(record)
            elif record is not None:
                found.append(record)
        return sorted(found, key=lambda record: record.created)

    def open_for(self, base_url: str, model: str) -> list[Record]:
        """Batches at an address for a model, with those of their requests whose results this process was not given yet."""
        mine = [record for record in self.all() if (record.base_url, record.model) == (base_url, model)]
        return [_without(record, _taken.get(self.path(record), ())) for record in mine]

    def write(self, record: Record) -> None:
        """Keep a record; it is on the disk when this returns.

        Raises:
            CtxbenchError: it cannot be written.
        """
        value = {"format": FORMAT, **attrs.asdict(record)}
        write_whole(self.path(record), json.dumps(value).encode("ascii"), sync=True)

    def remove(self, record: Record) -> None:
        """Forget a batch, if it is known here."""
        with contextlib.suppress(OSError):
            self.path(record).unlink()

    def take(self, record: Record, request: str) -> None:
        """A result was handed over. It is struck off when this process ends by itself: what it had to store is stored by then."""
        _taken.setdefault(self.path(record), set()).add(request)


def default_folder() -> Path:
    """Where records are kept unless told otherwise: with the state of the user's other programs (XDG Base Directory Specification)."""
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if state else Path.home() / ".local" / "state") / "ctxbench" / "batches"


def read(path: Path) -> Record | None:
    """The record in a file; ``None`` if there is none that can be read."""
    try:
        value: Any = json.loads(path.read_text("ascii"))
        return Record.of(value)
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def settle() -> None:
    """Strike off what was handed over, and remove the records of which nothing is left."""
    while _taken:
        path, requests = _taken.popitem()
        record = read(path)
        if record is None:
            continue
        left = _without(record, requests)
        with contextlib.suppress(CtxbenchError):  # at worst a later run reads a result again that it could have asked for
            if left.requests:
                Records(path.parent).write(left)
            else:
                Records(path.parent).remove(left)


def _without(record: Record, requests: Iterable[str]) -> Record:
    gone = frozenset(requests)
    return attrs.evolve(record, requests=tuple(request for request in record.requests if request not in gone))


_taken: dict[Path, set[str]] = {}
atexit.register(settle)

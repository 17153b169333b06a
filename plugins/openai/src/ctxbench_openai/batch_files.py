"""The files of a batch: requests go out as JSON lines, results come back as JSON lines."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from ctxbench_openai import faults
from ctxbench_openai.asking import completion_of
from ctxbench_openai.faults import Fault
from ctxbench_openai.keys import Key

ENDPOINT = "/v1/chat/completions"
MOST_BYTES = 200_000_000
"""Of a file: https://developers.openai.com/api/docs/guides/batch, and the docstrings of the client ``openai`` 3.57."""

Bodies = Mapping[str, Callable[[], dict[str, Any]]]
"""What is to be asked, by its id. A body is made when it is written, since one with pages is large."""

Result = dict[str, Any] | Fault
"""A chat completion, or why there is none."""


@attrs.frozen
class Part:
    """A file of requests, or a single request (``path`` is ``None``) that is larger than a file may be."""

    path: Path | None
    requests: tuple[str, ...]
    size: int


def parts(bodies: Bodies, most_requests: int, most_bytes: int, folder: Path | None = None) -> Generator[Part, None, None]:
    """Write requests to files that a server takes, one file after the other; each is gone when the next is asked for."""
    waiting = iter(bodies.items())
    carried: tuple[str, bytes] | None = None
    while True:
        with tempfile.NamedTemporaryFile(prefix="ctxbench-batch-", suffix=".jsonl", dir=folder) as file:
            written: list[str] = []
            size = 0
            while len(written) < most_requests:
                if carried is None:
                    carried = _next_line(waiting)
                    if carried is None:
                        break
                if len(carried[1]) > most_bytes:
                    yield Part(None, (carried[0],), len(carried[1]))
                    carried = None
                    continue
                if size + len(carried[1]) > most_bytes:
                    break
                file.write(carried[1])
                size += len(carried[1])
                written.append(carried[0])
                carried = None
            if not written:
                return
            file.flush()
            yield Part(Path(file.name), tuple(written), size)


def _next_line(waiting: Iterator[tuple[str, Callable[[], dict[str, Any]]]]) -> tuple[str, bytes] | None:
    found = next(waiting, None)
    if found is None:
        return None
    request, body = found
    line = {"custom_id": request, "method": "POST", "url": ENDPOINT, "body": body()}
    return request, json.dumps(line, ensure_ascii=True).encode("ascii") + b"\n"


def results(text: str, key: Key) -> Iterator[tuple[str, Result]]:
    """The results in an output or error file, each with its request's id. Lines that are no results are passed over."""
    for line in text.splitlines():
        try:
            found = key.hide_all(json.loads(line))
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict) and isinstance(found.get("custom_id"), str):
            yield found["custom_id"], _result(found, key)


def _result(line: dict[str, Any], key: Key) -> Result:
    response, error = line.get("response"), line.get("error")
    if not isinstance(response, dict):
        return _unanswered(error)
    body, status = response.get("body"), response.get("status_code")
    text = body if isinstance(body, str) else json.dumps(body)
    if status is not None and status != 200:
        return faults.of_status(status if isinstance(status, int) else 500, text, {})
    try:
        return completion_of(text, {"content-type": "application/json"}, key)
    except Fault as fault:
        return fault


def _unanswered(error: object) -> Fault:
    """Why a request of a batch was not even asked. The codes are those of OpenAI's guide."""
    code = error.get("code") if isinstance(error, dict) else None
    said = faults.words(json.dumps({"error": error}))
    if code == "batch_expired":
        return faults.RequestTimeout(f"not answered before the batch expired: {said}")
    if code == "batch_cancelled":
        return faults.RequestRefused(f"not answered before the batch was cancelled: {said}")
    return faults.of_body(error) if error else faults.MalformedAnswer("its result holds neither a response nor an error")

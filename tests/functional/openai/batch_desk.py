"""OpenAI's files and batches, for the fault server: files are checked, batches go through their states, and nothing is answered twice."""

from __future__ import annotations

import email
import email.policy
import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import attrs

Line = dict[str, Any]
Answers = Callable[[Line], Line | None]

STEPS = ("validating", "in_progress", "finalizing", "completed")


@attrs.define
class Batch:
    """A batch at the server. ``step``: how often it was looked at since it may go on."""

    id: str
    file: str
    metadata: dict[str, str]
    created_at: int
    status: str = "validating"
    step: int = 0
    output: str | None = None
    error: str | None = None
    errors: list[dict[str, Any]] = attrs.field(factory=list)
    answered: int = 0
    total: int = 0

    def public(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "errors": {"object": "list", "data": self.errors} if self.errors else None,
            "input_file_id": self.file,
            "completion_window": "24h",
            "status": self.status,
            "output_file_id": self.output,
            "error_file_id": self.error,
            "created_at": self.created_at,
            "request_counts": {"total": self.total, "completed": self.answered, "failed": self.total - self.answered},
            "metadata": self.metadata,
        }


@attrs.define(eq=False)
class Desk:
    """The files and batches of a server.

    Attributes:
        says: the answer to the ``body`` of a request, as a chat completion.
        held: while it is set, batches stay in progress.
        asked: bodies of requests that batches were answered for, in order.
        spoil: changes a result line, or leaves it out (``None``).
        fate: what becomes of a batch in place of ``completed``: ``expired``, ``cancelled`` or ``failed``; ``answered_first`` of its
            requests have been answered by then.
        refusal: what a batch that failed is refused for.
        steps: the states that a batch goes through, one for each look.
        largest: bytes that a file may have. ``page``: batches in an answer to a list.
        calls: (method, path) of every request in this part of the API.
        faults: what goes wrong with the next calls of a (method, path pattern), one by one. ``after``: once it was done all the same.
    """

    says: Callable[[Line], Line]
    held: threading.Event = attrs.field(factory=threading.Event)
    asked: list[Line] = attrs.field(factory=list)
    spoil: Answers = attrs.field(default=lambda line: line)
    fate: str = "completed"
    answered_first: int = 0
    refusal: list[dict[str, Any]] = attrs.field(factory=list)
    steps: tuple[str, ...] = STEPS
    largest: int = 200_000_000
    page: int = 100
    calls: list[tuple[str, str]] = attrs.field(factory=list)
    files: dict[str, str] = attrs.field(factory=dict)
    batches: dict[str, Batch] = attrs.field(factory=dict)
    before: dict[str, list[Callable[[Any, Line], None]]] = attrs.field(factory=dict)
    after: dict[str, list[Callable[[Any, Line], None]]] = attrs.field(factory=dict)
    lock: threading.RLock = attrs.field(factory=threading.RLock)

    def handle(self, handler: Any, method: str, path: str, body: bytes) -> bool:
        """Answer a request, if it is one of these."""
        path, _, query = path.removeprefix("/v1").partition("?")
        if not re.match(r"/(files|batches)\b", path):
            return False
        call = f"{method} {path}"
        with self.lock:
            self.calls.append((method, path))
            fault = self._next(self.before, call)
            if fault is None:
                status, found = self._answer(method, path, query, body, handler.headers)
                fault = self._next(self.after, call)
        if fault is not None:
            fault(handler, {})
        elif isinstance(found, str):
            handler.send(status, found, "application/octet-stream")
        else:
            handler.send(status, json.dumps(found))
        return True

    @staticmethod
    def _next(faults: dict[str, list[Callable[[Any, Line], None]]], call: str) -> Callable[[Any, Line], None] | None:
        for pattern, waiting in faults.items():
            if waiting and re.fullmatch(pattern, call):
                return waiting.pop(0)
        return None

    def _answer(self, method: str, path: str, query: str, body: bytes, headers: Any) -> tuple[int, Any]:
        if (method, path) == ("POST", "/files"):
            return self._upload(body, headers)
        if (method, path) == ("POST", "/batches"):
            return self._create(json.loads(body))
        if (method, path) == ("GET", "/batches"):
            return self._list(query)
        if (method, match := re.fullmatch(r"/files/([\w-]+)/content", path)) and match and match[1] in self.files:
            return 200, self.files[match[1]]
        match = re.fullmatch(r"/batches/([\w-]+)(/cancel)?", path)
        if match is None or match[1] not in self.batches:
            return 404, {"error": {"message": f"No such thing: {path}", "type": "invalid_request_error"}}
        batch = self.batches[match[1]]
        if match[2]:
            self._end(batch, "cancelled")
        elif batch.status in STEPS[:-1] and not self.held.is_set():
            self._go_on(batch)
        elif batch.status == "validating":
            batch.status = "in_progress"
        return 200, batch.public()

    def _upload(self, body: bytes, headers: Any) -> tuple[int, Any]:
        head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
        message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
        fields = {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}
        text = fields["file"].get_payload(decode=True)
        assert fields["purpose"].get_payload(decode=True).decode().strip() == "batch"
        assert fields["file"].get_filename().endswith(".jsonl")
        if len(text) > self.largest:
            return 413, {"error": {"message": "file too large", "type": "invalid_request_error"}}
        name = f"file-{len(self.files)}"
        self.files[name] = text.decode()
        return 200, {"id": name, "object": "file", "bytes": len(text), "purpose": "batch", "filename": "x.jsonl", "status": "processed"}

    def _create(self, asked: Line) -> tuple[int, Any]:
        assert asked["endpoint"] == "/v1/chat/completions"
        assert asked["completion_window"] == "24h"
        batch = Batch(f"batch_{len(self.batches)}", asked["input_file_id"], asked.get("metadata") or {}, int(time.time()))
        lines = self.lines(batch)
        batch.total = len(lines)
        assert len({line["custom_id"] for line in lines}) == len(lines) <= 50_000
        assert all(line["method"] == "POST" and line["url"] == asked["endpoint"] and len(line["custom_id"]) <= 64 for line in lines)
        assert len({line["body"]["model"] for line in lines}) == 1
        self.batches[batch.id] = batch
        return 200, batch.public()

    def _list(self, query: str) -> tuple[int, Any]:
        newest = list(reversed(self.batches.values()))
        if after := re.search(r"after=([\w-]+)", query):
            ids = [batch.id for batch in newest]
            newest = newest[ids.index(after[1]) + 1 :]
        shown = newest[: self.page]
        return 200, {"object": "list", "data": [batch.public() for batch in shown], "has_more": len(newest) > len(shown)}

    def lines(self, batch: Batch) -> list[Line]:
        """The requests of a batch."""
        return [json.loads(line) for line in self.files[batch.file].splitlines()]

    def _go_on(self, batch: Batch) -> None:
        """A look takes a batch one state further."""
        batch.step += 1
        if batch.step == 1 and self.fate == "failed":
            batch.status, batch.errors, batch.total = "failed", self.refusal, 0
        elif self.steps[batch.step] == "completed":
            self._end(batch, self.fate)
        else:
            batch.status = self.steps[batch.step]

    def _end(self, batch: Batch, status: str) -> None:
        lines = self.lines(batch)
        answered = lines if status == "completed" else lines[: self.answered_first]
        good, bad = [], []
        for line in answered:
            self.asked.append(line["body"])
            response = {"status_code": 200, "request_id": "r", "body": self.says(line["body"])}
            result = self.spoil({"id": "batch_req_1", "custom_id": line["custom_id"], "response": response, "error": None})
            if result is not None:
                (good if result["response"] and result["response"]["status_code"] == 200 else bad).append(result)
        for line in lines[len(answered) :]:
            error = {"code": f"batch_{status}", "message": f"This request could not be executed: {status}."}
            bad.append({"id": "batch_req_2", "custom_id": line["custom_id"], "response": None, "error": error})
        batch.status, batch.answered = status, len(good)
        for kind, results in (("output", good), ("error", bad)):
            if results:
                name = f"file-{len(self.files)}"
                self.files[name] = "".join(json.dumps(result) + "\n" for result in reversed(results))  # in any order, the guide says
                setattr(batch, kind, name)

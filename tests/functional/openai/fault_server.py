"""A server that speaks chat completions and misbehaves as it is told, over real sockets."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs
from batch_desk import Desk
from PIL import Image

from ctxbench import tokens

Fault = Callable[["Handler", dict[str, Any]], None]
Script = Callable[[int, dict[str, Any]], Fault | None]

OVERHEAD = 9
"""Tokens of this server's chat template."""


def pages_of(body: dict[str, Any]) -> list[Image.Image]:
    """The page images of a request."""
    parts = body["messages"][-1]["content"]
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    return [Image.open(io.BytesIO(base64.b64decode(url.partition(";base64,")[2]))) for url in urls]


def answer_of(body: dict[str, Any]) -> str:
    """What this server says to a request: a hash of its messages, so that no two prompts share an answer."""
    return hashlib.sha256(json.dumps(body["messages"]).encode()).hexdigest()[:12]


def usage_of(body: dict[str, Any]) -> dict[str, Any]:
    """A token for each word, Qwen2-VL's for the pages with their markers, and the template's."""
    words = len(" ".join(part.get("text", "") for part in body["messages"][-1]["content"]).split())
    visual = sum(tokens.visual_tokens(*page.size) + 2 for page in pages_of(body))
    return {"prompt_tokens": OVERHEAD + words + visual, "completion_tokens": 3, "total_tokens": OVERHEAD + words + visual + 3}


def completion(text: str | None, usage: dict[str, Any] | None, **message: Any) -> dict[str, Any]:
    """A chat completion."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text, **message}}
    return {"id": "1", "object": "chat.completion", "model": "served", "choices": [choice], "usage": usage}


@attrs.define
class Arrival:
    """A request as it arrived."""

    body: dict[str, Any]
    headers: dict[str, str]
    time: float


class Handler(BaseHTTPRequestHandler):
    """Answers, or does what the script says."""

    protocol_version = "HTTP/1.1"
    server: FaultServer

    def do_GET(self) -> None:
        if not self.server.desk.handle(self, "GET", self.path, b""):
            self.send(404, "{}")

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.server.desk.handle(self, "POST", self.path, data):
            return
        body = json.loads(data)
        with self.server.lock:
            number = len(self.server.arrivals)
            self.server.arrivals.append(Arrival(body, {name.lower(): value for name, value in self.headers.items()}, time.monotonic()))
            self.server.active += 1
            self.server.peak = max(self.server.peak, self.server.active)
        try:
            fault = self.server.script(number, body)
            if fault is None:
                self.answer(self.server.says(body), usage_of(body))
            else:
                fault(self, body)
        except OSError:  # the client has gone
            self.close_connection = True
        finally:
            with self.server.lock:
                self.server.active -= 1

    def answer(self, text: str | None, usage: dict[str, Any] | None, **message: Any) -> None:
        """A chat completion."""
        self.send(200, json.dumps(completion(text, usage, **message)))

    def send(self, status: int, text: str, kind: str = "application/json", **headers: str) -> None:
        """A response."""
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


class FaultServer(ThreadingHTTPServer):
    """A server on a port of its own. ``script(number, body)`` gives what is wrong with the answer to each request, ``None`` for nothing."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.arrivals: list[Arrival] = []
        self.active = self.peak = 0
        self.script: Script = lambda number, body: None
        self.says: Callable[[dict[str, Any]], str] = answer_of
        self.ended = threading.Event()
        self.desk = Desk(lambda body: completion(self.says(body), usage_of(body)))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def first(self, *faults: Fault) -> None:
        """The first requests get these faults, one each."""
        self.script = lambda number, body: faults[number] if number < len(faults) else None

    def always(self, fault: Fault) -> None:
        """Every request gets this fault."""
        self.script = lambda number, body: fault

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [arrival.body for arrival in self.arrivals]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


def serving() -> Iterator[FaultServer]:
    """A running server, for a fixture."""
    server = FaultServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.ended.set()
    server.shutdown()
    server.server_close()
    thread.join()


def status(code: int, text: str = "", kind: str = "application/json", **headers: str) -> Fault:
    """An HTTP status with a body."""
    return lambda handler, body: handler.send(code, text, kind, **headers)


def error(code: int, message: str, **headers: str) -> Fault:
    """An HTTP status with an error in OpenAI's form."""
    return status(code, json.dumps({"error": {"message": message, "type": "some_error", "code": None}}), **headers)


def reset(handler: Handler, body: dict[str, Any]) -> None:
    """The connection is reset before a byte of the answer."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def cut(handler: Handler, body: dict[str, Any]) -> None:
    """The connection ends in the middle of the answer."""
    data = json.dumps({"choices": [{"message": {"content": "half of it"}}]}).encode()
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[: len(data) // 2])
    handler.close_connection = True


def half_json(handler: Handler, body: dict[str, Any]) -> None:
    """The answer is complete as a response, and half of a JSON text."""
    handler.send(200, '{"choices": [{"message": {"content": "half of i')


def drip(handler: Handler, body: dict[str, Any]) -> None:
    """A byte now and then, so that no read ever takes long, and no end."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    while not handler.server.ended.wait(0.02):
        handler.wfile.write(b" ")
        handler.wfile.flush()

"""Whatever a server does wrong, every prompt is answered or is one clear error, and none is asked more often than it has to be."""

from __future__ import annotations

import email.utils
import itertools
import socket
import threading
import time
from collections import Counter

import fault_server as fs
import pytest
from PIL import Image

import ctxbench
from ctxbench import Prompt
from ctxbench.config import make_config

PROMPTS = [Prompt((Image.new("RGB", (56, 28 * (1 + i % 2)), (10 * i, 0, 0)),) if i % 3 == 0 else (), f"question {i}") for i in range(9)]

PASSING = {
    "reset": fs.reset,
    "connection cut": fs.cut,
    "half a JSON text": fs.half_json,
    "429": fs.error(429, "slow down"),
    "429 with Retry-After": fs.error(429, "slow down", Retry_After="0.01"),
    "429 with a date": fs.error(429, "slow down", Retry_After=email.utils.formatdate(0, usegmt=True)),
    "500": fs.error(500, "oh no"),
    "502 as HTML": fs.status(502, "<html><body>Bad Gateway</body></html>", "text/html"),
    "503 without a body": fs.status(503),
    "HTML with 200": fs.status(200, "<html>please log in</html>", "text/html"),
    "nothing with 200": fs.status(200, ""),
    "a list with 200": fs.status(200, "[1, 2]"),
    "no choices": fs.status(200, '{"choices": [], "usage": {}}'),
    "an overload with 200": fs.status(200, '{"error": {"message": "busy", "type": "overloaded_error"}}'),
    "a 500 with 200": fs.status(200, '{"error": {"message": "busy", "code": 500}}'),
}


def said(model, prompts=PROMPTS):
    """What the server's answers to these prompts are, each by the request that only this prompt makes."""
    texts = [reading.text for reading in model.read(prompts)]
    model.close()
    return texts


@pytest.fixture
def expected(served):
    return said(served(probe=False))


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_a_fault_that_passes_costs_one_more_request(server, served, expected, fault):
    """Each prompt gets its own answer; those whose first request fails are asked once more, and nobody else."""
    server.arrivals.clear()
    server.first(fault, fault)
    readings = served(probe=False).read(PROMPTS)
    assert [reading.error for reading in readings] == [None] * 9
    assert [reading.text for reading in readings] == expected
    times = Counter(str(body["messages"]) for body in server.bodies)
    assert sorted(times.values()) == [1] * 7 + [2, 2]
    assert sorted(reading.metadata["attempts"] for reading in readings) == [1] * 7 + [2, 2]


REFUSALS = {
    "400": (fs.error(400, "too\nlong"), "RequestRefused", "HTTP 400: too long"),
    "403": (fs.error(403, "not for you"), "RequestRefused", "HTTP 403: not for you"),
    "422 of FastAPI": (fs.status(422, '{"detail": "Unexpected fields: x"}'), "RequestRefused", "HTTP 422: Unexpected fields: x"),
    "out of quota": (fs.status(429, '{"error": {"code": "insufficient_quota", "message": "pay"}}'), "RequestRefused", "HTTP 429: pay"),
    "an error with 200": (
        fs.status(200, '{"error": {"message": "bad image", "type": "invalid_request_error"}}'),
        "RequestRefused",
        "the answer is an error: bad image",
    ),
    "a 400 with 200": (fs.status(200, '{"error": {"message": "bad image", "code": 400}}'), "RequestRefused", "HTTP 400: bad image"),
}


@pytest.mark.parametrize(("fault", "kind", "message"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_one_error_and_one_request(server, served, fault, kind, message):
    """What will never be answered is not asked again; the prompts beside it are answered."""
    server.script = lambda number, body: fault if "question 4" in str(body["messages"]) else None
    readings = served(probe=False).read(PROMPTS)
    assert readings[4].error == (kind, f"{server.url}, model served: {message}")
    assert [reading.error for i, reading in enumerate(readings) if i != 4] == [None] * 8
    assert len(server.arrivals) == 9


@pytest.mark.parametrize(("code", "kind"), [(401, "AuthenticationFailed"), (404, "ModelNotFound")])
def test_what_fails_for_all_is_not_asked_by_all(server, served, code, kind):
    """A refused key or a missing model fails every prompt, after no more requests than were under way together."""
    server.always(fs.error(code, "no"))
    model = served(concurrency=2)
    prompts = [Prompt((), f"question {i}") for i in range(40)]
    assert {reading.error[0] for reading in model.read(prompts)} == {kind}
    assert len(server.arrivals) <= 2
    model.read(prompts)
    assert len(server.arrivals) <= 2
    server.script = lambda number, body: None
    model.close()  # which forgets it
    assert model.read(prompts[:1])[0].error is None


def test_a_storm_of_429_loses_nothing(server, served):
    """Being told to slow down uses up no retries: forty refusals before the first answer, one retry allowed, and every prompt answered."""
    server.first(*[fs.error(429, "slow down", Retry_After="0.01")] * 40)
    model = served(retries=1, probe=False)
    prompts = [Prompt((), f"question {i}") for i in range(24)]
    readings = model.read(prompts)
    assert [reading.error for reading in readings] == [None] * 24
    assert len({reading.text for reading in readings}) == 24
    assert len(server.arrivals) == 64


def test_retry_after_holds_everybody(server, served):
    """After a 429 that asks for 0.4 s no request of any prompt arrives for 0.4 s."""
    server.first(fs.error(429, "slow down", Retry_After="0.4"))
    readings = served(concurrency=1, probe=False).read(PROMPTS[:4])
    assert all(reading.error is None for reading in readings)
    assert server.arrivals[1].time - server.arrivals[0].time >= 0.4


def test_a_server_that_asks_for_an_hour(server, served):
    """A pause beyond the patience is an error at once, not an hour's silence."""
    server.always(fs.error(429, "quota of today", Retry_After="3600"))
    (reading,) = served().read(PROMPTS[:1])
    assert reading.error == ("RateLimited", f"{server.url}, model served: HTTP 429: quota of today")
    assert len(server.arrivals) == 1


def test_retries_end(server, served):
    """A server that always fails is asked once and as often again as the option says; the error tells."""
    server.always(fs.error(500, "oh no"))
    (reading,) = served(retries=2).read(PROMPTS[:1])
    assert reading.error[0] == "ServerFault"
    assert reading.error[1].startswith(f"{server.url}, model served: HTTP 500: oh no (after 3 attempts in ")
    assert len(server.arrivals) == 3


def test_a_slow_drip_ends_at_the_time_limit(server, served):
    """A byte now and then keeps every read short; the limit is that of the whole request."""
    server.always(fs.drip)
    (reading,) = served(timeout=0.5, retries=0).read(PROMPTS[:1])
    assert reading.error == ("RequestTimeout", f"{server.url}, model served: no answer within 0.5 s (option timeout)")


def test_a_server_that_is_not_there(served):
    """No connection is one error a prompt; after the first was tried as often as allowed, the others are tried once."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    model = served(base_url=url, retries=2)
    (first,) = model.read(PROMPTS[:1])
    (second,) = model.read(PROMPTS[1:2])
    assert first.error[0] == second.error[0] == "ConnectionFailed"
    assert "after 3 attempts" in first.error[1]
    assert "(after " not in second.error[1]
    assert "\n" not in first.error[1]


def test_answers_belong_to_their_prompts_in_any_order(server, served, expected):
    """The first request is answered when all others were: its answer is still its own prompt's."""
    server.arrivals.clear()
    others_came = threading.Event()

    def wait_for_the_others(handler, body):
        others_came.wait()
        handler.answer(fs.answer_of(body), fs.usage_of(body))

    server.script = lambda number, body: wait_for_the_others if number == 0 else None
    each = []
    for pair in served(probe=False).read_each(PROMPTS):
        each.append(pair)
        if len(each) == 8:
            others_came.set()
    assert {i: reading.text for i, reading in each} == dict(enumerate(expected))
    assert each[-1][1].text == fs.answer_of(server.bodies[0])


def test_equal_prompts_are_asked_once(server, served):
    """Two prompts that are equal to the pixel are one request; one other pixel makes two."""
    page = Image.new("RGB", (56, 56))
    other = page.copy()
    other.putpixel((3, 3), (1, 0, 0))
    readings = served(probe=False).read([Prompt((page,), "?"), Prompt((other,), "?"), Prompt((page.copy(),), "?")])
    assert len(server.arrivals) == 2
    assert readings[0].text == readings[2].text != readings[1].text


def test_no_more_requests_at_once_than_allowed(server, served):
    """The limit holds whatever is handed over."""
    release = itertools.count()

    def slowly(handler, body):
        time.sleep(0.01 * (next(release) % 3))
        handler.answer(fs.answer_of(body), fs.usage_of(body))

    server.always(slowly)
    served(concurrency=3, probe=False).read([Prompt((), f"question {i}") for i in range(20)])
    assert server.peak <= 3


@pytest.mark.filterwarnings("ignore")
def test_a_run_through_faults_stores_each_trial_once(server, served, tmp_path):
    """The whole engine against a server that fails every third request: every trial is stored once, right or as an error of one line."""
    cycle = itertools.cycle([fs.reset, fs.error(429, "slow", Retry_After="0.01"), fs.cut, fs.error(500, "oh"), fs.half_json])
    refused = fs.error(400, "no cats")

    def script(number, body):
        if "3" in fs.answer_of(body)[:2]:
            return refused
        return next(cycle) if number % 3 == 0 else None

    server.script = script
    model = {"name": f"openai:served@{server.url}", "probe": False, "retries": 50}
    settings = {"samples": 4, "buckets": [64], "tasks": ["needle"], "codecs": ["text", "codebook"], "augmentations": ["clean", "light"]}
    run = {"executor": {"name": "local", "workers": 0}, "channel": False}
    store_file = str(tmp_path / "s.duckdb")
    config = make_config({"models": [model], **settings, "run": run, "store": store_file})
    with ctxbench.run(config) as store:
        rows = store.query("SELECT trial_id, status, error_stage, error_type, error_message, prediction FROM results").rows
    assert len(rows) == len({row[0] for row in rows}) == 16
    for _, state, stage, kind, message, prediction in rows:
        if state == "error":
            assert (stage, kind) == ("read", "RequestRefused")
            assert message == f"{server.url}, model served: HTTP 400: no cats"
        else:
            assert "3" not in prediction[:2]
    asked = Counter(str(body["messages"]) for body in server.bodies)
    distinct = len(asked)
    faults = sum((n % 3 == 0) for n, body in enumerate(server.bodies) if "3" not in fs.answer_of(body)[:2])
    assert sum(asked.values()) == distinct + faults

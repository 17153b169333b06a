"""The Batch API: every request reaches the server once, its result its prompt, and whatever the server leaves out is one clear error."""

from __future__ import annotations

import itertools
import json

import fault_server as fs
import pytest
from PIL import Image

from ctxbench import ConfigError, Prompt
from ctxbench_openai import batch_api, batch_records, batching

PAGES = [Image.new("RGB", (56, 28 * (1 + i % 2)), (10 * i, 0, 0)) for i in range(9)]
PROMPTS = [Prompt((page,) if i % 3 == 0 else (), f"question {i}", max_new_tokens=7) for i, page in enumerate(PAGES)]
PRICES = {"input": 100.0, "cached": 10.0, "output": 1000.0}


@pytest.fixture
def batched(served, tmp_path, monkeypatch):
    """``batched(option=value)`` is a model that asks through the Batch API, with pauses that hold no test up."""
    monkeypatch.setattr(batch_api, "FIRST", 0.001)
    monkeypatch.setattr(batch_api, "LONGEST", 0.01)
    yield lambda **options: served(**{"batch_api": True, "batch_folder": str(tmp_path / "open"), "probe": False, **options})
    batch_records._taken.clear()


def records(tmp_path):
    """What the folder of open batches holds."""
    return sorted(path.name for path in (tmp_path / "open").glob("*"))


def test_the_same_answers_as_by_conversation(server, served, batched):
    """Texts, counts and costs of each prompt are its own, though results come in reverse, and nothing is asked beside the batch."""
    expected = served(probe=False, prices=PRICES).read(PROMPTS)
    server.arrivals.clear()
    readings = batched(prices=PRICES).read([*PROMPTS, PROMPTS[3]])
    assert [reading.text for reading in readings] == [reading.text for reading in [*expected, expected[3]]]
    assert [reading.usage for reading in readings[:9]] == [reading.usage for reading in expected]
    assert [reading.cost_usd for reading in readings[:9]] == [reading.cost_usd for reading in expected]
    assert readings[9].spent_usd == 0.0
    assert (server.arrivals, len(server.desk.batches), len(server.desk.asked)) == ([], 1, 9)
    assert {reading.metadata["batch_id"] for reading in readings} == {"batch_0"}
    body = next(body for body in server.desk.asked if "question 3" in json.dumps(body))
    assert [page.size for page in fs.pages_of(body)] == [PAGES[3].size]
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("served", 7, 0.0)


def test_pages_are_counted_by_a_request_without_them(server, batched):
    """Each combination of page sizes is measured once, at once and not through a batch; half the price is the batch's alone."""
    model = batched(probe=True, prices={**PRICES, "batch": 0.5}, family="qwen2-vl")
    readings = model.read(PROMPTS)
    assert [reading.usage.visual for reading in readings[:4]] == [6, 0, 0, 4]
    assert len(server.arrivals) == 2
    probes = sum((fs.usage_of(body)["prompt_tokens"] * 100 + 3 * 1000) / 1e6 for body in server.bodies)
    batch = sum((fs.usage_of(body)["prompt_tokens"] * 100 + 3 * 1000) / 2e6 for body in server.desk.asked)
    assert sum(reading.cost_usd for reading in readings) == pytest.approx(batch)
    assert sum(reading.spent_usd for reading in readings) == pytest.approx(batch + probes)


def test_the_most_that_a_request_can_cost(batched, served):
    """``batch`` is a factor on all three prices where the Batch API is used, and none elsewhere; the probe costs what it always does."""
    half = {**PRICES, "batch": 0.5}
    text, page = Prompt((), "?", max_new_tokens=50), Prompt((PAGES[0],), "?", max_new_tokens=50)
    assert batched(prices=half).most_usd(text) == pytest.approx(served(prices=PRICES).most_usd(text) / 2)
    assert served(prices=half).most_usd(text) == served(prices=PRICES).most_usd(text)
    probe = served(prices=PRICES).most_usd(page) - served(prices=PRICES, probe=False).most_usd(page)
    assert batched(prices=half, probe=True).most_usd(page) == pytest.approx(batched(prices=half).most_usd(page) + probe)
    with pytest.raises((ConfigError, ValueError), match=r"prices: batch must be a factor such as 0\.5"):
        served(prices={**PRICES, "batch": -1})


@pytest.mark.parametrize(("requests", "limit", "sizes"), [(4, None, [4, 4, 1]), (500, 1500, None), (500, 60, [])])
def test_files_stay_within_the_limits(server, batched, monkeypatch, requests, limit, sizes):
    """No file holds more requests, or more bytes, pages included; a request that no file can hold is refused here and never sent."""
    if limit is not None:
        monkeypatch.setattr(batching, "MOST_BYTES", limit)
        server.desk.largest = limit
    readings = batched(batch_requests=requests).read(PROMPTS)
    files = [server.desk.files[batch.file] for batch in server.desk.batches.values()]
    if sizes is not None:
        assert [len(text.splitlines()) for text in files] == sizes
    else:
        assert len(files) > 1
        assert all(len(a) + len(b.splitlines()[0]) > limit for a, b in itertools.pairwise(files))
        assert [reading.error for reading in readings] == [None] * 9
    if sizes == []:
        assert {reading.error[0] for reading in readings} == {"RequestRefused"}
        assert "is larger than a batch may be (60); nothing was sent" in readings[0].error[1]
        assert server.desk.calls == []


def line_error(status, message, **more):
    """A result that is an error of one request."""
    return lambda line: {**line, "response": {"status_code": status, "body": {"error": {"message": message, **more}}}}


SPOILT = {
    "400": (line_error(400, "too\nlong"), "RequestRefused", "HTTP 400: too long"),
    "429": (line_error(429, "slow down"), "RateLimited", "HTTP 429: slow down"),
    "500": (line_error(500, "oh no"), "ServerFault", "HTTP 500: oh no"),
    "404": (line_error(404, "no such model"), "ModelNotFound", "HTTP 404: no such model"),
    "missing": (lambda line: None, "ServerFault", "the batch is completed, and its files hold no result of this request"),
    "no completion": (
        lambda line: {**line, "response": {"status_code": 200, "body": {"choices": []}}},
        "MalformedAnswer",
        "the answer is JSON, but no chat completion",
    ),
    "neither": (lambda line: {**line, "response": None}, "MalformedAnswer", "its result holds neither a response nor an error"),
    "another's": (lambda line: {**line, "custom_id": "of somebody else"}, "ServerFault", "its files hold no result of this request"),
}


@pytest.mark.parametrize(("spoil", "kind", "message"), SPOILT.values(), ids=SPOILT)
def test_a_result_that_is_none_costs_its_prompt_alone(server, batched, tmp_path, spoil, kind, message):
    """The error has today's name and names the batch; the others are answered; asking again is another batch with this request alone."""
    wanted = fs.answer_of({"messages": [{"role": "user", "content": [{"type": "text", "text": "question 4"}]}]})

    def one(line):
        body = line["response"]["body"]
        return spoil(line) if body["choices"][0]["message"]["content"] == wanted else line

    server.desk.spoil = one
    model = batched()
    readings = model.read(PROMPTS)
    assert readings[4].error[0] == kind
    assert readings[4].error[1].startswith(f"{server.url}, model served, batch batch_0: ")
    assert message in readings[4].error[1]
    assert [reading.error for i, reading in enumerate(readings) if i != 4] == [None] * 8
    server.desk.spoil = lambda line: line
    assert model.read(PROMPTS[4:5])[0].text == wanted
    assert [batch.total for batch in server.desk.batches.values()] == [9, 1]
    batch_records.settle()
    assert records(tmp_path) == []


@pytest.mark.parametrize(
    ("fate", "kind", "message"),
    [
        ("expired", "RequestTimeout", "not answered before the batch expired: This request could not be executed"),
        ("cancelled", "RequestRefused", "not answered before the batch was cancelled: This request could not be executed"),
    ],
)
def test_a_batch_that_ends_early(server, batched, fate, kind, message):
    """What was answered by then counts; the rest is an error each."""
    server.desk.fate, server.desk.answered_first = fate, 4
    readings = batched().read(PROMPTS)
    assert [reading.error is None for reading in readings] == [True] * 4 + [False] * 5
    assert {reading.error[0] for reading in readings[4:]} == {kind}
    assert message in readings[8].error[1]


@pytest.mark.parametrize(
    ("refusal", "kinds", "message"),
    [
        ([{"code": "invalid_request", "line": 2, "message": "no cats"}], {"RequestRefused"}, "refused it: no cats"),
        (
            [{"code": "token_limit_exceeded", "line": None, "message": "Enqueued token limit reached"}],
            {"RateLimited"},
            "refused it as a whole: Enqueued token limit reached",
        ),
        ([], {"RequestRefused"}, "refused it as a whole: it does not say why"),
    ],
)
def test_a_batch_that_is_refused(server, batched, refusal, kinds, message):
    """Every request is an error; one that the server names has the server's words."""
    server.desk.fate, server.desk.refusal = "failed", refusal
    readings = batched().read(PROMPTS)
    assert {reading.error[0] for reading in readings} == kinds
    assert message in readings[1].error[1]
    assert server.desk.asked == []


@pytest.mark.parametrize("fault", [fs.error(429, "slow", Retry_After="0.01"), fs.error(503, "busy"), fs.cut, fs.reset], ids=range(4))
def test_calls_that_fail_are_made_again(server, batched, fault):
    """An upload, a submission, a look and a download that fail in passing cost no prompt and make no second batch."""
    server.desk.before = {
        call: [fault, fault] for call in ("POST /files", "POST /batches", r"GET /batches/.*", r"GET /files/.*", "GET /batches")
    }
    readings = batched().read(PROMPTS)
    assert [reading.error for reading in readings] == [None] * 9
    assert (len(server.desk.batches), len(server.desk.asked)) == (1, 9)


@pytest.mark.parametrize("fault", [fs.reset, fs.cut, fs.error(500, "oh no"), fs.half_json], ids=["reset", "cut", "500", "half"])
def test_a_batch_whose_making_was_not_confirmed_is_not_made_again(server, batched, fault):
    """The server has made it and the answer got lost: it is found by its mark, behind other batches, and no second one is made."""
    server.desk.page = 1

    def lose(handler, body):
        for i in range(3):
            server.desk.batches[f"other_{i}"] = type(server.desk.batches["batch_0"])(f"other_{i}", "file-0", {}, 2**31)
        fault(handler, body)

    server.desk.after = {"POST /batches": [lose]}
    readings = batched().read(PROMPTS)
    assert [reading.error for reading in readings] == [None] * 9
    assert [call for call in server.desk.calls if call == ("POST", "/batches")] == [("POST", "/batches")]
    assert len(server.desk.asked) == 9


def test_a_server_without_a_batch_api(server, batched, tmp_path):
    """One clear error a prompt, no record, and the server may still be asked otherwise."""
    server.desk.before = {"POST /files": [fs.error(404, "Not Found")] * 9}
    readings = batched().read(PROMPTS)
    assert {reading.error for reading in readings} == {
        ("RequestRefused", f"{server.url}, model served: HTTP 404: Not Found (Batch API); no batch was made")
    }
    assert records(tmp_path) == []


def test_a_server_that_is_away_while_a_batch_runs(server, batched, tmp_path):
    """Looks that fail for longer than the patience are errors that say so; the next look finds the same batch and its answers."""
    server.desk.before = {r"GET /batches/.*": [fs.error(503, "away")]}
    model = batched(patience=0)
    readings = model.read(PROMPTS)
    assert {reading.error[0] for reading in readings} == {"ServerFault"}
    assert "batch batch_0: HTTP 503: away; the batch goes on at the server: --retry-errors looks for it again" in readings[0].error[1]
    batch_records.settle()
    assert len(records(tmp_path)) == 1
    assert [reading.error for reading in model.read(PROMPTS)] == [None] * 9
    assert (len(server.desk.batches), len(server.desk.asked)) == (1, 9)


def test_what_was_handed_over_is_not_taken_from_an_old_batch(server, batched, tmp_path):
    """A batch whose answers are stored is no cache: the same prompts are asked anew, within this process and after it."""
    model = batched()
    model.read(PROMPTS)
    model.read(PROMPTS[:2])
    assert len(records(tmp_path)) == 2
    batch_records.settle()
    assert records(tmp_path) == []
    batched().read(PROMPTS[:1])
    assert [batch.total for batch in server.desk.batches.values()] == [9, 2, 1]


def test_a_run_that_was_killed_after_it_read_the_answers(server, batched, tmp_path):
    """Answers that may not be stored are read again and not asked again; those that were errors are asked once more."""
    wanted = fs.answer_of({"messages": [{"role": "user", "content": [{"type": "text", "text": "question 4"}]}]})
    server.desk.spoil = lambda line: line_error(500, "oh")(line) if wanted in json.dumps(line) else line
    first = batched().read(PROMPTS)
    batch_records._taken.clear()  # as if the process had been killed
    server.desk.spoil = lambda line: line
    again = batched().read(PROMPTS)
    assert first[4].error is not None
    assert [reading.error for reading in again] == [None] * 9
    assert [reading.metadata["batch_id"] for reading in again] == ["batch_0"] * 4 + ["batch_1"] + ["batch_0"] * 4
    assert len(server.desk.asked) == 10


def test_other_prompts_other_model_and_other_server(server, batched):
    """An open batch answers the requests that are in it, for the model and address that it was made for, and nothing else."""
    server.desk.held.set()
    server.desk.before = {r"GET /batches/.*": [fs.error(400, "no")] * 3}  # the look ends, the batch does not
    batched().read(PROMPTS[:4])
    server.desk.held.clear()
    server.desk.before = {}
    assert [reading.metadata["batch_id"] for reading in batched().read(PROMPTS[2:6])] == ["batch_0"] * 2 + ["batch_1"] * 2
    batched(name="other").read(PROMPTS[:1])
    batched(base_url=server.url.replace("127.0.0.1", "localhost")).read(PROMPTS[:1])
    batched(temperature=1.0).read(PROMPTS[:1])
    assert [batch.total for batch in server.desk.batches.values()] == [4, 2, 1, 1, 1]


def test_a_batch_that_the_server_no_longer_knows(server, batched, tmp_path):
    """It is not asked anew behind the user's back: it may have been paid for. The error says where it is noted."""
    server.desk.before = {r"GET /batches/.*": [fs.error(400, "no")]}
    batched().read(PROMPTS[:1])
    server.desk.batches.clear()
    (reading,) = batched().read(PROMPTS[:1])
    assert reading.error[0] == "RequestRefused"
    assert "batch batch_0: HTTP 404: No such thing" in reading.error[1]
    assert len(records(tmp_path)) == 1


def test_answers_of_a_batch_are_kept_in_the_cache(server, batched, served, tmp_path):
    """What the folder has is neither submitted nor paid; a batch's answers serve conversations too."""
    cache = str(tmp_path / "cache")
    first = batched(cache=cache, prices=PRICES).read(PROMPTS[:3])
    again = batched(cache=cache, prices=PRICES).read(PROMPTS[:4])
    assert [reading.text for reading in again[:3]] == [reading.text for reading in first]
    assert [reading.spent_usd > 0 for reading in again] == [False] * 3 + [True]
    assert [batch.total for batch in server.desk.batches.values()] == [3, 1]
    assert served(cache=cache, probe=False).read(PROMPTS[:4])[3].text == again[3].text
    assert server.arrivals == []


def test_records_that_are_old_damaged_or_of_others(tmp_path):
    """A batch of more than thirty days is forgotten, since no server has its files; a file that is no record is left alone."""
    kept = batch_records.Records(tmp_path)
    new = batch_records.Record("b", "http://h/v1", None, "m", ("1", "2"), created=batch_records.time.time())
    old = batch_records.attrs.evolve(new, nonce="a", created=new.created - 31 * 86_400)
    for record in (old, new):
        kept.write(record)
    (tmp_path / "c.json").write_text("{")
    (tmp_path / "d.json").write_text('{"format": 2}')
    assert kept.all() == [new]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.json", "c.json", "d.json"]
    kept.take(new, "1")
    assert kept.open_for("http://h/v1", "m")[0].requests == ("2",)
    batch_records.settle()
    assert kept.all()[0].requests == ("2",)


def test_nothing_is_submitted_that_cannot_be_noted(server, batched, tmp_path):
    """A folder that cannot be written would lose the batch: the prompts are errors, and no batch is made."""
    (tmp_path / "open").write_text("a file")
    readings = batched().read(PROMPTS[:2])
    assert {reading.error[0] for reading in readings} == {"CtxbenchError"}
    assert "not written: " in readings[0].error[1]
    assert server.desk.batches == {}


def test_a_file_that_cannot_be_written_costs_what_was_to_be_in_it(server, batched, monkeypatch):
    """The prompts that are not submitted are errors with the system's reason; a batch that is under way gives its answers."""
    real = batching.parts

    def full(*arguments):
        files = real(*arguments)
        yield next(files)
        files.close()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(batching, "parts", full)
    readings = batched(batch_requests=4).read(PROMPTS)
    assert [reading.error is None for reading in readings] == [True] * 4 + [False] * 5
    assert readings[8].error == ("OSError", f"{server.url}, model served: [Errno 28] No space left on device")

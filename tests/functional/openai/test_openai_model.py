"""What is sent, what is counted, and what identifies a served model."""

from __future__ import annotations

import asyncio

import attrs
import fault_server as fs
import numpy as np
import pytest
from PIL import Image

from ctxbench import ConfigError, Prompt, load_plugins
from ctxbench.testing import ModelContract
from ctxbench_openai.pace import Pace

ENVIRONMENT = {"OPENAI_API_KEY": "sk-planted-0123456789", "OPENAI_ORG_ID": "org-planted", "OPENAI_PROJECT_ID": "proj-planted"}


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


class TestServed(ModelContract):
    """A server's model keeps the contract of every model."""

    @pytest.fixture
    def model(self, served):
        return served()


def test_pages_travel_in_order_and_lose_nothing(server, served):
    """Pages first, as PNG with the very pixels, then the text; the system message apart."""
    pages = (noise(40, 30, 1), noise(31, 57, 2))
    served(probe=False).read([Prompt(pages, "the words", "the rules", max_new_tokens=20)])
    (body,) = server.bodies
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert body["messages"][0]["content"] == "the rules"
    content = body["messages"][1]["content"]
    assert [part["type"] for part in content] == ["image_url", "image_url", "text"]
    assert content[2]["text"] == "the words"
    assert all(part["image_url"].keys() == {"url"} for part in content[:2])
    for sent, page in zip(fs.pages_of(body), pages, strict=True):
        assert np.array_equal(np.asarray(sent), np.asarray(page))
    assert {name: value for name, value in body.items() if name != "messages"} == {"model": "served", "temperature": 0.0, "max_tokens": 20}


def test_options_reach_the_request(server, served):
    """Each option under the name that servers know; what is unset stays out."""
    extra = {"mm_processor_kwargs": {"max_pixels": 50176}, "top_k": 3}
    options = {"temperature": None, "top_p": 0.5, "seed": 7, "room": 1.5, "limit_field": "max_completion_tokens", "detail": "high"}
    served("a/b@c", extra=extra, **options, probe=False).read([Prompt((noise(28, 28),), "?", max_new_tokens=21)])
    (body,) = server.bodies
    image = body["messages"][0]["content"][0]["image_url"]
    assert image["detail"] == "high"
    sent = {name: value for name, value in body.items() if name != "messages"}
    assert sent == {"model": "a/b@c", "top_p": 0.5, "seed": 7, "max_completion_tokens": 32, **extra}


def test_a_key_goes_where_it_is_meant_to(server, served, monkeypatch):
    """OPENAI_API_KEY, and the account's names, stay here when the server is another; an option names the variable of its key."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MY_KEY", " mine-0123456789\n")
    served().read([Prompt((), "?")])
    served(api_key_env="MY_KEY").read([Prompt((), "?")])
    without, with_key = (arrival.headers for arrival in server.arrivals)
    assert "authorization" not in without
    assert with_key["authorization"] == "Bearer mine-0123456789"
    assert not any("planted" in value for value in {**without, **with_key}.values())


def test_the_servers_own_address_and_key(server, monkeypatch):
    """Without base_url the address is OPENAI_BASE_URL's or OpenAI's, and OPENAI_API_KEY goes along."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    registry = load_plugins()
    there = registry.model("openai:gpt-4o")
    assert (there.base_url, there.limit_field, there.family) == ("https://api.openai.com/v1", "max_completion_tokens", "gpt-4o")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url + "/")
    here = registry.model("openai:gpt-4o")
    here.read([Prompt((), "?")])
    here.close()
    assert (here.base_url, here.limit_field) == (server.url, "max_tokens")
    assert server.arrivals[0].headers["authorization"] == "Bearer sk-planted-0123456789"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("openai", {}, "which one\\? write openai:<model>@<base url>"),
        ("openai:m", {}, "the environment variable OPENAI_API_KEY holds no key for https://api.openai.com/v1"),
        (
            "openai:m@http://h/v1",
            {"base_url": "http://other/v1"},
            "two addresses: 'http://h/v1' in the name, and base_url 'http://other/v1'",
        ),
        ("openai:m", {"base_url": "localhost:8000"}, "base_url must be an address such as http://localhost:8000/v1, got 'localhost:8000'"),
        ("openai:m@https://user:pass@host/v1", {}, "a key belongs into an environment variable"),
        ("openai:m@http://h/v1", {"api_key_env": "NO_SUCH_KEY"}, "the environment variable NO_SUCH_KEY holds no key for http://h/v1"),
        ("openai:m@http://h/v1", {"extra": {"messages": []}}, "extra may not set 'messages'"),
        ("openai:m@http://h/v1", {"prices": {"input": 1}}, "the price of output tokens is missing"),
        ("openai:m@http://h/v1", {"prices": {"input": 1, "output": 1, "ouput": 1}}, "no price is called 'ouput'"),
        ("openai:m@http://h/v1", {"prices": {"input": -1, "output": 1}}, "input must be US dollars for a million tokens, got -1"),
        ("openai:m@http://h/v1", {"timeout": 0}, "timeout must be above 0"),
    ],
)
def test_what_cannot_be_meant_is_one_message(monkeypatch, name, options, message):
    """A wrong option is found before anything runs, and no secret is quoted."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ConfigError, match=message) as caught:
        load_plugins().model(name, **options)
    assert "user:pass" not in str(caught.value)


def test_identity(served, server):
    """What decides answers is in the config; speed, patience and money are not; a deployment's name stands for its address."""
    registry = load_plugins()
    base = registry.model("openai:m@http://one/v1")
    assert base.config == registry.model("openai:m", base_url="http://one/v1", concurrency=2, retries=1, cache="x", probe=False).config
    assert base.config != registry.model("openai:m@http://two/v1").config
    assert base.config != registry.model("openai:m@http://one/v1", temperature=0.5).config
    named = [registry.model("openai:m", base_url=f"http://{host}/v1", deployment="a100s") for host in ("one", "two")]
    assert named[0].config == named[1].config != base.config
    assert "base_url" not in named[0].config


# The server's rule is Qwen2-VL's: a 56 x 84 px page is 6 visual tokens and 2 markers, a 28 x 28 px page 4 (it is enlarged) and 2.


def test_visual_tokens_are_measured_on_the_server(server, served):
    """The same words without pages are asked once for each page size; the difference is the pages' tokens, and the formula's markers go."""
    prompts = [Prompt((noise(56, 84, i),), "a b " * i + "c") for i in range(1, 4)]
    readings = served(family="qwen2-vl").read(prompts)
    visual = {(r.usage.visual, r.usage.markers, r.usage.pages, r.usage.source) for r in readings}
    assert visual == {(6, 2, (6,), "server")}
    assert [r.usage.prompt for r in readings] == [fs.OVERHEAD + 2 * i + 1 + 8 for i in range(1, 4)]
    assert [r.usage.completion for r in readings] == [3, 3, 3]
    probes = [body for body in server.bodies if not fs.pages_of(body)]
    assert len(probes) == 1
    assert probes[0]["max_tokens"] == 1


def test_without_a_family_markers_are_not_told_apart(server, served):
    """The sum is all that is known; it is compared as a sum."""
    (reading,) = served().read([Prompt((noise(56, 84),), "?")])
    assert (reading.usage.visual, reading.usage.markers, reading.usage.pages) == (8, 0, ())


def test_no_probe_and_no_usage(server, served):
    """Without the probe a server's total stands alone; without usage there is nothing."""
    prompt = Prompt((noise(56, 84),), "?")
    (reading,) = served(probe=False, family="qwen2-vl").read([prompt])
    assert (reading.usage.prompt, reading.usage.visual) == (fs.OVERHEAD + 1 + 8, None)
    server.always(lambda handler, body: handler.answer("x", None))
    (reading,) = served(family="qwen2-vl").read([prompt])
    assert (reading.text, reading.usage) == ("x", None)


def test_a_server_that_tells_image_tokens_is_not_probed(server, served):
    """``prompt_tokens_details.image_tokens`` is the server's own count."""
    usage = {"prompt_tokens": 50, "completion_tokens": 2, "prompt_tokens_details": {"image_tokens": 40, "cached_tokens": 16}}
    server.always(lambda handler, body: handler.answer("x", usage))
    (reading,) = served().read([Prompt((noise(56, 84),), "?")])
    assert (reading.usage.visual, reading.usage.pages, reading.metadata["cached_tokens"]) == (40, (40,), 16)
    assert len(server.arrivals) == 1


def test_a_probe_that_fails_costs_no_answer(server, served):
    """The answer is there; the row says why its visual tokens are not."""
    server.script = lambda number, body: None if fs.pages_of(body) else fs.error(400, "text alone is not my business")
    (reading,) = served(family="qwen2-vl").read([Prompt((noise(56, 84),), "?")])
    assert (reading.error, reading.usage.visual) == (None, None)
    assert reading.metadata["token_probe"] == "RequestRefused: HTTP 400: text alone is not my business"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": None, "refusal": "I will not"}, "I will not"),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab"),
        ({"content": None}, ""),
        ({"content": "x\ud800y"}, "x\ufffdy"),
    ],
)
def test_odd_messages(server, served, message, text):
    """What a message may hold in place of text."""
    server.always(lambda handler, body: handler.answer(usage=None, **{"text": None, **message, "content": message["content"]}))
    assert served().read([Prompt((), "?")])[0].text == text


def test_the_pace_rises_by_one_and_falls_by_half():
    """Slow start to the first refusal, then one more a round; of the requests that were under way together one refusal counts."""

    async def scenario():
        pace = Pace(64)
        limits = [pace.limit]
        for _ in range(6):
            async with pace.turn() as turn:
                turn.answered()
        limits.append(pace.limit)
        async with pace.turn() as one, pace.turn() as other:
            one.refused()
            other.refused()
        limits.append(pace.limit)
        for _ in range(5):
            async with pace.turn() as turn:
                turn.answered()
        limits.append(int(pace.limit))
        for _ in range(20):
            async with pace.turn() as turn:
                turn.refused()
        return [*limits, pace.limit]

    assert asyncio.run(scenario()) == [4, 10, 5, 5, 1]


def test_the_pace_lets_no_more_begin_than_its_limit():
    """With a limit of two the third waits until one of them has ended."""

    async def scenario():
        pace = Pace(2)
        async with pace.turn():
            async with pace.turn():
                third = asyncio.ensure_future(pace.turn().__aenter__())
                for _ in range(10):
                    await asyncio.sleep(0)
                waited = not third.done()
            await third
        return waited, pace.peak

    assert asyncio.run(scenario()) == (True, 2)


def test_an_adapter_is_a_name_at_the_server_and_a_warning(server, served, capsys):
    """The adapter's name is asked for as the model; once it is said that vision weights are better merged."""
    model = load_plugins().model("openai:base", adapter="my-lora-1", base_url=server.url)
    again = load_plugins().model("openai:base", adapter="my-lora-1", base_url=server.url)
    model.read([Prompt((), "?")])
    model.close()
    assert server.bodies[0]["model"] == "my-lora-1"
    assert capsys.readouterr().err.count("merge such an adapter into the weights before serving") == 1
    assert model.training_data is None
    assert attrs.evolve(again, adapter=None).training_data == ()

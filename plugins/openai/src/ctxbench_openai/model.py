"""The model ``openai``: what answers behind a server, as ctxbench's interface wants it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import attrs

from ctxbench import ConfigError, Model, Prompt, Reading, option
from ctxbench.options import Boolean, Integer, Number, Optional, String, Table
from ctxbench_openai import counting
from ctxbench_openai.chat import Request, new_tokens
from ctxbench_openai.money import Prices

if TYPE_CHECKING:
    from ctxbench.contamination import TrainingData
    from ctxbench_openai.talk import BatchOptions, Talk

OPENAI = "https://api.openai.com/v1"
MOST_REQUESTS = 50_000
"""Of a batch at OpenAI."""

LIMITS = ("max_tokens", "max_completion_tokens")
OWN = ("model", "messages", "stream", "n", *LIMITS)
"""Fields of a request that ``extra`` may not set."""

_warned: set[str] = set()


def _plain_dict(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else value


@attrs.frozen
class ServedModel(Model):
    """A model behind a server that speaks OpenAI's chat completions.

    The server is asked when the model first reads. Keys come from the environment alone.

    Attributes:
        reference: the name that the server knows the model by; ``<name>@<base url>`` gives ``base_url`` as well.
        adapter: the name under which the server serves the model with a LoRA adapter (vLLM: ``--lora-modules <name>=<folder>``).
        base_url: address of the server, ``/v1`` included; by default that in the environment variable OPENAI_BASE_URL, or OpenAI's own.
        api_key_env: the environment variable that holds the key. By default OPENAI_API_KEY for the default ``base_url`` and no key for
            any other, so that no key goes to a server that it is not meant for.
        deployment: a name for what is served, in place of ``base_url`` in the identity of trials: the same weights at another address.
        family: token counter of the model's family; by default guessed from its name.
        min_pixels: area in px that the server's processor scales a smaller page up to, for the formula; it is not sent (``extra`` is).
        max_pixels: area in px that it scales a larger page down to, likewise.
        detail: the ``detail`` that is asked of each page (OpenAI's models: ``low``, ``high``, ``auto``, ``original``).
        temperature: 0 is greedy decoding; ``None`` leaves it out of the request, for models that refuse it.
        top_p: sample from the likeliest tokens that have this probability together; sent if set.
        seed: of sampling; sent if set.
        max_new_tokens: for every answer; ``None`` derives it from the expected answer (its tokens, half as many again and 32 at least),
            times ``room``.
        room: factor on ``max_new_tokens`` where that is derived; models that think first, or whose tokens are shorter, need more than 1.
        limit_field: the field that limits new tokens, ``max_tokens`` or ``max_completion_tokens``; by default the latter for OpenAI's own
            server.
        extra: further fields of every request, such as ``{mm_processor_kwargs: {max_pixels: 1003520}}``.
        probe: also send each combination of page sizes' words once without the pages, to learn how many tokens the pages are.
        concurrency: the most requests at once; how many it is depends on how the server keeps up.
        timeout: seconds for one request.
        retries: further attempts after faults.
        patience: seconds for all of a prompt's attempts and pauses together.
        prices: US dollars for a million tokens: ``{input: 2.5, cached: 1.25, output: 10}``; 0 for a server of one's own; ``batch: 0.5`` is
            a factor on them for the Batch API.
        batch_api: ask through the server's Batch API (OpenAI's), which answers within 24 hours at another price (``prices``).
        batch_requests: requests in a batch, 50,000 at most; the engine gathers as many prompts, pages included, before it submits them.
        batch_folder: where it is kept which batches are open; by default ``ctxbench/batches`` in the user's folder of program states.
        cache: a folder to keep answers in, and to take them from. Texts of prompts are kept there as they are.

    Raises:
        ValueError, TypeError: an option has the wrong type or value; the environment has no key.
    """

    version: ClassVar[int] = 1

    reference: str = option(String(), "")
    adapter: str | None = option(Optional(String()), None)
    base_url: str | None = option(Optional(String()), None, kw_only=True)
    api_key_env: str | None = option(Optional(String()), None, kw_only=True)
    deployment: str | None = option(Optional(String()), None, kw_only=True)
    family: str | None = option(Optional(String()), None, kw_only=True)
    min_pixels: int | None = option(Optional(Integer(1)), None, kw_only=True)
    max_pixels: int | None = option(Optional(Integer(1)), None, kw_only=True)
    detail: str | None = option(Optional(String(("low", "high", "auto", "original"))), None, kw_only=True)
    temperature: float | None = option(Optional(Number(0, 2)), 0.0, kw_only=True)
    top_p: float | None = option(Optional(Number(0, 1)), None, kw_only=True)
    seed: int | None = option(Optional(Integer(0)), None, kw_only=True)
    max_new_tokens: int | None = option(Optional(Integer(1)), None, kw_only=True)
    room: float = option(Number(0.1, 1000), 1.0, kw_only=True)
    limit_field: str | None = option(Optional(String(LIMITS)), None, kw_only=True)
    extra: dict[str, Any] = option(Table(), factory=dict, converter=_plain_dict, kw_only=True)
    probe: bool = option(Boolean(), True, kw_only=True, eq=False)
    concurrency: int = option(Integer(1), 16, kw_only=True, eq=False)
    timeout: float = option(Number(above=0), 300.0, kw_only=True, eq=False)
    retries: int = option(Integer(0), 6, kw_only=True, eq=False)
    patience: float = option(Number(0), 900.0, kw_only=True, eq=False)
    prices: dict[str, float] | None = option(Optional(Table()), None, converter=_plain_dict, kw_only=True, eq=False)
    batch_api: bool = option(Boolean(), False, kw_only=True, eq=False)
    batch_requests: int = option(Integer(1, MOST_REQUESTS), 500, kw_only=True, eq=False)
    batch_folder: str | None = option(Optional(String()), None, kw_only=True, eq=False)
    cache: str | None = option(Optional(String()), None, kw_only=True, eq=False)
    _held: dict[str, Any] = attrs.field(init=False, factory=dict, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        name, url = self.reference, self.base_url
        if match := re.fullmatch(r"(.*?)@(https?://.+)", self.reference):
            name, given = match.groups()
            if url is not None and url != given:
                raise ValueError(f"two addresses: {given!r} in the name, and base_url {url!r}")
            url = given
        if not name:
            raise ValueError(
                "which one? write openai:<model>@<base url>, as in openai:Qwen/Qwen2.5-VL-7B-Instruct@http://localhost:8000/v1"
            )
        default = url is None
        address = _checked(url if url is not None else os.environ.get("OPENAI_BASE_URL") or OPENAI)
        variable = self.api_key_env or ("OPENAI_API_KEY" if default else None)
        if variable is not None and not os.environ.get(variable, "").strip():
            raise ValueError(f"the environment variable {variable} holds no key for {address}; export it, or name another one: api_key_env")
        if taken := [field for field in OWN if field in self.extra]:
            raise ValueError(f"extra may not set {taken[0]!r}, which ctxbench sets itself")
        found = {
            "reference": name,
            "base_url": address,
            "family": self.family or counting.family_of(name),
            "limit_field": self.limit_field or (LIMITS[1] if urlsplit(address).hostname == "api.openai.com" else LIMITS[0]),
        }
        for field, value in found.items():
            object.__setattr__(self, field, value)
        self._held["variable"] = variable
        if self.prices is not None:
            Prices.of(self.prices)
        if self.adapter is not None and self.adapter not in _warned:
            _warned.add(self.adapter)
            print(
                f"ctxbench: adapter {self.adapter!r} is the server's: vLLM leaves out, or applies wrongly, LoRA weights of the vision part"
                " and reports no error; merge such an adapter into the weights before serving (docs/servers.md)",
                file=sys.stderr,
            )

    @property
    def neutral_options(self) -> frozenset[str]:  # type: ignore[override]
        """What changes no answer; the address neither, where ``deployment`` says what stands behind it."""
        same = {"probe", "concurrency", "timeout", "retries", "patience", "prices", "cache", "api_key_env"}
        same |= {"batch_api", "batch_requests", "batch_folder"}
        return frozenset(same | ({"base_url"} if self.deployment is not None else set()))

    @property
    def config(self) -> dict[str, Any]:
        """The options that decide answers."""
        return {key: value for key, value in super().config.items() if key not in self.neutral_options}

    @property
    def at_once(self) -> int:  # type: ignore[override]
        """Two rounds of requests, so that few places are empty while a batch's last answers come in; or one batch of the Batch API."""
        return self.batch_requests if self.batch_api else 2 * self.concurrency

    @property
    def training_data(self) -> tuple[TrainingData, ...] | None:  # type: ignore[override]
        """An adapter was trained on something that no server tells."""
        return None if self.adapter is not None else ()

    @property
    def pixel_budget(self) -> tuple[int | None, int | None]:
        """As the options say."""
        return (self.min_pixels, self.max_pixels)

    def read(self, prompts: Sequence[Prompt]) -> list[Reading]:
        """Answer each prompt, in order."""
        found = dict(self.read_each(prompts))
        return [found[i] for i in range(len(prompts))]

    def read_each(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Reading]]:
        """Answer prompts, several at once. No answer depends on another or on their order.

        Raises:
            ModelError: the key is gone from the environment.
        """
        if prompts:
            yield from self._talk().read([self._request(prompt) for prompt in prompts], self._formula)

    def most_usd(self, prompt: Prompt) -> float:
        """The most that one request for the prompt, and one for its words alone, can cost."""
        if self.prices is None:
            raise ConfigError("give prices={input: ..., output: ...} in US dollars for a million tokens; 0 for a server of your own")
        prices = Prices.of(self.prices)
        answered = prices.batched if self.batch_api else prices
        most = answered.most(prompt, new_tokens(prompt, self.max_new_tokens, self.room))
        if self.probe and prompt.pages:
            most += prices.most(attrs.evolve(prompt, pages=()), 1)
        return most

    def close(self) -> None:
        """Close the connections."""
        talk = self._held.pop("talk", None)
        if talk is not None:
            talk.close()

    def _request(self, prompt: Prompt) -> Request:
        sent = {"temperature": self.temperature, "top_p": self.top_p, "seed": self.seed}
        settings = {name: value for name, value in sent.items() if value is not None}
        limit = {str(self.limit_field): new_tokens(prompt, self.max_new_tokens, self.room)}
        return Request(prompt, {**self.extra, **settings, **limit}, self.detail)

    def _formula(self, prompt: Prompt) -> tuple[int, int] | None:
        return counting.formula(self.family, prompt.pages, self.pixel_budget)

    def _talk(self) -> Talk:
        from ctxbench_openai.asking import Settings
        from ctxbench_openai.cache import Cache
        from ctxbench_openai.keys import Key
        from ctxbench_openai.talk import Server, Talk

        if "talk" not in self._held:
            key = Key.read(self._held["variable"])
            settings = Settings(float(self.timeout), self.retries, float(self.patience))
            model, where = self.adapter or self.reference, self.deployment or str(self.base_url)
            server = Server(str(self.base_url), model, str(self.limit_field), key, settings, {"server": where, "model": model})
            prices = Prices.of(self.prices) if self.prices is not None else None
            cache = Cache(Path(self.cache).expanduser()) if self.cache is not None else None
            self._held["talk"] = Talk(server, prices, cache, self.probe, self.concurrency, self._batch_options())
        talk: Talk = self._held["talk"]
        return talk

    def _batch_options(self) -> BatchOptions | None:
        from ctxbench_openai.batch_records import default_folder
        from ctxbench_openai.talk import BatchOptions

        if not self.batch_api:
            return None
        folder = Path(self.batch_folder).expanduser() if self.batch_folder is not None else default_folder()
        return BatchOptions(self.batch_requests, folder)


def _checked(url: str) -> str:
    """An address that requests can be sent to, without a slash at its end."""
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_fine = urlsplit(""), False
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        raise ValueError(f"base_url must be an address such as http://localhost:8000/v1, got {url!r}")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("base_url must be a plain address: a key belongs into an environment variable (api_key_env)")
    return url.rstrip("/")

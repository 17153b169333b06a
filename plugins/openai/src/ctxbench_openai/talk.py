"""A model's connection to its server: prompts go in, readings come out, each as soon as it is there."""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import attrs

from ctxbench import Prompt, Reading
from ctxbench_openai.asking import Asker, Failed, Settings
from ctxbench_openai.cache import Cache
from ctxbench_openai.chat import Request, finish_of, text_of, usage_of
from ctxbench_openai.counting import Probed, Probes, token_usage
from ctxbench_openai.keys import Key, QuietLogs
from ctxbench_openai.loop import Loop
from ctxbench_openai.money import Prices
from ctxbench_openai.pace import Pace

Formula = Callable[[Prompt], tuple[int, int] | None]


@attrs.frozen
class Server:
    """Where and how to ask.

    Attributes:
        model: the name that the server knows the model by.
        limit_field: the field that limits new tokens.
        identity: what stands for the server and the model in the keys of the cache.
    """

    base_url: str
    model: str
    limit_field: str
    key: Key
    settings: Settings
    identity: dict[str, Any]

    @property
    def is_openai(self) -> bool:
        """Whether it is OpenAI's own."""
        return urlsplit(self.base_url).hostname == "api.openai.com"


@attrs.define
class _Job:
    """A distinct request, with the indices of the prompts that it answers, and the pages' tokens by formula."""

    request: Request
    indices: list[int]
    by_formula: tuple[int, int] | None


@attrs.define
class Talk:
    """An open connection. Its event loop runs in a thread of its own."""

    server: Server
    prices: Prices | None
    cache: Cache | None
    probing: bool
    concurrency: int
    pace: Pace = attrs.field(init=False)
    _loop: Loop = attrs.field(factory=Loop, init=False)
    _asker: Asker = attrs.field(init=False)
    _probes: Probes = attrs.field(factory=Probes, init=False)
    _logs: QuietLogs = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        import openai  # noqa: F401 - it takes a second, which is not the event loop's to wait

        self._logs = QuietLogs(self.server.key)
        self._logs.begin()
        self._loop.run(self._open())

    async def _open(self) -> None:
        import openai

        server = self.server
        self.pace = Pace(self.concurrency)
        # The client itself neither retries nor limits the time: both are done for the whole of a request, where the pace can see it.
        # An organisation of OpenAI's, which the client takes from the environment, is no other server's business.
        unsent = [] if server.is_openai else ["OpenAI-Organization", "OpenAI-Project"]
        unsent += [] if server.key.value else ["Authorization"]
        client = openai.AsyncOpenAI(
            api_key=server.key.value or "none",
            base_url=server.base_url,
            timeout=server.settings.timeout,
            max_retries=0,
        )
        self._asker = Asker(client, server.key, server.settings, self.pace, tuple(unsent))

    def close(self) -> None:
        """Cancel what is under way and close the connections."""
        self._loop.run(self._asker.client.close())
        self._loop.close()
        self._logs.end()

    def read(self, requests: Sequence[Request], formula: Formula) -> Iterator[tuple[int, Reading]]:
        """A reading for each request, with its index, as they come. Equal requests are asked once."""
        jobs: dict[str, _Job] = {}
        for i, request in enumerate(requests):
            key = request.key
            if key not in jobs:
                jobs[key] = _Job(request, [], formula(request.prompt))
            jobs[key].indices.append(i)
        done: queue.SimpleQueue[tuple[_Job, Reading] | None] = queue.SimpleQueue()
        work = self._loop.start(self._all(list(jobs.values()), done))
        try:
            while (item := done.get()) is not None:
                job, reading = item
                yield job.indices[0], reading
                again = attrs.evolve(reading, spent_usd=0.0)  # paid once
                yield from ((i, again) for i in job.indices[1:])
            work.result()
        finally:
            work.cancel()

    async def _all(self, jobs: Sequence[_Job], done: queue.SimpleQueue[tuple[_Job, Reading] | None]) -> None:
        async def one(job: _Job) -> None:
            began = time.monotonic()
            try:
                reading = await self._answer(job)
            except Failed as error:
                reading = self._failed(error, job, time.monotonic() - began)
            except Exception as error:  # a mistake here costs one prompt
                reading = _error(type(error).__name__, self.server.key.hide(" ".join(str(error).split())[:400]))
            done.put((job, reading))

        try:
            async with asyncio.TaskGroup() as group:
                for job in jobs:
                    group.create_task(one(job))
        finally:
            done.put(None)

    async def _answer(self, job: _Job) -> Reading:
        request = job.request
        identity = {**self.server.identity, **request.identity}
        found = self.cache.get(identity) if self.cache is not None else None
        facts: dict[str, Any] = {"from_cache": found is not None}
        spent, probed = 0.0, None
        if found is None:
            answer = await self._asker.ask(await asyncio.to_thread(self._body, request))
            found = answer.body
            facts |= {"attempts": answer.attempts, "request_seconds": round(answer.seconds, 6)}
            spent = self._cost(found) or 0.0
            spent += answer.billed * self._most(request)
            if self.cache is not None:
                self.cache.put(identity, found)
        counts = usage_of(found)
        if self.probing and request.prompt.pages and "prompt_tokens" in counts and "image_tokens" not in counts:
            probed, asked = await self._probe(request, counts["prompt_tokens"])
            spent += probed.spent if asked else 0.0
        return self._reading(job, found, facts, probed, spent)

    def _body(self, request: Request) -> dict[str, Any]:
        return {"model": self.server.model, **request.body()}

    async def _probe(self, request: Request, total: int) -> tuple[Probed, bool]:
        async def ask() -> Probed:
            words = request.without_pages(self.server.limit_field)
            identity = {**self.server.identity, **words.identity}
            found = self.cache.get(identity) if self.cache is not None else None
            spent = 0.0
            if found is None:
                try:
                    found = (await self._asker.ask(self._body(words))).body
                except Failed as error:
                    return Probed(None, f"{type(error.fault).__name__}: {error.fault}", error.billed * self._most(words))
                spent = self._cost(found) or 0.0
                if self.cache is not None:
                    self.cache.put(identity, found)
            rest = usage_of(found).get("prompt_tokens")
            if rest is None or rest > total:
                return Probed(None, f"the same prompt without pages has {rest} tokens, with them {total}", spent)
            return Probed(total - rest, spent=spent)

        return await self._probes.of(request.shape, ask)

    def _cost(self, completion: Mapping[str, Any]) -> float | None:
        return self.prices.cost(usage_of(completion)) if self.prices is not None else None

    def _most(self, request: Request) -> float:
        return self.prices.most(request.prompt, request.settings[self.server.limit_field]) if self.prices is not None else 0.0

    def _reading(self, job: _Job, completion: Mapping[str, Any], facts: dict[str, Any], probed: Probed | None, spent: float) -> Reading:
        counts = usage_of(completion)
        facts |= {name: counts[name] for name in ("cached_tokens", "image_tokens") if name in counts}
        facts |= {f"server_{name}": completion[name] for name in ("model", "system_fingerprint") if isinstance(completion.get(name), str)}
        pages = len(job.request.prompt.pages)
        if probed is not None and probed.problem:
            facts["token_probe"] = probed.problem
        return Reading(
            text_of(completion),
            finish_of(completion),
            token_usage(counts, pages, probed, job.by_formula),
            cost_usd=self._cost(completion),
            spent_usd=spent if self.prices is not None else None,
            metadata={**job.request.settings, **facts},
        )

    def _failed(self, error: Failed, job: _Job, seconds: float) -> Reading:
        spent = error.billed * self._most(job.request) if self.prices is not None else None
        where = f"{self.server.base_url}, model {self.server.model}"
        return attrs.evolve(_error(type(error.fault).__name__, f"{where}: {error.told(seconds)}"), spent_usd=spent)


def _error(kind: str, message: str) -> Reading:
    return Reading("", finish_reason="error", error=(kind, message))

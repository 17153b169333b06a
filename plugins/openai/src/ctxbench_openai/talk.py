"""A model's connection to its server: prompts go in, readings come out, each as soon as it is there."""

from __future__ import annotations

import asyncio
import queue
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from ctxbench import Prompt, Reading, stable_hash
from ctxbench_openai.asking import Asker, Failed, Settings
from ctxbench_openai.batch_api import BatchApi
from ctxbench_openai.batch_records import Records
from ctxbench_openai.batching import Batches, Outcome
from ctxbench_openai.cache import Cache
from ctxbench_openai.chat import Request, finish_of, text_of, usage_of
from ctxbench_openai.counting import Probed, Probes, token_usage
from ctxbench_openai.keys import Key, QuietLogs, unsent_headers
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


@attrs.define
class _Job:
    """A distinct request, with the indices of the prompts that it answers, and the pages' tokens by formula."""

    request: Request
    indices: list[int]
    by_formula: tuple[int, int] | None


@attrs.frozen
class _Done:
    """A job with its reading, and the batch that it came from, if any."""

    job: _Job
    reading: Reading
    outcome: Outcome | None


@attrs.frozen
class BatchOptions:
    """What the Batch API is asked with: requests in a batch, and where the records of open batches are."""

    most: int
    folder: Path


@attrs.define
class Talk:
    """An open connection. Its event loop runs in a thread of its own.

    Attributes:
        batch_options: ``None`` where each request is a conversation of its own.
    """

    server: Server
    prices: Prices | None
    cache: Cache | None
    probing: bool
    concurrency: int
    batch_options: BatchOptions | None = None
    pace: Pace = attrs.field(init=False)
    _loop: Loop = attrs.field(factory=Loop, init=False)
    _asker: Asker = attrs.field(init=False)
    _probes: Probes = attrs.field(factory=Probes, init=False)
    _logs: QuietLogs = attrs.field(init=False)
    _batches: Batches | None = attrs.field(default=None, init=False)

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
        client = openai.AsyncOpenAI(
            api_key=server.key.value or "none",
            base_url=server.base_url,
            timeout=server.settings.timeout,
            max_retries=0,
        )
        self._asker = Asker(client, server.key, server.settings, self.pace, unsent_headers(server.base_url, server.key))
        if self.batch_options is not None:
            records, most = Records(self.batch_options.folder), self.batch_options.most
            self._batches = Batches(BatchApi(self._asker), records, server.base_url, server.key.variable, server.model, most)

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
        done: queue.SimpleQueue[_Done | None] = queue.SimpleQueue()
        work = self._loop.start(self._all(list(jobs.values()), done))
        try:
            while (item := done.get()) is not None:
                yield item.job.indices[0], item.reading
                again = attrs.evolve(item.reading, spent_usd=0.0)  # paid once
                yield from ((i, again) for i in item.job.indices[1:])
                if self._batches is not None and item.outcome is not None and item.outcome.record is not None:
                    self._batches.records.take(item.outcome.record, self._id(item.job))
            work.result()
        except KeyboardInterrupt:
            self._tell_batches()
            raise
        finally:
            work.cancel()

    def _tell_batches(self) -> None:
        """After an interrupt: what goes on without us."""
        for batch, record in self._batches.under_way.items() if self._batches is not None else ():
            print(
                f"ctxbench: batch {batch} ({len(record.requests):,} requests) goes on at {self.server.base_url}; the same command picks its"
                f" answers up, and ends it early after: ctxbench batches --cancel {batch}",
                file=sys.stderr,
            )

    def _id(self, job: _Job) -> str:
        return stable_hash(self._identity(job.request))

    def _identity(self, request: Request) -> dict[str, Any]:
        return {**self.server.identity, **request.identity}

    async def _all(self, jobs: Sequence[_Job], done: queue.SimpleQueue[_Done | None]) -> None:
        async def one(job: _Job, outcome: Outcome | None = None) -> None:
            began = time.monotonic()
            try:
                reading = await (self._answer(job) if outcome is None else self._of_batch(job, outcome))
            except Failed as error:
                reading = self._failed(error, job, time.monotonic() - began)
            except Exception as error:  # a mistake here costs one prompt
                reading = _error(type(error).__name__, self.server.key.hide(" ".join(str(error).split())[:400]))
            done.put(_Done(job, reading, outcome))

        try:
            async with asyncio.TaskGroup() as group:
                kept, batched = await asyncio.to_thread(self._sorted, jobs)
                for job in kept:
                    group.create_task(one(job))
                if self._batches is not None and batched:
                    bodies = {request: partial(self._body, job.request) for request, job in batched.items()}
                    await self._batches.read(bodies, lambda request, outcome: _start(group, one(batched[request], outcome)))
        finally:
            done.put(None)

    def _sorted(self, jobs: Sequence[_Job]) -> tuple[list[_Job], dict[str, _Job]]:
        """The jobs that are asked one by one, or need not be asked, and those for a batch by the ids of their requests."""
        if self._batches is None:
            return list(jobs), {}
        kept = [job for job in jobs if self.cache is not None and self.cache.get(self._identity(job.request)) is not None]
        known = {id(job) for job in kept}
        return kept, {self._id(job): job for job in jobs if id(job) not in known}

    async def _answer(self, job: _Job) -> Reading:
        identity = self._identity(job.request)
        found = self.cache.get(identity) if self.cache is not None else None
        facts: dict[str, Any] = {"from_cache": found is not None}
        spent = 0.0
        if found is None:
            answer = await self._asker.ask(await asyncio.to_thread(self._body, job.request))
            found = answer.body
            facts |= {"attempts": answer.attempts, "request_seconds": round(answer.seconds, 6)}
            spent = self._cost(found, self._prices) or 0.0
            spent += answer.billed * self._most(job.request)
            if self.cache is not None:
                self.cache.put(identity, found)
        return await self._counted(job, found, facts, spent)

    async def _of_batch(self, job: _Job, outcome: Outcome) -> Reading:
        found = outcome.result
        if not isinstance(found, dict):
            where = f"{self.server.base_url}, model {self.server.model}" + (f", batch {outcome.batch}" if outcome.batch else "")
            spent = 0.0 if self.prices is not None else None
            return attrs.evolve(_error(type(found).__name__, f"{where}: {' '.join(str(found).split())[:600]}"), spent_usd=spent)
        if self.cache is not None:
            await asyncio.to_thread(self.cache.put, self._identity(job.request), found)
        return await self._counted(job, found, {"from_cache": False, "batch_id": outcome.batch}, self._cost(found, self._prices) or 0.0)

    async def _counted(self, job: _Job, found: Mapping[str, Any], facts: dict[str, Any], spent: float) -> Reading:
        """A completion as a reading, once it is known how many tokens its pages are."""
        request, probed = job.request, None
        counts = usage_of(found)
        if self.probing and request.prompt.pages and "prompt_tokens" in counts and "image_tokens" not in counts:
            probed, asked = await self._probe(request, counts["prompt_tokens"])
            spent += probed.spent if asked else 0.0
        return self._reading(job, found, facts, probed, spent)

    @property
    def _prices(self) -> Prices | None:
        """Those of answers, which may come at the price of a batch."""
        return self.prices.batched if self.prices is not None and self.batch_options is not None else self.prices

    def _body(self, request: Request) -> dict[str, Any]:
        return {"model": self.server.model, **request.body()}

    async def _probe(self, request: Request, total: int) -> tuple[Probed, bool]:
        async def ask() -> Probed:
            words = request.without_pages(self.server.limit_field)
            identity = self._identity(words)
            found = self.cache.get(identity) if self.cache is not None else None
            spent = 0.0
            if found is None:
                try:
                    found = (await self._asker.ask(self._body(words))).body
                except Failed as error:
                    return Probed(None, f"{type(error.fault).__name__}: {error.fault}", error.billed * self._most(words))
                spent = self._cost(found, self.prices) or 0.0
                if self.cache is not None:
                    self.cache.put(identity, found)
            rest = usage_of(found).get("prompt_tokens")
            if rest is None or rest > total:
                return Probed(None, f"the same prompt without pages has {rest} tokens, with them {total}", spent)
            return Probed(total - rest, spent=spent)

        return await self._probes.of(request.shape, ask)

    def _cost(self, completion: Mapping[str, Any], prices: Prices | None) -> float | None:
        return prices.cost(usage_of(completion)) if prices is not None else None

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
            cost_usd=self._cost(completion, self._prices),
            spent_usd=spent if self.prices is not None else None,
            metadata={**job.request.settings, **facts},
        )

    def _failed(self, error: Failed, job: _Job, seconds: float) -> Reading:
        spent = error.billed * self._most(job.request) if self.prices is not None else None
        where = f"{self.server.base_url}, model {self.server.model}"
        return attrs.evolve(_error(type(error.fault).__name__, f"{where}: {error.told(seconds)}"), spent_usd=spent)


def _start(group: asyncio.TaskGroup, work: Coroutine[Any, Any, None]) -> None:
    group.create_task(work)


def _error(kind: str, message: str) -> Reading:
    return Reading("", finish_reason="error", error=(kind, message))

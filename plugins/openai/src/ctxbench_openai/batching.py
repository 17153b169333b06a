"""Requests through the Batch API: submitted once, waited for, and found again by a run that comes after one that was cut off."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import attrs

from ctxbench import CtxbenchError
from ctxbench_openai import faults
from ctxbench_openai.asking import Failed
from ctxbench_openai.batch_api import BatchApi
from ctxbench_openai.batch_files import MOST_BYTES, Bodies, Part, Result, parts, results
from ctxbench_openai.batch_records import Record, Records


@attrs.frozen
class Outcome:
    """What became of a request.

    Attributes:
        batch: the server's id of the batch that it was in; empty if it came into none.
        record: of the batch, if this is its last word on the request; ``None`` if the batch may still answer it.
    """

    result: Result | Exception
    batch: str = ""
    record: Record | None = None


Deliver = Callable[[str, Outcome], None]


@attrs.define
class Batches:
    """A model's batches at a server. Belongs to the event loop of its ``api``.

    Attributes:
        most: requests in a batch.
        under_way: the batches that were submitted and have not ended.
    """

    api: BatchApi
    records: Records
    base_url: str
    api_key_env: str | None
    model: str
    most: int
    under_way: dict[str, Record] = attrs.field(factory=dict, init=False)

    async def read(self, bodies: Bodies, deliver: Deliver) -> None:
        """Tell what becomes of every request, each once, as batches end."""
        rest = dict(bodies)
        told: set[str] = set()

        def tell(request: str, outcome: Outcome) -> None:
            rest.pop(request, None)
            if request not in told:
                told.add(request)
                deliver(request, outcome)

        async with asyncio.TaskGroup() as group:
            for record in await asyncio.to_thread(self.records.open_for, self.base_url, self.model):
                mine = [request for request in record.requests if request in rest]
                if mine and (open_batch := await self._pick_up(record, mine, tell)) is not None:
                    for request in mine:
                        del rest[request]
                    group.create_task(self._follow(open_batch, mine, tell))
            await self._submit(dict(rest), tell, group)

    async def _pick_up(self, record: Record, mine: list[str], tell: Deliver) -> Record | None:
        """Go on with a batch of an earlier run: the batch if its results are still to come, or were never read."""
        try:
            found = record if record.batch is not None else await self._adopt(record)
            if found is None:
                return None
            _say(f"batch {found.batch} of {_moment(found.created)} is picked up: {len(mine):,} of its requests are wanted")
            if not found.seen:
                return found
            for request, outcome in await self._ended(found, mine):
                if isinstance(outcome.result, dict):  # what failed may be asked again
                    tell(request, outcome)
        except (Failed, CtxbenchError) as error:
            why = f"{_told(error)}; whether an earlier batch answers this request is not known: see ctxbench batches"
            _tell_all(mine, Outcome(faults.ServerFault(why), record.batch or ""), tell)
        return None

    async def _adopt(self, record: Record) -> Record | None:
        """The record of a batch of which it is not known whether the server got it; ``None`` if it did not."""
        found = await self.api.find(record.nonce, record.created)
        if found is None:
            self.records.remove(record)
            return None
        record = attrs.evolve(record, batch=found["id"])
        self.records.write(record)
        return record

    async def _submit(self, bodies: Bodies, tell: Deliver, group: asyncio.TaskGroup) -> None:
        """Submit requests, a file after the other, and follow each batch."""
        left = dict(bodies)
        files = parts(bodies, self.most, MOST_BYTES)
        try:
            while (part := await asyncio.to_thread(next, files, None)) is not None:
                record = await self._submitted(part, tell)
                for request in part.requests:
                    del left[request]
                if record is not None:
                    group.create_task(self._follow(record, part.requests, tell))
        except Exception as error:  # a file cannot be written, for example; batches that are under way are none the worse
            _tell_all(left, Outcome(error), tell)
        finally:
            with contextlib.suppress(ValueError):  # cancelled while a thread still writes
                files.close()

    async def _submitted(self, part: Part, tell: Deliver) -> Record | None:
        if part.path is None:
            text = f"a request of {part.size:,} bytes is larger than a batch may be ({MOST_BYTES:,}); nothing was sent"
            _tell_all(part.requests, Outcome(faults.RequestRefused(text)), tell)
            return None
        record = Record(secrets.token_hex(16), self.base_url, self.api_key_env, self.model, part.requests, time.time())
        try:
            file = await self.api.upload(part.path)
            await asyncio.to_thread(self.records.write, record)
            found = await self.api.create(file, record.nonce, record.created)
        except (Failed, CtxbenchError) as error:
            if not (isinstance(error, Failed) and error.unsure):
                self.records.remove(record)
            _tell_all(part.requests, Outcome(_fault(error, "no batch was made")), tell)
            return None
        record = attrs.evolve(record, batch=found["id"])
        await self._keep(record)
        _say(f"batch {record.batch}: {len(part.requests):,} requests submitted ({part.size:,} bytes)")
        return record

    async def _keep(self, record: Record) -> None:
        """Write what is new about a batch. Without it a later run finds the batch by its mark, at worst asks again what failed."""
        with contextlib.suppress(CtxbenchError):
            await asyncio.to_thread(self.records.write, record)

    async def _follow(self, record: Record, mine: Sequence[str], tell: Deliver) -> None:
        batch = str(record.batch)
        self.under_way[batch] = record
        try:
            ended = await self._ended(record, mine)
        except Failed as failed:
            _tell_all(mine, Outcome(_fault(failed, "the batch goes on at the server: --retry-errors looks for it again"), batch), tell)
            return
        except Exception as error:  # a mistake here costs no other batch
            _tell_all(mine, Outcome(error, batch), tell)
            return
        del self.under_way[batch]
        await self._keep(attrs.evolve(record, seen=True))
        for request, outcome in ended:
            tell(request, outcome)

    async def _ended(self, record: Record, mine: Sequence[str]) -> list[tuple[str, Outcome]]:
        """What became of requests of a batch, once it has ended."""
        batch = str(record.batch)
        state = await self.api.wait(batch)
        found: dict[str, Result] = {}
        for name in ("error_file_id", "output_file_id"):
            if isinstance(file := state.get(name), str) and file:
                text = await self.api.content(file)
                found |= await asyncio.to_thread(dict, results(text, self.api.asker.key))
        missing = partial(_missing, state, record)
        return [(request, Outcome(found.get(request) or missing(request), batch, record)) for request in mine]


def _missing(state: dict[str, Any], record: Record, request: str) -> Result:
    """Why a batch that has ended says nothing of a request."""
    status = state.get("status")
    if status == "failed":
        return _refused(state, record.requests.index(request) + 1)
    if status == "expired":
        return faults.RequestTimeout("not answered before the batch expired")
    if status == "cancelled":
        return faults.RequestRefused("not answered before the batch was cancelled")
    return faults.ServerFault("the batch is completed, and its files hold no result of this request")


def _refused(state: dict[str, Any], line: int) -> Result:
    """Why a batch failed before any request was asked: by what the server says of this line, or of the whole."""
    problems = list(_problems(state))
    own = [problem for problem in problems if problem.line == line]
    shown = own or problems
    said = "; ".join(dict.fromkeys(problem.text for problem in shown[:3])) or "it does not say why"
    kind = faults.RateLimited if any("limit_exceeded" in problem.code for problem in shown) else faults.RequestRefused
    return kind(f"the server took the batch and refused it{'' if own else ' as a whole'}: {faults.words(said)}")


@attrs.frozen
class _Problem:
    """What a server found in a file: the line, from 1, if it is about one."""

    line: int | None
    code: str
    text: str


def _problems(state: dict[str, Any]) -> Iterator[_Problem]:
    errors = state.get("errors")
    data = errors.get("data") if isinstance(errors, dict) else None
    for error in data if isinstance(data, list) else ():
        if isinstance(error, dict):
            line, code = error.get("line"), str(error.get("code") or "")
            yield _Problem(line if isinstance(line, int) else None, code, str(error.get("message") or code))


def _told(error: Failed | CtxbenchError) -> str:
    if not isinstance(error, Failed):
        return str(error)
    return f"{error.fault} (after {error.attempts} attempts)" if error.attempts > 1 else str(error.fault)


def _fault(error: Failed | CtxbenchError, what: str) -> Exception:
    """What ended a call, with what it means for the batch's requests."""
    kind = type(error.fault) if isinstance(error, Failed) else type(error)
    return kind(f"{_told(error)}; {what}")


def _tell_all(requests: Iterable[str], outcome: Outcome, tell: Deliver) -> None:
    for request in list(requests):
        tell(request, outcome)


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def _say(text: str) -> None:
    print(f"ctxbench: {text}", file=sys.stderr)

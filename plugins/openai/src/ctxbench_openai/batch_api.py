"""The calls of OpenAI's Batch API, each repeated while that may help."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import attrs

from ctxbench_openai import faults
from ctxbench_openai.asking import Asker, Failed, json_of
from ctxbench_openai.batch_files import ENDPOINT
from ctxbench_openai.faults import Fault

T = TypeVar("T")

WINDOW = "24h"
MARK = "ctxbench"
"""The name of a batch's metadata that holds the record's random name."""

ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
TRANSFER_SECONDS = 3600.0
"""The most that a file may take, unless the time limit of a request is longer."""

FIRST, GROWTH, LONGEST = 1.0, 1.5, 60.0
"""Pauses between two looks at a batch: seconds of the first, the factor to the next, and the most."""


@attrs.frozen
class BatchApi:
    """Talks about batches with a server. Every method raises :class:`~ctxbench_openai.asking.Failed` when it gives up."""

    asker: Asker

    async def upload(self, path: Path) -> str:
        """Send a file of requests; its id."""

        async def once() -> str:
            async with self.asker.as_faults(max(TRANSFER_SECONDS, self.asker.settings.timeout)):
                create = self._client.files.with_raw_response.create
                raw = await create(file=path, purpose="batch", extra_headers=self.asker.headers)
            return str(self._object(raw)["id"])

        return await self._until(once, self.asker.settings.retries)

    async def create(self, file: str, mark: str, since: float) -> dict[str, Any]:
        """Begin a batch. If it stays open whether the server has begun it, the server is asked for it before it is told again."""
        unsure = False

        async def once() -> dict[str, Any]:
            nonlocal unsure
            if unsure and (found := await self._find(mark, since)) is not None:
                return found
            try:
                async with self._call():
                    raw = await self._client.batches.with_raw_response.create(
                        input_file_id=file,
                        endpoint=ENDPOINT,
                        completion_window=WINDOW,
                        metadata={MARK: mark},
                        extra_headers=self.asker.headers,
                    )
                return self._object(raw)
            except Fault as fault:
                unsure = unsure or fault.billed or isinstance(fault, faults.ServerFault)
                raise

        try:
            return await self._until(once, self.asker.settings.retries)
        except Failed as failed:
            failed.unsure = unsure
            raise

    async def find(self, mark: str, since: float) -> dict[str, Any] | None:
        """The batch that carries a mark, made after ``since`` (seconds since 1970) or a day before; ``None`` if there is none."""
        return await self._until(lambda: self._find(mark, since), float("inf"))

    async def _find(self, mark: str, since: float) -> dict[str, Any] | None:
        after: dict[str, Any] = {}
        while True:
            async with self._call():
                raw = await self._client.batches.with_raw_response.list(limit=100, **after, extra_headers=self.asker.headers)
            page = json_of(raw.http_response.text, raw.headers, self.asker.key)
            batches = page.get("data") if isinstance(page, dict) else None
            if not isinstance(batches, list) or not all(isinstance(batch, dict) and isinstance(batch.get("id"), str) for batch in batches):
                raise faults.MalformedAnswer("the answer is JSON, but no list of batches")
            for batch in batches:
                if isinstance(batch.get("metadata"), dict) and batch["metadata"].get(MARK) == mark:
                    return dict(batch)
            older = [batch for batch in batches if isinstance(batch.get("created_at"), int) and batch["created_at"] < since - 86_400]
            if not page.get("has_more") or not batches or older:  # the newest come first
                return None
            after = {"after": batches[-1]["id"]}

    async def wait(self, batch: str) -> dict[str, Any]:
        """What the server says of a batch once it has ended. While it cannot be asked, it is asked again, within the patience."""
        pause = FIRST
        while True:
            found = await self.look(batch)
            if found.get("status") in ENDED:
                return found
            await asyncio.sleep(pause)
            pause = min(LONGEST, pause * GROWTH)

    async def look(self, batch: str, retries: float = float("inf")) -> dict[str, Any]:
        """What the server says of a batch."""

        async def once() -> dict[str, Any]:
            async with self._call():
                raw = await self._client.batches.with_raw_response.retrieve(batch, extra_headers=self.asker.headers)
            return self._object(raw)

        return await self._until(once, retries)

    async def cancel(self, batch: str) -> dict[str, Any]:
        """End a batch early: what is answered stays, the rest is not."""

        async def once() -> dict[str, Any]:
            async with self._call():
                raw = await self._client.batches.with_raw_response.cancel(batch, extra_headers=self.asker.headers)
            return self._object(raw)

        return await self._until(once, self.asker.settings.retries)

    async def content(self, file: str) -> str:
        """The text of a file."""

        async def once() -> str:
            async with self.asker.as_faults(max(TRANSFER_SECONDS, self.asker.settings.timeout)):
                raw = await self._client.files.with_raw_response.content(file, extra_headers=self.asker.headers)
            return bytes(raw.http_response.content).decode("utf-8", "replace")

        return await self._until(once, float("inf"))

    @property
    def _client(self) -> Any:
        return self.asker.client

    def _call(self) -> Any:
        return self.asker.as_faults(self.asker.settings.timeout)

    async def _until(self, once: Callable[[], Awaitable[T]], retries: float) -> T:
        async def plainly() -> T:
            try:
                return await once()
            except faults.ModelNotFound as fault:  # this file, batch or way to ask is missing, which says nothing of other requests
                raise faults.RequestRefused(f"{fault} (Batch API)") from None

        return (await self.asker.until(plainly, retries)).body

    def _object(self, raw: Any) -> dict[str, Any]:
        found = json_of(raw.http_response.text, raw.headers, self.asker.key)
        if not isinstance(found, dict) or not isinstance(found.get("id"), str):
            raise faults.MalformedAnswer("the answer is JSON, but neither a file nor a batch")
        return found

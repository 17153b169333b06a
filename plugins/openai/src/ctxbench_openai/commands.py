"""The command ``ctxbench batches``: what is open at servers, and how to end it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctxbench import CtxbenchError, ModelError

if TYPE_CHECKING:
    from ctxbench_openai.batch_records import Record, Records


def add_commands(cli: click.Group) -> None:
    """Add it to the ``ctxbench`` command line."""
    cli.add_command(batches)


@click.command()
@click.option("--cancel", metavar="ID", help="End a batch early; what is answered by then can still be picked up.")
@click.option("--forget", metavar="ID", help="Forget a batch, so that its requests may be asked anew.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where the records are: the option batch_folder of the model.")
def batches(cancel: str | None, forget: str | None, folder: Path | None) -> None:
    """List the batches of models behind servers that are open, or have answers that no run has stored."""
    from ctxbench_openai.batch_records import Records, default_folder

    records = Records(folder if folder is not None else default_folder())
    found = records.all()
    if forget is not None:
        records.remove(_named(found, forget, records))
        click.echo(f"{forget}: forgotten here; what it is at the server did not change")
        return
    if cancel is not None:
        record = _named(found, cancel, records)
        if record.batch is None:
            raise CtxbenchError(f"{cancel}: it is not known whether the server got this batch; look there, and --forget {cancel}")
        click.echo(f"{cancel}: {_asked(record, cancel=True)}")
        return
    for record in found:
        made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(record.created))
        state = _asked(record, cancel=False) if record.batch is not None else "perhaps not submitted"
        click.echo(f"{record.batch or record.nonce}  {state}  {len(record.requests):,} wanted  {made}  {record.model} at {record.base_url}")
    if not found:
        click.echo("no batch is open")


def _named(found: list[Record], name: str, records: Records) -> Record:
    for record in found:
        if name in (record.batch, record.nonce):
            return record
    raise CtxbenchError(f"{name}: no such batch in {records.folder}; 'ctxbench batches' lists them")


def _asked(record: Record, *, cancel: bool) -> str:
    """What the server says of a batch, in a few words."""
    import asyncio

    try:
        state = asyncio.run(_ask(record, cancel))
    except ModelError as error:
        if cancel:
            raise
        return f"unknown ({error})"
    counts = state.get("request_counts")
    done = f", {counts.get('completed', 0)} of {counts.get('total', 0)} answered" if isinstance(counts, dict) else ""
    return f"{state.get('status')}{done}"


async def _ask(record: Record, cancel: bool) -> dict[str, Any]:
    import openai

    from ctxbench_openai.asking import Asker, Failed, Settings
    from ctxbench_openai.batch_api import BatchApi
    from ctxbench_openai.keys import Key, QuietLogs, unsent_headers
    from ctxbench_openai.pace import Pace

    key = Key.read(record.api_key_env)
    async with openai.AsyncOpenAI(api_key=key.value or "none", base_url=record.base_url, timeout=60.0, max_retries=0) as client:
        api = BatchApi(Asker(client, key, Settings(60.0, 2, 60.0), Pace(1), unsent_headers(record.base_url, key)))
        logs = QuietLogs(key)
        logs.begin()
        try:
            return await (api.cancel(str(record.batch)) if cancel else api.look(str(record.batch), api.asker.settings.retries))
        except Failed as failed:
            raise ModelError(f"{record.base_url}: {failed.fault}") from None
        finally:
            logs.end()

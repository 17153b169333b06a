"""``ctxbench encode FILE -c CODEC -o DIR``"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import click

import ctxbench
from ctxbench import Carrier, CtxbenchError
from ctxbench.config import make_config, parse_component
from ctxbench.plugin import plugin_work
from ctxbench_cli.files import read_context, write_whole


@click.command("encode")
@click.argument("file", metavar="FILE")
@click.option("-c", "--codec", required=True, help="Codec, with options as NAME:key=value,key=value.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder for the pages; made if it is missing.")
@click.option("--force", is_flag=True, help="Replace pages that are already there.")
def command(file: str, codec: str, output: Path, force: bool) -> None:
    """Put the text of FILE into a carrier: page-001.png, ... or carrier.txt. FILE '-' is stdin."""
    part = make_config({"codecs": [parse_component(codec)]}, "--codec").codecs[0]
    made = ctxbench.load_plugins().codec(part.name, **part.options)
    text = read_context(file)
    with plugin_work(f"codec {part.name!r}"):
        carrier = made.encode(text)
        files = _files(carrier)
        manifest = {"codec": part.name, "config": made.config, "files": sorted(files)}
    files["carrier.json"] = (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()
    _write(output, files, force)
    visual = _visual_tokens(carrier)
    count = len(carrier.pages)
    plural = "" if count == 1 else "s"
    made_of = f"{count} page{plural}, {visual}" if count else "text"
    click.echo(f"{part.label}: {made_of} in {output}")


def _files(carrier: Carrier) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    if carrier.text is not None:
        files["carrier.txt"] = carrier.text.encode("utf-8")
    digits = max(3, len(str(len(carrier.pages))))
    for i, page in enumerate(carrier.pages, start=1):
        buffer = io.BytesIO()
        page.save(buffer, "PNG")
        files[f"page-{i:0{digits}}.png"] = buffer.getvalue()
    return files


def _write(output: Path, files: dict[str, bytes], force: bool) -> None:
    if output.exists() and not output.is_dir():
        raise CtxbenchError(f"{output}: is a file; -o names a folder")
    old: list[Any] = [] if not output.exists() else [*output.glob("page-*.png"), *output.glob("carrier.*")]
    if old and not force:
        raise CtxbenchError(f"{output}: already holds {old[0].name}; choose another folder, or replace it with --force")
    output.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_whole(output / name, data)
    for path in old:  # pages of an earlier, longer text must not stay among the new ones
        if path.name not in files:
            path.unlink()


def _visual_tokens(carrier: Carrier) -> str:
    try:
        total = sum(ctxbench.tokens.visual_tokens(*page.size) for page in carrier.pages)
    except CtxbenchError:
        return "written"
    return f"{total} visual tokens ({ctxbench.tokens.REFERENCE})"

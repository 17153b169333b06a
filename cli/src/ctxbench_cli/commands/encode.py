"""``ctxbench encode FILE... -c CODEC -o DIR``"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import click

import ctxbench
from ctxbench import Carrier, Codec, CtxbenchError, EncodeError, tokens
from ctxbench.config import make_config, parse_component
from ctxbench.files import write_whole
from ctxbench.plugin import plugin_work
from ctxbench_cli.files import read_contexts


@click.command("encode")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("-c", "--codec", required=True, help="Codec, with options as NAME:key=value,key=value.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder for the pages; made if it is missing.")
@click.option("--encoding", default="utf-8", show_default=True, help="Of the files.")
@click.option("--force", is_flag=True, help="Replace pages that are already there.")
def command(files: tuple[str, ...], codec: str, output: Path, encoding: str, force: bool) -> None:
    """Put the text of FILE into a carrier: page-001.png, ... or carrier.txt. FILE '-' is stdin.

    Of several files, a folder or a pattern such as 'notes/**/*.md', each gets a folder of its own in the output folder.
    """
    part = make_config({"codecs": [parse_component(codec)]}, "--codec").codecs[0]
    made = ctxbench.load_plugins().codec(part.name, **part.options)
    contexts = read_contexts(files, encoding)
    alone = len(contexts) == 1 and contexts[0].label == files[0]
    refused: list[str] = []
    for context in contexts:
        folder = output if alone else output / context.label
        try:
            click.echo(f"{part.label}: {_encode(part.name, made, context.text, folder, force)} in {folder}")
        except EncodeError as error:
            if alone:
                raise
            refused.append(context.label)
            click.echo(f"left out: {context.label}: {error}", err=True)
    if refused:
        raise CtxbenchError(f"{part.label} cannot carry {len(refused)} of {len(contexts)} documents; the others are in {output}")


def _encode(name: str, codec: Codec, text: str, output: Path, force: bool) -> str:
    """Write the files of one carrier; returns a summary of them."""
    with plugin_work(f"codec {name!r}"):
        carrier = codec.encode(text)
        files = _files(carrier)
        manifest = {"codec": name, "config": codec.config, "files": sorted(files)}
    files["carrier.json"] = (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()
    _write(output, files, force)
    count = len(carrier.pages)
    return f"{count} page{'' if count == 1 else 's'}, {_visual_tokens(carrier)}" if count else "text"


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
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CtxbenchError(f"{output}: {error.strerror or error}") from None
    for name, data in files.items():
        write_whole(output / name, data)
    for path in old:  # pages of an earlier, longer text must not stay among the new ones
        if path.name not in files:
            path.unlink()


def _visual_tokens(carrier: Carrier) -> str:
    try:
        total = sum(tokens.visual_tokens(*page.size) for page in carrier.pages)
    except CtxbenchError:
        return "written"
    return f"{total} visual tokens ({tokens.REFERENCE})"

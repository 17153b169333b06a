"""``ctxbench decode PAGE... -c CODEC``"""

from __future__ import annotations

import sys
from pathlib import Path

import click

import ctxbench
from ctxbench import Carrier, CtxbenchError
from ctxbench.config import make_config, parse_component
from ctxbench.images import open_page
from ctxbench_cli.files import read_context, write_whole


@click.command("decode")
@click.argument("pages", nargs=-1, required=True, metavar="PAGE...")
@click.option("-c", "--codec", required=True, help="Codec, with options as NAME:key=value,key=value.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File for the text; the default is stdout.")
def command(pages: tuple[str, ...], codec: str, output: Path | None) -> None:
    """Read the text back from PAGE... with the codec's classical decoder. A folder stands for the pages in it."""
    part = make_config({"codecs": [parse_component(codec)]}, "--codec").codecs[0]
    made = ctxbench.load_plugins().codec(part.name, **part.options)
    if not made.can_decode:
        raise CtxbenchError(f"codec {part.name!r} has no classical decoder")
    carrier = _carrier(pages)
    data = made.decode(carrier).encode("utf-8")
    if output is not None:
        write_whole(output, data)
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def _carrier(names: tuple[str, ...]) -> Carrier:
    texts, images = [], []
    for name in names:
        path = Path(name)
        files = sorted([*path.glob("page-*.png"), *path.glob("carrier.txt")]) if path.is_dir() else [path]
        if not files:
            raise CtxbenchError(f"{path}: a folder without page-*.png or carrier.txt")
        for file in files:
            if file.suffix == ".txt":
                texts.append(read_context(str(file)))
            else:
                images.append(open_page(file))
    return Carrier("".join(texts) if texts else None, images)

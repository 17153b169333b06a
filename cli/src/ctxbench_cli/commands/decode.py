"""``ctxbench decode PAGE... -c CODEC``"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import click

import ctxbench
from ctxbench import Carrier, CtxbenchError
from ctxbench.config import make_config, parse_component
from ctxbench.files import write_whole
from ctxbench.images import MAX_PIXELS, open_page
from ctxbench.plugin import plugin_work
from ctxbench_cli.files import read_context
from ctxbench_cli.limits import bounded


@click.command("decode")
@click.argument("pages", nargs=-1, required=True, metavar="PAGE...")
@click.option("-c", "--codec", required=True, help="Codec, with options as NAME:key=value,key=value.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File for the text; the default is stdout.")
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=MAX_PIXELS,
    show_default=True,
    help="Largest picture that is opened. No side may be longer than that of one four times as long as wide.",
)
@click.option(
    "--max-seconds",
    type=click.IntRange(1, 1_000_000),
    default=30,
    show_default=True,
    help="CPU seconds for each picture, after which it is given up.",
)
def command(pages: tuple[str, ...], codec: str, output: Path | None, max_pixels: int, max_seconds: int) -> None:
    """Read the text back from PAGE... with the codec's classical decoder. A folder stands for the pages in it.

    Pages are PNG, JPEG, WebP, TIFF, GIF, BMP, PPM or AVIF files; photographs are turned upright as their Exif data say.
    """
    part = make_config({"codecs": [parse_component(codec)]}, "--codec").codecs[0]
    made = ctxbench.load_plugins().codec(part.name, **part.options)
    if not made.can_decode:
        raise CtxbenchError(f"codec {part.name!r} has no classical decoder")
    files = _files(pages)

    def work() -> bytes:
        carrier = _carrier(files, max_pixels)
        with plugin_work(f"codec {part.name!r}"):
            return made.decode(carrier).encode("utf-8")

    try:
        data = bounded(work, max_seconds * len(files))
    except CtxbenchError as error:
        error.args = (_with_names(str(error), [file for file in files if file.suffix != ".txt"]),)
        raise
    if output is not None:
        write_whole(output, data)
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def _files(names: Sequence[str]) -> list[Path]:
    files = []
    for name in names:
        path = Path(name)
        found = sorted([*path.glob("page-*.png"), *path.glob("carrier.txt")]) if path.is_dir() else [path]
        if not found:
            raise CtxbenchError(f"{path}: a folder without page-*.png or carrier.txt")
        files += found
    return files


def _with_names(message: str, images: Sequence[Path]) -> str:
    """A codec's message with the files' names where it counts pictures, or before it if there is but one."""

    def name(found: re.Match[str]) -> str:
        number = int(found[1])
        return str(images[number - 1]) if 1 <= number <= len(images) else found[0]

    named = re.sub(r"\bpicture (\d+)(?=:)", name, message)
    return f"{images[0]}: {named}" if len(images) == 1 and str(images[0]) not in named else named


def _carrier(files: Sequence[Path], max_pixels: int) -> Carrier:
    texts = [read_context(str(file)) for file in files if file.suffix == ".txt"]
    return Carrier("".join(texts) if texts else None, [open_page(file, max_pixels) for file in files if file.suffix != ".txt"])

"""``ctxbench cost FILE``"""

from __future__ import annotations

from typing import Any

import click

import ctxbench
from ctxbench import CtxbenchError, ImageTokens, tokens
from ctxbench.config import make_config, parse_component
from ctxbench.registry import Registry
from ctxbench_cli.files import read_context
from ctxbench_cli.output import print_json, print_table


@click.command("cost")
@click.argument("file", metavar="FILE")
@click.option("-c", "--codec", "codecs", multiple=True, help="Codec, with options as NAME:key=value. Default: every codec.")
@click.option("--family", "families", multiple=True, help="Model family. Default: every family that is known.")
@click.option("--reference", default=tokens.REFERENCE, show_default=True, help="Whose tokenizer counts the text.")
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(file: str, codecs: tuple[str, ...], families: tuple[str, ...], reference: str, output: str) -> None:
    """What FILE would cost in each codec, for each model family, before you run anything. FILE '-' is stdin."""
    registry = ctxbench.load_plugins()
    text = read_context(file)
    reference_tokens = tokens.count_text(text, reference)
    if not reference_tokens:
        raise CtxbenchError(f"{file}: the context is empty, so there is nothing to compare")
    names = list(codecs) or registry.names("codec")
    config = make_config({"codecs": [parse_component(name) for name in names]}, "--codec")
    wanted = list(families) or registry.names("token_counter")
    rows = []
    for part in config.codecs:
        rows += _rows(registry, part.label, registry.codec(part.name, **part.options), text, reference_tokens, wanted, reference)
    if output == "json":
        print_json({"file": file, "characters": len(text), "reference_tokens": reference_tokens, "reference": reference, "costs": rows})
        return
    click.echo(f"{file}: {len(text):,} characters, {reference_tokens:,} reference tokens ({reference})")
    click.echo()
    columns = ["codec", "family", "pages", "page size", "tokens", "ratio", "note"]
    print_table(columns, [[_cell(row, name) for name in columns] for row in rows], right=["pages", "tokens", "ratio"])


def _rows(
    registry: Registry, label: str, codec: Any, text: str, reference_tokens: int, families: list[str], reference: str
) -> list[dict[str, Any]]:
    base = {"codec": label}
    try:
        carrier = codec.encode(text)
    except CtxbenchError as error:
        return [base | {"family": "", "error": str(error)}]
    text_tokens = tokens.count_text(carrier.text, reference) if carrier.text else 0
    rows = []
    for family in families:
        counter = registry.token_counter(family)
        images: list[ImageTokens] = []
        refused: str | None = None
        try:
            images = [counter.image(*page.size) for page in carrier.pages]
        except (CtxbenchError, ValueError) as error:
            refused = str(error)
        visual = sum(image.tokens for image in images)
        total = visual + text_tokens
        row = {
            "family": family,
            "pages": len(carrier.pages),
            "page_sizes": [list(page.size) for page in carrier.pages],
            "text_tokens": text_tokens,
            "visual_tokens": visual,
            "tokens": None if refused else total,
            "ratio": None if refused or not total else reference_tokens / total,
            "rescaled": any(image.budget_scaled for image in images),
            "error": refused,
        }
        rows.append(base | row)
        if not carrier.pages:  # a text costs the same under every family's image rule
            rows[-1]["family"] = reference
            break
    return rows


def _cell(row: dict[str, Any], name: str) -> str:
    if name == "page size":
        sizes = sorted({f"{w} x {h}" for w, h in row.get("page_sizes", [])}, key=len)
        return sizes[-1] + (" ..." if len(sizes) > 1 else "") if sizes else ""
    if name == "note":
        if row.get("error"):
            return str(row["error"])
        return "pages are rescaled to fit the pixel budget" if row.get("rescaled") else ""
    value = row.get(name)
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)

"""``ctxbench cost FILE...``"""

from __future__ import annotations

from typing import Any

import click

import ctxbench
from ctxbench import Carrier, CtxbenchError, ImageTokens, Registry, TokenCounter, UsageError, tokens
from ctxbench.config import ComponentConfig, load_config, make_config, parse_component
from ctxbench.plugin import plugin_work
from ctxbench_cli.added_up import added_up
from ctxbench_cli.files import Context, read_contexts
from ctxbench_cli.output import print_json, print_table


@click.command("cost")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("-c", "--codec", "codecs", multiple=True, help="Codec, with options as NAME:key=value. Default: every codec.")
@click.option("--config", metavar="CONFIG", help="The codecs of an experiment's config, in place of --codec.")
@click.option(
    "--family", "families", multiple=True, help="Model family, with options as NAME:key=value. Default: every family that is known."
)
@click.option("--reference", default=tokens.REFERENCE, show_default=True, help="Whose tokenizer counts the text.")
@click.option("--encoding", default="utf-8", show_default=True, help="Of the files.")
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(
    files: tuple[str, ...],
    codecs: tuple[str, ...],
    config: str | None,
    families: tuple[str, ...],
    reference: str,
    encoding: str,
    output: str,
) -> None:
    """What FILE would cost in each codec, for each model family, before you run anything. FILE '-' is stdin.

    Several files, a folder or a pattern such as 'notes/**/*.md' are taken one by one and their costs added up.

    The tokens are those of the carrier's own text, of its pages, and of the markers around them. The ratio is that of the reference
    tokens to them, and the product of two factors: how much the codec compresses the text (bytes of the context for each byte of its
    payload), and how much the carrier gains by holding those bytes as it does.
    """
    registry = ctxbench.load_plugins()
    contexts = read_contexts(files, encoding)
    with plugin_work(f"token counter {reference!r}"):
        counted = [(context, tokens.count_text(context.text, reference)) for context in contexts]
    measured = [(context, count) for context, count in counted if count]
    name = contexts[0].label if len(contexts) == 1 else " ".join(files)
    if not measured:
        raise CtxbenchError(f"{name}: the context is empty, so there is nothing to compare")
    parts = _codecs(registry, codecs, config)
    wanted = list(families) or registry.names("token_counter")
    for part in parts if codecs or config else ():  # what was asked for by name must exist; of all there are, a broken one is a row
        registry.codec(part.name, **part.options)
    for family in families:
        registry.token_counter(family)
    rows = []
    for part in parts:
        found = [_rows(registry, part, context.text, count, wanted, reference) for context, count in measured]
        rows += found[0] if len(found) == 1 else added_up([(count, some) for (_, count), some in zip(measured, found, strict=True)])
    documents = [_document(context, count) for context, count in counted]
    total = {key: sum(document[key] for document in documents) for key in ("characters", "bytes", "reference_tokens")}
    if output == "json":
        several = {"documents": documents} if len(documents) > 1 else {}
        print_json({"file": name, **total, "reference": reference, **several, "costs": rows})
        return
    empty = f" ({len(counted) - len(measured)} of them empty)" if len(measured) < len(counted) else ""
    many = f"{len(contexts):,} documents{empty}, " if len(contexts) > 1 else ""
    click.echo(f"{name}: {many}{total['characters']:,} characters, {total['reference_tokens']:,} reference tokens ({reference})")
    click.echo()
    columns = ["codec", "family", "pages", "page size", "visual", "markers", "tokens", "ratio", "= text", "x carrier", "note"]
    print_table(columns, [[_cell(row, name) for name in columns] for row in rows], right=columns[2:3] + columns[4:-1])


def _codecs(registry: Registry, codecs: tuple[str, ...], config: str | None) -> tuple[ComponentConfig, ...]:
    """Those that were asked for, by name or by a config; every one without either."""
    if config:
        if codecs:
            raise UsageError("--config and --codec: the codecs come from one of them")
        return load_config(config).codecs
    names = list(codecs) or registry.names("codec")
    return make_config({"codecs": [parse_component(name) for name in names]}, "--codec").codecs


def _document(context: Context, count: int) -> dict[str, Any]:
    size = len(context.text.encode("utf-8"))
    return {"file": context.label, "characters": len(context.text), "bytes": size, "reference_tokens": count}


def _rows(
    registry: Registry, part: ComponentConfig, text: str, reference_tokens: int, families: list[str], reference: str
) -> list[dict[str, Any]]:
    """A row for each family; one for a carrier without pages, which costs the same under every family's image rule."""
    try:
        codec = registry.codec(part.name, **part.options)
        with plugin_work(f"codec {part.name!r}"):
            carrier = codec.encode(text)
            base = _carried(part.label, carrier, text, reference)
    except CtxbenchError as error:
        return [{"codec": part.label, "family": "", "error": str(error)}]
    if not carrier.pages:
        return [base | {"family": reference} | _cost(base, [], 0, reference_tokens)]
    return [base | {"family": family} | _family(family, carrier, base, reference_tokens) for family in families]


def _carried(label: str, carrier: Carrier, text: str, reference: str) -> dict[str, Any]:
    """The columns that are the same for every family."""
    size = len(text.encode("utf-8"))
    return {
        "codec": label,
        "pages": len(carrier.pages),
        "page_sizes": [list(page.size) for page in carrier.pages],
        "text_tokens": tokens.count_text(carrier.text, reference) if carrier.text else 0,
        "context_bytes": size,
        "payload_bytes": carrier.payload_bytes,
        "text_factor": size / carrier.payload_bytes if carrier.payload_bytes else None,
    }


def _family(family: str, carrier: Carrier, base: dict[str, Any], reference_tokens: int) -> dict[str, Any]:
    try:
        with plugin_work(f"token counter {family!r}"):
            counter = tokens.counter(family)
            images = _images(counter, carrier)
            return _cost(base, images, counter.overhead(images), reference_tokens)
    except CtxbenchError as error:
        return {"error": str(error)}


def _images(counter: TokenCounter, carrier: Carrier) -> list[ImageTokens]:
    try:
        return [counter.image(*page.size) for page in carrier.pages]
    except ValueError as error:  # a size that the family's processor refuses
        raise CtxbenchError(str(error)) from error


def _cost(base: dict[str, Any], images: list[ImageTokens], markers: int, reference_tokens: int) -> dict[str, Any]:
    """The columns that are computed from the tokens of the pages."""
    visual = sum(image.tokens for image in images)
    total = base["text_tokens"] + visual + markers
    ratio = tokens.ratio(reference_tokens, total)
    factor = base["text_factor"]
    return {
        "visual_tokens": visual,
        "marker_tokens": markers,
        "tokens": total,
        "ratio": ratio,
        "carrier_factor": ratio / factor if ratio and factor else None,
        "loses_pixels": any(image.budget_scaled for image in images),
        "error": None,
    }


_KEYS = {"visual": "visual_tokens", "markers": "marker_tokens", "= text": "text_factor", "x carrier": "carrier_factor"}


def _cell(row: dict[str, Any], name: str) -> str:
    if name == "page size":
        sizes = sorted({(w * h, w, h) for w, h in row.get("page_sizes", [])})
        return f"{sizes[-1][1]} x {sizes[-1][2]}" + (" ..." if len(sizes) > 1 else "") if sizes else ""
    if name == "note":
        if row.get("error"):
            return str(row["error"])
        lost = "pages lose pixels: the model gets fewer than they have" if row.get("loses_pixels") else ""
        return "; ".join(note for note in (row.get("left_out"), lost) if note)
    value = row.get(_KEYS.get(name, name))
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)

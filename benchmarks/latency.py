"""What one prompt of each codec takes: ``python -m benchmarks.latency [--prompts 8] [--model tiny] [--codec text --codec render ...]``.

Each prompt is read alone, since a row of a batch has no time of its own. Prefill is the time to the first token, decoding the time for
each token after it; medians over the prompts, with the first one left out (it warms the caches). The last column is the time of an answer
of ``--answer`` tokens, from both, as a multiple of the text codec's: a codec whose answers end early is not fast for that.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

import ctxbench
from ctxbench.prompts import compose

CODECS = ("text", "render", "codebook", "codebook:preset=aligned", "codebook_external")


def prompts_of(spec: str, count: int, bucket: int) -> list[ctxbench.Prompt]:
    """Contexts of json_restore in a codec's carrier, with the question behind them."""
    from ctxbench.config import parse_component

    registry, wanted = ctxbench.load_plugins(), parse_component(spec)
    options = {} if isinstance(wanted, str) else dict(wanted)
    name = str(options.pop("name", wanted))
    task, codec = registry.task("json_restore"), registry.codec(name, **options)
    found = []
    for i in range(count):
        sample = task.sample(bucket, ctxbench.derive_seed("latency", i))
        carrier = codec.encode(sample.context)
        found.append(ctxbench.Prompt(tuple(carrier.pages), compose(codec.hint("en"), carrier.text, sample.question)))
    return found


def measure(model: ctxbench.Model, prompts: list[ctxbench.Prompt]) -> dict[str, float]:
    """Medians over all prompts but the first, times in seconds."""
    rows: list[dict[str, float]] = []
    for prompt in prompts:
        (reading,) = model.read([prompt])
        if reading.error is not None or reading.prefill_seconds is None or reading.generate_seconds is None or reading.usage is None:
            raise SystemExit(f"no times: {reading.error or 'the model tells none for a prompt read alone'}")
        made = max((reading.usage.completion or 1) - 1, 1)
        rows.append(
            {
                "tokens": reading.usage.prompt,
                "visual": reading.usage.visual or 0,
                "prefill": reading.prefill_seconds,
                "token": reading.generate_seconds / made,
            }
        )
    return {key: statistics.median(row[key] for row in rows[1:] or rows) for key in rows[0]}


def main() -> None:
    """Print one row a codec."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--bucket", type=int, default=128, help="reference tokens of a context")
    parser.add_argument("--answer", type=int, default=32, help="tokens of an answer")
    parser.add_argument("--model", default="tiny", help="tiny, or hf:<folder or id>")
    parser.add_argument("--codec", action="append", help=f"default: {', '.join(CODECS)}")
    args = parser.parse_args()
    model: Any = ctxbench.load_plugins().model(args.model, max_new_tokens=args.answer)
    found = {spec: measure(model, prompts_of(spec, args.prompts + 1, args.bucket)) for spec in args.codec or CODECS}
    for row in found.values():
        row["whole"] = row["prefill"] + (args.answer - 1) * row["token"]
    base = found.get("text", next(iter(found.values())))["whole"]
    print(f"{args.model}, contexts of {args.bucket} reference tokens, answers of {args.answer} tokens, {args.prompts} prompts read alone\n")
    print("| codec | prompt tokens | visual | prefill, ms | each further token, ms | whole answer, x of text |\n|---|---|---|---|---|---|")
    for spec, row in found.items():
        times = f"{1000 * row['prefill']:.0f} | {1000 * row['token']:.1f} | {row['whole'] / base:.2f}"
        print(f"| {spec} | {row['tokens']:.0f} | {row['visual']:.0f} | {times} |")


if __name__ == "__main__":
    main()

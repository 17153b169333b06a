"""What of a ratio is compression of text and what is pixels, and what truncation keeps at the same cost: ``python -m benchmarks.ratios``.

The ratio is that of the means: reference tokens of all samples over carrier tokens of all, markers included. It is the product of two
factors: bytes of the context for each byte of payload (what the codec compresses), and the rest (what the carrier gains by holding
these bytes as pixels, or as text). Baselines are codecs as well: the same compressor or vocabulary without pixels.

``--read`` also reads every clean carrier with the codec's own decoder, and truncates each context to the codec's ratio, to compare the
share of questions that the task's own solver answers right from either. It runs optical character recognition, seconds a page.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import attrs

from ctxbench import Codec, DecodeError, Sample, Task, load_plugins, tokens

CODECS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("text", "text", {}),
    ("brotli64", "brotli64", {}),
    ("dictionary_text", "dictionary_text", {}),
    ("codebook auto", "codebook", {}),
    ("codebook raw", "codebook", {"compression": "raw"}),
    ("aligned dictionary", "codebook", {"preset": "aligned", "symbol": "dictionary"}),
    ("aligned byte", "codebook", {"preset": "aligned"}),
    ("QR zlib", "codebook_external", {"compression": "zlib"}),
    ("QR none", "codebook_external", {}),
    ("render", "render", {}),
    ("half_resolution", "half_resolution", {}),
)
TASKS = ("json_restore", "needle")
KEEPS = ("head", "tail", "both")


@attrs.frozen
class Cost:
    """Sums over all samples of a codec."""

    reference: int
    carrier: int
    context_bytes: int
    payload_bytes: int

    @property
    def ratio(self) -> float:
        """Reference tokens for each carrier token."""
        return self.reference / self.carrier

    @property
    def text_factor(self) -> float:
        """Bytes of the context for each byte of payload."""
        return self.context_bytes / self.payload_bytes


def cost(codec: Codec, samples: Sequence[Sample], family: str) -> Cost:
    """What the samples cost in a codec, by the family's rule."""
    counter = tokens.counter(family)
    reference = carrier_tokens = context_bytes = payload_bytes = 0
    for sample in samples:
        carrier = codec.encode(sample.context)
        images = [counter.image(*page.size) for page in carrier.pages]
        text = tokens.count_text(carrier.text) if carrier.text else 0
        reference += tokens.count_text(sample.context)
        carrier_tokens += text + sum(image.tokens for image in images) + counter.overhead(images)
        context_bytes += len(sample.context.encode("utf-8"))
        payload_bytes += carrier.payload_bytes or 0
    return Cost(reference, carrier_tokens, context_bytes, payload_bytes)


def right(codec: Codec, task: Task, samples: Sequence[Sample]) -> float:
    """Share of questions that the task's solver answers right from what the codec's decoder recovers."""
    found = 0
    for sample in samples:
        try:
            found += task.solve(codec.decode(codec.encode(sample.context)), sample.question) == sample.answer
        except DecodeError:
            continue
    return found / len(samples)


def show(task_name: str, bucket: int, count: int, family: str, read: bool) -> None:
    """Print one task's table."""
    registry = load_plugins()
    task = registry.task(task_name)
    samples = [task.sample(bucket, seed) for seed in range(count)]
    print(f"\n{task_name}, {bucket} reference tokens, {count} samples, {family}\n")
    heads = ["tokens", "ratio", "= text", "x carrier", "B/token"]
    heads += ["right", *(f"truncate {keep}" for keep in KEEPS)] if read else []
    print(f"{'codec':20}" + "".join(f"{head:>14}" for head in heads))
    for label, name, options in CODECS:
        codec = registry.codec(name, **options)
        found = cost(codec, samples, family)
        cells = [f"{found.carrier / count:.1f}", f"{found.ratio:.2f}", f"{found.text_factor:.2f}", f"{found.ratio / found.text_factor:.2f}"]
        cells.append(f"{found.payload_bytes / found.carrier:.2f}")
        if read:
            ratio = max(1.0, found.ratio)
            shorter = (registry.codec("truncate", ratio=ratio, keep=keep) for keep in KEEPS)
            cells += [f"{100 * right(made, task, samples):.0f} %" for made in (codec, *shorter)]
        print(f"{label:20}" + "".join(f"{cell:>14}" for cell in cells))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bucket", type=int, default=512, help="length of the contexts in reference tokens")
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--family", default="qwen2-vl", help="whose rule counts visual tokens and markers")
    parser.add_argument("--read", action="store_true", help="also read the carriers, and compare with truncation at equal tokens")
    arguments = parser.parse_args()
    for task in TASKS:
        show(task, arguments.bucket, arguments.samples, arguments.family, arguments.read)


if __name__ == "__main__":
    main()

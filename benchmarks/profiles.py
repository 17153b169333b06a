"""``python -m benchmarks.profiles [--samples N]``: how well pages of each profile are read back, and what they cost.

For each profile and level of damage, over RULER's and our own contexts: the share of pages' texts that came back exactly, the character
error rate of those that were read, how many were refused, and the ratio to the same text in monospace pages of ``render``.
"""

from __future__ import annotations

import argparse

import numpy as np
from rapidfuzz.distance import Levenshtein

from ctxbench import Carrier, DecodeError, derive_seed, load_plugins, tokens

CODECS = {
    "render": {},
    "profile=glyph": {"profile": "glyph"},
    "profile=vtcbench": {"profile": "vtcbench"},
    "profile=pxpipe": {"profile": "pxpipe"},
    "target_ratio=3": {"target_ratio": 3},
}
RATIOS = (1, 2, 3, 6)
TASKS = ("needle", "json_restore", "ruler_niah_multikey_3")
BUCKET = 1024


def main() -> None:
    """Print one line a codec and level."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=2, help="of each task")
    parser.add_argument("--levels", default="clean,light,heavy")
    options = parser.parse_args()
    registry = load_plugins()
    texts = [registry.task(task).sample(BUCKET, seed).context for task in TASKS for seed in range(options.samples)]
    print(f"{len(texts)} texts of {BUCKET} tokens: {', '.join(TASKS)}")
    for name, given in CODECS.items():
        codec = registry.codec("render", **given)
        sizes = [codec.page_sizes(text) for text in texts]
        cost = sum(tokens.visual_tokens(*size) for one in sizes for size in one)
        print(f"{name:18} reference tokens over visual tokens {sum(map(tokens.count_text, texts)) / cost:.2f}", flush=True)
        for level in options.levels.split(","):
            augmenter = registry.augmenter(level)
            exact, refused, rates = 0, 0, []
            for number, text in enumerate(texts):
                rng = np.random.default_rng(derive_seed("profiles", level, number))
                pages = [augmenter.apply(page, rng) for page in codec.encode(text).pages]
                try:
                    found = codec.decode(Carrier(pages=pages))
                except DecodeError:
                    refused += 1
                    continue
                rates.append(Levenshtein.distance(found, text) / len(text))
                exact += found == text
            rate = f"{np.mean(rates):.4f}" if rates else "-"
            print(
                f"    {level:6} exact {exact / len(texts):.2f}   refused {refused / len(texts):.2f}   character error rate {rate}",
                flush=True,
            )
    for ratio in RATIOS:
        fits = [registry.codec("render", target_ratio=ratio).fit(text).reached for text in texts]
        print(f"target_ratio={ratio}: reached {min(fits):.2f} to {max(fits):.2f}", flush=True)


if __name__ == "__main__":
    main()

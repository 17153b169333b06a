"""How often a full page of one code is read exactly: ``python -m benchmarks.codebook_reliability --code robust --order camera``.

Pages are made, damaged and read in groups of 20, each group with a seed of its own, and counted as they come, so that a run may be cut.
"""

from __future__ import annotations

import argparse

import attrs

from benchmarks.codebook import CODES, full, measure
from ctxbench_codebook.codec import Codebook

GROUP = 20


def main() -> None:
    """Measure and print a running count, and at the end the bound that it puts on the failure rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--code", choices=sorted(CODES), default="robust")
    parser.add_argument("--level", choices=("clean", "light", "heavy"), default="heavy")
    parser.add_argument("--order", choices=("paper", "camera"), default="paper")
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--side", type=int, help="longest side of a page of ours in px; without it the codec's default, 980")
    parser.add_argument("--seed", type=int, default=500_000)
    arguments = parser.parse_args()
    code = CODES[arguments.code]
    if arguments.side and isinstance(code, Codebook):
        code = attrs.evolve(code, page=arguments.side)
    options = {} if arguments.level == "clean" else {"order": arguments.order}
    size = full(code)
    exact = tried = wrong = 0
    for group in range(-(-arguments.pages // GROUP)):
        score = measure(code, size, arguments.level, options, GROUP, arguments.seed + group)
        exact, tried, wrong = exact + score.exact, tried + score.tried, wrong + score.wrong
        print(f"{tried} pages, {exact} exact, {wrong} wrong texts", flush=True)
    # No failure in n trials bounds the rate by 3 / n at 95 % (rule of three; Hanley and Lippman-Hand, 1983).
    bound = f"; failure rate below {3 / tried:.2%} at 95 %" if exact == tried else ""
    channel = f"{arguments.level}, {arguments.order} order" if options else arguments.level
    print(f"{arguments.code}, {channel}: {score.density:.2f} B/token, {exact} of {tried} exact{bound}")


if __name__ == "__main__":
    main()

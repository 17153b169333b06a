"""``ctxbench run --plan-power 5pp``: how many samples a cell needs, said before the run."""

from __future__ import annotations

from collections.abc import Iterator

from ctxbench_stats.power import POWER, detectable, needed, parse_points

SHARES = (0.5, 0.25, 0.1)
"""Shares of pairs in which two codecs, models or levels may differ. A half is what two readers come to that are right by chance every
second time and know nothing of each other; readers that are alike differ less, and need fewer pairs."""


def plan_power(text: str, samples: int) -> Iterator[str]:
    """Lines that say what ``samples`` samples a cell can show, and how many it takes to show a difference as small as asked for.

    Raises:
        UsageError: ``text`` is no difference such as ``5pp``.
    """
    wanted = parse_points(text)
    points = f"{100 * wanted:g} points"
    yield (
        f"to show a difference of {points} between two cells of the same samples (McNemar's exact test, 5 %, power {100 * POWER:.0f} %), "
        "by the share of samples that one gets right and the other does not:"
    )
    needs = []
    for share in SHARES:
        if share < wanted:
            continue
        n, least = needed(wanted, share), detectable(samples, share)
        needs.append(n)
        here = "no difference at all" if least is None else f"{100 * least:.3g} points"
        many = "more than can be planned" if n is None else f"n = {n:,}"
        yield f"  {100 * share:3.0f} %: {many}; -n {samples} shows {here}"
    if not needs:  # a difference larger than all shares: all that differ go one way
        n, least = needed(wanted, wanted), detectable(samples, wanted)
        needs.append(n)
        here = "no difference at all" if least is None else f"{100 * least:.3g} points"
        yield f"  {100 * wanted:3.0f} %: n = {n:,}; -n {samples} shows {here}"
    known = [n for n in needs if n is not None]
    if not known or min(known) > samples:
        yield (
            f"-n {samples} is too small for {points}, whatever the cells; it takes -n {min(known):,} at least"
            if known
            else (f"-n {samples} is too small for {points}")
        )
    elif len(known) < len(needs) or max(known) > samples:
        yield f"-n {samples} is too small for {points} unless the cells mostly agree"
    else:
        yield f"-n {samples} is enough for {points}"
    yield "that is one comparison; where many are made (Holm), each needs more"

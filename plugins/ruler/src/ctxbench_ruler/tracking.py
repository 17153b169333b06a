"""RULER's variable tracking."""

from __future__ import annotations

import itertools
import random
import re
import string
from typing import ClassVar

import attrs

from ctxbench import option
from ctxbench.options import Boolean, Integer
from ctxbench.tokens import count_text
from ctxbench_ruler.task import Draft, RulerTask, noise_part
from ctxbench_ruler.templates import NOISE, TRACKING

EXAMPLE_TOKENS, EXAMPLE_ROOM, EXAMPLE_STEP = 500, 30, 5
"""Length of the example with its answer, room for which is left, and the lines by which RULER lengthens it."""

MOST_HOPS = 10  # of the example

_ASSIGNMENT = re.compile(r"VAR\s+([A-Z]+)\s*=\s*(?:VAR\s+([A-Z]+)|(\d+))")


@attrs.frozen
class VariableTracking(RulerTask):
    """Find all variables that were assigned one value, directly or by way of another variable.

    Attributes:
        num_chains: chains of assignments; the first is asked for.
        num_hops: assignments from variable to variable in each.
        few_shot: an example with its answer stands first, as in RULER; it takes some 400 tokens of the bucket.
    """

    name: ClassVar[str] = "vt"

    num_chains: int = option(Integer(1, 100), 1)
    num_hops: int = option(Integer(1, 100), 4)
    few_shot: bool = option(Boolean(), True)

    def least(self, bucket: int) -> int:
        """More lines of noise than a chain has assignments."""
        return self.num_hops + 2

    def draft(self, rng: random.Random, units: int, bucket: int) -> Draft:
        """See :meth:`RulerTask.draft`. A unit is a line of noise."""
        example = renamed(self.example(rng), rng) if self.few_shot else ""
        return attrs.evolve(self.chained(rng, units), example=example)

    def chained(self, rng: random.Random, units: int, *, example: bool = False) -> Draft:
        """A draft without an example, or one of an example, whose names are shorter."""
        hops = min(MOST_HOPS, self.num_hops) if example else self.num_hops
        names = _names(rng, (hops + 1) * self.num_chains, 3 if example else 5)
        chains = [_chain(rng, names[start : start + hops + 1]) for start in range(0, len(names), hops + 1)]
        pieces = [f"{NOISE}\n"] * units
        for lines in chains:
            places = sorted(rng.sample(range(len(pieces)), len(lines)))
            for moved, (place, line) in enumerate(zip(places, lines, strict=True)):
                pieces.insert(place + moved, line)
        first = chains[0][0]
        prompt = TRACKING.format(query=first.rpartition(" ")[2], count=hops + 1)
        return Draft(prompt, tuple(pieces), tuple(names[: hops + 1]), joint=" ", asked=pieces.index(first))

    def example(self, rng: random.Random) -> Draft:
        """The example: as many times five lines of noise as leave room for its answer in 500 tokens."""
        state = rng.getstate()
        found, units = self.chained(rng, self.num_hops + 2, example=True), EXAMPLE_STEP
        while True:
            rng.setstate(state)
            if units < self.num_hops + 2:
                units += EXAMPLE_STEP
                continue
            longer = self.chained(rng, units, example=True)
            if count_text(f"{longer.whole} {list(longer.answers)}") + EXAMPLE_ROOM > EXAMPLE_TOKENS:
                return found
            found, units = longer, units + EXAMPLE_STEP

    def adjusted(self, draft: Draft, rng: random.Random, missing: int) -> Draft:
        """A part of a line of noise more."""
        return noise_part(NOISE.split(" "), draft, missing)

    def solve(self, context: str, question: str) -> str:
        """The variables that hold the value of the question, in the order in which the text assigns them."""
        asked = re.search(r"assigned the value (\d+)", question)
        wanted = asked[1] if asked else ""
        found: list[str] = []
        for name, other, value in _ASSIGNMENT.findall(context):
            if (value == wanted if value else other in found) and name not in found:
                found.append(name)
        return ", ".join(found)


def _names(rng: random.Random, count: int, length: int) -> list[str]:
    """Different names of variables."""
    names = ["".join(rng.choices(string.ascii_uppercase, k=length)) for _ in range(count)]
    while len(set(names)) < count:
        names.append("".join(rng.choices(string.ascii_uppercase, k=length)))
    return list(dict.fromkeys(names))


def _chain(rng: random.Random, names: list[str]) -> list[str]:
    """The assignments of one chain."""
    hops = [f"VAR {then} = VAR {first} " for first, then in itertools.pairwise(names)]
    return [f"VAR {names[0]} = {rng.randrange(10_000, 99_999)}", *hops]


def renamed(example: Draft, rng: random.Random) -> str:
    """An example and its answer with other names for its variables, so that no two samples show the same one."""
    text = f"{example.whole} {' '.join(example.answers)}\n\n"
    for name in example.answers:
        text = text.replace(name, "".join(rng.choices(string.ascii_uppercase, k=len(name))))
    return text

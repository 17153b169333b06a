"""RULER's eight needle tasks."""

from __future__ import annotations

import inspect
import random
import re
from collections.abc import Callable
from typing import Any, ClassVar

import attrs

from ctxbench import option
from ctxbench.options import Integer, String
from ctxbench.tokens import count_text
from ctxbench_ruler import data, words
from ctxbench_ruler.task import Draft, RulerTask, noise_part
from ctxbench_ruler.templates import NEEDLE, NEEDLES, NOISE, Template

HAYSTACKS = ("repeat", "essay", "needle")
DEPTHS = tuple(round(100 * i / 39) for i in range(40))
"""Where needles stand in essays, in percent of the sentences."""

REDRAWS = 40


@attrs.frozen
class Hidden:
    """What is hidden: keys, the values of each, and the lines in the order in which they stand in the text."""

    keys: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    lines: tuple[str, ...]


@attrs.frozen
class Niah(RulerTask):
    """Find special magic numbers, words or UUIDs.

    Attributes:
        type_haystack: ``repeat``, five sentences over and over; ``essay``, Paul Graham's essays; ``needle``, lines like the needle's own.
        type_needle_k: what keys are: ``words``, ``numbers`` or ``uuids``.
        type_needle_v: what values are: ``words``, ``numbers`` or ``uuids``.
        num_needle_k: keys that are hidden.
        num_needle_v: values of each key.
        num_needle_q: keys that are asked for.
    """

    name: ClassVar[str] = "niah"

    type_haystack: str = option(String(HAYSTACKS), "essay")
    type_needle_k: str = option(String(words.KINDS), "words")
    type_needle_v: str = option(String(words.KINDS), "numbers")
    num_needle_k: int = option(Integer(1, 40), 1)
    num_needle_v: int = option(Integer(1, 40), 1)
    num_needle_q: int = option(Integer(1, 40), 1)

    def __attrs_post_init__(self) -> None:
        if self.type_haystack == "essay":
            if self.count > len(DEPTHS):
                raise ValueError(f"{self.count} needles are more than the {len(DEPTHS)} places that RULER knows in essays")
            data.path(data.ESSAYS)

    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        """Of the word lists, and of the essays where they are the haystack."""
        return "; ".join([words.fingerprint(), *([data.fingerprint(data.ESSAYS)] if self.type_haystack == "essay" else [])])

    @property
    def keys(self) -> int:
        """Keys that are hidden: as many as are asked for, at least."""
        return max(self.num_needle_k, self.num_needle_q)

    @property
    def count(self) -> int:
        """Needles."""
        return self.keys * self.num_needle_v

    def least(self, bucket: int) -> int:
        """A place for every needle; in essays one word."""
        return 1 if self.type_haystack == "essay" else self.count

    def most(self) -> int | None:
        """The essays' words."""
        return len(data.essay_words()) if self.type_haystack == "essay" else None

    def draft(self, rng: random.Random, units: int, bucket: int) -> Draft:
        """See :meth:`RulerTask.draft`. A unit is a word of the essays, or a line."""
        return self.hide(rng, units, rng.getrandbits(32))

    def hide(self, rng: random.Random, units: int, order: int) -> Draft:
        """A draft whose needles stand in the order that the seed ``order`` shuffles them into; RULER uses one seed for all samples."""
        hidden = self._draw(rng, order)
        pieces, fillers = self._essays(rng, units, hidden) if self.type_haystack == "essay" else self._lines(rng, units, hidden)
        asked = rng.sample(range(self.keys), self.num_needle_q)
        queries = [hidden.keys[i] for i in asked]
        query = ", ".join(queries[:-1]) + ", and " + queries[-1] if len(queries) > 1 else queries[0]
        wanted = {self._line(hidden.keys[i], value): value for i in asked for value in hidden.values[i]}
        answers = [value for i in asked for line in hidden.lines for value in hidden.values[i] if line == self._line(hidden.keys[i], value)]
        place = next(i for i, piece in enumerate(pieces) if piece in wanted)
        prompt = self._prompt(query)
        return Draft(prompt, tuple(pieces), tuple(answers), joint=self._joint, fillers=tuple(fillers), asked=place)

    @property
    def _joint(self) -> str:
        return " " if self.type_haystack == "essay" else "\n"

    def _prompt(self, query: str) -> Template:
        if self.num_needle_q * self.num_needle_v > 1:
            return NEEDLES.format(kind=self.type_needle_v, query=query)
        one = NEEDLES.replace("Some", "A").replace("are all", "is").replace("are", "is")
        return one.format(kind=self.type_needle_v.removesuffix("s"), query=query)

    def _line(self, key: str, value: str) -> str:
        return NEEDLE.format(kind=self.type_needle_v, key=key, value=value)

    def _draw(self, rng: random.Random, order: int) -> Hidden:
        keys, values = [], []
        for _ in range(self.keys):
            keys.append(words.draw(rng, self.type_needle_k))
            values.append(tuple(words.draw(rng, self.type_needle_v) for _ in range(self.num_needle_v)))
        lines = [self._line(key, value) for key, some in zip(keys, values, strict=True) for value in some]
        random.Random(order).shuffle(lines)
        return Hidden(tuple(keys), tuple(values), tuple(lines))

    def _essays(self, rng: random.Random, units: int, hidden: Hidden) -> tuple[list[str], list[int]]:
        sentences = data.essay_sentences(units)
        places = sorted(int(len(sentences) * (depth / 100)) for depth in rng.sample(DEPTHS, len(hidden.lines)))
        pieces: list[str] = []
        for start, stop, line in zip([0, *places], places, hidden.lines, strict=False):
            pieces += [" ".join(sentences[start:stop]), line]
        return [*pieces, " ".join(sentences[places[-1] :])], []

    def _lines(self, rng: random.Random, units: int, hidden: Hidden) -> tuple[list[str], list[int]]:
        if self.type_haystack == "repeat":
            made = [(NOISE, False)] * units
        else:
            made = [(self._distractor(rng), True) for _ in range(units)]
        places = sorted(rng.sample(range(units), len(hidden.lines)), reverse=True)
        for place, line in zip(places, hidden.lines, strict=True):
            made.insert(place, (line, False))
        return [line for line, _ in made], [i for i, (_, redraw) in enumerate(made) if redraw]

    def _distractor(self, rng: random.Random) -> str:
        key = words.draw(rng, self.type_needle_k)
        return self._line(key, words.draw(rng, self.type_needle_v))

    def adjusted(self, draft: Draft, rng: random.Random, missing: int) -> Draft:
        """A part of a line of noise more, or distracting lines drawn anew until they are as much longer."""
        if self.type_haystack == "repeat":
            return noise_part(NOISE.split(" "), draft, missing)
        pieces = list(draft.pieces)
        for i in draft.fillers:
            if missing <= 0:
                break
            now = count_text(pieces[i])
            drawn = [self._distractor(rng) for _ in range(REDRAWS)]
            longer = {line: count_text(line) - now for line in drawn}
            best = max((line for line in longer if longer[line] <= missing), key=longer.__getitem__, default="")
            if best and longer[best] > 0:
                pieces[i], missing = best, missing - longer[best]
        return attrs.evolve(draft, pieces=tuple(pieces))

    def solve(self, context: str, question: str) -> str:
        """The values that the text gives to the keys of the question, in the order of the text; nothing if there are none.

        White space may have been lost, added or turned into line breaks.
        """
        asked = re.search(r"special magic (?P<kind>\w+?)s? for (?P<keys>.+?) mentioned in the provided text\?", question, re.DOTALL)
        if asked is None:
            return ""
        squeezed = "".join(context.split())
        found: list[str] = []
        for key in re.split(r", and |, ", asked["keys"]):
            beginning = re.escape("".join(f"One of the special magic {asked['kind']}s for {key} is:".split()))
            found += re.findall(rf"{beginning}([^.]{{1,60}})\.", squeezed)
        return ", ".join(found)


VARIANTS: dict[str, dict[str, Any]] = {
    "niah_single_1": {"type_haystack": "repeat"},
    "niah_single_2": {},
    "niah_single_3": {"type_needle_v": "uuids"},
    "niah_multikey_1": {"num_needle_k": 4},
    "niah_multikey_2": {"type_haystack": "needle"},
    "niah_multikey_3": {"type_haystack": "needle", "type_needle_k": "uuids", "type_needle_v": "uuids"},
    "niah_multivalue": {"num_needle_v": 4},
    "niah_multiquery": {"num_needle_q": 4},
}
"""Options of each of RULER's eight that differ from the defaults, as in its ``synthetic.yaml``."""


def _variant(name: str) -> Callable[..., Niah]:
    """A factory with the variant's own defaults, which its signature shows."""
    own = VARIANTS[name]

    def make(**options: Any) -> Niah:
        return Niah(**{**own, **options})

    takes = inspect.signature(Niah)
    parameters = [one.replace(default=own.get(one.name, one.default)) for one in takes.parameters.values()]
    make.__signature__ = takes.replace(parameters=parameters, return_annotation=Niah)  # type: ignore[attr-defined]
    make.__name__ = make.__qualname__ = name
    return make


niah_single_1 = _variant("niah_single_1")
niah_single_2 = _variant("niah_single_2")
niah_single_3 = _variant("niah_single_3")
niah_multikey_1 = _variant("niah_multikey_1")
niah_multikey_2 = _variant("niah_multikey_2")
niah_multikey_3 = _variant("niah_multikey_3")
niah_multivalue = _variant("niah_multivalue")
niah_multiquery = _variant("niah_multiquery")

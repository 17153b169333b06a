"""Runs the rules of ``ctxbench.testing`` on a component named on the command line, and a quick round trip of a codec."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from ctxbench import Codec, CtxbenchError, Registry, UsageError, nearest
from ctxbench.config import parse_component

SAMPLE_TEXT = 'Grüße, 世界!\n{"id": 17, "tags": ["a", "b"], "ok": true}\n' * 6


@attrs.frozen
class Check:
    """One check: whether it passed, and what it found."""

    ok: bool
    text: str


@attrs.frozen
class RuleCheck:
    """The result of one rule on one component; ``outcome`` is ``ok``, ``FAIL`` or ``skip``."""

    kind: str
    name: str
    rule: str
    outcome: str
    text: str
    seconds: float

    def __str__(self) -> str:
        found = f" ({self.text})" if self.text and self.outcome != "FAIL" else f": {self.text}" if self.text else ""
        return f"{self.outcome:4}  {self.kind} {self.name}: {self.rule.replace('_', ' ')}{found}"


def parse_target(text: str) -> tuple[str, dict[str, Any]]:
    """(name, options) of ``NAME``, ``NAME:option=value,...`` or, for a model, ``NAME:reference``."""
    parsed = parse_component(text)
    if isinstance(parsed, str):
        name, _, reference = parsed.partition(":")
        return name, {"reference": reference} if reference else {}
    return str(parsed["name"]), {key: value for key, value in parsed.items() if key != "name"}


def check_component(registry: Registry, kind: str, name: str, options: dict[str, Any], only: Sequence[str] = ()) -> Iterator[RuleCheck]:
    """Every rule of the contract for this kind of component, one after the other, or only those named in ``only``.

    Raises:
        UsageError: there is no such rule; the message gives the nearest name.
    """
    from ctxbench.testing.checking import RULES, Subject, check_rules

    known = [rule.name for rule in RULES[kind]]
    wanted = [name.strip().replace(" ", "_").removeprefix("test_") for name in only]
    for rule in wanted:
        if rule not in known:
            raise UsageError(f"no rule for a {kind} is named {rule!r}{nearest(rule, known)}")
    try:
        component = registry.make(kind, name, **options)
    except CtxbenchError as error:
        yield RuleCheck(kind, name, "it_is_made", "FAIL", str(error), 0.0)
        return
    yield RuleCheck(kind, name, "it_is_made", "ok", "with the given options" if options else "with its default options", 0.0)
    for result in check_rules(Subject(kind, component, name, options), only=wanted):
        yield RuleCheck(kind, name, result.rule, result.outcome, result.text, result.seconds)


def codec_round_trip(codec: Codec, text: str = SAMPLE_TEXT) -> str:
    """Encode and decode ``text``; returns the result in a few words.

    Raises:
        ValueError: an exact codec gave back another text.
    """
    carrier = codec.encode(text)
    sizes = ", ".join(f"{page.width} x {page.height} px" for page in carrier.pages) or "text"
    if not codec.can_decode:
        return f"{len(text)} characters as {sizes}; no classical decoder"
    decoded = codec.decode(carrier)
    if decoded == text:
        return f"{len(text)} characters as {sizes}, decoded exactly"
    if codec.fidelity == "exact":
        raise ValueError("the decoded text differs, though the codec claims to be exact")
    return f"{len(text)} characters as {sizes}, decoded approximately"

"""A rule of the contract: a plain function that raises AssertionError, so that tests and ``ctxbench plugins check`` run the same."""

from __future__ import annotations

import collections
import json
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from ctxbench.interfaces import Component
from ctxbench.plugin.failures import describe


class NotApplicable(Exception):  # noqa: N818 - no error: it ends a rule early
    """The rule has nothing to say about this component; the message says why."""


def require(condition: object, message: str) -> None:
    """Raise AssertionError with ``message`` unless ``condition`` holds; also under ``python -O``, which drops ``assert``."""
    if not condition:
        raise AssertionError(message)


@attrs.frozen
class Rule:
    """One rule.

    Attributes:
        check: called with the :class:`~ctxbench.testing.subject.Subject` and what is given for its kind of component (and a case, if there
            are any); raises AssertionError if the rule is broken, and may return a few words about what it found.
        cases: the cases that ``check`` is called with one by one, from what is given.
    """

    check: Callable[..., str | None]
    cases: Callable[[Any], Sequence[Any]] | None = None

    @property
    def name(self) -> str:
        """The function's name; the contract class's test is ``test_`` and this."""
        return self.check.__name__

    def run(self, subject: Any, given: Any) -> str:
        """Check all cases and return what was found.

        Raises:
            AssertionError: the rule is broken.
            NotApplicable: it says nothing about this component.
        """
        if self.cases is None:
            return self.check(subject, given) or ""
        found: collections.Counter[str] = collections.Counter()
        for case in self.cases(given):
            try:
                found[self.check(subject, given, case) or "held"] += 1
            except AssertionError as error:
                raise AssertionError(f"{shown(case)}: {error}") from error
            except NotApplicable:
                raise
            except Exception as error:
                raise AssertionError(f"{shown(case)}: {describe(error)}") from error
        return ", ".join(f"{number} {what}" for what, number in found.items())


def shown(value: object, length: int = 60) -> str:
    """A value on one line, cut to ``length`` characters."""
    text = repr(value)
    return text if len(text) <= length else text[: length - 3] + "..."


def one_line(error: BaseException) -> str:
    """An error's message, which must be one line that says something."""
    text = str(error)
    require(text.strip(), f"{type(error).__name__} without a message")
    require("\n" not in text, f"the message of {type(error).__name__} has several lines: {shown(text)}")
    return text


def settings(component: Component) -> dict[str, Any]:
    """The component's config, which must be a dictionary that JSON gives back as it is."""
    config = component.config
    require(isinstance(config, dict), f"config must be a dictionary, got {type(config).__name__}")
    try:
        again = json.loads(json.dumps(config))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"config is not JSON: {error}") from error
    require(again == config, f"config is not the same after JSON: {shown(config)} becomes {shown(again)}; use lists for tuples, str keys")
    return config

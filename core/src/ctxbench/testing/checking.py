"""All rules of a kind on one component, without pytest: what ``ctxbench plugins check`` runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import attrs

from ctxbench.plugin import plugin_output_to_stderr
from ctxbench.plugin.failures import PASSING, describe
from ctxbench.testing import augmenter_rules, codec_rules, counter_rules, executor_rules, metric_rules, model_rules, task_rules
from ctxbench.testing.rule import NotApplicable, Rule
from ctxbench.testing.subject import Subject

RULES: dict[str, tuple[Rule, ...]] = {
    "codec": codec_rules.RULES,
    "augmenter": augmenter_rules.RULES,
    "task": task_rules.RULES,
    "metric": metric_rules.RULES,
    "model": model_rules.RULES,
    "token_counter": counter_rules.RULES,
    "executor": executor_rules.RULES,
}
"""The rules of every kind of component."""

_GIVEN: dict[str, Callable[[Any], Any]] = {
    "codec": lambda codec: codec_rules.CodecGiven(),
    "augmenter": lambda augmenter: augmenter_rules.AugmenterGiven(),
    "task": task_rules.TaskGiven.fitting,
    "metric": lambda metric: metric_rules.MetricGiven(),
    "model": lambda model: model_rules.ModelGiven(),
    "token_counter": lambda counter: counter_rules.CounterGiven(),
    "executor": lambda executor: executor_rules.ExecutorGiven(),
}


@attrs.frozen
class Result:
    """The result of one rule.

    Attributes:
        rule: its name, as the contract class's test has it.
        outcome: ``ok``, ``FAIL``, or ``skip`` where the rule says nothing about this component.
        text: what was found, what is wrong, or why it was skipped; one line.
        seconds: wall time.
    """

    rule: str
    outcome: Literal["ok", "FAIL", "skip"]
    text: str
    seconds: float


def check_rules(subject: Subject, given: Any = None, only: Sequence[str] = ()) -> Iterator[Result]:
    """Check every rule of the component's kind, or those named in ``only``, one after the other; a rule that fails stops no other.

    What the component prints meanwhile goes to stderr. ``given`` replaces what the rules try it with.
    """
    if given is None:
        with plugin_output_to_stderr():
            given = _GIVEN[subject.kind](subject.component)
    for rule in RULES[subject.kind]:
        if only and rule.name not in only:
            continue
        start = time.perf_counter()
        with plugin_output_to_stderr():
            outcome, text = _outcome(rule, subject, given)
        yield Result(rule.name, outcome, " ".join(text.split()), time.perf_counter() - start)


def _outcome(rule: Rule, subject: Subject, given: Any) -> tuple[Literal["ok", "FAIL", "skip"], str]:
    try:
        return "ok", rule.run(subject, given)
    except NotApplicable as reason:
        return "skip", str(reason)
    except AssertionError as error:
        return "FAIL", str(error) or "AssertionError"
    except PASSING:
        raise
    except BaseException as error:  # SystemExit among others
        return "FAIL", describe(error)


__all__ = ["RULES", "Result", "Subject", "check_rules"]

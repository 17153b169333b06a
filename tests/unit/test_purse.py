"""A run's money: what it may still spend, and what it has spent."""

from __future__ import annotations

import attrs
import pytest

from ctxbench import BudgetReached, ConfigError, Model, Prompt, Reading
from ctxbench.engine import RunReport
from ctxbench.engine.purse import Purse


class Priced(Model):
    """A dollar for each character."""

    def read(self, prompts):
        return [Reading("") for _ in prompts]

    def most_usd(self, prompt):
        return float(len(prompt.text))


class Unknown(Priced):
    def most_usd(self, prompt):
        raise ConfigError("give prices")


@attrs.frozen
class Reader:
    model: Model
    label: str = "m"


def prompts(*lengths: int) -> list[Prompt]:
    return [Prompt((), "x" * length) for length in lengths]


def test_as_many_as_cannot_pass_the_budget():
    """Whatever each turns out to cost, three dollars and four fit into eight, and one more of two does not; seven that fit exactly do."""
    assert Purse(8, RunReport()).affordable(Priced(), prompts(3, 4, 2)) == 2
    assert Purse(7, RunReport()).affordable(Priced(), prompts(3, 4, 1)) == 2
    assert Purse(None, RunReport()).affordable(Unknown(), prompts(3, 4, 1)) == 3


def test_what_was_paid_is_not_there_any_more():
    """The cost of an answer, or what was paid for it where that is told: nothing from a cache, more with retries."""
    report = RunReport()
    purse = Purse(10, report)
    purse.pay(Reading(""))
    assert report.spent_usd is None
    purse.pay(Reading("", cost_usd=2.0))
    purse.pay(Reading("", cost_usd=2.0, spent_usd=0.0))
    purse.pay(Reading("", spent_usd=3.0, error=("Broken", "the connection broke")))
    assert report.spent_usd == 5.0
    assert purse.affordable(Priced(), prompts(5)) == 1
    with pytest.raises(BudgetReached, match=r"\$10 is passed: \$5\.000000 spent, and the next request may cost \$6\.000000") as caught:
        purse.affordable(Priced(), prompts(6, 1))
    assert caught.value.exit_code == 3


def test_a_budget_needs_to_know_prices():
    """A model that may cost anything is refused before the run, by its name; without a budget it is nobody's business."""
    Purse(None, RunReport()).check([Reader(Unknown())])
    Purse(1, RunReport()).check([Reader(Priced())])
    with pytest.raises(ConfigError, match=r"run\.budget: model 'm' \(number 2\) has no price: give prices"):
        Purse(1, RunReport()).check([Reader(Priced()), Reader(Unknown())])

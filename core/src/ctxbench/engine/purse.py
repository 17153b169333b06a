"""Keeps a run within its budget of US dollars."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ctxbench.engine.report import RunReport
from ctxbench.errors import BudgetReached, ConfigError
from ctxbench.interfaces import Model
from ctxbench.plan import Reader
from ctxbench.records import Prompt, Reading


@attrs.frozen
class Purse:
    """The budget of a run. What it has spent so far is kept in its report.

    Attributes:
        budget: US dollars, or ``None`` for any amount.
    """

    budget: float | None
    report: RunReport

    def check(self, readers: Sequence[Reader]) -> None:
        """Refuse a budget if the prices of a model are not known.

        Raises:
            ConfigError: a model of the experiment may cost something and has no price.
        """
        if self.budget is None:
            return
        for i, reader in enumerate(readers):
            try:
                reader.model.most_usd(Prompt((), ""))
            except ConfigError as error:
                raise ConfigError(f"run.budget: model {reader.label!r} (number {i + 1}) has no price: {error}") from None

    def affordable(self, model: Model, prompts: Sequence[Prompt]) -> int:
        """How many of the prompts, from the first on, can be read without passing the budget, whatever they turn out to cost.

        Raises:
            BudgetReached: not even the first.
        """
        if self.budget is None:
            return len(prompts)
        left = self.budget - (self.report.spent_usd or 0.0)
        for n, prompt in enumerate(prompts):
            most = model.most_usd(prompt)
            if most > left and n == 0:
                spent = self.report.spent_usd or 0.0
                raise BudgetReached(
                    f"stopped before the budget of ${self.budget:g} is passed: ${spent:.6f} spent, and the next request may cost"
                    f" ${most:.6f}; what was answered is stored, and the same command goes on from here with a budget of its own"
                )
            if most > left:
                return n
            left -= most
        return len(prompts)

    def pay(self, reading: Reading) -> None:
        """Add the cost of a reading to what was spent."""
        spent = reading.spent_usd if reading.spent_usd is not None else reading.cost_usd
        if spent is not None:
            self.report.spent_usd = (self.report.spent_usd or 0.0) + spent

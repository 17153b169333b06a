"""Whose rules count the tokens of a model's prompts: those that a config names, and the model's own where it names none."""

from __future__ import annotations

import attrs

from ctxbench.config import TokenConfig
from ctxbench.errors import ConfigError
from ctxbench.interfaces import Model
from ctxbench.session import Session


def rules_for(model: Model, config: TokenConfig, session: Session) -> TokenConfig:
    """``config`` with what it leaves open: the family that the model says it is of, and for that family the model's pixel budget.

    A family that no installed plugin counts for is left aside, and so is the budget of a model whose family has a rule without one.

    Raises:
        ConfigError: the config sets a pixel budget, and the model's family has a rule without one.
    """
    family = config.family if config.family is not None else _counted(model.family, session)
    found = attrs.evolve(config, family=family)
    if family is not None and family == model.family and "max_pixels" in session.counter(family).config:
        low, high = model.pixel_budget
        found = attrs.evolve(
            found,
            min_pixels=low if config.min_pixels is None else config.min_pixels,
            max_pixels=high if config.max_pixels is None else config.max_pixels,
        )
    session.counter(found.rule, min_pixels=found.min_pixels, max_pixels=found.max_pixels)
    return found


def _counted(family: str | None, session: Session) -> str | None:
    try:
        return family if family is None or session.counter(family) else None
    except ConfigError:
        return None

"""What every contract class shares: the rules for all components, and a rule that a subclass may not switch off silently."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from ctxbench.interfaces import Component
from ctxbench.testing import component_rules as common
from ctxbench.testing.rule import NotApplicable
from ctxbench.testing.subject import Subject


class Contract:
    """Base of the contract classes. A subclass adds tests and fixtures; it may not override a rule.

    A rule that cannot hold is kept and marked: override it with a test that calls ``super()`` and carries
    ``@pytest.mark.xfail(reason="...", strict=True)``.
    """

    kind: ClassVar[str] = ""
    """The kind of component that the contract is for."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, own in list(vars(cls).items()):
            if name.startswith("test_") and _is_rule(cls, name) and not _marked_xfail(own):
                raise TypeError(
                    f"{cls.__name__} overrides the contract's {name} without saying why; mark it "
                    "@pytest.mark.xfail(reason='...', strict=True) and call super(), or leave it"
                )

    def given(self) -> Any:
        """What the rules try the component with."""
        raise NotImplementedError

    def hold(self, rule: Callable[..., str | None], component: Component, *case: Any) -> None:
        """Check one rule; one that says nothing about this component holds."""
        try:
            rule(Subject(self.kind, component), self.given(), *case)
        except NotApplicable:
            return

    @pytest.fixture
    def component(self) -> Component:
        """The component under test: the contract's own fixture (``codec``, ``task``, ...)."""
        raise NotImplementedError

    def test_config_round_trips(self, component: Component) -> None:
        """``config`` is JSON, and makes an equal component."""
        self.hold(common.config_round_trips, component)

    def test_the_config_stays_as_it_is(self, component: Component) -> None:
        """Work changes neither ``config`` nor the options that the component was made with."""
        self.hold(common.the_config_stays_as_it_is, component)

    def test_the_config_hides_no_option(self, component: Component) -> None:
        """Two components made with different options have different configs."""
        self.hold(common.the_config_hides_no_option, component)

    def test_the_version_is_a_number(self, component: Component) -> None:
        """``version`` is a whole number from 1."""
        self.hold(common.the_version_is_a_number, component)


def _is_rule(cls: type, name: str) -> bool:
    """True if a class of the contract itself, not a user's base class, defines ``name``."""
    return any(name in vars(base) and base.__module__.startswith("ctxbench.testing") for base in cls.__mro__[1:])


def _marked_xfail(function: object) -> bool:
    marks = getattr(function, "pytestmark", [])
    return any(mark.name == "xfail" and mark.kwargs.get("reason") and mark.kwargs.get("strict") for mark in marks)

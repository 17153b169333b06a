"""What every contract class shares: a rule that a subclass may not switch off silently."""

from __future__ import annotations

from typing import Any


class Contract:
    """Base of the contract classes. A subclass adds tests and fixtures; it may not override a rule.

    A rule that cannot hold is kept and marked: override it with a test that calls ``super()`` and carries
    ``@pytest.mark.xfail(reason="...", strict=True)``.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, own in list(vars(cls).items()):
            if name.startswith("test_") and _is_rule(cls, name) and not _marked_xfail(own):
                raise TypeError(
                    f"{cls.__name__} overrides the contract's {name} without saying why; mark it "
                    "@pytest.mark.xfail(reason='...', strict=True) and call super(), or leave it"
                )


def _is_rule(cls: type, name: str) -> bool:
    """True if a class of the contract itself, not a user's base class, defines ``name``."""
    return any(name in vars(base) and base.__module__.startswith("ctxbench.testing") for base in cls.__mro__[1:])


def _marked_xfail(function: object) -> bool:
    marks = getattr(function, "pytestmark", [])
    return any(mark.name == "xfail" and mark.kwargs.get("reason") and mark.kwargs.get("strict") for mark in marks)

"""Contract tests for plugins: subclass one in your tests and override its fixture.

Example::

    import pytest
    from ctxbench.testing import CodecContract

    class TestMyCodec(CodecContract):
        @pytest.fixture
        def codec(self):
            return MyCodec()

Needs the extra ``testing`` (pytest). ``ctxbench plugins check NAME`` runs the same rules without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctxbench.testing.codec import CodecContract
    from ctxbench.testing.component_contracts import AugmenterContract, MetricContract, TokenCounterContract
    from ctxbench.testing.contract import Contract
    from ctxbench.testing.hostile import HOSTILE
    from ctxbench.testing.runners import ExecutorContract, ModelContract
    from ctxbench.testing.task import TaskContract

_HOMES = {
    "AugmenterContract": "component_contracts",
    "CodecContract": "codec",
    "Contract": "contract",
    "ExecutorContract": "runners",
    "HOSTILE": "hostile",
    "MetricContract": "component_contracts",
    "ModelContract": "runners",
    "TaskContract": "task",
    "TokenCounterContract": "component_contracts",
}


def __getattr__(name: str) -> Any:
    """The contracts need pytest and the rules do not, so the contracts are imported when they are asked for."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"ctxbench.testing.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "HOSTILE",
    "AugmenterContract",
    "CodecContract",
    "Contract",
    "ExecutorContract",
    "MetricContract",
    "ModelContract",
    "TaskContract",
    "TokenCounterContract",
]

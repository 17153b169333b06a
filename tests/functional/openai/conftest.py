"""A server that misbehaves, and models that ask it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))  # fault_server

from fault_server import FaultServer, serving  # noqa: E402

from ctxbench import Model, load_plugins  # noqa: E402
from ctxbench_openai import asking  # noqa: E402


@pytest.fixture
def server() -> Iterator[FaultServer]:
    yield from serving()


@pytest.fixture
def served(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Model]]:
    """``served(option=value)`` is a model behind the server, with pauses between attempts that hold no test up."""
    monkeypatch.setattr(asking, "BASE", 0.001)
    made: list[Model] = []

    def make(name: str = "served", **options: Any) -> Model:
        model = load_plugins().model(f"openai:{name}", **{"base_url": server.url, **options})
        made.append(model)
        return model

    yield make
    for model in made:
        model.close()

"""The models, token counters and executors of the project keep the contracts that strangers' are held to."""

from __future__ import annotations

import pytest

from ctxbench import load_plugins
from ctxbench.plugin import FIRST_PARTY
from ctxbench.testing import ExecutorContract, ModelContract, TokenCounterContract


def _counters() -> list[str]:
    registry = load_plugins()
    return [name for name in registry.names("token_counter") if registry.find("token_counter", name).origin.distribution in FIRST_PARTY]


class TestTokenCounters(TokenCounterContract):
    """Every family that ships."""

    @pytest.fixture(params=_counters())
    def counter(self, request):
        return load_plugins().token_counter(request.param)


class TestTokenCountersWithOptions(TokenCounterContract):
    """Options change the path through the rule."""

    @pytest.fixture(params=["qwen2-vl", "qwen3-vl"])
    def counter(self, request):
        return load_plugins().token_counter(request.param, max_pixels=200_000)


class TestWeightlessModels(ModelContract):
    """The models that need no weights."""

    @pytest.fixture(params=["mock", "channel"])
    def model(self, request):
        return load_plugins().model(request.param)


@pytest.fixture(params=[None, "codebook"], ids=["base", "codebook"], scope="module")
def tiny(request):
    model = load_plugins().model("tiny", adapter=request.param, max_new_tokens=8, device="cpu")
    yield model
    model.close()


class TestTiny(ModelContract):
    """The embedded model, without and with its adapter."""

    @pytest.fixture
    def model(self, tiny):
        return tiny


class TestInThisProcess(ExecutorContract):
    @pytest.fixture
    def executor(self):
        return load_plugins().executor("local", workers=0)


class TestWorkerProcesses(ExecutorContract):
    @pytest.fixture
    def executor(self):
        return load_plugins().executor("local", workers=2)

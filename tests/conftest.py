"""What holds for every test."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# No test may depend on how fast the machine is: neither an example that takes long nor a slow draw of examples is a failure.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")


@pytest.fixture(autouse=True)
def ctrl_c_is_given_back() -> Iterator[None]:
    """A test that leaves another handler for Ctrl-C would end the process of a later one."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)

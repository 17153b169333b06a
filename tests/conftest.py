"""What holds for every test."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# No test may depend on how fast the machine is: neither an example that takes long nor a slow draw of examples is a failure.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

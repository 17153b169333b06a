"""A Ray of the tests' own, started once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest

from ctxbench_ray.cluster import Cluster, join


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Ray on this machine with two CPUs and 100 MB of shared memory; what runs in this process uses it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own
        made = join(None, 2, 100)
    yield made
    made.end()

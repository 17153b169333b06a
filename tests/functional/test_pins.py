"""``pins.txt`` binds everything that is installed: the packages, what they bring along, and the tools."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import sys
import sysconfig

import pytest

from tools import pins

RESOLVED_HERE = sys.version_info[:2] == (3, 11) and sys.platform == "linux" and platform.machine() == "x86_64"
"""Whether this is the platform for which the file was resolved; others may need packages of their own."""


def installed() -> dict[str, str]:
    """Normalised name to public version of what is in the environment, the repository's own packages left out."""
    found = importlib.metadata.distributions(path=[sysconfig.get_path("purelib")])
    versions = {pins.normal(dist.metadata["Name"]): dist.version.partition("+")[0] for dist in found}
    return {name: version for name, version in versions.items() if name != "ctxbench" and not name.startswith("ctxbench-")}


def test_what_is_installed_is_what_is_pinned():
    """A package that floats makes two installations of one commit differ; a pin that nothing installs is out of date (``make pins``)."""
    have, want = installed(), pins.read()
    assert {name: version for name, version in have.items() if want.get(name, version) != version} == {}
    if RESOLVED_HERE:
        assert have == want


def test_the_file_holds_names_and_exact_versions_alone():
    """No address and no path: the file must mean the same wherever packages come from."""
    lines = pins.PINS.read_text("utf-8").splitlines()
    pinned = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][a-z0-9.]*", line) for line in pinned)
    names = [line.partition("==")[0] for line in pinned]
    assert names == sorted(set(names)) == list(pins.read())
    assert not any(mark in line for line in lines for mark in ("://", "file:", "@"))


@pytest.mark.long
@pytest.mark.skipif(not RESOLVED_HERE, reason="the file is resolved for Linux x86-64 and Python 3.11")
def test_resolving_again_changes_nothing():
    """``make pins`` on an unchanged tree writes the same file: nothing needed is missing, nothing in it is no longer needed."""
    assert pins.resolve(pins.read()) == pins.read()

"""Every distribution builds a wheel, and a few wheels alone give a working command in a clean environment."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = [ROOT, ROOT / "core", ROOT / "cli", *sorted((ROOT / "plugins").glob("*"))]
MINIMAL = ("core", "cli", "text", "needle", "metrics", "codebook")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of every distribution."""
    folder = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*command, *map(str, FOLDERS)], check=True, capture_output=True)
    return folder


def test_every_distribution_builds_a_wheel(wheels):
    """One wheel a distribution; each plugin's wheel carries its entry point and its type marker."""
    import zipfile

    found = sorted(wheels.glob("*.whl"))
    assert len(found) == len(FOLDERS)
    for wheel in found:
        names = zipfile.ZipFile(wheel).namelist()
        if not wheel.name.startswith("ctxbench-0"):
            assert any(name.endswith("py.typed") for name in names), wheel.name


@pytest.mark.long
def test_a_few_wheels_alone_give_a_working_command(wheels, tmp_path):
    """The smallest useful installation, with what pip brings for it: ``plugins`` lists it and ``run`` runs what is there."""
    venv.create(tmp_path / "venv", with_pip=True)
    bin_folder = tmp_path / "venv" / "bin"
    pip = [str(bin_folder / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    names = [f"ctxbench-{name}" for name in MINIMAL]
    subprocess.run([*pip, "-c", str(ROOT / "pins.txt"), "--find-links", str(wheels), *names], check=True, capture_output=True)

    def ctxbench(*args: str) -> str:
        return subprocess.run([str(bin_folder / "ctxbench"), *args], check=True, capture_output=True, text=True, cwd=tmp_path).stdout

    listed = json.loads(ctxbench("plugins", "--json"))
    assert listed["failures"] == []
    assert {item["distribution"] for item in listed["plugins"]} == {*names, "ctxbench-qwen-tokens"} - {"ctxbench-cli"}
    ran = json.loads(ctxbench("run", "-n", "2", "-b", "128", "--format", "json"))
    found = [(cell["task"], cell["codec"], cell["augmentation"], cell["n"], cell["accuracy"]) for cell in ran["cells"]]
    assert found == [("needle", "codebook", "clean", 2, 1.0), ("needle", "text", "clean", 2, 1.0)]
    assert ran["errors"] == 0

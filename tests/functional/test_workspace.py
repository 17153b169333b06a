"""The workspace: packages, versions and imports that the documents promise."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ctxbench

ROOT = Path(__file__).parents[2]
PACKAGES = [ROOT / "core", ROOT / "cli", *sorted((ROOT / "plugins").glob("*"))]
HEAVY = ("torch", "transformers", "matplotlib", "cv2", "scipy", "duckdb", "pyarrow", "rich", "ray", "asyncio", "multiprocessing")


def project(folder: Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda folder: folder.name)
def test_every_package_is_laid_out_alike(folder):
    """Name follows folder, version is the common one, the import package is typed, plugins have an entry point."""
    data = project(folder)
    assert data["name"] == f"ctxbench-{folder.name}"
    assert data["version"] == ctxbench.__version__
    package = "ctxbench" if folder.name == "core" else f"ctxbench_{folder.name.replace('-', '_')}"
    assert (folder / "src" / package / "py.typed").exists()
    if folder.parent.name == "plugins":
        assert data["entry-points"]["ctxbench"][folder.name] == package


def test_the_meta_distribution_depends_on_every_package():
    """``pip install ctxbench`` brings all first-party packages, at one version."""
    data = project(ROOT)
    wanted = {dependency.partition("==")[0].partition("[")[0] for dependency in data["dependencies"]}
    assert wanted == {project(folder)["name"] for folder in PACKAGES}
    assert all(dependency.endswith(f"=={ctxbench.__version__}") for dependency in data["dependencies"])


def loaded_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sorted(name for name in sys.modules if '.' not in name))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_core_imports_nothing_heavy():
    """``import ctxbench`` and every module of core but store and engine stay light, and none of core imports click or torch."""
    assert not loaded_after("import ctxbench; ctxbench.load_plugins()") & {*HEAVY, "click"}
    everything = loaded_after("import ctxbench, ctxbench.engine, ctxbench.store, ctxbench.config")
    assert not everything & {"torch", "transformers", "click", "matplotlib", "cv2"}


def test_help_imports_nothing_heavy():
    """``ctxbench --help`` answers without loading a numeric, plotting or database library."""
    code = "from ctxbench_cli.main import main\nsys.argv = ['ctxbench', '--help']\ntry: main()\nexcept SystemExit: pass"
    assert not loaded_after(code) & set(HEAVY)


def test_a_mistyped_name_is_refused_before_a_model_is_looked_at(tmp_path):
    """To know what a model's options come to takes seconds."""
    typed = ["run", "-m", "tiny", "-c", "codebok", "--store", str(tmp_path / "a.duckdb")]
    code = f"from ctxbench_cli.main import main\nsys.argv = ['ctxbench', *{typed!r}]\ntry: main()\nexcept SystemExit: pass"
    assert not loaded_after(code) & {"torch", "transformers"}


def test_a_run_without_ray_does_not_import_it(tmp_path):
    """It takes more than a second, and listens for signals."""
    store = tmp_path / "a.duckdb"
    arguments = [
        "run",
        "-m",
        "channel",
        "-c",
        "text",
        "-t",
        "needle",
        "-a",
        "clean",
        "-b",
        "64",
        "-n",
        "1",
        "--workers",
        "0",
        "--store",
        str(store),
    ]
    code = f"from ctxbench_cli.main import main\nsys.argv = {['ctxbench', *arguments]!r}\ntry: main()\nexcept SystemExit: pass"
    assert "ray" not in loaded_after(code)
    assert store.exists()


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda folder: folder.name)
def test_plugins_use_only_the_public_api(folder):
    """First-party plugins import from core what a stranger may: no private module, and no other plugin they do not depend on."""
    if folder.parent.name != "plugins":
        pytest.skip("core and cli are not plugins")
    allowed = {"ctxbench", f"ctxbench_{folder.name.replace('-', '_')}"}
    allowed |= {name.partition("==")[0].partition("[")[0].replace("-", "_") for name in project(folder)["dependencies"]}
    for path in (folder / "src").rglob("*.py"):
        for line in path.read_text("utf-8").splitlines():
            words = line.split()
            if len(words) > 1 and words[0] in ("import", "from") and words[1].startswith("ctxbench"):
                assert words[1].partition(".")[0] in allowed, f"{path}: {line}"
                assert not any(part.startswith("_") for part in words[1].split(".")), f"{path}: {line}"

"""``python -m benchmarks.install``: what installations cost in download, time and disk, each against the full one.

Every installation starts from nothing: wheels of the repository's packages, the pinned versions of all others fetched without a cache, then
an empty environment filled from those files alone, so that the time is pip's and not the network's. As in ``make``, nothing is compiled.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
from pathlib import Path

from tools.pins import PACKAGES, PINS, ROOT

SMALLEST = ("core", "cli", "text", "needle", "metrics", "codebook")
MEGABYTE = 1e6


def pip(*args: str | Path, home: Path) -> None:
    """pip of this environment, without a cache and without what a home folder may hold."""
    env = {**os.environ, "HOME": str(home), "PIP_NO_CACHE_DIR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    subprocess.run([sys.executable, "-m", "pip", *map(str, args)], check=True, env=env, stdout=subprocess.DEVNULL)


def size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def measure(wishes: list[str], wheels: Path, folder: Path) -> tuple[int, float, float, float]:
    """Packages, MB of wheels, seconds that pip takes to install them, and MB in the environment afterwards."""
    files, target = folder / "files", folder / "venv"
    common: list[str | Path] = ["--quiet", "--quiet", "--only-binary", ":all:", "-c", PINS]
    pip("download", *common, "--find-links", wheels, "--dest", files, *wishes, home=folder)
    venv.create(target, symlinks=True)
    before, start = size(target), time.perf_counter()
    pip("--python", target, "install", *common, "--no-compile", "--no-index", "--find-links", files, *wishes, home=folder)
    seconds = time.perf_counter() - start
    subprocess.run([target / "bin" / "ctxbench", "plugins"], check=True, stdout=subprocess.DEVNULL)
    return len(list(files.iterdir())), size(files) / MEGABYTE, seconds, (size(target) - before) / MEGABYTE


def main() -> None:
    """Measure the two and print them."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    root = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    rows = {"full": ["ctxbench"], "smallest": [f"ctxbench-{name}" for name in SMALLEST]}
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", work / "wheels", *PACKAGES, home=work)
        figures = {}
        for name, wishes in rows.items():
            (work / name).mkdir()
            figures[name] = measure(wishes, work / "wheels", work / name)
    print(f"ctxbench {root['project']['version']}, Python {sys.version.split()[0]}; smallest: {', '.join(SMALLEST)}\n")
    print(f"{'installation':14}{'packages':>10}{'download MB':>13}{'install s':>11}{'disk MB':>9}")
    for name, (count, download, seconds, disk) in figures.items():
        print(f"{name:14}{count:10}{download:13.0f}{seconds:11.1f}{disk:9.0f}")
    ratios = [small / full for small, full in zip(figures["smallest"], figures["full"], strict=True)]
    print(f"{'smallest/full':14}{ratios[0]:10.2f}{ratios[1]:13.2f}{ratios[2]:11.2f}{ratios[3]:9.2f}")


if __name__ == "__main__":
    main()

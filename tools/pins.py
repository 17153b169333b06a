"""``python -m tools.pins [--upgrade NAME ...]``: resolves everything that the repository installs and writes ``pins.txt``.

A pinned version is kept where it still fits; ``--upgrade numpy torch`` frees those two, ``--upgrade all`` every one. Only pip's resolver is
asked, nothing is installed. The result holds names and versions alone, so that it is the same whichever registry answered.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PINS = ROOT / "pins.txt"
PACKAGES = [ROOT, ROOT / "core", ROOT / "cli", *sorted((ROOT / "plugins").glob("*"))]

HEADER = """\
# Every package that `make run` and `make test` install, with those that they bring along and the tools; made by `make pins`.
# Resolved for CPython {python} on {platform} with PyTorch's CPU build. Another platform takes these versions where they exist for it,
# and what only it needs (CUDA's libraries, for one) unpinned.
"""


def normal(name: str) -> str:
    """The form in which names of distributions are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read(path: Path = PINS) -> dict[str, str]:
    """Normalised name to version."""
    lines = [line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines()] if path.exists() else []
    return {normal(name): version for name, _, version in (line.partition("==") for line in lines if line)}


def resolve(kept: dict[str, str]) -> dict[str, str]:
    """What pip would install into an empty environment, first-party packages left out, where ``kept`` binds it.

    Raises:
        SystemExit: pip finds no set of versions; its own message is printed.
    """
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    with tempfile.TemporaryDirectory() as folder:
        report, constraints = Path(folder, "report.json"), Path(folder, "constraints.txt")
        constraints.write_text("".join(f"{name}=={version}\n" for name, version in kept.items()), "utf-8")
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-build-isolation", "-qq"]
        command += ["--report", str(report), "-c", str(constraints), *map(str, PACKAGES)]
        if subprocess.run([*command, *(wish for group in groups.values() for wish in group)], check=False).returncode:
            raise SystemExit("pip found no versions that fit together; free some with --upgrade NAME")
        found = json.loads(report.read_text("utf-8"))["install"]
    versions = {normal(item["metadata"]["name"]): item["metadata"]["version"].partition("+")[0] for item in found}
    own = {normal(tomllib.loads((path / "pyproject.toml").read_text("utf-8"))["project"]["name"]) for path in PACKAGES}
    return {name: versions[name] for name in sorted(versions.keys() - own)}


def main() -> None:
    """Write the file and say what changed."""
    parser = argparse.ArgumentParser(description="Resolve everything that is installed and write pins.txt.")
    parser.add_argument("--upgrade", nargs="*", default=[], metavar="NAME", help="packages to free from their present pin, or: all")
    free = {normal(name) for name in parser.parse_args().upgrade}
    before = read()
    if unknown := free - before.keys() - {"all"}:
        raise SystemExit(f"not in {PINS.name}: {', '.join(sorted(unknown))}")
    after = resolve({} if "all" in free else {name: version for name, version in before.items() if name not in free})
    header = HEADER.format(python=".".join(map(str, sys.version_info[:2])), platform="Linux x86-64")
    PINS.write_text(header + "".join(f"{name}=={version}\n" for name, version in after.items()), "utf-8")
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            print(f"{name}: {before.get(name, 'new')} -> {after.get(name, 'no longer needed')}")
    print(f"{len(after)} packages in {PINS.name}")


if __name__ == "__main__":
    main()

"""Runs every command in README.md, or in another document, and writes its real output below it: ``python -m benchmarks.readme [DOCUMENT]``.

A fenced block marked ``console`` holds commands after ``$ `` and, below each, what it printed. A block marked ``python`` is a script,
one with ``title=NAME`` a file; ``console neural`` shows answers of a neural network, whose arithmetic differs from processor to
processor in the last bits, so that shares of right answers are not compared. All run in one fresh folder, in the order of the document.
``--check`` compares instead of writing.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs

README = Path(__file__).parents[1] / "README.md"
FENCE = re.compile(r"^```(console|python|text|yaml|toml)( neural)?(?: title=(\S+))?\n(.*?)^```$", re.M | re.S)
SHARES = re.compile(r" *\b\d+ %( \(F1 [\d.]+\))?|\b[01]\.\d+\b|─+")
SECONDS = re.compile(r"\b\d+(\.\d+)?(?= ?(s|ms|MB|seconds)\b)")


@attrs.frozen
class Block:
    """A fenced block: its language, whether a neural network answers in it, the file name it has if it is a file, its text, and where the
    text stands in the document.
    """

    language: str
    neural: bool
    title: str | None
    text: str
    start: int
    end: int


def blocks(document: str) -> Iterator[Block]:
    """The fenced blocks of a document, in order."""
    for match in FENCE.finditer(document):
        yield Block(match[1], bool(match[2]), match[3], match[4], match.start(4), match.end(4))


def run_console(text: str, folder: Path) -> str:
    """The block with each command's output replaced by what it prints now; a command that fails raises."""
    lines = []
    for command in commands(text):
        environment = {**os.environ, "NO_COLOR": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            raise SystemExit(f"{command}\nexit code {done.returncode}\n{done.stdout}{done.stderr}")
        lines.append("$ " + command.replace("\n", "\n> "))
        lines += [line.rstrip() for line in done.stdout.rstrip().splitlines()]
    return "\n".join(lines) + "\n"


def commands(text: str) -> list[str]:
    """The commands of a console block; ``> `` goes on with the line before."""
    found: list[str] = []
    going_on = False
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(line[2:])
            going_on = True
        elif line.startswith("> ") and going_on:
            found[-1] += "\n" + line[2:]
        else:
            going_on = False
    return found


def run_block(block: Block, folder: Path) -> str:
    """What the block should read after it was run in ``folder``."""
    if block.title:
        path = folder / block.title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, "utf-8")
        return block.text
    if block.language == "console":
        return run_console(block.text, folder)
    if block.language == "python":
        subprocess.run([sys.executable, "-c", block.text], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return block.text


def normal(text: str, neural: bool = False) -> str:
    """The text with times and sizes blanked, since machines differ, and spaces made one; ``neural`` blanks shares of answers too."""
    if neural:
        text = SHARES.sub(" _", text)
    return re.sub(r" +", " ", SECONDS.sub("_", text))


def main() -> None:
    """Rewrite or check a document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing; exit code 1 if something differs")
    parser.add_argument("document", nargs="?", type=Path, default=README, help="another document than README.md")
    arguments = parser.parse_args()
    check = arguments.check
    document = arguments.document.read_text("utf-8")
    made, position, different = [], 0, []
    with tempfile.TemporaryDirectory() as name:
        for block in blocks(document):
            text = run_block(block, Path(name))
            if normal(text, block.neural) != normal(block.text, block.neural):
                different.append((block.text, text))
            made += [document[position : block.start], text]
            position = block.end
    made.append(document[position:])
    if check:
        for old, new in different:
            print(f"--- {arguments.document.name}\n{old}\n--- now\n{new}")
        raise SystemExit(1 if different else 0)
    arguments.document.write_text("".join(made), "utf-8")


if __name__ == "__main__":
    main()

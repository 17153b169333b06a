"""``python -m tools.mutants``: breaks the rules that guard the numbers, one at a time, and sees whether a test fails.

A mutant is one small change of one line: a comparison turned round, a condition negated, a sum made a difference, a number one larger, an
element of a hashed list left out, a word of a view's SQL exchanged. The tests of that part run against a copy of the package with the
change. A mutant that no test notices *survives*: either a test is missing, or the change makes no difference, which is then listed with
the reason in ``tools/mutants.txt``.
"""

from __future__ import annotations

import argparse
import ast
import copy
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "core" / "src"
REASONS = Path(__file__).with_suffix(".txt")
SECONDS = 900
"""A mutant whose tests do not end in this time has made something hang, which is noticed as well."""

TARGETS: dict[str, tuple[str, ...]] = {
    "ctxbench/plan.py": ("tests/functional/engine/test_engine_identity.py", "tests/functional/engine/test_engine.py"),
    "ctxbench/identity.py": ("tests/functional/engine/test_engine_identity.py",),
    "ctxbench/seeds.py": ("tests/unit/test_seeds.py",),
    "ctxbench/outcome.py": ("tests/unit/test_outcome.py",),
    "ctxbench/engine/accounting.py": ("tests/unit/test_accounting.py",),
    "ctxbench/engine/checks.py": ("tests/unit/test_checks.py",),
    "ctxbench/engine/judge.py": ("tests/functional/engine/test_engine.py", "tests/functional/engine/test_engine_identity.py"),
    "ctxbench/engine/pending.py": ("tests/functional/engine/test_engine.py", "tests/functional/engine/test_engine_identity.py"),
    "ctxbench/engine/prompts.py": ("tests/unit/test_prompts.py",),
    "ctxbench/store/views.py": ("tests/functional/store/test_store_views.py",),
}
"""Files of core and the tests that must notice when they are broken."""

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
}
HASHES = {"stable_hash", "derive_seed"}
SQL = (
    (r" <= ", " < "),
    (r" < ", " > "),
    (r"\bAND\b", "OR"),
    (r"\bavg\(", "max("),
    (r"\bmax\(", "min("),
    (r"\bcount\(", "1 + count("),
    (r"IS NOT NULL", "IS NULL"),
    (r"IS NOT DISTINCT FROM", "IS DISTINCT FROM"),
    (r"= 'error'", "= 'ok'"),
    (r" - ", " + "),
    (r" DESC", ""),
    (r"0\.025", "0.25"),
)


class Mutant:
    """One change: the file, the line, what it was and what it is."""

    def __init__(self, file: str, line: int, what: str, text: str) -> None:
        self.file, self.line, self.what, self.text = file, line, what, text
        self.name = f"{file}: {what}"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"


def mutants(file: str) -> Iterator[Mutant]:
    """Every mutant of a file."""
    text = (SOURCE / file).read_text("utf-8")
    tree = ast.parse(text)
    for index, node in enumerate(ast.walk(tree)):
        for change, what in _changes(node):
            other = copy.deepcopy(tree)
            target = next(n for i, n in enumerate(ast.walk(other)) if i == index)
            change(target)
            before = " ".join((ast.get_source_segment(text, node) or ast.unparse(node)).split())
            yield Mutant(file, getattr(node, "lineno", 0), f"{before[:90]} -> {what}", ast.unparse(other))
    if file.endswith("views.py"):
        yield from _sql_mutants(file, text)


def _changes(node: ast.AST) -> Iterator[tuple[Callable[[Any], object], str]]:
    """Changes of one node, each a function that makes it on an equal node, with a description."""
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            other = COMPARISONS.get(type(operator))
            if other is not None:
                yield (lambda n, p=place, o=other: n.ops.__setitem__(p, o())), other.__name__
    elif isinstance(node, ast.BoolOp):
        flipped = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield (lambda n: setattr(n, "op", flipped())), flipped.__name__
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS and not _is_text(node):
        wanted = OPERATORS[type(node.op)]
        yield (lambda n: setattr(n, "op", wanted())), wanted.__name__
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        yield (lambda n: setattr(n, "test", ast.UnaryOp(ast.Not(), n.test))), "not"
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in HASHES:
        parts = node.args[0].elts if len(node.args) == 1 and isinstance(node.args[0], ast.List) else node.args
        for place in range(len(parts) if len(parts) > 1 else 0):
            if isinstance(node.args[0], ast.List):
                yield (lambda n, p=place: n.args[0].elts.pop(p)), f"without element {place}"
            else:
                yield (lambda n, p=place: n.args.pop(p)), f"without argument {place}"
    elif isinstance(node, ast.Constant) and isinstance(node.value, int) and not isinstance(node.value, bool):
        yield (lambda n: setattr(n, "value", n.value + 1)), str(node.value + 1)


def _is_text(node: ast.BinOp) -> bool:
    return any(
        isinstance(part, ast.JoinedStr) or (isinstance(part, ast.Constant) and isinstance(part.value, str))
        for part in (node.left, node.right)
    )


def _sql_mutants(file: str, text: str) -> Iterator[Mutant]:
    """Words of the SQL in f-strings exchanged, one occurrence at a time."""
    start = text.index("def _summary")
    for pattern, other in SQL:
        for match in re.finditer(pattern, text[start:]):
            place = start + match.start()
            line = text.count("\n", 0, place) + 1
            content = text.splitlines()[line - 1]
            if content.lstrip().startswith(("def ", "#", "A ", "larger ", "-MARGIN", "as a")) or "return f" in content:
                continue
            changed = text[:place] + other + text[start + match.end() :]
            yield Mutant(
                file, line, f"SQL {match[0].strip()} -> {other.strip() or 'nothing'} in: {' '.join(content.split())[:80]}", changed
            )


def reasons() -> dict[str, str]:
    """Name of a mutant that makes no difference, and why."""
    found = {}
    for line in REASONS.read_text("utf-8").splitlines() if REASONS.exists() else []:
        if line and not line.startswith("#"):
            name, _, reason = line.partition(" :: ")
            found[name] = reason
    return found


def survives(mutant: Mutant, copy_of_core: Path) -> bool:
    """Whether the tests of its part pass with the change."""
    path = copy_of_core / mutant.file
    original = path.read_text("utf-8")
    path.write_text(mutant.text, "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(copy_of_core), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *TARGETS[mutant.file]]
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=SECONDS, check=False)
        return done.returncode == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        path.write_text(original, "utf-8")


def chosen(files: list[str], most: int | None, seed: str) -> list[Mutant]:
    """All mutants of the files, or ``most`` of them drawn by a hash, so that the same draw comes again; known equal ones left out."""
    known = reasons()
    found = [mutant for file in files for mutant in mutants(file) if mutant.name not in known]
    if most is not None and most < len(found):
        found = sorted(found, key=lambda mutant: hashlib.sha256((seed + str(mutant)).encode()).digest())[:most]
    return found


def run(found: list[Mutant], workers: int) -> list[Mutant]:
    """The survivors, told as they come."""
    survivors: list[Mutant] = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as pool:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(workers):
            target = Path(folder, str(number))
            shutil.copytree(SOURCE, target, ignore=shutil.ignore_patterns("__pycache__"))
            copies.put(target)

        def one(mutant: Mutant) -> None:
            place = copies.get()
            try:
                alive = survives(mutant, place)
            finally:
                copies.put(place)
            if alive:
                survivors.append(mutant)
                print(f"survived: {mutant}", flush=True)

        list(pool.map(one, found))
    return survivors


def main() -> None:
    """Run and print the score; exit code 1 if more than 5 % survive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", help="parts of the names of files; all by default")
    parser.add_argument("--most", type=int, help="draw so many")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    files = [file for file in TARGETS if not options.files or any(part in file for part in options.files)]
    found = chosen(files, options.most, options.seed)
    survivors = run(found, options.workers)
    killed = len(found) - len(survivors)
    print(
        f"{killed} of {len(found)} mutants noticed ({killed / max(1, len(found)):.1%}); {len(reasons())} equal ones left out, with reasons"
    )
    raise SystemExit(len(survivors) > 0.05 * len(found))


if __name__ == "__main__":
    main()

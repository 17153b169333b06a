"""``python -m tools.mutants``: breaks the rules that guard the numbers, one at a time, and sees whether a test fails.

A mutant is one small change: a comparison turned round, a condition negated, a sum made a difference, a number one larger, an element of a
list or an argument of a hash left out, a word of the store's SQL exchanged. The tests of that part which call the changed function run
against it. A mutant that no test notices *survives*: either a test is missing, or the change makes no difference, which is then listed with
the reason in ``tools/mutants.txt``. A survivor that is not listed is an error, and so is a listed one that is noticed or no longer exists.
"""

from __future__ import annotations

import argparse
import ast
import functools
import hashlib
import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tools import quick_tests
from tools.mutations import Mutant, mutants

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "core" / "src"
REASONS = Path(__file__).with_suffix(".txt")
MOST_SURVIVORS = 0.05

_PLAN = ("tests/functional/engine/test_plan.py", "tests/functional/engine/test_engine_identity.py")
_MERGE = ("tests/functional/store/test_store_exchange.py",)
TARGETS: dict[str, tuple[str, ...]] = {
    "ctxbench/plan.py": _PLAN,
    "ctxbench/resolving.py": _PLAN,
    "ctxbench/identity.py": ("tests/unit/test_identity.py", *_PLAN),
    "ctxbench/seeds.py": ("tests/unit/test_seeds.py",),
    "ctxbench/token_rules.py": ("tests/functional/engine/test_token_rules.py",),
    "ctxbench/tokens.py": ("tests/unit/test_accounting.py", "tests/unit/test_visual_tokens.py"),
    "ctxbench/outcome.py": ("tests/unit/test_outcome.py",),
    "ctxbench/shards.py": ("tests/unit/test_shards.py",),
    "ctxbench/engine/accounting.py": ("tests/unit/test_accounting.py",),
    "ctxbench/engine/checks.py": ("tests/unit/test_checks.py",),
    "ctxbench/engine/judge.py": ("tests/functional/engine/test_judge.py",),
    "ctxbench/engine/pending.py": ("tests/functional/engine/test_pending.py",),
    "ctxbench/prompts.py": ("tests/unit/test_prompts.py",),
    "ctxbench/engine/purse.py": ("tests/unit/test_purse.py",),
    "ctxbench/store/inserts.py": _MERGE,
    "ctxbench/store/merge.py": _MERGE,
    "ctxbench/statistics.py": ("tests/unit/test_stats.py", "tests/functional/store/test_store_views.py"),
    "ctxbench/store/views.py": ("tests/functional/store/test_store_rules.py", "tests/functional/store/test_store_views.py"),
}
"""Files of core and the tests that must notice when they are broken."""


def reasons() -> dict[str, str]:
    """Name of a mutant that makes no difference, and why."""
    found = {}
    for line in REASONS.read_text("utf-8").splitlines() if REASONS.exists() else []:
        if line and not line.startswith("#"):
            name, _, reason = line.partition(" :: ")
            found[name] = reason
    return found


class Tests:
    """Which tests notice what: those of a file's part that call the function in which a change lies. Quick ones come first, and those that
    have noticed other changes.
    """

    def __init__(self, recorded: dict[str, Any]) -> None:
        self.recorded = recorded
        self.noticed: Counter[str] = Counter()
        self.trees = {file: ast.parse((SOURCE / file).read_text("utf-8")) for file in TARGETS}

    def of(self, mutant: Mutant) -> list[str]:
        """Their node ids."""
        line = self._function(mutant.file, mutant.line)
        own = [(name, test) for name, test in self.recorded.items() if name.partition("::")[0] in TARGETS[mutant.file]]
        calling = [name for name, test in own if line is None or line in test["functions"].get(mutant.file, ())]
        return sorted(calling, key=lambda name: (self.recorded[name]["seconds"] / (1 + self.noticed[name]), name))

    def learn(self, output: Path) -> None:
        """Count the test that failed, from pytest's output."""
        failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", output.read_text("utf-8", "replace"), re.MULTILINE)
        if failed:
            self.noticed[failed[1]] += 1

    def _function(self, file: str, line: int) -> int | None:
        """First line of the innermost function around a line, if it is in its body: what is outside of it runs when it is imported."""
        functions = [node for node in ast.walk(self.trees[file]) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        around = [node for node in functions if node.body[0].lineno <= line <= (node.end_lineno or 0)]
        if not around:
            return None
        inner = max(around, key=lambda node: node.lineno)
        return min([inner.lineno, *(decorator.lineno for decorator in inner.decorator_list)])


def recorded(files: Sequence[str], folder: Path, workers: int) -> Tests:
    """Run the tests of the files as they are, and keep what each of them calls."""
    tests = sorted({test for file in files for test in TARGETS[file]})
    tasks: list[Task] = [(test, functools.partial(quick_tests.record, SOURCE, [test])) for test in tests]
    found: dict[str, Any] = {}
    for name, status, place in in_children(tasks, folder, workers):
        if status:
            raise SystemExit(f"{name} fails as it is:\n{(place / 'output').read_text('utf-8', 'replace')}")
        found |= json.loads((place / "tests.json").read_text("utf-8"))
    return Tests(found)


Task = tuple[Any, quick_tests.Work]


def in_children(tasks: Sequence[Task], folder: Path, workers: int) -> Iterator[tuple[Any, int, Path]]:
    """Do each task in a forked process, some at a time; its key, its exit status and its folder as it ends."""
    waiting = list(enumerate(tasks))[::-1]
    running: list[tuple[Any, quick_tests.Child]] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                number, (key, work) = waiting.pop()
                running.append((key, quick_tests.Child(work, folder / str(number))))
            time.sleep(0.02)
            for entry in list(running):
                status = entry[1].poll()
                if status is not None:
                    running.remove(entry)
                    yield entry[0], status, entry[1].folder
    finally:
        for _, child in running:
            child.end()


def chosen(files: Sequence[str], most: int | None, seed: str) -> list[Mutant]:
    """All mutants of the files, or ``most`` of them drawn by a hash, so that the same draw comes again."""
    found = [mutant for file in files for mutant in mutants(SOURCE, file)]
    if most is not None and most < len(found):
        found = sorted(found, key=lambda mutant: hashlib.sha256((seed + mutant.name).encode()).digest())[:most]
    return found


def _run(mutant: Mutant, tests: Tests) -> quick_tests.Work:
    """The work of a child, which chooses its tests when it begins: the order has been learned by then."""
    return lambda folder: quick_tests.run_changed(SOURCE, mutant.file, mutant.text, tests.of(mutant), folder)


def survivors(found: Sequence[Mutant], tests: Tests, folder: Path, workers: int) -> list[Mutant]:
    """Those that no test notices, told as they come unless they are known."""
    known = reasons()
    alive: list[Mutant] = []
    tasks: list[Task] = []
    for mutant in found:
        if tests.of(mutant):
            tasks.append((mutant, _run(mutant, tests)))
        else:
            alive.append(mutant)
            print(f"survived, as no test calls it: {mutant}", flush=True)
    for mutant, status, place in in_children(tasks, folder, workers):
        tests.learn(place / "output")
        if status == 0:
            alive.append(mutant)
            if mutant.name not in known:
                print(f"survived: {mutant}", flush=True)
    return alive


def report(found: Sequence[Mutant], alive: Sequence[Mutant], whole: bool) -> bool:
    """Print the score; true if all is as it should be."""
    known, names = reasons(), {mutant.name for mutant in alive}
    noticed = [mutant.name for mutant in found if mutant.name in known and mutant.name not in names]
    gone = sorted(set(known) - {mutant.name for mutant in found}) if whole else []
    unlisted = sorted(names - set(known))
    for name in noticed:
        print(f"listed in {REASONS.name}, but noticed: {name}")
    for name in gone:
        print(f"listed in {REASONS.name}, but there is no such mutant: {name}")
    killed = len(found) - len(alive)
    share = len(alive) / max(1, len(found))
    print(
        f"{killed} of {len(found)} mutants noticed ({1 - share:.1%}); {len(alive)} survive ({share:.1%}), "
        f"{len(alive) - len(unlisted)} of them listed with a reason in tools/{REASONS.name}"
    )
    return not (noticed or gone or unlisted) and share <= MOST_SURVIVORS


def main() -> None:
    """Run and print the score; exit code 1 if a survivor is not listed, a listed one is noticed or gone, or more than 5 % survive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="parts of the names of files; all by default")
    parser.add_argument("--like", default="", help="only those whose name contains this")
    parser.add_argument("--most", type=int, help="draw so many")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    options = parser.parse_args()
    os.chdir(ROOT)
    sys.path[:0] = [str(ROOT)]
    files = [file for file in TARGETS if not options.files or any(part in file for part in options.files)]
    found = [mutant for mutant in chosen(files, options.most, options.seed) if options.like in mutant.name]
    quick_tests.warm()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tests = recorded(files, Path(folder, "as-it-is"), options.workers)
        alive = survivors(found, tests, Path(folder, "changed"), options.workers)
    print(f"{len(found)} mutants of {len(files)} files in {(time.monotonic() - start) / 60:.1f} minutes")
    raise SystemExit(not report(found, alive, whole=len(found) == len(chosen(list(TARGETS), None, ""))))


if __name__ == "__main__":
    main()

"""How fast tasks make samples: ``python -m benchmarks.samples [--seconds 2] [--against REVISION]``.

Samples a CPU second of ``needle`` and ``json_restore``, in English and Chinese, beside what counting the same contexts once with the
reference tokenizer costs (tiktoken; the reference, 1.0): a task that tokenises what it makes cannot be faster than that. With
``--against`` the tasks of another revision of this repository are measured too, in a process of their own right after. Each figure is the
best of five rounds, since other work on the machine can only add to the time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

TASKS = ("needle", "json_restore")
BUCKETS = (512, 2048, 8192)
FOLDERS = ("plugins/needle/src", "plugins/json-restore/src")
ROUNDS = 5

Figures = dict[str, tuple[float, float]]


def rate(make: Callable[[int], object], seconds: float) -> float:
    """Calls a CPU second, the best of several rounds that last ``seconds`` together."""
    make(0)
    best, number = 0.0, 1
    for _ in range(ROUNDS):
        start, done = time.process_time(), 0
        while (spent := time.process_time() - start) < seconds / ROUNDS or done < 2:
            make(number)
            number += 1
            done += 1
        best = max(best, done / spent)
    return best


def measure(seconds: float) -> Figures:
    """Task, language and bucket to (samples a CPU second, contexts counted a CPU second)."""
    import ctxbench
    from ctxbench.tokens import count_text

    found: Figures = {}
    registry = ctxbench.load_plugins()
    for name in TASKS:
        for language in ("en", "zh"):
            task = registry.task(name, language=language)
            for bucket in BUCKETS:
                contexts = [task.sample(bucket, seed).context for seed in range(20)]
                counted = rate(lambda i, contexts=contexts: count_text(contexts[i % len(contexts)]), seconds)  # type: ignore[misc]
                made = rate(lambda i, task=task, bucket=bucket: task.sample(bucket, i), seconds)  # type: ignore[misc]
                found[f"{name} {language} {bucket}"] = (made, counted)
    return found


def measure_revision(revision: str, seconds: float) -> Figures:
    """:func:`measure` with the tasks of another revision."""
    root = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "tasks.tar"
        subprocess.run(["git", "archive", "-o", archive, revision, *FOLDERS], cwd=root, check=True)
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        paths = [str(Path(folder) / part) for part in FOLDERS]
        command = [sys.executable, "-m", "benchmarks.samples", "--seconds", str(seconds), "--json", *(f"--path={path}" for path in paths)]
        done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return {key: tuple(value) for key, value in json.loads(done.stdout).items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="CPU seconds a figure")
    parser.add_argument("--against", metavar="REVISION", help="also measure the tasks of this revision")
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--path", action="append", default=[], help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path[:0] = options.path
    now = measure(options.seconds)
    if options.json:
        print(json.dumps(now))
        return
    before = measure_revision(options.against, options.seconds) if options.against else {}
    print(
        "| task | language | bucket | samples / CPU s | counted once / CPU s | ratio |"
        + (f" at {options.against} | ratio |" if before else "")
    )
    print("|---|---|---:|---:|---:|---:|" + ("---:|---:|" if before else ""))
    for key, (made, counted) in now.items():
        line = f"| {' | '.join(key.split())} | {made:,.0f} | {counted:,.0f} | {made / counted:.2f} |"
        if before:
            line += f" {before[key][0]:,.0f} | {made / before[key][0]:.1f} |"
        print(line)


if __name__ == "__main__":
    main()

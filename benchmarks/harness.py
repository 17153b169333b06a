"""What the harness itself costs: ``python -m benchmarks.harness [--samples 5000] [--trials 1000 10000 100000] [--environments DIR]``.

Needle samples of 512 reference tokens with a mock model, so that nearly all CPU time is the harness's own: making samples (ours alone does
that; the others read ready ones), prompts, scores and storage. Each is a process of its own, in an environment of its own, and counts with
all its children's user and system time, imports included. inspect_ai is the reference, 1.0. Each figure is the best of ``--rounds``.

Then the cost of a trial as runs grow: the same samples scored under six levels, up to the number of trials that is asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

RIVALS = {"inspect_ai": ("inspect-ai==0.3.285", "inspect_run.py"), "lm-evaluation-harness": ("lm-eval==0.4.13", "lm_eval_run.py")}
BUCKET = 512


def cpu_seconds(command: Sequence[str | Path], folder: Path) -> tuple[float, float, str]:
    """(user and system seconds of a command with its children, most memory of one of its processes so far in MB, what it printed)."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([str(part) for part in command], cwd=folder, capture_output=True, text=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, after.ru_maxrss / 1024, done.stdout


def ours(*arguments: str) -> list[str]:
    """Our command as a new process."""
    return [sys.executable, "-c", "from ctxbench_cli.main import main; main()", *arguments]


def first_trial(folder: Path) -> float:
    """CPU seconds that a run had taken when its first trial was done, imports included."""
    folder.mkdir()
    command = run_of(1, folder / "store.duckdb")
    tell = """import pathlib, time
from ctxbench.engine.writer import Writer
add = Writer.add
def tell(self, *row):
    pathlib.Path("seconds").write_text(str(time.process_time()))
    return add(self, *row)
Writer.add = tell
"""
    cpu_seconds([command[0], command[1], tell + command[2], *command[3:]], folder)
    return float((folder / "seconds").read_text("utf-8"))


def run_of(samples: int, store: Path, codec: str = "text", *more: str) -> list[str]:
    """A mock run of the needle task."""
    return ours(
        *("run", "-m", "mock", "-t", "needle", "-c", codec, "-a", "clean", "-b", str(BUCKET), "-n", str(samples)),
        *("--images", "none", "--yes", "--workers", "0", "--store", str(store), *more),
    )


def environment(folder: Path, requirement: str) -> Path:
    """The Python of an environment with one rival, made if it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement], check=True)
    return python


def write_samples(path: Path, samples: int) -> None:
    """Ready samples for those that cannot make them."""
    import ctxbench

    task = ctxbench.load_plugins().task("needle")
    with path.open("w", encoding="utf-8") as file:
        for seed in range(samples):
            made = task.sample(BUCKET, seed)
            file.write(json.dumps({"prompt": f"{made.context}\n\n{made.question}", "answer": made.answer}) + "\n")


def beside_others(folder: Path, environments: Path, samples: int, rounds: int) -> None:
    """Prints samples a CPU second of each harness."""
    write_samples(folder / "samples.jsonl", samples)
    figures: dict[str, float] = {}
    for number in range(rounds):
        for name, codec, more in (
            ("ctxbench, text", "text", ()),
            ("ctxbench, a codebook page each", "codebook", ("--no-channel",)),
            ("ctxbench, a codebook page each, decoded too", "codebook", ()),
        ):
            spent, _, _ = cpu_seconds(run_of(samples, folder / f"{name}{number}.duckdb", codec, *more), folder)
            figures[name] = max(figures.get(name, 0.0), samples / spent)
        for name, (requirement, script) in RIVALS.items():
            python = environment(environments / name, requirement)
            path = Path(__file__).parent / "rivals" / script
            spent, _, said = cpu_seconds([python, path, folder / "samples.jsonl", folder / f"{name}{number}"], folder)
            if said.split()[-1:] != [str(samples)]:
                sys.exit(f"{name} scored {said.split()[-1:]} of {samples} samples")
            figures[name] = max(figures.get(name, 0.0), samples / spent)
    reference = figures["inspect_ai"]
    print(f"{samples} needle samples of {BUCKET} tokens, mock model; samples a CPU second")
    for name, rate in sorted(figures.items(), key=lambda item: -item[1]):
        print(f"  {name:46}{rate:8.0f}   x {rate / reference:.2f}")


def start(folder: Path, rounds: int) -> None:
    """Prints the CPU time of starting."""
    bare = min(cpu_seconds([sys.executable, "-c", "pass"], folder)[0] for _ in range(rounds))
    helped = min(cpu_seconds(ours("--help"), folder)[0] for _ in range(rounds))
    one = min(cpu_seconds(run_of(1, folder / f"one{i}.duckdb"), folder)[0] for i in range(rounds))
    first = min(first_trial(folder / f"first{i}") for i in range(rounds))
    print(f"CPU seconds: python -c pass {bare:.3f}; ctxbench --help {helped:.2f} (x {helped / bare:.0f})")
    print(f"             from the start to the first trial {first:.2f} (x {first / bare:.0f}); a whole run of one trial {one:.2f}")


def growth(folder: Path, sizes: Sequence[int]) -> None:
    """Prints what a trial costs as runs grow."""
    print("trials a run      CPU ms a trial   most memory, MB   store, bytes a trial")
    for trials in sizes:
        store = folder / f"{trials}.duckdb"
        spent, memory, _ = cpu_seconds(run_of(trials, store), folder)
        print(f"{trials:12,}{1000 * spent / trials:18.2f}{memory:18.0f}{store.stat().st_size / trials:23.0f}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument("--environments", type=Path, help="folder for the environments of the others; the default is a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        start(folder, options.rounds)
        beside_others(folder, options.environments or folder / "environments", options.samples, options.rounds)
        growth(folder, sorted(options.trials))


if __name__ == "__main__":
    main()

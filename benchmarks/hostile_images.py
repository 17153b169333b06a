"""Crafted pictures through ``ctxbench decode``, each in a process of its own: CPU seconds, peak memory and what became of it.

``python -m benchmarks.hostile_images [--only NAME] [--codec CODEC ...]``. The last line says whether every file that is within the default
bounds stayed below 10 CPU seconds and 1 GB.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import attrs

from benchmarks.hostile_files import FILES

CODECS = (
    "codebook",
    "codebook:preset=aligned",
    "codebook_external",
    "codebook_external:format=datamatrix",
    "codebook_external:format=aztec",
)
MOST_SECONDS = 10.0
MOST_BYTES = 1_000_000_000

# A process inherits the peak of the one that started it, so a small one stands between: it alone imports nothing of weight.
_LAUNCHER = """
import json, os, resource, sys
limit, command = json.loads(sys.argv[1])
child = os.fork()
if not child:
    if limit:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (300, 300))
    os.execv(command[0], command)
_, status, usage = os.wait4(child, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024]), file=sys.stderr)
"""


@attrs.frozen
class Cost:
    """What a command took: its exit code, CPU seconds, bytes of resident memory at the peak, and its output."""

    code: int
    seconds: float
    peak: int
    text: bytes
    error: str

    @property
    def outcome(self) -> str:
        """One line."""
        if self.code == 0:
            return f"{len(self.text):,} bytes of text"
        lines = self.error.strip().splitlines()
        return lines[0] if self.code == 1 and len(lines) == 1 else f"EXIT {self.code}: {lines[-1] if lines else ''}"


def measure(*command: str, address_space: int = 0) -> Cost:
    """Run a command; ``address_space`` bounds the bytes that it may map, 0 is no bound."""
    code = [sys.executable, "-I", "-S", "-c", _LAUNCHER, json.dumps([address_space, list(command)])]
    done = subprocess.run(code, capture_output=True, check=True)
    error, _, usage = done.stderr.decode("utf-8", "replace").rstrip("\n").rpartition("\n")
    status, seconds, peak = json.loads(usage)
    return Cost(status, seconds, peak, done.stdout, error)


def decode(file: Path, codec: str, *more: str) -> Cost:
    """``ctxbench decode`` of one file, as a user runs it."""
    return measure(str(Path(sys.executable).with_name("ctxbench")), "decode", str(file), "-c", codec, *more)


def main() -> None:
    """Make the files, decode each with each codec and print a row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="files whose name contains this")
    parser.add_argument("--codec", action="append", help="a codec with its options, instead of the page codecs")
    options = parser.parse_args()
    slowest = largest = 0.0
    bad = 0
    print(f"{'file':26}{'kB':>8}  {'codec':36}{'CPU s':>7}{'MB':>7}  outcome")
    with tempfile.TemporaryDirectory() as folder:
        for name, make in FILES.items():
            if options.only and options.only not in name:
                continue
            file = Path(folder) / name
            file.write_bytes(make())
            for codec in options.codec or CODECS:
                cost = decode(file, codec)
                outcome = cost.outcome.replace(f"{folder}/", "")
                slowest, largest = max(slowest, cost.seconds), max(largest, cost.peak)
                bad += cost.code not in (0, 1) or outcome.startswith("EXIT") or cost.seconds > MOST_SECONDS or cost.peak > MOST_BYTES
                size = file.stat().st_size / 1000
                print(f"{name:26}{size:8.1f}  {codec:36}{cost.seconds:7.2f}{cost.peak / 1e6:7.0f}  {outcome[:90]}", flush=True)
            file.unlink()
    bounds = f"{MOST_SECONDS:.0f} CPU s, {MOST_BYTES / 1e6:.0f} MB"
    print(f"\nmost: {slowest:.2f} CPU s, {largest / 1e6:.0f} MB; {bad} beyond {bounds} or without a clear end")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()

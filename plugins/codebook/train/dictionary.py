"""Train the dictionary of aligned pages: ``python plugins/codebook/train/dictionary.py [--bytes 400000] [--out FILE]``.

The text is generated: English prose as in the task ``needle`` and JSON as in ``json_restore``, of seeds that no benchmark uses. Strings are
found by repeatedly encoding the text with the dictionary so far and adding the concatenations of neighbours that would save the most
codes (a batch of pairs at a time, as in byte-pair encoding; Gage, 1994); at the end the least used make room for the last batches.
A published dictionary never changes: train another one to another file, and give it another symbol.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from pathlib import Path

from ctxbench import load_plugins
from ctxbench_codebook.symbols import DICTIONARY, greedy, index

SIZE = 4096
LONGEST = 24
MAKE_ROOM = 200  # entries replaced in each of the last rounds
FIRST_SEED = 7_100_000
HERE = Path(__file__).resolve().parents[1] / "src" / "ctxbench_codebook" / DICTIONARY
SOURCES = (
    ("json_restore", {}, 2),
    ("json_restore", {"entropy": "words"}, 1),
    ("json_restore", {"indent": 2}, 1),
    ("needle", {}, 3),
)


def corpus(size: int) -> list[bytes]:
    """Generated texts of about ``size`` bytes in all, the sources in turn by their weights."""
    registry = load_plugins()
    sources = [registry.task(name, **options) for name, options, weight in SOURCES for _ in range(weight)]
    texts, total, seed = [], 0, FIRST_SEED
    while total < size:
        for task in sources:
            texts.append(task.sample((256, 512, 1024)[seed % 3], seed).context.encode())
            total += len(texts[-1])
            seed += 1
    return texts


def usage(texts: list[bytes], table: tuple[bytes, ...]) -> tuple[Counter[int], Counter[tuple[int, int]]]:
    """How often each code and each pair of neighbours occurs."""
    codes, lengths = index(table)
    single: Counter[int] = Counter()
    pairs: Counter[tuple[int, int]] = Counter()
    for text in texts:
        found = greedy(text, codes, lengths)
        single.update(found)
        pairs.update(itertools.pairwise(found))
    return single, pairs


def train(texts: list[bytes], rounds: int = 40, polish: int = 6) -> tuple[bytes, ...]:
    """The table of :data:`SIZE` entries, the 256 bytes first."""
    basic = tuple(bytes([i]) for i in range(256))
    table = basic
    batch = 24
    for i in range(rounds + polish):
        if i >= rounds:  # the least used make room
            single, _ = usage(texts, table)
            order = sorted(range(256, len(table)), key=lambda code: (-single[code], table[code]))
            table = (*basic, *(table[code] for code in order[: SIZE - 256 - MAKE_ROOM]))
            batch = MAKE_ROOM
        single, pairs = usage(texts, table)
        known, added = set(table), []
        for (a, b), _ in sorted(pairs.items(), key=lambda item: (-item[1], item[0])):
            joined = table[a] + table[b]
            if len(joined) <= LONGEST and joined not in known and len(added) < min(batch, SIZE - len(table)):
                added.append(joined)
                known.add(joined)
        table = (*table, *added)
        batch = min(160, int(batch * 1.2))
        print(f"round {i + 1}: {len(table)} entries, {sum(map(len, texts)) / sum(single.values()):.3f} bytes a code", flush=True)
    return table


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=400_000)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    table = train(corpus(options.bytes))
    if len(table) != SIZE or len(set(table)) != SIZE:
        raise SystemExit(f"{len(set(table))} entries were found; give more --bytes")
    options.out.write_text("\n".join(entry.hex() for entry in sorted(table[256:])) + "\n", "ascii")
    print(f"{options.out}: {len(table) - 256} strings")


if __name__ == "__main__":
    main()

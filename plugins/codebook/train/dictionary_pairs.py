"""Finding the strings of a dictionary in texts.

The texts are encoded again and again with the dictionary so far, and the concatenations of neighbours that would save the most codes are
added, a batch of pairs at a time, as in byte-pair encoding (Gage, 1994); at the end the least used make room for the last batches.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ctxbench_codebook.symbols import greedy, index

SIZE = 4096
LONGEST = 24
MAKE_ROOM = 200  # entries replaced in each of the last rounds

Counts = npt.NDArray[np.int64]


def usage(texts: list[bytes], table: tuple[bytes, ...]) -> tuple[Counts, Counts]:
    """(how often each code occurs, pairs of neighbours as ``a * 4096 + b``: the most frequent first, ties by number)."""
    codes, lengths = index(table)
    encoded = [np.array(greedy(text, codes, lengths), np.int64) for text in texts]
    single = np.bincount(np.concatenate(encoded), minlength=len(table))
    joined = np.concatenate([each[:-1] * SIZE + each[1:] for each in encoded])
    pairs, counts = np.unique(joined, return_counts=True)
    return single, pairs[np.lexsort((pairs, -counts))]


def train(texts: list[bytes], rounds: int = 40, polish: int = 6) -> tuple[bytes, ...]:
    """The table of up to :data:`SIZE` entries, the 256 bytes first; fewer where the texts have no more."""
    basic = tuple(bytes([i]) for i in range(256))
    table = basic
    batch = 24
    for i in range(rounds + polish):
        if i >= rounds:  # the least used make room
            single, _ = usage(texts, table)
            order = sorted(range(256, len(table)), key=lambda code: (-int(single[code]), table[code]))
            table = (*basic, *(table[code] for code in order[: SIZE - 256 - MAKE_ROOM]))
            batch = MAKE_ROOM
        single, pairs = usage(texts, table)
        known, added = set(table), list[bytes]()
        room = min(batch, SIZE - len(table))
        for pair in pairs.tolist():
            if len(added) == room:
                break
            joined = table[pair // SIZE] + table[pair % SIZE]
            if len(joined) <= LONGEST and joined not in known:
                added.append(joined)
                known.add(joined)
        table = (*table, *added)
        batch = min(160, int(batch * 1.2))
        print(f"round {i + 1}: {len(table)} entries, {sum(map(len, texts)) / int(single.sum()):.3f} bytes a code", flush=True)
    return table


def lines(table: tuple[bytes, ...]) -> str:
    """The dictionary as its file has it.

    Raises:
        SystemExit: fewer entries than a dictionary has.
    """
    if len(table) != SIZE or len(set(table)) != SIZE:
        raise SystemExit(f"{len(set(table))} entries were found, and a dictionary has {SIZE}; give more --bytes")
    return "\n".join(entry.hex() for entry in sorted(table[256:])) + "\n"

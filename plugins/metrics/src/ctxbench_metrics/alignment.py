"""The largest number of leaves that two JSON documents can be said to share, with lists aligned by content.

An alignment pairs the documents' roots; in two paired objects the values of equal keys; in two paired lists some elements of the one with
some of the other, in order and each at most once. Its worth is the number of paired leaves that are equal; wanted is the best alignment.
For lists of scalars that is the longest common subsequence (Wagner and Fischer, 1974), for trees the form of ordered tree
alignment in which partners have partners as parents (Selkow, 1977). Equal subtrees get one number, so that their equality costs nothing,
and what two lists have in common at their ends is paired first, which is never worse.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import attrs
from rapidfuzz.distance import LCSseq

from ctxbench_metrics.agreement import is_leaf

MAX_PAIRS = 40_000
"""Pairs of elements of two lists that are compared one by one; in longer lists only equal elements are paired."""


def align(left: Any, right: Any) -> tuple[int, int, int]:
    """(equal leaves under the best alignment, leaves of ``left``, leaves of ``right``). Values as ``parse_json`` gives them."""
    forest = _Forest()
    a, b = forest.plant(left), forest.plant(right)
    return _run(forest.shared(a, b)), forest.leaves[a], forest.leaves[b]


_Search = Generator["_Search", int, int]


def _run(search: _Search) -> int:
    """The result of a search that yields the searches it depends on: recursion without Python's limit of depth."""
    stack, value = [search], 0
    first = True
    while stack:
        try:
            stack.append(next(stack[-1]) if first else stack[-1].send(value))
            first = True
        except StopIteration as stop:
            stack.pop()
            value, first = stop.value, False
    return value


@attrs.define
class _Forest:
    """Documents as numbered nodes; equal subtrees have one number.

    Attributes:
        nodes: what a node is: ``("leaf", type, value)``, ``("object", {key: number})`` or ``("array", [numbers])``.
        leaves: number of leaves of each node.
    """

    nodes: list[tuple[Any, ...]] = attrs.field(factory=list)
    leaves: list[int] = attrs.field(factory=list)
    _numbers: dict[Any, int] = attrs.field(factory=dict)
    _known: dict[tuple[int, int], int] = attrs.field(factory=dict)

    def plant(self, value: Any) -> int:
        """The number of a document, its parts numbered first."""
        waiting: list[tuple[Any, bool]] = [(value, False)]
        done: list[int] = []
        while waiting:
            item, ready = waiting.pop()
            if is_leaf(item):
                done.append(self._leaf(item))
            elif not ready:
                waiting.append((item, True))
                waiting += [(child, False) for child in (item.values() if isinstance(item, dict) else item)]
            else:
                children = [done.pop() for _ in item]  # the last one was numbered first
                done.append(self._inner(item, children))
        return done.pop()

    def _leaf(self, value: Any) -> int:
        kind = type(value).__name__
        return self._number(("leaf", kind, repr(value) if isinstance(value, (dict, list)) else value), ("leaf", kind, value), 1)

    def _inner(self, item: Any, children: list[int]) -> int:
        count = sum(self.leaves[child] for child in children)
        if isinstance(item, dict):
            members = dict(zip(item, children, strict=True))
            return self._number(("object", frozenset(members.items())), ("object", members), count)
        return self._number(("array", tuple(children)), ("array", children), count)

    def _number(self, key: Any, node: tuple[Any, ...], leaves: int) -> int:
        number = self._numbers.setdefault(key, len(self.nodes))
        if number == len(self.nodes):
            self.nodes.append(node)
            self.leaves.append(leaves)
        return number

    def shared(self, a: int, b: int) -> _Search:
        """Equal leaves under the best alignment of two nodes."""
        if a == b:
            return self.leaves[a]
        left, right = self.nodes[a], self.nodes[b]
        if left[0] != right[0] or left[0] == "leaf":
            return 0
        if (a, b) not in self._known:
            if left[0] == "object":
                total = 0
                for key in left[1].keys() & right[1].keys():
                    total += yield self.shared(left[1][key], right[1][key])
            else:
                total = yield self._lists(left[1], right[1])
            self._known[a, b] = total
        return self._known[a, b]

    def _lists(self, left: list[int], right: list[int]) -> _Search:
        least = min(len(left), len(right))
        start = next((i for i in range(least) if left[i] != right[i]), least)
        rest = least - start
        end = next((i for i in range(rest) if left[-1 - i] != right[-1 - i]), rest)
        total = sum(self.leaves[node] for node in left[:start] + left[len(left) - end :])
        left, right = left[start : len(left) - end], right[start : len(right) - end]
        if self._flat(left) or self._flat(right) or len(left) * len(right) > MAX_PAIRS:
            return total + self._equal_elements(left, right)
        return total + (yield self._pairs(left, right))

    def _flat(self, elements: list[int]) -> bool:
        return all(self.nodes[element][0] == "leaf" for element in elements)

    def _equal_elements(self, left: list[int], right: list[int]) -> int:
        """Leaves of the elements of a longest common subsequence."""
        blocks = LCSseq.editops(left, right).as_matching_blocks()
        return sum(self.leaves[node] for block in blocks for node in left[block.a : block.a + block.size])

    def _pairs(self, left: list[int], right: list[int]) -> _Search:
        """The best sum over pairs of elements in order, row by row of the usual table."""
        above = [0] * (len(right) + 1)
        for a in left:
            row = [0]
            for j, b in enumerate(right):
                both = yield self.shared(a, b)
                row.append(max(above[j] + both, above[j + 1], row[j]))
            above = row
        return above[-1]

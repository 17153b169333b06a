"""Mutants: single small changes of a source file, each of which some test should notice."""

from __future__ import annotations

import ast
import functools
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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
    ast.RShift: ast.LShift,
}
CALLS = {"any": "all", "all": "any", "min": "max", "max": "min"}
HASHES = {"stable_hash", "derive_seed"}
"""Calls whose arguments all count: each is left out in turn, as is each element of a list, tuple or dict that is built."""

SQL = (
    (r" <= ", " < "),
    (r" < ", " > "),
    (r" > ", " < "),
    (r" >= ", " > "),
    (r" <> ", " = "),
    (r"\bAND\b", "OR"),
    (r"\bOR\b", "AND"),
    (r"\bavg\(", "max("),
    (r"\bmax\(", "min("),
    (r"\bmin\(", "max("),
    (r"\bsum\(", "avg("),
    (r"\bcount\(", "1 + count("),
    (r" FILTER \(\w+ IS NOT NULL\)", ""),
    (r"IS NOT NULL", "IS NULL"),
    (r"IS NULL", "IS NOT NULL"),
    (r"IS NOT DISTINCT FROM", "IS DISTINCT FROM"),
    (r"NOT EXISTS", "EXISTS"),
    (r"= 'error'", "= 'ok'"),
    (r" - ", " + "),
    (r" DESC", ""),
    (r"DISTINCT ", ""),
    (r"\bANTI JOIN\b", "SEMI JOIN"),
    (r"\bSEMI JOIN\b", "ANTI JOIN"),
    (r"count\(\*\) > 1\b", "count(*) > 2"),
    (r"\bTRUE\b", "FALSE"),
    (r"0\.025", "0.25"),
)


class Mutant:
    """One change: the file, the line, what it was and what it is.

    Attributes:
        name: tells it from the others, whatever its line: it stands in the list of those that make no difference.
    """

    def __init__(self, file: str, line: int, what: str, make: Callable[[], str]) -> None:
        self.file, self.line, self.what = file, line, what
        self.name = f"{file}: {what}"
        self._make = make

    @property
    def text(self) -> str:
        """The whole source with the change."""
        return self._make()

    def __str__(self) -> str:
        return f"{self.name} (line {self.line})"


def mutants(source: Path, file: str) -> list[Mutant]:
    """Every mutant of a file below ``source``; of equal changes in several places each has its number in its name."""
    found = list(_mutants((source / file).read_text("utf-8"), file))
    seen: Counter[str] = Counter()
    for mutant in found:
        seen[mutant.name] += 1
        if seen[mutant.name] > 1:
            mutant.name += f" #{seen[mutant.name]}"
    return found


def _mutants(text: str, file: str) -> Iterator[Mutant]:
    tree = ast.parse(text)
    silent = _silent(tree)
    for index, node in enumerate(ast.walk(tree)):
        if node in silent:
            continue
        changes = [*_changes(node), *(_sql(node) if file.startswith("ctxbench/store/") else ())]
        before = " ".join((ast.get_source_segment(text, node) or ast.unparse(node)).split()) if changes else ""
        for change, what, was in changes:
            make = functools.partial(_changed, text, index, change)
            yield Mutant(file, getattr(node, "lineno", 0), f"{was or before[:90]} -> {what}", make)


def _changed(text: str, index: int, change: Callable[[Any], object]) -> str:
    """The source after a change of the node with this number."""
    tree = ast.parse(text)
    change(next(itertools.islice(ast.walk(tree), index, None)))
    return ast.unparse(ast.fix_missing_locations(tree))


def _silent(tree: ast.AST) -> set[ast.AST]:
    """Nodes that compute nothing: docstrings, annotations, and the list of a module's public names."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        roots: list[ast.AST | None] = []
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            roots = [node]
        elif isinstance(node, ast.AnnAssign | ast.arg):
            roots = [node.annotation]
        elif isinstance(node, ast.FunctionDef):
            roots = [node.returns]
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            roots = [node.value]
        elif isinstance(node, ast.Subscript):
            roots = [node.slice] if isinstance(node.slice, ast.Tuple) else []
        for root in roots:
            found |= set(ast.walk(root)) if root is not None else set()
    return found


Change = tuple[Callable[[Any], object], str, str]


def _changes(node: ast.AST) -> Iterator[Change]:
    """Changes of one node, each a function that makes it on an equal node, with a description of it and, if not the node, of what was."""
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            other = COMPARISONS.get(type(operator))
            if other is not None:
                yield (lambda n, p=place, o=other: n.ops.__setitem__(p, o())), other.__name__, ""
    elif isinstance(node, ast.BoolOp):
        flipped = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield (lambda n: setattr(n, "op", flipped())), flipped.__name__, ""
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS and not _is_text(node):
        wanted = OPERATORS[type(node.op)]
        yield (lambda n: setattr(n, "op", wanted())), wanted.__name__, ""
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        yield (lambda n: setattr(n, "test", ast.UnaryOp(ast.Not(), n.test))), "not", f"{type(node).__name__} {ast.unparse(node.test)[:90]}"
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
        yield (lambda n: setattr(n.func, "id", CALLS[n.func.id])), CALLS[node.func.id], ""
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in HASHES and len(node.args) > 1:
        for place, argument in enumerate(node.args):
            yield (lambda n, p=place: n.args.pop(p)), f"without {ast.unparse(argument)}", ""
    elif isinstance(node, ast.List | ast.Tuple) and isinstance(node.ctx, ast.Load) and len(node.elts) > 1:
        for place, element in enumerate(node.elts):
            yield (lambda n, p=place: n.elts.pop(p)), f"without {ast.unparse(element)[:60]}", ""
    elif isinstance(node, ast.Dict) and len(node.keys) > 1:
        for place, (key, value) in enumerate(zip(node.keys, node.values, strict=True)):
            what = ast.unparse(key) if key else f"**{ast.unparse(value)}"
            yield (lambda n, p=place: (n.keys.pop(p), n.values.pop(p))), f"without {what}", ""
    elif isinstance(node, ast.Constant) and isinstance(node.value, int) and not isinstance(node.value, bool):
        yield (lambda n: setattr(n, "value", n.value + 1)), str(node.value + 1), ""


def _is_text(node: ast.BinOp) -> bool:
    return any(
        isinstance(part, ast.JoinedStr) or (isinstance(part, ast.Constant) and isinstance(part.value, str))
        for part in (node.left, node.right)
    )


def _sql(node: ast.AST) -> Iterator[Change]:
    """Words of SQL exchanged, one occurrence at a time."""
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        return
    for pattern, other in SQL:
        for match in re.finditer(pattern, node.value):
            changed = node.value[: match.start()] + other + node.value[match.end() :]
            around = " ".join(node.value[max(0, match.start() - 40) : match.end() + 40].split())
            yield (lambda n, c=changed: setattr(n, "value", c)), other.strip() or "nothing", f"SQL {match[0].strip()} in: {around}"

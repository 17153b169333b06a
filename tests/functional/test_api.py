"""What is public is written down, has a docstring, and is all that the command, the plugins and the documents' examples use."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import ctxbench

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core" / "src" / "ctxbench"
ROW = re.compile(r"^\| `(ctxbench[\w.]*)` \| [^|]+ \| ([^|]+) \|$", re.M)
PUBLIC = {module: re.findall(r"`(\w+)`", names) for module, names in ROW.findall((ROOT / "docs" / "api.md").read_text("utf-8"))}
"""Public names by module, as docs/api.md lists them."""

USERS = [*sorted((ROOT / "plugins").glob("*/")), ROOT / "cli"]
EXAMPLES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]


def imports(tree: ast.AST) -> Iterator[tuple[str, str | None, int]]:
    """(module, name or None, line) of everything of core that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "ctxbench":
            yield from ((node.module, alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, None, node.lineno) for alias in node.names if alias.name.partition(".")[0] == "ctxbench")


def attributes(tree: ast.AST) -> Iterator[tuple[str, str, int]]:
    """(module, name, line) of what is taken from an imported module of core, as in ``ctxbench.Codec`` and ``tokens.count_text``."""
    modules = {"ctxbench": "ctxbench"}
    for module, name, _ in imports(tree):
        if name is not None and f"{module}.{name}" in PUBLIC:
            modules[name] = f"{module}.{name}"
    assigned = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    taken = {
        argument.arg
        for node in ast.walk(tree)
        if isinstance(node, ast.arguments)
        for argument in ast.walk(node)
        if isinstance(argument, ast.arg)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules.keys() - assigned - taken:
            yield modules[node.value.id], node.attr, node.lineno


def offences(source: str) -> list[str]:
    """What a source uses of core that is not public."""
    tree = ast.parse(source)
    found = []
    for module, name, line in imports(tree):
        whole = module if name is None else f"{module}.{name}"
        if whole not in PUBLIC and (module not in PUBLIC or (name is not None and name not in PUBLIC[module])):
            found.append(f"line {line}: {whole}")
    for module, name, line in attributes(tree):
        if name not in PUBLIC[module] and f"{module}.{name}" not in PUBLIC and name != "__version__":
            found.append(f"line {line}: {module}.{name}")
    return found


def test_the_rule_sees_what_is_private():
    """The check itself: a private module, a private name of a public module, each way to import, and what is public passes."""
    assert (
        offences("import ctxbench\nfrom ctxbench import Codec, tokens\nfrom ctxbench.store import Store\nctxbench.run\ntokens.count_text\n")
        == []
    )
    assert offences("from ctxbench.engine.prepare import Job") == ["line 1: ctxbench.engine.prepare.Job"]
    assert offences("from ctxbench.engine import runner") == ["line 1: ctxbench.engine.runner"]
    assert offences("import ctxbench.plan") == ["line 1: ctxbench.plan"]
    assert offences("from ctxbench.tokens import current") == ["line 1: ctxbench.tokens.current"]
    assert offences("from ctxbench import tokens\ntokens.current()") == ["line 2: ctxbench.tokens.current"]
    assert offences("import ctxbench\nctxbench.registry") == ["line 2: ctxbench.registry"]


@pytest.mark.parametrize("module", PUBLIC)
def test_the_page_lists_what_the_module_exports(module):
    """A name that is added, renamed or removed must show in docs/api.md, and each has a docstring or is a value."""
    found = importlib.import_module(module)
    if module == "ctxbench.testing":
        pytest.importorskip("hypothesis")
    assert sorted(PUBLIC[module]) == sorted(found.__all__)
    for name in found.__all__:
        value = getattr(found, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"{module}.{name} has no docstring"
    assert found.__doc__


def test_the_package_says_the_same():
    """Whoever reads the package's docstring must find the modules of the page, and no others."""
    listed = {f"ctxbench.{name}" for name in re.findall(r"``([a-z_.]+)``", ctxbench.__doc__ or "") if not name.startswith("_")}
    assert listed == PUBLIC.keys() - {"ctxbench"}


@pytest.mark.parametrize("folder", USERS, ids=lambda folder: folder.name)
def test_the_command_and_the_plugins_use_only_what_is_public(folder):
    """What we need ourselves a stranger needs too: it is public, or we do without."""
    wrong = {str(path.relative_to(ROOT)): found for path in sorted(folder.rglob("*.py")) if (found := offences(path.read_text("utf-8")))}
    assert wrong == {}


@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.name)
def test_the_examples_use_only_what_is_public(page):
    """An example that is pasted must keep working."""
    blocks = re.findall(r"```python[^\n]*\n(.*?)```", page.read_text("utf-8"), re.S)
    assert {number: found for number, block in enumerate(blocks) if (found := offences(block))} == {}


def defined(tree: ast.AST) -> set[str]:
    """Names with one underscore that a module defines, as variables, functions, classes, attributes or parameters of attrs classes."""
    names = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return names | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}


FOREIGN = {"os._exit"}
"""Of the standard library, and documented in spite of its name."""


def reaches(source: str) -> list[str]:
    """Private members of others that a module of core uses."""
    tree = ast.parse(source)
    own = defined(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "ctxbench":
            found += [f"line {node.lineno}: {node.module}.{alias.name}" for alias in node.names if alias.name.startswith("_")]
        elif isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr) and node.attr not in own:
            text = ast.unparse(node)
            if text not in FOREIGN and not isinstance(node.value, ast.Call):
                found.append(f"line {node.lineno}: {text}")
    return found


def test_the_rule_sees_a_private_member():
    """The check itself: another's member, imported or reached, and one's own."""
    assert reaches("store._connection.execute('')") == ["line 1: store._connection"]
    assert reaches("from ctxbench.store.store import _as_store_error") == ["line 1: ctxbench.store.store._as_store_error"]
    assert reaches("class A:\n    def _b(self): return self._b()\n\ndef c(a): a._b()\n") == []


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda path: str(path.relative_to(CORE)))
def test_no_module_of_core_reaches_into_another(path):
    """What another module needs has a name without an underscore."""
    assert reaches(path.read_text("utf-8")) == []

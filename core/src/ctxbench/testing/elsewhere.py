"""The same component in other processes, with other hash seeds."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from typing import Any

from ctxbench.interfaces import Component
from ctxbench.plugin.manager import KINDS
from ctxbench.registry import load_plugins

_CHILD = """
import importlib, importlib.util, json, sys
from ctxbench.images import page_sha256
from ctxbench.registry import load_plugins
kind, name, source, options, argument, sys.path = json.load(sys.stdin)
if name is not None:
    component = load_plugins().make(kind, name, **options)
else:
    module, file, attribute = source
    try:
        home = importlib.import_module(module)
    except ImportError:
        spec = importlib.util.spec_from_file_location("component_under_test", file)
        home = sys.modules["component_under_test"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(home)
    component = getattr(home, attribute)(**options)
"""


def registered_name(kind: str, component: Component) -> str | None:
    """The name under which an installed plugin offers this component's class."""
    registry = load_plugins()
    for name in registry.names(KINDS[kind].name):
        try:
            if type(registry.make(kind, name)) is type(component):
                return name
        except Exception:  # another plugin's component that cannot be made is not this one's fault
            continue
    return None


def elsewhere(kind: str, component: Component, code: str, argument: Any) -> list[Any]:
    """What ``code`` prints as JSON in two fresh interpreters of different hash seeds; it sees ``component`` and ``argument``.

    A component that no plugin offers is made again from the module or file of its class.
    """
    cls = type(component)
    name = registered_name(kind, component)
    source = [cls.__module__, inspect.getfile(cls), cls.__qualname__]
    said = []
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", _CHILD + code],
            input=json.dumps([kind, name, source, component.config, argument, sys.path]),
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"another process could not make {kind} {name or cls.__name__}: {done.stderr.strip()[-500:]}"
        said.append(json.loads(done.stdout))
    return said

"""Runs tests in forked processes in which one module's source is another: no start of Python, no copy of the package.

The parent imports what tests need from elsewhere, and nothing of ``ctxbench``; each child then imports ``ctxbench`` for itself.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import resource
import shutil
import signal
import sys
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest

CPU_SECONDS = 120
"""A child that needs more has been made to go on for ever: no test here takes a tenth of it. It is CPU time, of which a busy
machine takes no more."""

WAIT_SECONDS = 600
"""A child that has not ended after this time waits for something that does not come."""

DATA_BYTES = 6 << 30
"""A child that wants more memory has been made to collect without end."""

WARM = ("hypothesis", "yaml", "numpy", "PIL.Image", "duckdb", "pyarrow", "pandas", "attrs", "cattrs", "tiktoken", "rapidfuzz", "jsonschema")

Work = Callable[[Path], int]
"""What a child does, in a folder of its own; the result is its exit status."""


def warm() -> None:
    """Import what takes long and is not broken."""
    for name in WARM:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads another text than the file's."""

    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self.text = text

    def get_code(self, fullname: str) -> Any:
        return compile(self.text, self.get_filename(fullname), "exec")


class _Instead(importlib.abc.MetaPathFinder):
    """Finds one module with another text."""

    def __init__(self, module: str, path: Path, text: str) -> None:
        self.module, self.path, self.text = module, path, text

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.module:
            return None
        return importlib.util.spec_from_file_location(fullname, self.path, loader=_Loader(fullname, str(self.path), self.text))


def replace(source: Path, file: str, text: str) -> None:
    """Let ``file`` below ``source`` be imported with ``text`` in this process."""
    module = file.removesuffix(".py").replace("/", ".")
    sys.meta_path.insert(0, _Instead(module, source / file, text))


class Recorder:
    """A pytest plugin: which functions of which files each test called, and how long it took."""

    def __init__(self, source: Path, out: Path) -> None:
        self.source, self.out = str(source), out
        self.called: set[tuple[str, int]] = set()
        self.tests: dict[str, dict[str, Any]] = {}

    def _trace(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if code.co_filename.startswith(self.source):
            self.called.add((code.co_filename, code.co_firstlineno))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        """Record a test with its fixtures."""
        self.called.clear()
        start = time.process_time()
        threading.settrace(self._trace)
        sys.settrace(self._trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)
            functions = defaultdict(list)
            for name, line in sorted(self.called):
                functions[Path(name).relative_to(self.source).as_posix()].append(line)
            self.tests[item.nodeid] = {"seconds": time.process_time() - start, "functions": functions}

    def pytest_sessionfinish(self) -> None:
        """Write what was recorded."""
        self.out.write_text(json.dumps(self.tests), "utf-8")


def record(source: Path, tests: Sequence[str], folder: Path) -> int:
    """Run tests, write ``folder``/tests.json, and return pytest's exit status."""
    return _pytest(tests, folder, Recorder(source, folder / "tests.json"))


def run_changed(source: Path, file: str, text: str, tests: Sequence[str], folder: Path) -> int:
    """Run tests with another text for a file, up to the first that fails, and return pytest's exit status. Only in a child."""
    replace(source, file, text)
    return _pytest(["-x", *tests], folder)


def _pytest(arguments: Sequence[str], folder: Path, *plugins: object) -> int:
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    common = ["-q", "-p", "no:cacheprovider", f"--basetemp={folder / 'tmp'}"]
    return int(pytest.main([*common, *arguments], plugins=[*plugins]))


class Child:
    """A forked process that does some work with its output in a file, and its result as exit status."""

    def __init__(self, work: Work, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder, self._latest = folder, time.monotonic() + WAIT_SECONDS
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _live(work, folder)

    def poll(self) -> int | None:
        """The exit status once it has ended, or else None; one that waits for ever is ended with all that it started."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            if time.monotonic() > self._latest:
                self.end()
            return None
        self.end()  # whatever it has left behind
        return os.waitstatus_to_exitcode(status)

    def end(self) -> None:
        """End it and all that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def _live(work: Work, folder: Path) -> None:
    """A child's life; it never returns."""
    status = 99
    try:
        os.setsid()
        descriptor = os.open(folder / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
        resource.setrlimit(resource.RLIMIT_DATA, (DATA_BYTES, DATA_BYTES))
        status = work(folder)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

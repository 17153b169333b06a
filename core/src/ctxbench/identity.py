"""The identity of a component. Two components with equal identities give equal results; a stored trial is reused only then.

Beside name, distribution and options these count: the release of the distribution and of the component (for an editable installation, whose
version says nothing about its code, a hash of its sources as well), the content of every file that an option names, and the component's own
fingerprint of its data.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import inspect
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from ctxbench.errors import ConfigError
from ctxbench.interfaces import Component
from ctxbench.plugin import Origin
from ctxbench.seeds import stable_hash

_SOURCES = frozenset({".py", ".txt", ".json", ".yaml", ".yml", ".toml", ".sql", ".csv"})
_LARGEST_SOURCE = 4_000_000
"""Bytes of the largest file that counts as source; weights and other large data have fingerprints of their own."""

IN_PROCESS = "in this process"
"""The distribution of components that a caller hands to :func:`ctxbench.run` and no installed plugin offers."""


@attrs.frozen
class Identity:
    """The parts of a component's identity.

    Attributes:
        config: options as stored: the component's own config, and whatever option it was given that its config leaves out. No secrets.
        version: of the distribution and, after a slash, of the component.
        fingerprint: of its data and of the files that its options name; empty if it has none.
        full: hash of all of it.
        unversioned: the same without ``version``: equal for two releases of one component with equal options and data.
    """

    config: dict[str, Any]
    version: str
    fingerprint: str
    full: str
    unversioned: str


def identify(
    kind: str,
    name: str,
    origin: Origin,
    component: Component,
    options: Mapping[str, Any],
    *extra: Any,
    secrets: frozenset[str] = frozenset(),
) -> Identity:
    """The identity of a component that was made with ``options``; ``extra`` is whatever else decides what it does.

    Raises:
        ConfigError: the config is not JSON, or a fingerprint is not text.
    """
    where = f"{kind} {name!r} of {origin.distribution}"
    neutral = component.neutral_options
    own = component.config
    if not isinstance(own, dict):
        raise ConfigError(f"{where}: its config must be a dict, got {type(own).__name__}")
    hidden = {key: value for key, value in options.items() if key not in own and key not in neutral}
    config = {key: value for key, value in {**own, **hidden}.items() if key not in secrets and key not in neutral}
    try:
        config = json.loads(json.dumps(config, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: its config is not JSON: {error}") from None
    if not isinstance(component.fingerprint, str):
        raise ConfigError(f"{where}: its fingerprint must be text, got {type(component.fingerprint).__name__}")
    files = dict(_named_files(config))
    fingerprint = stable_hash([component.fingerprint, files])[:32] if files else component.fingerprint
    version = f"{release(origin, component)}/{component.version}"
    same = [kind, name, origin.distribution, config, fingerprint, *extra]
    return Identity(config, version, fingerprint, stable_hash([*same, version]), stable_hash(same))


def _named_files(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(option, SHA-256 of the content) for each option whose value is the path of a file.

    A bare word is no path, so that a file that happens to be called like a preset changes nothing.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _named_files(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from _named_files(item, f"{path}[{i}]")
    elif isinstance(value, str) and 0 < len(value) < 4096 and "\0" not in value and (os.sep in value or "/" in value or "." in value):
        try:
            file = Path(value).expanduser()
            if file.is_file():
                stat = file.stat()
                yield path, _file_sha256(str(file.resolve()), stat.st_size, stat.st_mtime_ns)
        except (OSError, RuntimeError):  # a name too long, no permission, no home: no file that this component could read either
            return


@functools.lru_cache(maxsize=256)
def _file_sha256(path: str, size: int, changed: int) -> str:
    """Size and time of change are in the key, so that a rewritten file is read again."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def release(origin: Origin, component: Component) -> str:
    """The distribution's version, with a hash of the sources behind it where the version does not tell what code runs."""
    if origin.distribution == IN_PROCESS:
        try:
            source = inspect.getsource(type(component))
        except (OSError, TypeError):
            return origin.version
        return f"{origin.version}+{hashlib.sha256(source.encode('utf-8', 'replace')).hexdigest()[:8]}"
    if not is_editable(origin.distribution):
        return origin.version
    return f"{origin.version}+{sources_sha256(type(component).__module__.partition('.')[0])[:8]}"


@functools.cache
def is_editable(distribution: str) -> bool:
    """True if a distribution is installed in a way that runs its sources where they are edited (PEP 660)."""
    try:
        text = importlib.metadata.distribution(distribution).read_text("direct_url.json")
        return bool(text and json.loads(text).get("dir_info", {}).get("editable"))
    except (importlib.metadata.PackageNotFoundError, ValueError, OSError):
        return False


@functools.cache
def sources_sha256(package: str) -> str:
    """Hash of the names and contents of the source files of an imported top-level package or module."""
    module = sys.modules.get(package)
    file = getattr(module, "__file__", None)  # none: built in, or typed into an interpreter
    places = [Path(place) for place in getattr(module, "__path__", [])] or ([Path(file)] if file else [])
    digest = hashlib.sha256()
    for place in places:
        found = sorted(place.rglob("*")) if place.is_dir() else [place]
        for path in found:
            if path.suffix in _SOURCES and "__pycache__" not in path.parts and path.is_file() and path.stat().st_size <= _LARGEST_SOURCE:
                name = path.relative_to(place).as_posix() if place.is_dir() else path.name
                digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()

"""Options that nobody may see: they reach the component, and no store, log, message or trial id."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from ctxbench.config import ComponentConfig, ExperimentConfig
from ctxbench.errors import CtxbenchError
from ctxbench.options import SECRET
from ctxbench.plugin import ComponentRecord
from ctxbench.registry import Registry

HIDDEN = "***"
_LISTS = (("models", "model"), ("tasks", "task"), ("codecs", "codec"), ("augmentations", "augmenter"), ("metrics", "metric"))


def secret_options(record: ComponentRecord, made: object) -> frozenset[str]:
    """The options of a component that its record or its attrs class declares secret. ``made`` is the component or its factory."""
    cls = made if isinstance(made, type) else type(made)
    fields = attrs.fields(cls) if attrs.has(cls) else ()
    return frozenset(record.secrets) | {field.alias or field.name for field in fields if field.metadata.get(SECRET)}


@attrs.frozen
class Secrets:
    """The secret values of one experiment, and its config without them.

    Attributes:
        config: the experiment as plain values, each secret replaced by ``***``.
    """

    config: dict[str, Any]
    _values: frozenset[str] = attrs.field(repr=False)

    @classmethod
    def of(cls, config: ExperimentConfig, registry: Registry) -> Secrets:
        """Find the secrets of every component that the config names; what cannot be found or loaded is left for planning to report."""
        values: set[str] = set()
        plain = config.plain()
        for key, kind in _LISTS:
            for part, written in zip(getattr(config, key), plain[key], strict=True):
                _hide(registry, kind, part, written, values)
        _hide(registry, "executor", config.run.executor, plain["run"]["executor"], values)
        return cls(plain, frozenset(values))

    def redact(self, text: str) -> str:
        """``text`` with every secret value replaced."""
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(value, HIDDEN)
        return text

    def redact_all(self, value: Any) -> Any:
        """The same for every text within lists and mappings."""
        if not self._values:
            return value
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, Mapping):
            return {self.redact(key) if isinstance(key, str) else key: self.redact_all(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.redact_all(item) for item in value]
        return value

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """Errors of ours that pass through lose the secrets that they quote."""
        try:
            yield
        except CtxbenchError as error:
            if self._values and self.redact(str(error)) != str(error):
                raise type(error)(self.redact(str(error))) from None
            raise


def _hide(registry: Registry, kind: str, part: ComponentConfig, written: str | dict[str, Any], values: set[str]) -> None:
    if not isinstance(written, dict):
        return
    try:
        entry = registry.find(kind, part.name.partition(":")[0] if kind == "model" else part.name)
        names = secret_options(entry.record, entry.record.load())
    except Exception:
        return
    for name in names & written.keys():
        if written[name] is not None:
            text = str(written[name])
            if len(text) >= 4:  # a shorter one would turn messages into stars and hides nothing
                values.add(text)
            written[name] = HIDDEN

"""One base model in memory for everything that reads with it: alone, and with each of its LoRA adapters switched on in turn."""

from __future__ import annotations

import contextlib
import gc
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import torch

from ctxbench import ModelError
from ctxbench_transformers.weights import Placement, add_adapter, load_weights


@attrs.define(eq=False, weakref_slot=True)
class SharedBase:
    """A base model and the adapters that were put on it.

    Attributes:
        model: the base. Once it has an adapter its layers hold those of all of them, and :meth:`using` says which counts.
        generation: the checkpoint's own generation settings.
        broken: an adapter that does not fit was put on it, so that its answers mean nothing.
    """

    model: Any
    generation: Any
    broken: bool = False
    _adapted: Any = None
    _names: dict[tuple[Path, str], str] = attrs.field(factory=dict)
    _lock: Any = attrs.field(factory=threading.RLock)

    def adapter(self, folder: Path, fingerprint: str) -> str:
        """The name of an adapter on this base, loaded if it is not there yet.

        Raises:
            ModelError: it does not fit; the base cannot be used any more.
        """
        key = (folder, fingerprint)
        with self._lock:
            if key not in self._names:
                name = f"adapter-{len(self._names)}"
                try:
                    self._adapted = add_adapter(self._adapted or self.model, folder, name)
                except ModelError:
                    self.broken = True
                    raise
                self._names[key] = name
            return self._names[key]

    @contextlib.contextmanager
    def using(self, name: str | None) -> Iterator[None]:
        """The base with this adapter alone, or bare."""
        with self._lock:
            if name is not None:
                self._adapted.set_adapter(name, inference_mode=True)
                yield
            elif self._adapted is None:
                yield
            else:
                with self._adapted.disable_adapter():
                    yield


_bases: weakref.WeakValueDictionary[str, SharedBase] = weakref.WeakValueDictionary()
_loading = threading.RLock()


def shared_base(key: str | None, folder: Path, placement: Placement, *, trust_remote_code: bool) -> SharedBase:
    """The base under ``key``, loaded if nobody holds it; one of its own for ``None``. It lives as long as somebody holds it.

    Raises:
        ModelError: see :func:`~ctxbench_transformers.weights.load_weights`.
    """
    with _loading:
        found = _bases.get(key) if key is not None else None
        if found is None or found.broken:
            model = load_weights(folder, placement, trust_remote_code=trust_remote_code)
            found = SharedBase(model, model.generation_config)
            if key is not None:
                _bases[key] = found
        return found


def free_memory() -> None:
    """Give back what models that nobody holds any more have held: modules refer to each other in circles."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()

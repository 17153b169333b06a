"""Pages as a model's weights were trained to read them: options of codecs, filled in where a config leaves them open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from ctxbench.config import ComponentConfig
from ctxbench.errors import ConfigError
from ctxbench.seeds import canonical_json

if TYPE_CHECKING:
    from ctxbench.plan import Part, Reader


def check_layouts(layouts: object) -> None:
    """Refuse what is no mapping from codec names to options.

    Raises:
        ConfigError: it is something else.
    """
    good = isinstance(layouts, Mapping) and all(isinstance(k, str) and isinstance(v, Mapping) for k, v in layouts.items())
    if not good:
        raise ConfigError(f"the model's layouts must map codec names to options, got {layouts!r:.80}")


def completed(codecs: Sequence[ComponentConfig], readers: Iterable[Reader]) -> tuple[list[ComponentConfig], list[str]]:
    """The codecs, each without an option getting those that the readers were trained on, and a line for each that did or could not.

    Readers that were trained on other layouts of a codec cannot all have theirs, so that codec stays as it is.
    """
    readers = list(readers)
    found, notes = [], []
    for codec in codecs:
        trained = {} if codec.options else _trained(codec.name, readers)
        layouts = {canonical_json(layout): layout for layout in trained.values()}
        if len(layouts) == 1:
            [layout] = layouts.values()
            found.append(attrs.evolve(codec, options=dict(layout)))
            notes += [f"{codec.label}: {_shown(layout)}, as {next(iter(trained))} was trained on"] if layout else []
            continue
        found.append(codec)
        if layouts:
            said = "; ".join(f"{name}: {_shown(layout)}" for name, layout in trained.items())
            notes.append(f"{codec.label}: the models were trained on different layouts, so its defaults are used; give options ({said})")
    return found, notes


def strange(codecs: Iterable[Part], readers: Iterable[Reader]) -> list[str]:
    """A line for each reader and codec whose pages are not as the reader was trained on."""
    readers = list(readers)
    notes = []
    for codec in codecs:
        for name, layout in _trained(codec.name, readers).items():
            other = [key for key, value in layout.items() if codec.config.get(key) != value]
            if other:
                here, there = ({key: source.get(key) for key in other} for source in (codec.config, layout))
                said = f"{name} was trained on {_shown(there)}, and here it is {_shown(here)}"
                notes.append(f"{codec.label}: {said}; answers may mean nothing")
    return notes


def _trained(codec: str, readers: Iterable[Reader]) -> dict[str, Mapping[str, Any]]:
    """What each reader that was trained on a codec was trained on, by its name in a sentence."""
    return {reader.title: reader.model.layouts[codec] for reader in readers if codec in reader.model.layouts}


def _shown(options: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in options.items())

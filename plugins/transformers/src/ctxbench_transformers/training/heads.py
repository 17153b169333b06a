"""The heads of auxiliary losses, kept beside a result: a training that goes on from it begins with them instead of with random ones.

They lie in a folder of their own, where neither transformers, peft nor vLLM takes them for weights of the model.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import attrs
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from ctxbench import ModelError
from ctxbench_transformers.sources import file_sha256
from ctxbench_transformers.training.auxiliary import HEAD, AuxiliaryLoss
from ctxbench_transformers.training.config import TrainConfig

PLACE = Path("auxiliary", "heads.safetensors")
"""Within a result's folder."""

_Tensor = TypeVar("_Tensor", bound=torch.Tensor)

_MADE_BY = "losses"
_ANEW = "without this file heads begin anew"


@attrs.frozen
class Heads:
    """Heads that an earlier training left, of the losses that a config names.

    Attributes:
        file: where they are.
        taken: for the number of an entry of ``auxiliary``, that of the entry whose head it takes over.
    """

    file: Path
    taken: Mapping[int, int]

    @property
    def fingerprint(self) -> str:
        """Of the file: what begins with others becomes other weights."""
        return file_sha256(self.file)[:32]

    def load(self, parameters: Mapping[str, torch.nn.Parameter]) -> None:
        """Put them in the place of the random ones.

        Args:
            parameters: those that are trained, by name, the heads' as
                :meth:`~ctxbench_transformers.training.auxiliary.Parts.attach` names them.

        Raises:
            ModelError: one has another shape, so that model or loss cannot be what they were.
        """
        kept = load_file(self.file)
        for now, then in self.taken.items():
            own, theirs = _head(parameters, now), _head(kept, then)
            if own.keys() != theirs.keys():
                raise ModelError(f"{self.file}: the head of auxiliary[{now}] has {_said(theirs)}, and here it has {_said(own)}; {_ANEW}")
            for name, parameter in own.items():
                if theirs[name].shape != parameter.shape:
                    shapes = f"{tuple(theirs[name].shape)}, and here it has {tuple(parameter.shape)}"
                    raise ModelError(f"{self.file}: {name} of the head of auxiliary[{now}] has shape {shapes}; {_ANEW}")
                parameter.data.copy_(theirs[name])


def find(folder: Path, config: TrainConfig, losses: tuple[AuxiliaryLoss, ...]) -> Heads | None:
    """The heads beside a model or an adapter whose losses ``config`` has too, with the same options and in the same version.

    Of entries that are alike, the first takes the first's. ``None`` if there are none.

    Raises:
        ModelError: they cannot be read.
    """
    file = folder / PLACE
    if not file.is_file():
        return None
    try:
        with safe_open(str(file), framework="pt") as kept:
            made_by = json.loads(kept.metadata()[_MADE_BY])
            has = {i: made_by[i] for i in sorted({int(name.removeprefix(HEAD).partition(".")[0]) for name in kept.keys()})}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, LookupError, TypeError) as error:
        raise ModelError(f"{file}: broken ({type(error).__name__}: {error}); {_ANEW}") from None
    taken: dict[int, int] = {}
    for now, what in enumerate(_made_by(config, losses)):
        alike = [then for then, other in has.items() if other == what and then not in taken.values()]
        if alike:
            taken[now] = alike[0]
    return Heads(file, taken) if taken else None


def write(folder: Path, config: TrainConfig, losses: tuple[AuxiliaryLoss, ...], parameters: Mapping[str, torch.nn.Parameter]) -> None:
    """Keep the heads among the trained parameters beside a result; nothing where there are none."""
    heads = {name: p.detach().float().cpu().contiguous() for name, p in parameters.items() if name.startswith(HEAD)}
    if heads:
        (folder / PLACE).parent.mkdir(exist_ok=True)
        save_file(heads, folder / PLACE, metadata={_MADE_BY: json.dumps(_made_by(config, losses))})


def _head(tensors: Mapping[str, _Tensor], entry: int) -> dict[str, _Tensor]:
    """The weights of an entry's head, by their own names."""
    start = f"{HEAD}{entry}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def _said(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "no weights"


def _made_by(config: TrainConfig, losses: tuple[AuxiliaryLoss, ...]) -> list[list[object]]:
    """For each entry, what decides whether a head means the same."""
    pairs = zip(config.auxiliary, losses, strict=True)
    return [[entry.loss, loss.version, json.loads(json.dumps(entry.options))] for entry, loss in pairs]

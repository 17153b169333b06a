"""The training loop: batches by curriculum, Muon for matrices and AdamW for the rest, checkpoints that resume bit for bit."""

from __future__ import annotations

import csv
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from torch import nn

from tinytrain.attention_loss import Head, look_loss, word_rows
from tinytrain.batches import Example, collate
from tinytrain.curriculum import Track
from tinytrain.pages import Tiles, patches

FIELDS = ("step", "track", "length", "loss", "tile_loss", "top", "mean", "tokens", "seconds")


@attrs.frozen
class Settings:
    """How to train.

    Attributes:
        steps: optimiser steps in all.
        tokens: tokens in a batch, about.
        muon, adamw: peak learning rates. Muon's updates are scaled to AdamW's size, so the two are comparable.
        warmup: steps of linear warm-up. ``decay``: last share of the steps, over which both rates fall linearly to 2 %.
        tile_loss: weight of the loss of reading each tile's bytes straight from its visual token, which a helper head learns and which
            is thrown away after training: without it the vision part starts to learn only once the language part can use it.
        eyes: first steps that train nothing but the vision part of an adapter, at the tracks' longest lengths: it learns to tell the bits
            of codes, or to see in them what the base sees in the same text printed. They are several times faster than whole steps.
        look: weight of the loss by which an adapter's heads look at words on a page where the base's look at characters.
        seed: of the data and of the first weights.
        every: steps between checkpoints.
    """

    steps: int
    tokens: int = 3000
    muon: float = 3e-3
    adamw: float = 1e-3
    warmup: int = 50
    decay: float = 0.3
    tile_loss: float = 1.0
    eyes: int = 0
    look: float = 0.0
    seed: int = 0
    every: int = 300

    def rate(self, step: int) -> float:
        """Share of the peak rates at a step. The vision part's own steps rise and fall by themselves."""
        first, last = (0, self.eyes) if step < self.eyes else (self.eyes, self.steps)
        rising = min(1.0, (step - first + 1) / self.warmup)
        left = (last - step) / max(1.0, self.decay * (last - first))
        return rising * max(0.02, min(1.0, left))


def _optimizers(model: nn.Module, heads: nn.Module, settings: Settings) -> list[torch.optim.Optimizer]:
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    matrices = [p for name, p in trained if p.ndim == 2 and "embed" not in name]
    inside = {id(p) for p in matrices}
    rest = [p for _, p in trained if id(p) not in inside] + list(heads.parameters())
    return [
        torch.optim.Muon(matrices, lr=settings.muon, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=settings.adamw, betas=(0.9, 0.98), weight_decay=0.01, fused=True),
    ]


class Trainer:
    """A model in training. ``visual`` is its vision part, whose output is what the helper heads read; ``looking`` are heads of its base."""

    def __init__(
        self, model: Any, visual: nn.Module, tracks: list[Track], settings: Settings, hidden: int, looking: Sequence[Head] = ()
    ) -> None:
        self.model, self.tracks, self.settings, self.looking = model, tracks, settings, looking
        kinds = {t.source.slots for t in tracks if t.source.slots}
        self.heads = nn.ModuleDict({str(k): nn.Linear(hidden, k * 256) for k in sorted(kinds)})
        widths = {t.source.bits for t in tracks if t.source.bits}
        self.heads.update({f"bits-{width}": nn.Linear(hidden, width) for width in sorted(widths)})
        self.optimizers = _optimizers(model, self.heads, settings)
        self.random = random.Random(settings.seed)
        self.step, self.seconds = 0, 0.0
        self._seen: torch.Tensor | None = None
        self.visual = visual
        visual.register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._seen = output.pooler_output

    def run(self, checkpoint: Path, log: Path, tell: Callable[[str], None], until: int | None = None) -> None:
        """Train to the end, or to step ``until``; goes on from ``checkpoint`` if it is there."""
        if checkpoint.is_file():
            self.restore(checkpoint)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", newline="") as file:
            writer = csv.writer(file)
            if not file.tell():
                writer.writerow(FIELDS)
            while self.step < (until or self.settings.steps):
                row = self.advance(tell)
                writer.writerow([row[field] for field in FIELDS])
                if self.step % 25 == 0:
                    tell(" ".join(f"{t.name}@{t.top}:{t.mean:.2f}" for t in self.tracks) + f"  step {self.step} {self.seconds:.0f} s")
                if self.step % self.settings.every == 0 or self.step == self.settings.steps:
                    self.save(checkpoint)
                    file.flush()

    def advance(self, tell: Callable[[str], None]) -> dict[str, Any]:
        """One step; returns a row for the log."""
        start = time.perf_counter()
        eyes = self.step < self.settings.eyes
        tracks = [t for t in self.tracks if t.source.pages or not eyes]
        track = self.random.choices(tracks, [t.weight for t in tracks])[0]
        length = track.source.lengths[-1] if eyes else track.draw(self.random)
        examples = self._examples(track, length)
        for optimizer, peak in zip(self.optimizers, (self.settings.muon, self.settings.adamw), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = peak * self.settings.rate(self.step)
        loss, tile_loss = self._update(examples)
        self.step += 1
        self.seconds += time.perf_counter() - start
        if self.step > self.settings.eyes and track.learn(length, loss):
            tell(f"step {self.step}, {self.seconds:.0f} s: {track.name} climbs to {track.top}")
        tokens = sum(map(len, examples))
        values = (
            self.step,
            track.name,
            length,
            round(loss, 4),
            round(tile_loss, 4),
            track.top,
            round(track.mean, 4),
            tokens,
            round(self.seconds, 1),
        )
        return dict(zip(FIELDS, values, strict=True))

    def _examples(self, track: Track, length: int) -> list[Example]:
        examples, tokens = [], 0
        while tokens < self.settings.tokens:
            examples.append(track.source.make(self.random, length))
            tokens += len(examples[-1])
        return examples

    def _update(self, examples: list[Example]) -> tuple[float, float]:
        self._seen = None
        inputs = collate(examples)
        with torch.autocast("cpu", torch.bfloat16):
            if self.step < self.settings.eyes:
                loss = look = torch.zeros(())
                self.visual(inputs["pixel_values"], grid_thw=inputs["image_grid_thw"])
            else:
                loss, look = self._answer_loss(inputs, examples)
            tile_loss = self._tile_loss(inputs, examples)
        (loss + self.settings.tile_loss * tile_loss + self.settings.look * look).backward()
        torch.nn.utils.clip_grad_norm_([p for p in self.model.parameters() if p.grad is not None], 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        return loss.item(), tile_loss.item()

    def _answer_loss(self, inputs: dict[str, Any], examples: list[Example]) -> tuple[torch.Tensor, torch.Tensor]:
        """(loss of the answers' tokens, loss of looking elsewhere than where they stand)."""
        rows = word_rows(examples) if self.looking else []
        made = self.model(**inputs, output_attentions=len(rows) > 0)
        return made.loss, look_loss(made.attentions, rows, self.looking) if len(rows) else torch.zeros(())

    def _tile_loss(self, inputs: dict[str, Any], examples: list[Example]) -> torch.Tensor:
        """How far what the vision part made of the tiles is from what they show, by the most that is known of them."""
        every = [page for example in examples for page in example.pages]
        if not every or self._seen is None or not self.settings.tile_loss:
            return torch.zeros(())
        if every[0].bits is not None:
            bits = torch.from_numpy(np.concatenate([page.bits for page in every])).float()
            return nn.functional.binary_cross_entropy_with_logits(self.heads[f"bits-{bits.shape[1]}"](self._seen).float(), bits)
        if every[0].printed is not None and (self.step < self.settings.eyes or every[0].slots is None):
            return self._printed_loss(self._seen, inputs["image_grid_thw"], np.concatenate([page.printed for page in every]))
        if every[0].slots is not None:
            slots = torch.from_numpy(np.concatenate([page.slots for page in every]))
            logits = self.heads[str(slots.shape[1])](self._seen).reshape(-1, 256)
            return nn.functional.cross_entropy(logits.float(), slots.reshape(-1), ignore_index=-1)
        return torch.zeros(())

    def _printed_loss(self, seen: torch.Tensor, grid: torch.Tensor, printed: Tiles) -> torch.Tensor:
        """Squared distance of visual tokens to those that the base makes of the same text printed, over the latter's variance."""
        with torch.no_grad(), self.model.disable_adapter():
            wanted = self.visual(torch.from_numpy(patches(printed)), grid_thw=grid).pooler_output.float()
        return (seen.float() - wanted).square().mean() / wanted.var()

    def trainable(self) -> dict[str, torch.Tensor]:
        """The weights that training changes, by name."""
        wanted = {name for name, p in self.model.named_parameters() if p.requires_grad}
        return {name: value for name, value in self.model.state_dict().items() if name in wanted}

    def save(self, path: Path) -> None:
        """Write a checkpoint; a kill leaves the last whole one."""
        state = {
            "model": self.trainable(),
            "heads": self.heads.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "tracks": {t.name: t.state() for t in self.tracks},
            "random": self.random.getstate(),
            "step": self.step,
            "seconds": self.seconds,
        }
        partial = path.with_suffix(".partial")
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, partial)
        partial.replace(path)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint of the same stage."""
        state = torch.load(path, weights_only=True)
        self.start_from(state)
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        version, internal, gauss = state["random"]
        self.random.setstate((version, tuple(internal), gauss))
        self.step, self.seconds = state["step"], state["seconds"]

    def start_from(self, state: dict[str, Any]) -> None:
        """Take weights and places in the curriculum from a checkpoint, this stage's or another's."""
        self.model.load_state_dict(state["model"], strict=False)
        self.heads.load_state_dict({k: v for k, v in state["heads"].items() if k in self.heads.state_dict()}, strict=False)
        for track in self.tracks:
            if track.name in state["tracks"]:
                track.restore(state["tracks"][track.name])

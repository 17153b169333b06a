"""Greedy generation on fresh examples: how many answers are exactly right, by track and length."""

from __future__ import annotations

import random
from typing import Any

import torch

from tinytrain.batches import Example, _pixels
from tinytrain.curriculum import Track
from tinytrain.model import END, IMAGE, PAD

FRESH = 1 << 60
"""Added to evaluation seeds: no training stage draws from a generator seeded like this."""


def _prompts(examples: list[Example]) -> dict[str, Any]:
    rows = [e.prompt_ids() for e in examples]
    longest = max(map(len, rows))
    ids = torch.tensor([[PAD] * (longest - len(row)) + row for row in rows])
    return {"input_ids": ids, "attention_mask": (ids != PAD).long(), "mm_token_type_ids": (ids == IMAGE).int(), **_pixels(examples)}


@torch.inference_mode()
def generate(model: Any, examples: list[Example]) -> list[bytes]:
    """Greedy answers, up to the end of the turn or 16 bytes more than the true answer's length."""
    inputs = _prompts(examples)
    limit = max(len(e.answer_ids()) for e in examples) + 16
    with torch.autocast("cpu", torch.bfloat16):
        out = model.generate(**inputs, max_new_tokens=limit, do_sample=False, eos_token_id=END, pad_token_id=PAD)
    rows = out[:, inputs["input_ids"].shape[1] :].tolist()
    return [bytes(i for i in row[: row.index(END) if END in row else None] if i < 256) for row in rows]


def exact_share(model: Any, track: Track, length: int, samples: int, batch: int = 32, seed: int = 0) -> float:
    """Share of fresh examples of a length whose answer comes out byte for byte."""
    model.eval()
    r = random.Random(FRESH + seed)
    right = 0
    for start in range(0, samples, batch):
        examples = [track.source.make(r, length) for _ in range(min(batch, samples - start))]
        right += sum(said == e.answer.encode() for said, e in zip(generate(model, examples), examples, strict=True))
    model.train()
    return right / samples


def measure(model: Any, tracks: list[Track], samples: int, shortest: int = 0) -> list[dict[str, Any]]:
    """Exact share of every track at each of its lengths from ``shortest`` on."""
    return [
        {"track": track.name, "length": length, "samples": samples, "exact": exact_share(model, track, length, samples)}
        for track in tracks
        for length in track.source.lengths
        if length >= shortest
    ]

"""Chat examples as tensors: pages, prompt, answer; loss on the answer alone."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import torch

from ctxbench_tiny.words import to_ids
from tinytrain.model import END, IMAGE, PAD, START, VISION_END, VISION_START
from tinytrain.pages import Page, patches

USER = [START, *b"user\n"]
TURN = [END, *b"\n", START, *b"assistant\n"]


@attrs.frozen
class Example:
    """One question and its answer, asked as the engine asks it: the pages, then one text.

    Attributes:
        codes: the answer is to be in these words.
        given: first tokens of the answer that need not be learned.
        places: which of its page's codes each of these is, if that is known.
    """

    text: str
    answer: str
    pages: tuple[Page, ...] = ()
    codes: tuple[int, ...] | None = None
    given: int = 0
    places: tuple[int, ...] = ()

    def prompt_ids(self) -> list[int]:
        """Token ids of the user's turn and of the opening of the answer, as the chat template writes them."""
        vision = [i for page in self.pages for i in (VISION_START, *[IMAGE] * len(page.tiles), VISION_END)]
        return [*USER, *vision, *self.text.encode(), *TURN]

    def answer_ids(self) -> list[int]:
        """Token ids of the answer and the end of its turn."""
        if self.codes is not None:
            return [*to_ids(self.codes), END]
        return [*self.answer.encode(), END]

    def __len__(self) -> int:
        return len(self.prompt_ids()) + len(self.answer_ids())


def _pixels(examples: list[Example]) -> dict[str, Any]:
    pages = [page for e in examples for page in e.pages]
    if not pages:
        return {}
    grid = [[1, 2 * (len(page.tiles) // page.width), 2 * page.width] for page in pages]
    return {"pixel_values": torch.from_numpy(patches(np.concatenate([page.tiles for page in pages]))), "image_grid_thw": torch.tensor(grid)}


def collate(examples: list[Example]) -> dict[str, Any]:
    """Inputs for training, padded on the right: ``labels`` is -100 but in answers."""
    asked = [e.prompt_ids() for e in examples]
    said = [e.answer_ids() for e in examples]
    longest = max(len(a) + len(b) for a, b in zip(asked, said, strict=True))
    ids = torch.full((len(examples), longest), PAD)
    labels = torch.full((len(examples), longest), -100)
    for i, (prompt, answer) in enumerate(zip(asked, said, strict=True)):
        end = len(prompt) + len(answer)
        ids[i, :end] = torch.tensor(prompt + answer)
        labels[i, len(prompt) : end] = torch.tensor(answer)
        labels[i, len(prompt) : len(prompt) + examples[i].given] = -100
    return {
        "input_ids": ids,
        "labels": labels,
        "attention_mask": (ids != PAD).long(),
        "mm_token_type_ids": (ids == IMAGE).int(),
        **_pixels(examples),
    }


def first_tile(example: Example) -> int:
    """Position of the first visual token in the sequence."""
    return example.prompt_ids().index(IMAGE)

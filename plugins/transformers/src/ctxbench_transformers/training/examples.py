"""Turns records into what a training step takes: inputs, and labels on the answer's tokens alone."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import torch
from torch.nn.functional import pad

from ctxbench import CtxbenchError
from ctxbench_transformers.batching import collate
from ctxbench_transformers.data import Example
from ctxbench_transformers.encoding import Encoded, Encoder, Message, conversation, message

IGNORED = -100
"""Label of a token that is not the model's to say; cross entropy leaves it out."""


class ExampleError(CtxbenchError):
    """An example cannot be trained on."""


@attrs.frozen(eq=False)
class Labelled:
    """A conversation with its answers. ``labels``: shape (tokens,); the token itself where the assistant says it, else -100."""

    encoded: Encoded
    labels: torch.Tensor


def label(encoder: Encoder, example: Example) -> Labelled:
    """An example as evaluation would put it, followed by the answer and the end of the turn."""
    return label_turns(encoder, [*conversation(example.prompt), message("assistant", example.answer)])


def label_turns(encoder: Encoder, messages: Sequence[Message]) -> Labelled:
    """A conversation that ends with the assistant; every answer in it is labelled.

    An answer's tokens are those that follow the very tokens of its prompt: training sees the boundary exactly as generation will.

    Raises:
        ExampleError: the last turn is not the assistant's, or the chat template changes earlier turns as the conversation grows.
    """
    turns = [i for i, turn in enumerate(messages) if turn["role"] == "assistant"]
    if not turns or turns[-1] != len(messages) - 1:
        raise ExampleError("a training conversation must end with the assistant's turn")
    spans: list[tuple[int, list[int]]] = []
    for i in turns:
        prompt = encoder.encode(messages[:i])
        spans.append((len(prompt), encoder.answer_ids(messages[i]["content"][0]["text"])))
    whole = prompt.extended(spans[-1][1])
    labels = torch.full_like(whole.ids, IGNORED)
    for start, answer in spans:
        said = whole.ids[start : start + len(answer)]
        if said.tolist() != answer:
            raise ExampleError("the chat template writes an earlier answer differently later on; train on single turns")
        labels[start : start + len(answer)] = said
    return Labelled(whole, labels)


def collate_labelled(batch: Sequence[Labelled], pad_id: int) -> dict[str, torch.Tensor]:
    """One batch, padded on the right: the model's inputs, and ``labels`` of shape (batch, tokens)."""
    inputs = collate([item.encoded for item in batch], pad_id, "right")
    longest = inputs["input_ids"].shape[1]
    inputs["labels"] = torch.stack([pad(item.labels, (0, longest - item.labels.numel()), value=IGNORED) for item in batch])
    return inputs

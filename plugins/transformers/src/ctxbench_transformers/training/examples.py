"""Turns records into what a training step takes: inputs, and labels on the answer's tokens alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import torch
from torch.nn.functional import pad

from ctxbench import CtxbenchError
from ctxbench_transformers.batching import collate
from ctxbench_transformers.data import Example
from ctxbench_transformers.encoding import Encoded, Encoder, Message, conversation, message
from ctxbench_transformers.training.auxiliary import Parts, Targets, Written

IGNORED = -100
"""Label of a token that is not the model's to say; cross entropy leaves it out."""


class ExampleError(CtxbenchError):
    """An example cannot be trained on."""


@attrs.frozen(eq=False)
class Labelled:
    """A conversation with its answers.

    Attributes:
        labels: shape (tokens,); the token itself where the assistant says it, else -100.
        targets: what each auxiliary loss compares with.
    """

    encoded: Encoded
    labels: torch.Tensor
    targets: tuple[Targets | None, ...] = ()


@attrs.frozen(eq=False)
class Batch:
    """What one forward pass takes.

    Attributes:
        inputs: the model's inputs, padded on the right, and ``labels`` of shape (batch, tokens).
        targets: for each auxiliary loss, the row and what to compare with, of the records of which it has something to say.
    """

    inputs: dict[str, torch.Tensor]
    targets: tuple[tuple[tuple[int, Targets], ...], ...] = ()

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """The same in memory from which copies to a GPU are fast; PyTorch's DataLoader asks for it by this name."""
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
        inputs = {key: change(value) for key, value in self.inputs.items()}
        return Batch(inputs, tuple(tuple((row, {k: change(v) for k, v in own.items()}) for row, own in some) for some in self.targets))


def label(encoder: Encoder, example: Example, parts: Parts | None = None) -> Labelled:
    """An example as evaluation would put it, followed by the answer and the end of the turn; and what auxiliary losses compare with."""
    parts = parts or Parts()
    if parts.writer is None:
        made = label_turns(encoder, [*conversation(example.prompt), message("assistant", example.answer)])
    else:
        made = label_written(encoder, example, parts.writer.write(example, encoder))
    if not parts.losses:
        return made
    return attrs.evolve(made, targets=tuple(loss.targets(example, made.encoded, made.labels) for loss in parts.losses))


def label_written(encoder: Encoder, example: Example, written: Written) -> Labelled:
    """An example as evaluation would put it, followed by the answer in given tokens.

    Raises:
        ExampleError: the answer has no tokens, or it is not said of each of them whether it is learned.
    """
    learned = written.learned or (True,) * len(written.ids)
    if not written.ids or len(learned) != len(written.ids):
        raise ExampleError(f"{example.id}: an answer of {len(written.ids)} tokens, of which {len(learned)} are said to be learned or not")
    prompt = encoder.encode_prompt(example.prompt)
    whole = prompt.extended(written.ids)
    labels = torch.full_like(whole.ids, IGNORED)
    labels[len(prompt) :] = torch.where(torch.tensor(learned), whole.ids[len(prompt) :], IGNORED)
    return Labelled(whole, labels)


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


def make_batch(items: Sequence[Labelled], pad_id: int) -> Batch:
    """The batch of a forward pass."""
    kinds = len(items[0].targets)
    found = [tuple((row, own) for row, item in enumerate(items) if (own := item.targets[i]) is not None) for i in range(kinds)]
    return Batch(collate_labelled(items, pad_id), tuple(found))

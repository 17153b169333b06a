"""Losses that show the model what to see and where to look; see docs/training.md, "Losses and tokens of your own"."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs
import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, softplus

from ctxbench.options import Integer, option
from ctxbench_tiny.words import CODEC
from ctxbench_transformers.data import Example
from ctxbench_transformers.encoding import Encoded
from ctxbench_transformers.training.auxiliary import AuxiliaryLoss, Targets
from ctxbench_transformers.training.examples import IGNORED
from ctxbench_transformers.training.loss import answer_columns
from ctxbench_transformers.training.page_cells import features, vision_part
from tinytrain import places
from tinytrain.model import END
from tinytrain.words import WORD_BITS, directions, encode, written

LINE_END = ord("\n")


@attrs.define(eq=False)
class Look(AuxiliaryLoss):
    """Minus the logarithm (nats) of the attention that some heads give to what the answer says next, on text, print and codes alike.

    A model that is left to itself learns late to find its place in a context, and first counts places. The attention is worked out anew
    for the heads and positions that are asked for, so any attention implementation will do. For Qwen2-VL's language model.

    Attributes:
        heads: (layer, head) of each, from 0.
        words: codes on a square of a page of codes.
        most: tokens of an answer that are asked about; of longer answers, every second, every third.
    """

    version: ClassVar[int] = 2

    heads: Sequence[Sequence[int]] = ((2, 0), (2, 1), (3, 0), (3, 1))
    words: int = option(Integer(1), 4)
    most: int = option(Integer(1), 256)
    _layers: dict[int, Any] = attrs.field(factory=dict, init=False)
    _seen: dict[int, tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]] = attrs.field(factory=dict, init=False)

    def attach(self, model: Any) -> None:
        """See what goes into the layers."""
        found = [module for name, module in model.named_modules() if name.endswith("self_attn")]
        for layer in sorted({layer for layer, _ in self.heads}):
            self._layers[layer] = found[layer]
            found[layer].register_forward_pre_hook(self._keeper(layer), with_kwargs=True)

    def _keeper(self, layer: int) -> Any:
        def keep(module: nn.Module, inputs: Any, named: dict[str, Any]) -> None:
            self._seen[layer] = (named["hidden_states"] if "hidden_states" in named else inputs[0], named["position_embeddings"])

        return keep

    def targets(self, example: Example, encoded: Encoded, labels: torch.Tensor) -> Targets | None:
        """Pairs of positions, shape (terms, 2): from which a token of the answer is written, and where it stands in the context."""
        said = (labels != IGNORED).nonzero().flatten()
        if not len(said):
            return None
        start = int(said[0]) - _given(example)
        found = places.answer_places(example, encoded, start, len(labels) - start, self.words)
        rows = np.stack([np.arange(start - 1, len(labels) - 1), found], 1)
        rows = rows[(found >= 0) & (labels.numpy()[start:] != IGNORED)]
        rows = rows[:: -(-len(rows) // self.most) or 1]
        return {"rows": torch.from_numpy(rows)} if len(rows) else None

    def terms(self, targets: Targets) -> int:
        """Tokens of the answer whose place is known."""
        return len(targets["rows"])

    def loss(self, batch: Mapping[str, torch.Tensor], targets: Sequence[tuple[int, Targets]]) -> torch.Tensor:
        """The sum over tokens of the mean over heads."""
        # What fills up shorter answers costs nothing: position 0, which can attend to itself alone.
        rows = nn.utils.rnn.pad_sequence([own["rows"] for _, own in targets], batch_first=True)
        who = torch.tensor([row for row, _ in targets], device=rows.device)
        asked, wanted = rows.unbind(-1)
        total = torch.zeros((), device=rows.device)
        for layer, module in self._layers.items():
            hidden, (cos, sin) = self._seen[layer]
            heads = [head for at, head in self.heads if at == layer]
            queries = self._heads(
                module, module.q_proj, hidden[who[:, None], asked], cos[who[:, None], asked], sin[who[:, None], asked], heads
            )
            keys = self._heads(module, module.k_proj, hidden[who], cos[who], sin[who], heads)
            scores = (queries @ keys.transpose(2, 3)).float() * module.scaling  # (examples, heads, tokens of answers, tokens)
            later = torch.arange(scores.shape[-1], device=rows.device) > asked[:, None, :, None]
            there = scores.gather(3, wanted[:, None, :, None].expand(*scores.shape[:3], 1))[..., 0]
            missed = scores.masked_fill(later, float("-inf")).logsumexp(-1) - there
            total = total + missed.sum()
        return total / len(self.heads)

    def _heads(self, module: Any, layer: Any, hidden: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, heads: list[int]) -> torch.Tensor:
        """Queries or keys of some heads with their positions in them, shape (examples, heads, tokens, size)."""
        turn = sys.modules[type(module).__module__].apply_rotary_pos_emb
        states = layer(hidden).unflatten(-1, (-1, module.head_dim))[:, :, heads].transpose(1, 2)
        turned: torch.Tensor = turn(states, states, cos, sin)[0]
        return turned


@attrs.define(eq=False)
class _Said(AuxiliaryLoss):
    """A loss on what the output layer is given and gives for some tokens of answers."""

    _seen: tuple[torch.Tensor, torch.Tensor] | None = attrs.field(default=None, init=False)

    def meant(self, labels: torch.Tensor) -> torch.Tensor:
        """Which labels it is about, shape of ``labels``."""
        raise NotImplementedError

    def attach(self, model: Any) -> None:
        """See the output layer."""
        model.get_output_embeddings().register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        self._seen = inputs[0], output

    def targets(self, example: Example, encoded: Encoded, labels: torch.Tensor) -> Targets | None:
        """How many tokens there are."""
        return {"tokens": self.meant(labels[1:]).sum()}

    def terms(self, targets: Targets) -> int:
        """Tokens of the answer that are meant."""
        return int(targets["tokens"])

    def said(
        self, batch: Mapping[str, torch.Tensor], targets: Sequence[tuple[int, Targets]]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """For each token that is meant: what the output layer is given, (tokens, hidden), its logits, and which token is right."""
        assert self._seen is not None
        _, wanted = answer_columns(batch["labels"])
        chosen = torch.zeros_like(wanted, dtype=torch.bool)
        chosen[[row for row, _ in targets]] = True
        chosen &= self.meant(wanted)
        at = chosen.nonzero(as_tuple=True)  # once: a GPU is waited for to count them
        hidden, logits = self._seen
        return hidden[at].float(), logits[at].float(), wanted[at]


@attrs.define(eq=False)
class Ends(_Said):
    """Cross entropy (nats) of the tokens at which an answer ends or might: the end of the turn, and line ends.

    In the loss of a long answer its end is one token of hundreds, and is learned last: texts are copied, and the question after them.
    """

    version: ClassVar[int] = 1

    def meant(self, labels: torch.Tensor) -> torch.Tensor:
        """Ends of turns and of lines."""
        return (labels == END) | (labels == LINE_END)

    def loss(self, batch: Mapping[str, torch.Tensor], targets: Sequence[tuple[int, Targets]]) -> torch.Tensor:
        """The sum over such tokens."""
        _, logits, right = self.said(batch, targets)
        return cross_entropy(logits, right, reduction="sum")


@attrs.define(eq=False)
class Apart(_Said):
    """Nats by which each token of an answer in bytes would cost more if the words were in the vocabulary, as they are in what ships.

    There are words for all codes, so the sum of their exponentials is a product, for each bit of the sum over its signs.
    """

    version: ClassVar[int] = 1

    def meant(self, labels: torch.Tensor) -> torch.Tensor:
        """All."""
        return labels != IGNORED

    def loss(self, batch: Mapping[str, torch.Tensor], targets: Sequence[tuple[int, Targets]]) -> torch.Tensor:
        """The sum over tokens."""
        hidden, logits, _ = self.said(batch, targets)
        shared, *bits = (hidden @ directions(hidden.shape[-1]).to(hidden.device, torch.float32).T).unbind(-1)
        words = shared + sum(torch.logaddexp(bit, -bit) for bit in bits)
        return softplus(words - logits.logsumexp(-1)).sum()


def _given(example: Example) -> int:
    return written(example).given if example.codec == CODEC else 0


@attrs.define(eq=False)
class _Seen(AuxiliaryLoss):
    """A loss by which a linear head on the visual tokens tells what stands on each of them."""

    vision_only: ClassVar[bool] = True

    _tokens: torch.Tensor | None = attrs.field(default=None, init=False)
    _head: nn.Linear | None = attrs.field(default=None, init=False)
    _image: int = attrs.field(default=-1, init=False)

    @property
    def outputs(self) -> int:
        """Values that the head gives for a visual token."""
        raise NotImplementedError

    def attach(self, model: Any) -> nn.Module:
        """The head."""
        vision_part(model, type(self).__name__).register_forward_hook(self._keep)
        self._head = nn.Linear(model.config.get_text_config().hidden_size, self.outputs)
        for parameter in self._head.parameters():  # so that a model which sees already is not led astray while the head is new
            nn.init.zeros_(parameter)
        self._image = model.config.image_token_id
        return self._head

    def _keep(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._tokens = features(output)

    def told(
        self, batch: Mapping[str, torch.Tensor], targets: Sequence[tuple[int, Targets]], key: str
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What the head says of the visual tokens of these records, and what is right."""
        assert self._tokens is not None
        assert self._head is not None
        rows = (batch["input_ids"] == self._image).nonzero()[:, 0]  # of each visual token
        meant = torch.isin(rows, torch.tensor([row for row, _ in targets], device=rows.device))
        return self._head(self._tokens[meant]).float(), torch.cat([own[key] for _, own in targets])


@attrs.define(eq=False)
class Printed(_Seen):
    """Cross entropy (nats a character) of the characters that stand on each visual token of a page of print."""

    version: ClassVar[int] = 1

    @property
    def outputs(self) -> int:
        """A byte at each place."""
        return places.GLYPHS * 256

    def targets(self, example: Example, encoded: Encoded, labels: torch.Tensor) -> Targets | None:
        """Bytes, shape (visual tokens, places); 0 where nothing is known."""
        if example.codec != "render" or not places.plain(example.sample.context):
            return None
        lines = places.lines(example.sample.context)
        cells = max(places.LEAST, len(lines)), places.COLUMNS + 1
        if not all(places.grid(encoded)) or places.known(example, cells) is None:
            return None
        shown = [line.ljust(cells[1]).encode() if len(line) < places.COLUMNS else line.encode() + b"\0" for line in lines]
        page = np.full(cells, ord(" "), np.uint8)
        page[: len(shown)] = np.frombuffer(b"".join(shown), np.uint8).reshape(-1, cells[1])
        rows, columns = places.cells_under(places.GLYPHS, cells, example, encoded)
        return {"bytes": torch.from_numpy(np.where(rows < 0, np.uint8(0), page[rows, columns]))}

    def terms(self, targets: Targets) -> int:
        """Characters that are known."""
        return int((targets["bytes"] > 0).sum())

    def loss(self, batch: Mapping[str, torch.Tensor], targets: Sequence[tuple[int, Targets]]) -> torch.Tensor:
        """The sum over characters."""
        told, right = self.told(batch, targets, "bytes")
        return cross_entropy(told.reshape(-1, 256), right.flatten().long(), ignore_index=0, reduction="sum")


@attrs.define(eq=False)
class WordBits(_Seen):
    """Cross entropy (nats a bit) of the bits of the codes on each square of a page of codes.

    Attributes:
        words: codes on a square.
    """

    version: ClassVar[int] = 1

    words: int = option(Integer(1), 4)

    @property
    def outputs(self) -> int:
        """The bits."""
        return self.words * WORD_BITS

    def targets(self, example: Example, encoded: Encoded, labels: torch.Tensor) -> Targets | None:
        """Bits, shape (visual tokens, bits), the largest of a code first; 2 where nothing is known, as of parity."""
        if example.codec != CODEC or not (rows := places.page_rows(example, self.words)):
            return None
        codes = np.array(encode(example.sample.context))
        bits = np.full((rows * places.SQUARES * self.words, WORD_BITS), 2, np.uint8)
        bits[: len(codes)] = codes[:, None] >> np.arange(WORD_BITS - 1, -1, -1) & 1
        bits = bits.reshape(rows * places.SQUARES, -1)
        at, column = places.cells_under(1, (rows, places.SQUARES), example, encoded)
        shown = np.where(at < 0, np.uint8(2), bits[at[:, 0] * places.SQUARES + column[:, 0]])
        return {"bits": torch.from_numpy(shown)}

    def terms(self, targets: Targets) -> int:
        """Bits that are known."""
        return int((targets["bits"] < 2).sum())

    def loss(self, batch: Mapping[str, torch.Tensor], targets: Sequence[tuple[int, Targets]]) -> torch.Tensor:
        """The sum over bits."""
        told, right = self.told(batch, targets, "bits")
        known = right < 2
        each = binary_cross_entropy_with_logits(told, right.clamp(max=1).float(), reduction="none")
        return (each * known).sum()

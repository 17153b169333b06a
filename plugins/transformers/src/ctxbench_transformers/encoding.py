"""Turns prompts into a model's inputs, and answers into the tokens that a model should say."""

from __future__ import annotations

import copy
import functools
import importlib.metadata
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import torch

from ctxbench import ModelError, Prompt, tokens

SEQUENCE_KEYS = ("input_ids", "mm_token_type_ids", "token_type_ids", "cross_attention_mask")
"""Inputs with a value, or a row of values, for each token; everything else a processor returns as a tensor belongs to the images."""
DENSITY_TEXTS = (
    "The committee met on the third floor and agreed, after some debate, to postpone the vote until the spring.",
    '{"id": 40417, "name": "Ada", "tags": ["alpha", "beta"], "ratio": 0.125, "active": true, "next": null}',
    "委员会在三楼开会，经过讨论，同意将表决推迟到春天举行。",
)
"""Short texts of three kinds, to compare a tokenizer with the reference tokenizer."""
_IGNORED_KEYS = ("attention_mask", "text_replacement_offsets", "labels")


@attrs.frozen(eq=False)
class Encoded:
    """One prompt as its model takes it, without padding and without a batch dimension for its tokens.

    Attributes:
        sequences: ``input_ids`` and what runs parallel to them; each of shape (tokens,), the mask for cross attention of shape
            (tokens, images, tiles).
        media: image tensors as the processor made them for this one prompt (``pixel_values``, ``image_grid_thw``, ...).
        visual: visual tokens of the prompt.
        page_tokens: visual tokens of each page, in order; empty if the processor does not tell them apart.
        beside: those of ``visual`` that are no positions of the sequence: states that the language model sees by cross attention.
        answer_type: ``token_type_ids`` of an answer: 1 where a model reads the prompt in both directions and the answer in one.
    """

    sequences: dict[str, torch.Tensor]
    media: dict[str, torch.Tensor]
    visual: int = 0
    page_tokens: tuple[int, ...] = ()
    beside: int = 0
    answer_type: int = 0

    @property
    def ids(self) -> torch.Tensor:
        """Token ids, shape (tokens,)."""
        return self.sequences["input_ids"]

    def __len__(self) -> int:
        return int(self.ids.numel())

    @property
    def company(self) -> tuple[int, ...]:
        """Prompts of one batch have this in common: the shape of a mask for cross attention, ``()`` for all that have none.

        Text in front of the first image sees, by cross attention, the padding that makes up for images which a neighbour has and this
        prompt has not.
        """
        mask = self.sequences.get("cross_attention_mask")
        return () if mask is None else tuple(mask.shape[1:])

    def extended(self, ids: Sequence[int]) -> Encoded:
        """The same with plain text tokens behind it, which see the images that the last one sees."""
        more = {
            "input_ids": torch.tensor(list(ids), dtype=torch.long),
            "token_type_ids": torch.full((len(ids),), self.answer_type, dtype=torch.long),
        }
        zeros = torch.zeros(len(ids), dtype=torch.long)
        if (mask := self.sequences.get("cross_attention_mask")) is not None:
            more["cross_attention_mask"] = mask[-1:].expand(len(ids), *mask.shape[1:])
        sequences = {key: torch.cat([value, more.get(key, zeros)]) for key, value in self.sequences.items()}
        return attrs.evolve(self, sequences=sequences)


Message = dict[str, Any]


def message(role: str, text: str, pages: Sequence[Any] = ()) -> Message:
    """One turn of a conversation: its images first, then its text."""
    return {"role": role, "content": [*({"type": "image", "image": page} for page in pages), {"type": "text", "text": text}]}


def conversation(prompt: Prompt) -> list[Message]:
    """The system message, if there is one, and one user turn with the pages in front of the text."""
    system = [message("system", prompt.system)] if prompt.system else []
    return [*system, message("user", prompt.text, prompt.pages)]


class Encoder:
    """A processor seen as a function from conversations to tokens.

    Words in a prompt that look like the model's control tokens (``<|im_end|>``, ``<image>``) are encoded as the text they are.

    ``options`` are further keyword arguments of the processor, for every prompt.
    """

    def __init__(self, processor: Any, options: Mapping[str, Any] | None = None) -> None:
        self.processor = processor
        self.options = dict(options or {})
        self.tokenizer = processor.tokenizer
        self.image_token_id = _placeholder(processor)
        self._image_token: str = self.tokenizer.convert_ids_to_tokens(self.image_token_id)
        self._answer_type = int(type(processor).__name__ == "PaliGemmaProcessor")
        self.cross_attended: int = getattr(processor, "cross_attended", 0)
        added = [token.content for token in self.tokenizer.added_tokens_decoder.values()]
        self._control_tokens = tuple(token for token in added if token.strip())
        self._wrapping: tuple[str, tuple[int, ...]] | None = None

    def copy(self) -> Encoder:
        """Another one with a processor of its own, for another thread."""
        return Encoder(copy.deepcopy(self.processor), self.options)

    def encode(self, messages: Sequence[Message]) -> Encoded:
        """A conversation up to the point where the assistant speaks next.

        Raises:
            ModelError: the processor cannot take it.
        """
        pages = [part["image"] for turn in messages for part in turn["content"] if part["type"] == "image"]
        out = self._apply(messages, sanitize=self._has_control_tokens(messages), images=bool(pages))
        sequences = {key: out[key][0] for key in SEQUENCE_KEYS if key in out}
        media = {k: v for k, v in out.items() if k not in (*SEQUENCE_KEYS, *_IGNORED_KEYS) and isinstance(v, torch.Tensor)}
        if self.cross_attended and pages:
            return self._cross(sequences, media)
        visual = int((sequences["input_ids"] == self.image_token_id).sum())
        return Encoded(sequences, media, visual, self._page_tokens(out, pages, visual), answer_type=self._answer_type)

    def _cross(self, sequences: dict[str, torch.Tensor], media: dict[str, torch.Tensor]) -> Encoded:
        """A prompt whose pages stand beside the sequence: each tile of an image is ``cross_attended`` states."""
        seen = int(sequences["cross_attention_mask"].any(dim=0).sum()) * self.cross_attended
        pages = tuple(int(tiles) * self.cross_attended for tiles in media["aspect_ratio_mask"][0].sum(dim=-1))
        return Encoded(sequences, media, seen, pages, beside=seen)

    def encode_prompt(self, prompt: Prompt) -> Encoded:
        """A prompt as evaluation and training put it to the model."""
        return self.encode(conversation(prompt))

    def unexpanded(self, prompt: Prompt, encoded: Encoded) -> list[int]:
        """The prompt's token ids with the template's own placeholder for each page, for a backend that puts in the visual tokens itself.

        ``encoded`` is the same prompt as :meth:`encode_prompt` made it.

        Raises:
            ModelError: the text spells control tokens, and the pages' tokens do not stand together, so that nobody knows where they began.
        """
        if not prompt.pages:
            return [int(i) for i in encoded.ids]
        messages = conversation(prompt)
        if not self._has_control_tokens(messages):
            text = self.processor.apply_chat_template(messages, add_generation_prompt=True)
            bos = self.tokenizer.bos_token
            whole = bos is None or not text.startswith(bos)
            ids: list[int] = self.tokenizer.encode(text, add_special_tokens=whole)
            return ids
        ids = [int(i) for i in encoded.ids]
        kept = [token for before, token in zip([None, *ids], ids, strict=False) if (before, token) != (self.image_token_id,) * 2]
        if kept.count(self.image_token_id) != len(prompt.pages):
            raise ModelError(f"{type(self.processor).__name__}: pages beside a text that spells control tokens cannot be told apart")
        return kept

    def _has_control_tokens(self, messages: Sequence[Message]) -> bool:
        texts = [part["text"] for turn in messages for part in turn["content"] if part["type"] == "text"]
        return any(token in text for text in texts for token in self._control_tokens)

    def _apply(self, messages: Sequence[Message], *, sanitize: bool, images: bool) -> Any:
        if sanitize and not can_sanitize():
            raise ModelError(
                "a text that spells control tokens of the model needs transformers 5.23 or later to be encoded as text, "
                f"here is {importlib.metadata.version('transformers')}"
            )
        # A batch of one: processors with nested images take nothing else.
        options: dict[str, Any] = {**self.options, "return_text_replacement_offsets": True} if images else {}
        if hasattr(self.processor, "multi_page"):  # GOT-OCR2's takes several pages of one prompt only if told to
            options["multi_page"] = True
        try:
            return self.processor.apply_chat_template(
                [list(messages)],
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                add_generation_prompt=True,
                processor_kwargs=options,
                **({"sanitize_control_tokens": True} if sanitize else {}),
            )
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            if sanitize:
                raise ModelError(f"{type(self.processor).__name__} cannot take a text with control tokens in it: {reason}") from error
            raise ModelError(f"{type(self.processor).__name__} cannot take this prompt: {type(error).__name__}: {reason}") from error

    def _page_tokens(self, out: Any, pages: Sequence[Any], visual: int) -> tuple[int, ...]:
        """Visual tokens of each page: those that the processor put in for it. Tiles' and rows' markers are other tokens and do not count.

        Where the processor does not tell, a prompt with that page alone does.
        """
        found = [each["replacement"] for each in (out.get("text_replacement_offsets") or [[]])[0] if each["type"] == "image"]
        if len(found) == len(pages):
            return tuple(text.count(self._image_token) for text in found)
        if len(pages) == 1:
            return (visual,)
        return tuple(self.encode([message("user", "?", [page])]).visual for page in pages)

    def answer_ids(self, answer: str) -> list[int]:
        """The tokens of an answer as the assistant says it, ending with the token that ends the turn."""
        before, end = self._wrap()
        return [*self._plain_ids(before + answer), *end]

    @functools.cached_property
    def density(self) -> float:
        """Tokens of this model's tokenizer for each reference token, at least 1: the largest ratio over prose, JSON and Chinese."""
        return max(1.0, *(len(self._plain_ids(text)) / tokens.count_text(text) for text in DENSITY_TEXTS))

    @property
    def end_of_turn(self) -> int:
        """The token with which the assistant ends its turn."""
        return self._wrap()[1][0]

    def _plain_ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return ids

    def _wrap(self) -> tuple[str, tuple[int, ...]]:
        """What the chat template puts before an answer, and the tokens it ends a turn with."""
        if self._wrapping is None:
            user, mark = message("user", "?"), "\u2603"
            prefix = self.processor.apply_chat_template([user], add_generation_prompt=True)
            whole = self.processor.apply_chat_template([user, message("assistant", mark)])
            before, _, after = whole.removeprefix(prefix).partition(mark) if whole.startswith(prefix) else ("", "", "")
            special = set(self.tokenizer.all_special_ids)
            ids = self.tokenizer.encode(after, add_special_tokens=False)
            end = next((i for i in ids if i in special), self.tokenizer.eos_token_id)  # of "<|im_end|>\n" only the first is the model's
            if end is None:
                raise ModelError(f"{type(self.tokenizer).__name__} has no token that ends a turn")
            self._wrapping = (before, (end,))
        return self._wrapping


def can_sanitize() -> bool:
    """Whether transformers can encode control tokens that a text spells as the characters that they are; it can from 5.23 on."""
    from transformers import ProcessorMixin

    return "sanitize_control_tokens" in inspect.signature(ProcessorMixin.apply_chat_template).parameters


def _placeholder(processor: Any) -> int:
    """The token that stands for one visual token. ``image_token_id`` names it, but for Gemma 3: there it is the mark before an image."""
    own, all_of_them = processor.image_token_id, [i for i in processor.image_token_ids if i is not None]
    return int(own if own in all_of_them or not all_of_them else all_of_them[0])

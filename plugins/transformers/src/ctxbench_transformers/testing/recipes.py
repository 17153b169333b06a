"""What small models of all architectures share: the tokenizer, the chat template, the language model's shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

HIDDEN = 64
"""Width of the language models; bitsandbytes quantises blocks of 64."""

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}IMAGE{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXT: dict[str, Any] = {
    "hidden_size": HIDDEN,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
    "bos_token_id": None,
}
VISION: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}


@attrs.frozen
class Parts:
    """What a folder is made of: a config, ``processor_config.json``, and the chat template (``None``: the folder has none)."""

    config: Any
    processor: dict[str, Any]
    template: str | None


@attrs.frozen
class Recipe:
    """How to make one architecture.

    Attributes:
        parts: config, processor and template for a tokenizer.
        special: special tokens beside those of every tokenizer.
        named: special tokens that the tokenizer knows by an attribute's name (``boi_token``, ...), as the real one does.
        bos: the token that begins a text, where the architecture needs one.
    """

    parts: Callable[[Any], Parts]
    special: Sequence[str] = ()
    named: Mapping[str, str] = attrs.field(factory=dict)
    bos: str | None = None

    def tokenizer(self) -> Any:
        """The tokenizer of this architecture."""
        return byte_tokenizer(
            [*self.special, *self.named.values(), *([self.bos] if self.bos else [])],
            merges=[("t", "h"), ("th", "e"), ("i", "n")],
            named=self.named,
            bos=self.bos,
        )


def byte_tokenizer(
    special: Sequence[str],
    merges: Sequence[tuple[str, str]] = (),
    *,
    named: Mapping[str, str] | None = None,
    bos: str | None = None,
) -> Any:
    """A tokenizer of 256 bytes, a few merges, and special tokens; ``<|im_end|>`` ends a turn, ``<|endoftext|>`` pads."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {symbol: i for i, symbol in enumerate([*alphabet, *(a + b for a, b in merges)])}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    names = dict.fromkeys(["<|endoftext|>", "<|im_start|>", "<|im_end|>", *special])
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    options: dict[str, Any] = {"bos_token": bos} if bos else {}
    if named:
        options["extra_special_tokens"] = dict(named)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", **options)


def ids(tokenizer: Any, **names: str) -> dict[str, int]:
    """Ids of tokens, by the names that a config gives them."""
    return {key: tokenizer.convert_tokens_to_ids(name) for key, name in names.items()}


def text_config(tokenizer: Any, model_type: str | None = None, **options: Any) -> dict[str, Any]:
    """A language model of two layers with this tokenizer's vocabulary."""
    kind = {"model_type": model_type} if model_type else {}
    own = {"vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    return {**kind, **TEXT, **own, "bos_token_id": tokenizer.bos_token_id, **options}


def chatml(image: str, *, bos: str = "") -> str:
    """The chat template that writes an image as ``image``."""
    return bos + CHATML.replace("IMAGE", image)

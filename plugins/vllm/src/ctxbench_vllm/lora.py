"""What a LoRA adapter holds, and whether vLLM would apply all of it: what it cannot place it leaves out without an error."""

from __future__ import annotations

import re
from pathlib import Path

import attrs

from ctxbench import ModelError
from ctxbench_transformers import sources

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as ``max_lora_rank`` (vllm.config.lora.MaxLoRARanks in 0.32)."""
MERGE = (
    "merge it into the weights instead (peft: PeftModel.from_pretrained(model, adapter).merge_and_unload().save_pretrained(folder), "
    "with the processor's files beside them) and name that folder"
)
_WEIGHT = re.compile(r"(?:base_model\.model\.)?(?P<module>.+?)\.lora_(?P<part>[AB])(?:\.\w+)?\.weight\Z")
_LANGUAGE = re.compile(r"(?:\A|\.)(?:language_model|text_model)\.|\A(?:model\.)*(?:layers|embed_tokens|norm|lm_head)(?:\.|\Z)")
_VISION = re.compile(r"(?:\A|\.)(?:vision\w*|visual\w*)\.")


@attrs.frozen
class Adapter:
    """A LoRA adapter's modules, by what they belong to.

    Attributes:
        language: modules of the language model.
        vision: every other one: the vision tower's, and what connects it to the language model.
        convolutions: those that are no linear layers, so that vLLM has no place for their weights.
        rank: the largest.
    """

    language: tuple[str, ...]
    vision: tuple[str, ...]
    convolutions: tuple[str, ...]
    rank: int

    @property
    def max_lora_rank(self) -> int:
        """The smallest that vLLM can be told and that has room for :attr:`rank`."""
        return next(rank for rank in RANKS if rank >= self.rank)


def is_language(module: str) -> bool:
    """Whether a module belongs to the language model. One whose name does not say so counts as the vision part's."""
    return bool(_LANGUAGE.search(module)) and not _VISION.search(module)


def contents(folder: Path, reference: str) -> Adapter:
    """What the weights of an adapter are put beside, told from their names and shapes.

    Raises:
        ModelError: the file cannot be read, or holds something else than LoRA weights.
    """
    from safetensors import safe_open

    modules: dict[str, int] = {}
    rank = 0
    try:
        with safe_open(folder / "adapter_model.safetensors", framework="np") as file:
            for key in file.keys():  # noqa: SIM118 (no mapping)
                found = _WEIGHT.match(key)
                if found is None:
                    raise ModelError(f"adapter {reference!r}: {key} is no LoRA weight, and vLLM takes nothing else; {MERGE}")
                shape = file.get_slice(key).get_shape()
                modules[found["module"]] = max(modules.get(found["module"], 0), len(shape))
                rank = max(rank, shape[0] if found["part"] == "A" else shape[1])
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"adapter {reference!r}: its weights cannot be read: {' '.join(str(error).split())[:300]}") from None
    language = tuple(name for name in sorted(modules) if is_language(name))
    vision = tuple(name for name in sorted(modules) if not is_language(name))
    return Adapter(language, vision, tuple(name for name in sorted(modules) if modules[name] > 2), rank)


def check(folder: Path, reference: str, *, tower: bool) -> Adapter:
    """An adapter that vLLM applies as it was trained; ``tower``: LoRA on the vision part is switched on.

    Raises:
        ModelError: vLLM would leave some of it out, or cannot take it. The message says what to do.
    """
    if not sources.can_switch(folder):
        raise ModelError(
            f"adapter {reference!r} is more than plain LoRA (biases, whole modules or the like), which vLLM does not take; {MERGE}"
        )
    adapter = contents(folder, reference)
    if adapter.vision and not tower:
        raise ModelError(
            f"adapter {reference!r} holds weights for {len(adapter.vision)} modules of the vision part ({adapter.vision[0]}, ...), which "
            f"vLLM leaves out without an error (vllm #23796); {MERGE}; or switch LoRA on the vision part on, which vLLM calls "
            "experimental, with the option tower_lora: true"
        )
    if adapter.convolutions:
        raise ModelError(
            f"adapter {reference!r} holds weights for {adapter.convolutions[0]}, which is no linear layer: vLLM leaves them out without an "
            f"error, with tower_lora too; {MERGE}"
        )
    if adapter.rank > RANKS[-1]:
        raise ModelError(f"adapter {reference!r} has rank {adapter.rank}, and vLLM takes {RANKS[-1]} at most; {MERGE}")
    return adapter

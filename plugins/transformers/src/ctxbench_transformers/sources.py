"""Where weights come from, a folder or the hub, and the fingerprint that names them."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from ctxbench import ModelError, stable_hash

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?\Z")
_FILES = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model"]
_DUPLICATES = ["consolidated*", "original/*", "onnx/*", "*/*"]
_ADAPTER_WEIGHTS = "adapter_model.safetensors"


def locate(reference: str, revision: str | None = None, *, what: str = "model", code: bool = False) -> Path:
    """The folder that holds ``reference``; a hub id is fetched into the hub's own cache first (``code``: its Python files too).

    Raises:
        ModelError: no such folder, not a hub id, or it cannot be fetched.
    """
    folder = Path(reference).expanduser()
    if folder.is_dir():
        return folder
    if not _HUB_ID.match(reference) or reference.startswith("."):
        raise ModelError(f"{what} {reference!r}: no such folder")
    from huggingface_hub import snapshot_download

    patterns = [*_FILES, *(["*.py"] if code else [])]
    try:
        return Path(snapshot_download(reference, revision=revision, allow_patterns=patterns, ignore_patterns=_DUPLICATES))
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"{what} {reference!r} is no folder here and cannot be fetched from the hub ({type(error).__name__}: {reason}); "
            f"check the name, or fetch it where there is a network (hf download {reference}) and give its folder"
        ) from None


def check_model(folder: Path, reference: str) -> Path:
    """``folder``, if it holds a config and safetensors weights.

    Raises:
        ModelError: it does not; the message names the missing file.
    """
    if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
        raise ModelError(f"model {reference!r}: {folder} holds an adapter, not a model; name it with --adapter")
    if not (folder / "config.json").is_file():
        raise ModelError(f"model {reference!r}: {folder} has no config.json")
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"model {reference!r}: {folder} has no *.safetensors; other weight formats can run code and are not read")
    return folder


def check_adapter(folder: Path, reference: str) -> Path:
    """``folder``, if it holds a PEFT adapter with safetensors weights.

    Raises:
        ModelError: it does not; the message names the missing file.
    """
    for name in ("adapter_config.json", _ADAPTER_WEIGHTS):
        if not (folder / name).is_file():
            raise ModelError(f"adapter {reference!r}: {folder} has no {name}")
    return folder


_ALTERING = (
    "modules_to_save",
    "layer_replication",
    "trainable_token_indices",
    "target_parameters",
    "alora_invocation_tokens",
    "arrow_config",
)
"""Options of LoRA that do more to a model than put a trained matrix beside a layer."""


def can_switch(adapter: Path) -> bool:
    """Whether an adapter is plain LoRA, which peft switches on and off beside others without a trace in the base.

    Raises:
        ModelError: adapter_config.json cannot be read.
    """
    try:
        config = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
        plain = config.get("peft_type") == "LORA" and config.get("bias", "none") == "none"
        return plain and not any(config.get(option) for option in _ALTERING)
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{adapter / 'adapter_config.json'}: {error}") from None


@functools.lru_cache(maxsize=256)
def _digest(path: str, size: int, changed: int) -> str:
    """SHA-256 of a file; size and time of change are in the key so that a rewritten file is read again."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file. In the hub's cache a weight file is a link to a blob whose name is that hash already."""
    real = path.resolve()
    if path.is_symlink() and re.fullmatch(r"[0-9a-f]{64}", real.name):
        return real.name
    stat = real.stat()
    return _digest(str(real), stat.st_size, stat.st_mtime_ns)


_QWEN = {"qwen2_vl": "qwen2-vl", "qwen2_5_vl": "qwen2.5-vl", "qwen3_vl": "qwen3-vl", "qwen3_vl_moe": "qwen3-vl"}
_QWEN |= {"qwen3_5": "qwen3-vl", "qwen3_5_moe": "qwen3-vl"}  # the same processor
BUDGETED = frozenset(_QWEN.values())
"""Families whose processors have a pixel budget."""
_BY_IMAGE_SIZE: dict[tuple[str, Any], str] = {
    ("idefics3", 364): "idefics3",
    ("idefics3", 512): "smolvlm",
    ("smolvlm", 512): "smolvlm",
    ("llava", 336): "llava-1.5",
    ("internvl", 448): "internvl2",
}
"""Families whose published rule holds for one size of the vision encoder's input, in pixels."""


def token_family(folder: Path) -> str | None:
    """The token counter whose rule a model's processor should follow, if its type and the size of its vision encoder have one.

    Raises:
        ModelError: config.json cannot be read.
    """
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        kind, size = str(config.get("model_type")), _side((config.get("vision_config") or {}).get("image_size"))
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{folder / 'config.json'}: {error}") from None
    return _QWEN.get(kind) or _BY_IMAGE_SIZE.get((kind, size))


def _side(size: Any) -> Any:
    """A square's side where a config gives a list of both; anything else that is no number has no published rule."""
    if isinstance(size, list) and len(set(map(str, size))) == 1:
        size = size[0]
    return size if isinstance(size, int) else None


def written_budget(folder: Path) -> tuple[int, int] | None:
    """(min_pixels, max_pixels) as a Qwen-VL model's files give them, without loading the processor; ``None`` if they do not say both.

    ``min_pixels`` and ``max_pixels`` go before ``size``, as in transformers' own image processor.
    """
    images: dict[str, Any] = {}
    for name in ("preprocessor_config.json", "processor_config.json"):
        try:
            found = json.loads((folder / name).read_text("utf-8"))
            images |= found.get("image_processor") or {} if name.startswith("processor") else found
        except (OSError, ValueError, AttributeError):
            continue
    size = images.get("size") or {}
    low = images.get("min_pixels") or size.get("shortest_edge")
    high = images.get("max_pixels") or size.get("longest_edge")
    return (low, high) if isinstance(low, int) and isinstance(high, int) else None


def model_fingerprint(folder: Path) -> str:
    """Hash of every file that decides what a model answers: weights, config, tokenizer, processor, chat template."""
    names = {"config.json", "processor_config.json", "preprocessor_config.json", "generation_config.json"}
    files = [p for p in folder.iterdir() if p.suffix in (".safetensors", ".jinja", ".py") or p.name in names or _tokenizer_file(p.name)]
    return fingerprint(files)


def _tokenizer_file(name: str) -> bool:
    return name.startswith(("tokenizer", "vocab", "merges", "special_tokens", "added_tokens", "chat_template"))


def adapter_fingerprint(folder: Path) -> str:
    """Hash of an adapter's config and weights."""
    return fingerprint([folder / "adapter_config.json", folder / _ADAPTER_WEIGHTS])


def fingerprint(files: list[Path]) -> str:
    """32 hexadecimal digits that depend on the names and the contents of ``files``, not on their folder."""
    return stable_hash(sorted((path.name, file_sha256(path)) for path in files if path.is_file()))[:32]

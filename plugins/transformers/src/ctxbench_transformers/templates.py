"""Chat templates: a user's own, and those of models that were published without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_PALIGEMMA = (
    "{% for m in messages %}{% for c in m['content'] %}{% if c['type'] == 'image' %}<image>{% endif %}{% endfor %}{% endfor %}"
    "{% for m in messages %}{% for c in m['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}"
    "{% if m['role'] == 'system' %}{{ '\\n' }}{% endif %}{% endif %}{% endfor %}{% endfor %}"
)
_GOT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% set seen = namespace(image=false) %}"
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}"
    "{% if not seen.image %}<img><imgpad></img>\n{% set seen.image = true %}{% endif %}"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PUBLISHED_WITHOUT = {"PaliGemmaProcessor": _PALIGEMMA, "GotOcr2Processor": _GOT}
"""Templates that write what these processors' own code and documentation expect: PaliGemma's takes the images first and adds the begin
token and the line feed itself; GOT-OCR2's writes the turns of its own queries and puts all pages behind one placeholder."""


def text_of(value: str | None) -> str | None:
    """A template: ``value`` itself if it is one, else what the file that it names holds.

    Raises:
        ValueError: it names no file that can be read.
    """
    if value is None or "{" in value:
        return value
    try:
        return Path(value).expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"chat_template: {value!r} is no Jinja template (it has no '{{') and no file that can be read: {error}") from None


def of_folder(folder: Path) -> str | None:
    """The template that a model's files hold, ``None`` if there is none; that of the processor goes before that of the tokenizer."""
    if (folder / "chat_template.jinja").is_file():
        return (folder / "chat_template.jinja").read_text("utf-8")
    for name in ("chat_template.json", "processor_config.json", "tokenizer_config.json"):
        try:
            found = json.loads((folder / name).read_text("utf-8")).get("chat_template")
        except (OSError, ValueError, AttributeError):
            continue
        if isinstance(found, str):
            return found
    return None


def give(processor: Any, own: str | None, where: Path) -> None:
    """See to it that a processor has a chat template: ``own``, else the one it came with, else one of :data:`PUBLISHED_WITHOUT`.

    Raises:
        ModelError: there is none.
    """
    from ctxbench import ModelError

    if own is not None:
        processor.chat_template = own
    elif processor.chat_template is None:
        processor.chat_template = processor.tokenizer.chat_template or PUBLISHED_WITHOUT.get(type(processor).__name__)
    if processor.chat_template is None:
        raise ModelError(
            f"{where} has no chat template (chat_template.jinja): instruction-tuned models have one; "
            "for another model give one with chat_template: FILE or the Jinja text itself"
        )

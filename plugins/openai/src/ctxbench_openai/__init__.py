"""ctxbench models behind a server: vLLM, SGLang, llama.cpp, ``transformers serve``, or a hosted one that speaks chat completions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ctxbench import ModelRecord, hookimpl

__version__ = "0.1.0"


@hookimpl
def ctxbench_models() -> Iterable[ModelRecord]:
    """The model ``openai``."""
    yield ModelRecord(
        "openai", "openai:<model>@<base url>: a model behind an OpenAI-compatible server.", "ctxbench_openai.model:ServedModel"
    )


@hookimpl
def ctxbench_commands(cli: Any) -> None:
    """The command ``batches``."""
    from ctxbench_openai.commands import add_commands

    add_commands(cli)

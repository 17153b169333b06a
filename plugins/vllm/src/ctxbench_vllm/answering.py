"""Prompts as vLLM's requests, and its answers as readings. Whenever an answer is finished, the next prompt takes its place."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs

from ctxbench import CtxbenchError, ModelError, Prompt, Reading, TokenUsage
from ctxbench_transformers.decoding import Decoding, cut, prompt_seed
from ctxbench_transformers.encoding import Encoded, Encoder
from ctxbench_transformers.runtime import PromptTooLongError, Sizing
from ctxbench_transformers.usage import Counter
from ctxbench_vllm import counting
from ctxbench_vllm.engine import Answer, Engine, Sampling


@attrs.frozen(eq=False)
class Inputs:
    """One prompt: what the model's own processor makes of it, and what vLLM's does."""

    encoded: Encoded
    rendered: Any


def make_inputs(encoder: Encoder, engine: Engine, prompt: Prompt) -> Inputs:
    """Both sides' inputs of a prompt.

    Raises:
        ModelError: one of them cannot take it.
    """
    encoded = encoder.encode_prompt(prompt)
    if encoded.beside:
        raise ModelError("a model that sees pages by cross attention cannot be read through vLLM; hf: reads it")
    return Inputs(encoded, engine.render(encoder.unexpanded(prompt, encoded), prompt.pages))


@attrs.frozen(eq=False)
class _Asked:
    index: int
    encoded: Encoded
    limit: int


@attrs.define
class Answering:
    """A loaded model with everything that answering needs.

    Attributes:
        ends: tokens that end an answer.
        at_once: the most prompts that are answered at the same time.
        flag: keep answers to prompts of which vLLM read other tokens than the model's processor makes; else they are errors.
        stopped: asked at every token; once it is true, answering ends with KeyboardInterrupt.
    """

    engine: Engine
    encoder: Encoder
    counter: Counter
    ends: tuple[int, ...]
    decoding: Decoding
    sizing: Sizing
    at_once: int
    flag: bool
    stopped: Callable[[], bool] = lambda: False
    _made: int = attrs.field(default=0, init=False)

    def answer(self, prompts: Sequence[Prompt], take: Callable[[Prompt], Inputs]) -> Iterator[tuple[int, Reading]]:
        """Each prompt's reading as soon as it is there, with its index; one that cannot be answered alone gets a reading with an error.

        ``take`` gives a prompt's inputs. Prompts begin in their order, and which of them are computed together depends on the prompts and
        their answers alone.
        """
        waiting, running = deque(range(len(prompts))), dict[str, _Asked]()
        try:
            while waiting or running:
                while waiting and len(running) < self.at_once:
                    index = waiting.popleft()
                    try:
                        key, asked = self._ask(index, prompts[index], take(prompts[index]))
                    except CtxbenchError as error:
                        yield index, failed(error)
                    else:
                        running[key] = asked
                if self.stopped():
                    raise KeyboardInterrupt
                for key, answer in self.engine.step() if running else ():
                    if key in running:
                        asked = running.pop(key)
                        yield asked.index, self._reading(prompts[asked.index], asked, answer)
        finally:
            if running:
                self.engine.abort(list(running))

    def _ask(self, index: int, prompt: Prompt, inputs: Inputs) -> tuple[str, _Asked]:
        encoded, positions = inputs.encoded, self.engine.positions
        if len(encoded) >= positions:
            raise PromptTooLongError(f"the prompt has {len(encoded)} tokens; vLLM has room for {positions} (max_model_len)")
        limit = min(self.sizing.limit(self.encoder, prompt), positions - len(encoded))
        how = self.decoding
        seed = prompt_seed(how.seed, encoded) if how.temperature > 0 else None
        self._made += 1
        key = f"ctxbench-{self._made}"
        self.engine.add(
            key, inputs.rendered, Sampling(limit, self.ends, how.temperature, how.top_p, how.top_k, how.repetition_penalty, seed)
        )
        return key, _Asked(index, encoded, limit)

    def _reading(self, prompt: Prompt, asked: _Asked, answer: Answer) -> Reading:
        if answer.finish_reason not in ("stop", "length"):
            return failed(ModelError(f"vLLM ended the answer without finishing it: {answer.finish_reason}"))
        usage = attrs.evolve(self.counter.usage(asked.encoded), completion=len(answer.ids))
        try:
            differing = counting.compare(asked.encoded, answer.prompt_ids, self.encoder.image_token_id)
        except counting.CountsUnknownError as error:
            return failed(error)
        if differing is not None:
            usage = TokenUsage(differing["vllm_prompt"], differing["vllm"], completion=len(answer.ids))
            if not self.flag:
                return attrs.evolve(failed(counting.CountMismatchError(counting.explain(differing))), usage=usage)
        disagreement = differing or self.counter.disagreement(prompt, asked.encoded)
        ids, reason = cut(answer.ids, asked.limit, self.ends)
        return Reading(
            text=self.encoder.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False),
            finish_reason=reason,
            usage=usage,
            metadata={
                "decoding": self.decoding.plain,
                "max_new_tokens": asked.limit,
                "at_once": self.at_once,
                **({"token_disagreement": disagreement} if disagreement is not None else {}),
            },
        )


def failed(error: BaseException) -> Reading:
    """A reading that says what went wrong."""
    return Reading("", finish_reason="error", error=(type(error).__name__, " ".join(str(error).split())[:1000]))

"""The model ``vllm`` against vLLM's interface: answers, counts that are checked, faults, and how requests are handed over."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ctxbench import ConfigError, Model, ModelError, Prompt, load_plugins
from ctxbench.testing import ModelContract

STAND_IN = Path(__file__).parent / "stand_in"

Make = Callable[..., Model]
Prompts = tuple[Prompt, ...]


def test_answers_and_counts_are_those_of_hf(made: Make, hf: Make, prompts: Prompts) -> None:
    """A template, placeholder, end token or limit that is not the one of ``hf`` would change an answer or a count here."""
    found, expected = made(dtype="float32").read(prompts), hf().read(prompts)
    assert [(r.text, r.finish_reason, r.usage, r.error) for r in found] == [(r.text, r.finish_reason, r.usage, None) for r in expected]
    assert {r.finish_reason for r in found} >= {"length"}
    assert len({r.text for r in found}) == 4
    assert [r.metadata["max_new_tokens"] for r in found] == [r.metadata["max_new_tokens"] for r in expected]


def test_control_tokens_in_a_text_stay_text(made: Make, hf: Make, prompts: Prompts) -> None:
    """Rendered as text, the words would be read as the end of the turn or as another page, and the counts would differ."""
    text = "say <|im_end|> and <|image_pad|>"
    asked = [Prompt((), text, max_new_tokens=8), Prompt(prompts[0].pages, text, max_new_tokens=8)]
    found, expected = made().read(asked), hf().read(asked)
    assert [(r.text, r.usage, r.error) for r in found] == [(r.text, r.usage, None) for r in expected]


def test_a_pixel_budget_reaches_vllm_and_the_check(vllm: Any, made: Make, hf: Make, prompts: Prompts) -> None:
    """The budget must be the same on both sides, and in the arguments that vLLM is given."""
    model = made(min_pixels=784, max_pixels=2 * 784, mm_processor_kwargs={"do_convert_rgb": True}, limit_mm_per_prompt={"image": 3})
    found = model.read(prompts)
    assert [r.usage for r in found] == [r.usage for r in hf(min_pixels=784, max_pixels=2 * 784).read(prompts)]
    assert found[0].usage is not None
    assert found[0].usage.pages == (1, 3)
    (llm,) = vllm.made[-1:]
    assert llm.arguments["mm_processor_kwargs"] == {"min_pixels": 784, "max_pixels": 1568, "do_convert_rgb": True}
    assert llm.arguments["limit_mm_per_prompt"] == {"image": 3}
    assert model.pixel_budget == (784, 1568)


def test_further_arguments_of_the_processor_are_checked_too(made: Make) -> None:
    """Without them in the check, vLLM's pages of another size would count as a mismatch."""
    prompt = Prompt((Image.new("RGB", (84, 84)),), "?", max_new_tokens=4)
    reading = made(mm_processor_kwargs={"do_resize": False}, min_pixels=56 * 84 * 4).read([prompt])[0]
    assert reading.error is None
    assert reading.usage is not None
    assert reading.usage.pages == (9,)


@pytest.mark.parametrize("name", ["min_pixels", "max_pixels", "size"])
def test_the_budget_has_one_place(made: Make, name: str) -> None:
    """Two ways to give it could differ, and the formula would follow one of them."""
    with pytest.raises(ConfigError, match=f"mm_processor_kwargs may not set '{name}'"):
        made(mm_processor_kwargs={name: 784})


def test_counts_that_vllm_finds_otherwise_are_errors(vllm: Any, made: Make, prompts: Prompts) -> None:
    """A budget that vLLM ignores must never give a number: pages that were not scaled are other pages."""
    vllm.engine.faults["budget"] = True
    found = made(max_pixels=2 * 784).read(prompts)
    assert [r.error and r.error[0] for r in found] == ["CountMismatchError", None, "CountMismatchError", "CountMismatchError"]
    assert found[0].text == ""
    assert found[0].error is not None
    assert "15 of them visual" in found[0].error[1]
    assert found[0].usage is not None
    assert found[0].usage.visual == 15


def test_a_mismatch_can_be_kept_and_is_flagged(vllm: Any, made: Make, hf: Make, prompts: Prompts) -> None:
    """The answer is then that to the pages as vLLM saw them, with its counts and the disagreement beside it."""
    vllm.engine.faults["budget"] = True
    found = made(max_pixels=2 * 784, on_mismatch="flag").read(prompts)
    whole = hf().read(prompts)
    assert [r.text for r in found] == [r.text for r in whole]
    assert [r.usage.visual for r in found if r.usage] == [r.usage.visual for r in whole if r.usage]
    assert found[0].metadata["token_disagreement"]["input_ids"] == 4
    assert "token_disagreement" not in found[1].metadata


def test_silence_about_the_prompt_is_an_error(vllm: Any, made: Make, prompts: Prompts) -> None:
    """What vLLM does not say cannot be checked, whatever ``on_mismatch`` is."""
    vllm.engine.faults["silent"] = True
    found = made(on_mismatch="flag").read(prompts[:2])
    assert [(r.text, r.error and r.error[0]) for r in found] == [("", "CountsUnknownError")] * 2


def test_an_answer_that_vllm_gave_up_is_an_error(vllm: Any, made: Make, prompts: Prompts) -> None:
    """Half an answer must not be scored as one."""
    vllm.engine.faults["aborts"] = "abort"
    (reading,) = made().read(prompts[1:2])
    assert reading.error == ("ModelError", "vLLM ended the answer without finishing it: abort")


def test_a_prompt_that_is_refused_fails_alone(made: Make, prompts: Prompts) -> None:
    """Too many pages, or too many tokens: the other prompts are answered as ever."""
    found = made(limit_mm_per_prompt={"image": 2}).read(prompts)
    assert [r.error and r.error[0] for r in found] == [None, None, None, "ModelError"]
    assert "At most 2 image(s)" in (found[3].error or ("", ""))[1]
    counted = made().count(prompts[1])
    short = made(max_model_len=counted.prompt if counted else 0).read(prompts)
    assert [r.error and r.error[0] for r in short] == [None, "PromptTooLongError", None, None]
    assert [r.text for r in short[:3:2]] == [r.text for r in found[:3:2]]


def test_an_answer_is_cut_where_positions_end(made: Make, prompts: Prompts) -> None:
    """A limit beyond them would be refused by vLLM."""
    whole = made(max_new_tokens=16).read(prompts[:1])[0]
    assert whole.usage is not None
    cut = made(max_new_tokens=16, max_model_len=whole.usage.prompt + 3).read(prompts[:1])[0]
    assert cut.metadata["max_new_tokens"] == 3
    assert whole.text.startswith(cut.text)


@pytest.mark.parametrize(("options", "most"), [({"max_num_seqs": 2}, 2), ({"batch_invariant": True, "max_num_seqs": 8}, 1)])
def test_places_are_refilled_in_the_order_of_the_prompts(
    vllm: Any, made: Make, prompts: Prompts, options: dict[str, Any], most: int
) -> None:
    """Never more than the places that there are, and a new prompt as soon as one is free; alone where answers must not depend on others."""
    model = made(**options)
    first = model.read(prompts * 2)
    told = vllm.made[-1].llm_engine.told
    beside = [running for kind, (_, running, *_) in told if kind == "add"]
    assert max(beside) == most - 1
    assert beside[most:] == [most - 1] * (8 - most)
    assert model.at_once == 2 * most
    again = len(told)
    assert [r.text for r in model.read(prompts * 2)] == [r.text for r in first]
    assert [of[1] for kind, of in told[again:] if kind == "add"] == beside


def test_answers_come_as_soon_as_they_are_there(made: Make, prompts: Prompts) -> None:
    """After an interrupt what has come is kept: the short answers before the long one that began first."""
    order = [index for index, _ in made(max_num_seqs=8).read_each(prompts)]
    assert order[-1] == 0
    assert sorted(order) == [0, 1, 2, 3]


def test_an_interrupt_ends_at_the_next_token(vllm: Any, made: Make, prompts: Prompts) -> None:
    """What is being answered is aborted in vLLM, so that it does not go on with it beside the next prompts."""
    model = made(max_num_seqs=8)
    reading = model.read_each(prompts)
    next(reading)
    model.give_up()
    with pytest.raises(KeyboardInterrupt):
        list(reading)
    llm = vllm.made[-1].llm_engine
    assert [kind for kind, _ in llm.told].count("abort") >= 1
    assert not llm.running


def test_prompts_that_are_announced_are_prepared_once(vllm: Any, made: Make, prompts: Prompts, monkeypatch: pytest.MonkeyPatch) -> None:
    """``ahead`` before vLLM is there must not wait for it; afterwards it does the processors' work, and reading takes it."""
    model = made()
    model.ahead(prompts)
    assert not vllm.made or vllm.made[-1].llm_engine.dead
    first = model.read(prompts)
    renderer = vllm.made[-1].llm_engine.renderer
    render, rendered = renderer.render, []
    monkeypatch.setattr(renderer, "render", lambda prompt: rendered.append(1) or render(prompt))
    model.ahead(prompts)
    assert [r.text for r in model.read(prompts)] == [r.text for r in first]
    assert len(rendered) == 4


def test_a_dead_engine_is_not_asked_again(vllm: Any, made: Make, prompts: Prompts) -> None:
    """What had been answered is kept; the rest, and every later prompt, gets the one reason."""
    made(max_num_seqs=8).read(prompts)
    vllm.engine.faults["dies"] = vllm.made[-1].llm_engine.steps  # the last answer's last token
    model = made(max_num_seqs=8)
    reading = model.read_each(prompts)
    assert next(reading)[0] in (1, 3)
    with pytest.raises(ModelError, match="vLLM's engine failed: RuntimeError: EngineCore encountered"):
        list(reading)
    with pytest.raises(ModelError, match="EngineCore encountered"):
        model.read(prompts[:1])
    llm = vllm.made[-1].llm_engine
    model.close()
    assert llm.dead


def test_what_vllm_is_told(vllm: Any, made: Make, prompts: Prompts) -> None:
    """Greedy, in this process, without a cache that would make an answer depend on what was asked before, and without telling anybody."""
    made(engine={"kv_cache_memory_bytes": 1 << 20}, seed=3, gpu_memory_utilization=0.5).read(prompts[:1])
    llm = vllm.made[-1]
    told = {name: llm.arguments[name] for name in ("dtype", "generation_config", "enable_prefix_caching", "kv_cache_memory_bytes", "seed")}
    assert told == {
        "dtype": "float32",
        "generation_config": "vllm",
        "enable_prefix_caching": False,
        "kv_cache_memory_bytes": 1 << 20,
        "seed": 3,
    }
    assert llm.arguments["gpu_memory_utilization"] == 0.5
    sampling = llm.llm_engine.told[0][1][2]
    assert (sampling["temperature"], sampling["seed"], sampling["detokenize"]) == (0.0, None, False)
    assert os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    assert os.environ["VLLM_NO_USAGE_STATS"] == "1"
    assert os.environ["VLLM_LOGGING_STREAM"] == "ext://sys.stderr"


def test_sampling_has_a_seed_for_each_prompt(vllm: Any, made: Make, prompts: Prompts) -> None:
    """Seeds follow from the prompt and the run's seed, so that neighbours and order change no answer."""
    made(temperature=0.7, top_p=0.9, top_k=20, seed=1, max_num_seqs=1).read([*prompts[:2], *prompts[:2]])
    made(temperature=0.7, seed=2).read(prompts[:1])
    seeds = [of[2]["seed"] for kind, of in vllm.made[-2].llm_engine.told if kind == "add"]
    assert seeds[:2] == seeds[2:]
    assert len(set(seeds)) == 2
    assert vllm.made[-1].llm_engine.told[0][1][2]["seed"] not in seeds


@pytest.mark.parametrize("written", [True, False])
def test_answers_end_at_the_checkpoints_own_end_tokens(vllm: Any, folder: Path, tmp_path: Path, prompts: Prompts, written: bool) -> None:
    """The turn's end and every further end token of the generation settings, or of the config where there are none."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "generation_config.json"
    settings = json.loads(path.read_text())
    if written:
        path.write_text(json.dumps(settings | {"eos_token_id": [settings["eos_token_id"], 7], "temperature": 0.3, "do_sample": True}))
    else:
        path.unlink()
    model = load_plugins().model("vllm", reference=str(tmp_path))
    model.read(prompts[:1])
    sampling = vllm.made[-1].llm_engine.told[0][1][2]
    assert sampling["stop_token_ids"] == ([settings["eos_token_id"], 7] if written else [settings["eos_token_id"]])
    assert sampling["temperature"] == 0.0
    model.close()


def test_an_unknown_argument_says_which(made: Make, prompts: Prompts) -> None:
    """``engine`` is handed on as it is; what vLLM does not know must come back as one line, and once."""
    model = made(engine={"no_such_argument": 1})
    for _ in range(2):
        with pytest.raises(ModelError, match="no_such_argument") as caught:
            model.read(prompts[:1])
        assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="engine may not set 'max_num_seqs'"):
        made(engine={"max_num_seqs": 4})


def test_identity_is_that_of_the_weights(made: Make, hf: Make) -> None:
    """Fingerprint, family and budget are those of ``hf``; speed is no part of the config, what decides answers is."""
    model, other = made(max_num_seqs=4, gpu_memory_utilization=0.3), hf()
    for name in ("fingerprint", "family", "pixel_budget", "training_data", "layouts"):
        assert getattr(model, name) == getattr(other, name)
    assert not {"max_num_seqs", "gpu_memory_utilization"} & model.config.keys()
    assert {"tower_lora", "on_mismatch", "engine", "batch_invariant"} <= model.config.keys()
    assert {name: model.runtime[name] for name in ("device", "dtype")} == {"device": "cpu", "dtype": "float32"}


def test_counting_needs_no_weights(vllm: Any, made: Make, hf: Make, prompts: Prompts) -> None:
    """``count`` is the processor's alone."""
    before = len(vllm.made)
    assert [made().count(prompt) for prompt in prompts] == [hf().count(prompt) for prompt in prompts]
    assert len(vllm.made) == before


class TestContract(ModelContract):
    """What every model promises holds for this one."""

    @pytest.fixture
    def model(self, made: Make, monkeypatch: pytest.MonkeyPatch) -> Model:
        monkeypatch.setenv("PYTHONPATH", str(STAND_IN))  # some rules look at a process of its own
        return made(max_new_tokens=4)

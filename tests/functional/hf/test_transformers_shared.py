"""One base in memory for the bare model and its adapters: the answers of models loaded alone, memory held once and freed at last."""

from __future__ import annotations

import gc
import json
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import ctxbench_tiny
import ctxbench_transformers
from ctxbench import Model, ModelError, Prompt, load_plugins
from ctxbench_transformers import resolved
from ctxbench_transformers.model import HFModel
from ctxbench_transformers.testing import TRAINED
from ctxbench_transformers.weights import Placement, load_weights

Folder = Callable[[str], Path]
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft asks transformers by its old name


def page(width: int, height: int, seed: int = 0) -> Image.Image:
    """A page of coloured noise."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


PROMPTS = (Prompt((page(84, 84),), "q" * 40), Prompt((), "text only, and much longer than the other " * 4))


def adapter(base: Path, folder: Path, seed: int, **options: Any) -> Path:
    """A random LoRA adapter that changes answers."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    tuned = get_peft_model(load_weights(base, Placement()), LoraConfig(r=4, init_lora_weights=False, **options))
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_" in name:
                parameter.mul_(4)
    tuned.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapters(tiny_model: Folder, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two adapters of the same base on different layers."""
    base, folder = tiny_model("qwen2_vl"), tmp_path_factory.mktemp("adapters")
    first = adapter(base, folder / "first", 1, target_modules=["q_proj", "v_proj"])
    return first, adapter(base, folder / "second", 2, target_modules=["k_proj", "v_proj", "qkv"])


def test_an_adapter_with_the_names_of_the_published_checkpoint_is_the_same(tiny_model: Folder, tmp_path: Path) -> None:
    """DeepSeek-OCR 2's layers have other names in the published files than in transformers: adapters of both kinds fit, also together.

    peft renames the one kind, and would rename the other, too, to names that no layer has.
    """
    base = tiny_model("deepseek_ocr2")
    own = adapter(base, tmp_path / "own", 1, target_modules=["q_proj", "v_proj"])
    published = shutil.copytree(own, tmp_path / "published")
    tensors = load_file(published / "adapter_model.safetensors")
    renamed = {name.replace(".language_model.layers.", ".layers."): tensor for name, tensor in tensors.items()}
    assert len(set(renamed) - set(tensors)) == 8  # q and v, A and B, of two layers
    save_file(renamed, published / "adapter_model.safetensors")
    loaded = [ctxbench_transformers.load(base, folder) for folder in (None, own, published)]
    plain, said, other = (answers(model) for model in loaded)
    assert said == other != plain


def answers(model: Model) -> list[str]:
    """What a model says to both prompts."""
    return [reading.text for reading in model.read(PROMPTS)]


def alone(make: Callable[[], Model]) -> list[str]:
    """What a model says that nothing shares memory with."""
    model = make()
    said = answers(model)
    model.close()
    return said


ORDERS = ([0, 1, 2], [2, 0, 1], [0, 0, 2, 1, 1, 0])


def test_switching_gives_the_answers_of_models_loaded_alone(tiny_model: Folder, adapters: tuple[Path, Path]) -> None:
    """An adapter that stays on for the bare base, or two at once, would change answers without a word; all must use one base."""
    base = tiny_model("qwen2_vl")
    readers = [lambda some=some: ctxbench_transformers.load(base, some, max_new_tokens=16) for some in (None, *adapters)]
    wanted = [alone(make) for make in readers]
    assert len({str(said) for said in wanted}) == 3
    models = [make() for make in readers]
    assert {model.shares for model in models} == {models[0].shares} != {None}
    for order in ORDERS:
        for i in order:
            assert answers(models[i]) == wanted[i]
    assert len({id(model._runtime().model) for model in models}) == 1
    for model in models:
        model.close()


def test_memory_is_freed_when_the_last_of_them_is_closed(tiny_model: Folder, adapters: tuple[Path, Path]) -> None:
    """Closing one must not take the weights from another, and closing all must not leave them; a closed model can read again."""
    base = tiny_model("qwen2_vl")
    plain, adapted = (ctxbench_transformers.load(base, some, max_new_tokens=16) for some in (None, adapters[0]))
    wanted = answers(plain), answers(adapted)
    weights = weakref.ref(plain._runtime().model)
    plain.close()
    assert weights() is not None
    assert answers(adapted) == wanted[1]
    adapted.close()
    adapted.close()
    assert weights() is None
    assert answers(plain) == wanted[0]
    weights = weakref.ref(plain._runtime().model)
    del plain  # never closed
    gc.collect()
    assert weights() is None


def test_an_adapter_of_another_shape_spoils_nobody_elses_answers(tiny_model: Folder, adapters: tuple[Path, Path], tmp_path: Path) -> None:
    """peft has put the adapter's layers in when it finds that the weights do not fit: those who share the base must get it anew."""
    base = tiny_model("qwen2_vl")
    for kind in ("shape", "missing"):
        broken = tmp_path / kind
        shutil.copytree(adapters[1], broken)
        tensors = load_file(broken / "adapter_model.safetensors")
        key = next(key for key in tensors if "lora_B" in key)
        if kind == "shape":
            tensors[key] = torch.ones(5, 4)
        else:
            tensors.pop(key)
        save_file(tensors, broken / "adapter_model.safetensors")
        plain, adapted, wrong = (ctxbench_transformers.load(base, some, max_new_tokens=16) for some in (None, adapters[0], broken))
        before = answers(plain)
        with pytest.raises(ModelError, match="does not fit this model"):
            wrong.read(PROMPTS)  # the first adapter on this base
        assert answers(plain) == before
        wanted = before, answers(adapted)
        wrong = ctxbench_transformers.load(base, broken, max_new_tokens=16)
        for _ in range(2):
            with pytest.raises(ModelError, match="does not fit this model"):
                wrong.read(PROMPTS)  # the second
        assert (answers(plain), answers(adapted)) == wanted
        assert plain._runtime().model is adapted._runtime().model
        for model in (plain, adapted, wrong):
            model.close()


def test_what_has_weights_of_its_own_shares_nothing(tiny_model: Folder, adapters: tuple[Path, Path], tmp_path: Path) -> None:
    """Merged, quantised, or an adapter that changes more than layers: sharing would change the others' weights."""
    base = tiny_model("qwen2_vl")
    plain = ctxbench_transformers.load(base)
    biased = adapter(base, tmp_path / "biased", 3, target_modules=["q_proj"], bias="lora_only")
    saving = adapter(base, tmp_path / "saving", 3, target_modules=["q_proj"], modules_to_save=["lm_head"])
    own = [
        ctxbench_transformers.load(base, adapters[0], merge_adapter=True),
        ctxbench_transformers.load(base, quantization="4bit"),
        ctxbench_transformers.load(base, biased),
        ctxbench_transformers.load(base, saving),
    ]
    assert [model.shares for model in own] == [None] * 4
    assert ctxbench_transformers.load(base, adapters[0], batch_size=3, max_pixels=784 * 9).shares == plain.shares
    for options in ({"dtype": "bfloat16"}, {"attn_implementation": "eager"}, {"device_map": "cpu"}):
        assert ctxbench_transformers.load(base, **options).shares not in (None, plain.shares)
    before = answers(plain)
    merged = answers(own[0])
    assert answers(own[3]) != before
    assert answers(plain) == before != merged
    assert answers(own[0]) == merged


def test_tiny_and_its_adapter_give_the_same_answers_switched(tmp_path: Path) -> None:
    """The packaged adapter writes words that the base never does, and reads with its vision part: the largest change there is."""
    registry = load_plugins()
    base, trained = ctxbench_tiny.WEIGHTS / "base", ctxbench_tiny.WEIGHTS / "adapters" / "codebook"
    options: dict[str, Any] = {"preset": "aligned", "symbol": "dictionary", "cell": 4, "colors": 2, "columns": 4}
    codec, task = registry.codec("codebook", **options), registry.task("json_restore")
    samples = [task.sample(48, seed) for seed in (1, 2)]
    prompts = [Prompt(codec.encode(s.context).pages, f"{codec.hint('en')}\n\n{s.question}") for s in samples]
    prompts.append(Prompt((), f"{samples[0].context}\n\n{samples[0].question}"))

    def said(model: Model) -> list[str]:
        return [reading.text for reading in model.read(prompts)]

    readers = [lambda some=some: HFModel(str(base), some, max_new_tokens=200) for some in (None, str(trained))]
    wanted = []
    for make in readers:
        model = make()
        wanted.append(said(model))
        model.close()
    assert wanted[0] != wanted[1]
    models = [make() for make in readers]
    for i in (0, 1, 0, 1, 1, 0):
        assert said(models[i]) == wanted[i]
    assert models[0].shares == models[1].shares == registry.model("tiny").shares is not None
    assert registry.model("tiny", adapter="codebook").shares is None  # merged
    for model in models:
        model.close()


@pytest.mark.parametrize("architecture", TRAINED)
def test_runtime_says_what_loading_then_chooses(architecture: str, tiny_model: Folder) -> None:
    """Attention and dtype, told from the files alone, must be those of the loaded model."""
    model = ctxbench_transformers.load(tiny_model(architecture))
    assert model.runtime == {"device": "cpu", "dtype": "float32", "attn": "sdpa"}
    assert "runtime" not in model._held
    loaded = load_weights(tiny_model(architecture), Placement(device_map="cpu"))  # auto is the checkpoint's own here
    assert loaded.config._attn_implementation == model.runtime["attn"]
    assert ctxbench_transformers.load(tiny_model(architecture), attn_implementation="eager").runtime["attn"] == "eager"
    assert str(next(loaded.parameters()).dtype) == f"torch.{resolved.checkpoint_dtype(tiny_model(architecture))}"


def test_auto_is_another_dtype_on_another_device(tiny_model: Folder, tmp_path: Path) -> None:
    """The same options give float32 on a CPU and the checkpoint's bfloat16 on a GPU: two trials, not one. No GPU is needed to say so."""
    folder = tmp_path / "half"
    load_weights(tiny_model("qwen2_vl"), Placement(dtype="bfloat16")).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "processor_config.json", "chat_template.jinja"):
        shutil.copyfile(tiny_model("qwen2_vl") / name, folder / name)
    assert ctxbench_transformers.load(folder, device="cpu").runtime["dtype"] == "float32"
    assert ctxbench_transformers.load(folder, device="cuda:1").runtime == {"device": "cuda", "dtype": "bfloat16", "attn": "sdpa"}
    assert ctxbench_transformers.load(folder, device="cuda:1", dtype="float16").runtime["dtype"] == "float16"
    config = json.loads((folder / "config.json").read_text())
    for key in ("dtype", "torch_dtype"):
        config.pop(key, None)
    (folder / "config.json").write_text(json.dumps(config))
    assert ctxbench_transformers.load(folder, device="cuda").runtime["dtype"] == "bfloat16"  # told from the tensors
    loaded = load_weights(folder, Placement(device_map="cpu"))
    assert next(loaded.parameters()).dtype == torch.bfloat16


def test_the_pixel_budget_is_the_processors_own(tiny_model: Folder) -> None:
    """Counting pages by another budget than the processor's flags pages as scaled that are not."""
    processor = json.loads((tiny_model("qwen2_vl") / "processor_config.json").read_text())["image_processor"]["size"]
    own = (processor["shortest_edge"], processor["longest_edge"])
    assert ctxbench_transformers.load(tiny_model("qwen2_vl")).pixel_budget == own
    assert ctxbench_transformers.load(tiny_model("qwen2_vl"), max_pixels=25 * 784).pixel_budget == (own[0], 25 * 784)
    assert ctxbench_transformers.load(tiny_model("llava")).pixel_budget == (None, None)
    assert load_plugins().model("tiny").pixel_budget == (56 * 56, 28 * 28 * 16384)


def test_the_budget_is_read_from_files_as_transformers_reads_it(tiny_model: Folder, tmp_path: Path) -> None:
    """Released Qwen2-VL says min_pixels and max_pixels; the run's rules must be the loaded processor's without loading it."""
    from ctxbench_transformers.processors import load_processor, pixel_budget

    folder = tmp_path / "released"
    shutil.copytree(tiny_model("qwen2_vl"), folder)
    entry = json.loads((folder / "processor_config.json").read_text())
    for images in ({"min_pixels": 3136, "max_pixels": 12_845_056}, {"size": {"shortest_edge": 784, "longest_edge": 7840}}, {}):
        entry["image_processor"] = {"image_processor_type": "Qwen2VLImageProcessor", **images}
        (folder / "processor_config.json").write_text(json.dumps(entry))
        model = ctxbench_transformers.load(folder)
        assert model.pixel_budget == pixel_budget(load_processor(folder))
        assert ("encoder" in model._held) == (not images)

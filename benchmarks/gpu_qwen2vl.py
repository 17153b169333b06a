"""Training and reading at the real size of Qwen2-VL-2B, with random weights: nothing is downloaded, and time and memory are real.

    python -m benchmarks.gpu_qwen2vl                                  on a GPU: every figure of docs/results.md that needs one
    python -m benchmarks.gpu_qwen2vl --only read                      the reader's figures alone
    python -m benchmarks.gpu_qwen2vl --device cpu --layers 1 --tiny   a smoke test of this script

Prints one JSON line for each measurement as it ends; one that fails prints its error, and the next begins. Of LoRA on bfloat16 weights
and QLoRA on nf4 weights: peak memory in GiB, seconds a step and tokens/s, of padded batches that are made beforehand. Of the reader:
generated tokens/s of the whole time and of decoding alone, for several batch sizes, each over that of the first of them. Two references
run beside them: transformers' ``Trainer`` over the same model, adapter and batches, and a plain ``generate``, one prompt at a time.
"""

from __future__ import annotations

import argparse
import copy
import gc
import itertools
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from PIL import Image

from ctxbench import Prompt, Reading, Sample
from ctxbench_transformers import settings
from ctxbench_transformers.data import Example
from ctxbench_transformers.decoding import Decoding
from ctxbench_transformers.encoding import Encoder, conversation
from ctxbench_transformers.processors import load_processor
from ctxbench_transformers.runtime import Runtime, Sizing, make_runtime
from ctxbench_transformers.testing import QWEN2_VL_2B, QWEN_TEMPLATE, QWEN_TOKENS, byte_tokenizer, write_processor
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.distributed import World
from ctxbench_transformers.training.examples import collate_labelled, label
from ctxbench_transformers.training.loss import answer_loss
from ctxbench_transformers.training.optimizer import make_optimizers
from ctxbench_transformers.training.trainable import load_trainable, trained_parameters
from ctxbench_transformers.weights import Placement, load_weights, quiet

SHARED_MEMORY = Path("/dev/shm")
ROOM = 16 * 2**30
"""Bytes that have to be free in it for the weights to be written there."""
WARM = 2
"""New tokens of the answers before those that are timed."""

Found = dict[str, Any]


def write_model(folder: Path, device: torch.device, layers: int | None, tiny: bool) -> Found:
    """A folder with the real model's config, random bfloat16 weights and a byte tokenizer, whose ids are a part of the real vocabulary.

    The weights are drawn on the device: on a CPU two thousand million random numbers take a minute.
    """
    with quiet():
        from transformers import AutoConfig, AutoModelForImageTextToText

    shape = copy.deepcopy(QWEN2_VL_2B)
    if layers is not None:
        shape["text_config"]["num_hidden_layers"] = shape["vision_config"]["depth"] = layers
    if tiny:
        shape["text_config"] |= {"hidden_size": 256, "intermediate_size": 512, "num_attention_heads": 2, "num_key_value_heads": 1}
        shape["text_config"] |= {"vocab_size": 4096}
        shape["vision_config"] |= {"embed_dim": 128, "num_heads": 2, "hidden_size": 256}
    tokenizer = byte_tokenizer(QWEN_TOKENS)
    names = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"}
    names |= {"vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"}
    shape |= {key: tokenizer.convert_tokens_to_ids(name) for key, name in names.items()}
    shape["text_config"] |= {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    torch.manual_seed(0)
    began = time.perf_counter()
    with quiet():
        with device:
            model = AutoModelForImageTextToText.from_config(AutoConfig.for_model("qwen2_vl", **shape), dtype=torch.bfloat16)
        synchronize(device)
        drawn = time.perf_counter()
        model.save_pretrained(folder)
    images = {"image_processor_type": "Qwen2VLImageProcessor"}
    write_processor(folder, tokenizer, {"processor_class": "Qwen2VLProcessor", "image_processor": images}, QWEN_TEMPLATE)
    size = sum(parameter.numel() for parameter in model.parameters())
    return {"parameters": size, "draw_seconds": round(drawn - began, 2), "write_seconds": round(time.perf_counter() - drawn, 2)}


def example(index: int, side: int, answer: int) -> Example:
    """One page of ``side`` x ``side`` px of noise, 200 bytes of text and an answer of ``answer`` bytes, each byte a token."""
    chance = np.random.default_rng(index)
    page = Image.fromarray(chance.integers(0, 256, (side, side, 3), dtype=np.uint8))
    text = "".join(chance.choice(list("abcdefgh"), answer))
    prompt = Prompt((page,), "q" * 200, max_new_tokens=answer)
    return Example(str(index), "noise", prompt, Sample("", "q", text, 512))


def memory(device: torch.device) -> float:
    """Peak memory in GiB since the last reset; on a CPU the process's largest resident size, which is never reset."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def reset(device: torch.device) -> None:
    """Start measuring memory anew."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@attrs.frozen(eq=False)
class Training:
    """The seed paper's configuration (batch 1 x 8, r 16) with its model, and the batches of a step, which is always the same one."""

    config: TrainConfig
    model: Any
    batches: list[dict[str, torch.Tensor]]

    @classmethod
    def load(cls, folder: Path, method: str, device: torch.device, side: int, answer: int, checkpointing: bool = False) -> Training:
        """The model on its device, with a new adapter."""
        values = {"method": method, "precision": "bf16", "gradient_checkpointing": checkpointing, "device": str(device)}
        config = settings.make(TrainConfig, values)
        encoder = Encoder(load_processor(folder))
        batches = [collate_labelled([label(encoder, example(i, side, answer))], 0) for i in range(config.accumulation)]
        return cls(config, load_trainable(config, folder, device), batches)

    def found(self, losses: list[float], seconds: list[float], device: torch.device) -> Found:
        """The figures of some steps; the first one of several compiles and allocates, and is left out of the times."""
        tokens = sum(int(batch["attention_mask"].sum()) for batch in self.batches)
        best = min(seconds[1:] or seconds)
        return {
            "tokens_a_step": tokens,
            "seconds_a_step": round(best, 3),
            "tokens_per_second": round(tokens / best, 1),
            "peak_gib": round(memory(device), 2),
            "losses": [round(loss, 3) for loss in losses],
        }


def measure_training(
    folder: Path, method: str, device: torch.device, steps: int, side: int, answer: int, checkpointing: bool = False
) -> Found:
    """A few optimizer steps as ``ctxbench train`` takes them."""
    training = Training.load(folder, method, device, side, answer, checkpointing)
    config, model, batches = training.config, training.model, training.batches
    parameters = trained_parameters(model)
    (optimizer,) = make_optimizers(config, parameters)
    losses, seconds = [], []
    for _ in range(steps):
        synchronize(device)
        began = time.perf_counter()
        total = 0.0
        for batch in batches:
            with torch.autocast(device.type, dtype=torch.bfloat16):
                loss, count = answer_loss(model, {key: value.to(device) for key, value in batch.items()})
            (loss / (count * len(batches))).backward()  # type: ignore[no-untyped-call]
            total += loss.item() / (count * len(batches))
        World().sum_gradients(list(parameters.values()))
        torch.nn.utils.clip_grad_norm_(list(parameters.values()), config.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        synchronize(device)
        seconds.append(time.perf_counter() - began)
        losses.append(total)
    return training.found(losses, seconds, device)


def measure_trainer(folder: Path, method: str, device: torch.device, steps: int, side: int, answer: int) -> Found:
    """The reference: transformers' ``Trainer`` over the same model, adapter, batches, rate and clipping."""
    with quiet():
        from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    training = Training.load(folder, method, device, side, answer)
    config, batches = training.config, training.batches
    stamps: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            if not stamps:
                self.on_step_end()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            synchronize(device)
            stamps.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as output, quiet():
        arguments = TrainingArguments(
            output_dir=output,
            per_device_train_batch_size=1,
            gradient_accumulation_steps=len(batches),
            max_steps=steps,
            learning_rate=config.lr,
            lr_scheduler_type="constant",
            weight_decay=config.weight_decay,
            max_grad_norm=config.clip,
            bf16=True,
            use_cpu=device.type == "cpu",
            logging_steps=1,
            logging_strategy="steps",
            save_strategy="no",
            report_to="none",
            label_names=["labels"],
            remove_unused_columns=False,
            disable_tqdm=True,
        )
        trainer = Trainer(
            model=training.model, args=arguments, train_dataset=batches, data_collator=lambda some: some[0], callbacks=[Clock()]
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    return training.found(losses, [after - before for before, after in itertools.pairwise(stamps)], device)


def load_reader(folder: Path, device: torch.device) -> Runtime:
    """What reads; it ends at a token alone that a model with random weights does not say."""
    encoder = Encoder(load_processor(folder))
    runtime = make_runtime(load_weights(folder, Placement(str(device), dtype="bfloat16")), encoder, "qwen2-vl")
    runtime.end_ids = (encoder.tokenizer.convert_tokens_to_ids("<|video_pad|>"),)
    return runtime


def measure_reading(runtime: Runtime, device: torch.device, batch: int, prompts: int, side: int, new: int) -> Found:
    """Greedy answers of ``new`` tokens, ``batch`` at a time: to one full batch, or to ``prompts`` prompts if these are more."""
    some = [example(i, side, 8).prompt for i in range(max(batch, prompts))]
    runtime.answer(some[:batch], Decoding(), Sizing(WARM), batch)
    synchronize(device)
    began = time.perf_counter()
    readings = runtime.answer(some, Decoding(), Sizing(new), batch)
    synchronize(device)
    seconds = time.perf_counter() - began
    failed = [reading.error for reading in readings if reading.error is not None]
    answered = [reading for reading in readings if reading.error is None]
    made = sum(reading.usage.completion or 0 for reading in answered if reading.usage)
    prefill, decode = (sum(each) for each in zip(*map(shares, answered), strict=True)) if answered else (0.0, 0.0)
    return {
        "prompts": len(some),
        "smallest_batch": min((reading.metadata["batch_size"] for reading in answered), default=0),
        "new_tokens": made,
        "tokens_per_second": round(made / seconds, 1),
        "prefill_seconds_a_prompt": round(prefill / max(1, len(answered)), 3),
        "decoded_per_second": round((made - len(answered)) / decode, 1) if decode else None,
        "peak_gib": round(memory(device), 2),
        **({"failed": len(failed), "error": ": ".join(failed[0])} if failed else {}),
    }


def shares(reading: Reading) -> tuple[float, float]:
    """Seconds of prefill and of decoding that fall to one row of its batch."""
    times = reading.metadata.get("batch_seconds", {"prefill": reading.prefill_seconds, "generate": reading.generate_seconds})
    size = reading.metadata["batch_size"]
    return times["prefill"] / size, times["generate"] / size


def measure_generate(runtime: Runtime, device: torch.device, prompts: int, side: int, new: int) -> Found:
    """The reference: the processor and ``generate`` as transformers' documentation calls them, one prompt at a time.

    Its rate is that of the fastest prompt. All are equally long, and on an H100 or H200 the first one alone, whose rate is told beside it,
    waits while cuDNN builds a plan of attention for each new length.
    """
    from transformers import GenerationConfig

    model, processor = runtime.model, runtime.encoder.processor
    ends = {"do_sample": False, "eos_token_id": list(runtime.end_ids), "pad_token_id": runtime.pad_id}

    def answer(prompt: Prompt, count: int) -> int:
        text = processor.apply_chat_template(conversation(prompt), add_generation_prompt=True)
        inputs = processor(text=[text], images=list(prompt.pages), return_tensors="pt").to(device)
        with torch.no_grad():
            out = model.generate(**inputs, generation_config=GenerationConfig(max_new_tokens=count, **ends))
        ids = out[:, inputs["input_ids"].shape[1] :]
        processor.batch_decode(ids, skip_special_tokens=True)
        return int(ids.shape[1])

    some = [example(i, side, 8).prompt for i in range(prompts)]
    answer(some[0], WARM)
    rates, made = [], 0
    for prompt in some:
        synchronize(device)
        began = time.perf_counter()
        count = answer(prompt, new)
        rates.append(count / (time.perf_counter() - began))
        made += count
    return {
        "prompts": prompts,
        "new_tokens": made,
        "tokens_per_second": round(max(rates), 1),
        "first_per_second": round(rates[0], 1),
        "peak_gib": round(memory(device), 2),
    }


@attrs.define
class Bench:
    """Measures one thing after the other and prints each; ``limit``: seconds after which nothing more is begun."""

    device: torch.device
    limit: float | None
    began: float = attrs.field(factory=time.perf_counter)

    def measure(self, what: str, work: Callable[..., Found], *given: Any) -> Found | None:
        """Print what ``work`` finds; ``None`` if it fails or would begin too late."""
        elapsed = time.perf_counter() - self.began
        if self.limit is not None and elapsed > self.limit:
            self.show(what, {"skipped": f"{elapsed:.0f} s are over"})
            return None
        try:
            gc.collect()
            reset(self.device)
            found = work(*given)
        except Exception as error:  # whatever it is: the next measurement does not depend on it
            self.show(what, {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"})
            return None
        self.show(what, found)
        return found

    def compare(self, what: str, found: Found | None, other: Found | None) -> None:
        """Print the ratio of two rates, where both were measured."""
        if found and other and other["tokens_per_second"]:
            self.show(what, {"ratio": round(found["tokens_per_second"] / other["tokens_per_second"], 2)})

    def show(self, what: str, line: Found) -> None:
        """Print one line."""
        print(json.dumps({"what": what, **line, "at_seconds": round(time.perf_counter() - self.began, 1)}), flush=True)


def run(options: argparse.Namespace, device: torch.device, folder: Path) -> None:
    """Every measurement, or those of one kind; those that others are compared with come first."""
    bench = Bench(device, options.seconds)
    if bench.measure("model", write_model, folder, device, options.layers, options.tiny) is None:
        return
    size = (device, options.steps, options.side, options.answer)
    if options.only != "read":
        own = bench.measure("train lora", measure_training, folder, "lora", *size)
        plain = bench.measure("train lora, transformers' Trainer", measure_trainer, folder, "lora", *size)
        bench.compare("train lora over transformers' Trainer", own, plain)
        bench.measure("train qlora", measure_training, folder, "qlora", *size)
    if options.only != "train":
        measure_readers(bench, folder, options)
    if options.only != "read":
        for method in ("lora", "qlora"):
            bench.measure(f"train {method} checkpointed", measure_training, folder, method, *size, True)


def measure_readers(bench: Bench, folder: Path, options: argparse.Namespace) -> None:
    """The reader at every batch size, and the reference after the first; the model is loaded once."""
    loaded: list[Runtime] = []

    def load() -> Found:
        loaded.append(load_reader(folder, bench.device))
        return {"peak_gib": round(memory(bench.device), 2)}

    if bench.measure("load reader", load) is None:
        return
    (runtime,), first = loaded, None
    for batch in options.batches:
        found = bench.measure(
            f"read, batch {batch}", measure_reading, runtime, bench.device, batch, options.prompts, options.side, options.new
        )
        if batch != options.batches[0]:
            bench.compare(f"read, batch {batch} over batch {options.batches[0]}", found, first)
            continue
        first = found
        plain = bench.measure(
            "plain generate, batch 1", measure_generate, runtime, bench.device, options.prompts, options.side, options.new
        )
        bench.compare(f"read, batch {batch} over plain generate, batch 1", found, plain)


def main() -> None:
    """Measure and print one JSON line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--layers", type=int, help="layers of both parts, instead of 28 and 32")
    parser.add_argument("--tiny", action="store_true", help="a narrow model, for a smoke test")
    parser.add_argument("--only", choices=("train", "read"), help="measure one of the two alone")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--side", type=int, default=980, help="page side in px; 980 are 1,225 visual tokens")
    parser.add_argument("--answer", type=int, default=512, help="tokens of a training answer")
    parser.add_argument("--new", type=int, default=256, help="tokens of a generated answer")
    parser.add_argument("--prompts", type=int, default=2, help="prompts that are answered; at a larger batch size one full batch")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--seconds", type=float, help="begin no measurement after so many seconds")
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("error: no GPU here; give --device cpu --layers 1 --tiny for a smoke test of this script")
    device = torch.device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(json.dumps({**vars(options), "device": name, "torch": torch.__version__}), flush=True)
    roomy = SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free >= ROOM
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY if roomy else None) as folder:
        run(options, device, Path(folder))


if __name__ == "__main__":
    main()

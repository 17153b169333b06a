"""``python inspect_run.py SAMPLES.jsonl LOGS``: the samples through inspect_ai with its mock model; writes its usual log.

inspect_ai counts tokens by a vocabulary that tiktoken downloads. Where there is no network, bytes stand for tokens, which is no slower.
"""

import json
import sys
from pathlib import Path

import tiktoken
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate


def count_offline() -> None:
    """Let tiktoken do without its vocabulary if it cannot be fetched."""
    try:
        tiktoken.get_encoding("o200k_base")
    except OSError:
        plain = tiktoken.Encoding("bytes", pat_str=r"[\s\S]", mergeable_ranks={bytes([i]): i for i in range(256)}, special_tokens={})
        tiktoken.get_encoding = tiktoken.encoding_for_model = lambda name: plain


def main(path: str, logs: str) -> None:
    """Run and say how many samples were scored."""
    count_offline()
    records = map(json.loads, Path(path).read_text("utf-8").splitlines())
    samples = [Sample(input=record["prompt"], target=record["answer"]) for record in records]
    task = Task(dataset=samples, solver=generate(), scorer=includes())
    [log] = eval(task, model="mockllm/model", log_dir=logs, display="none")
    assert log.results is not None
    print(log.results.completed_samples)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""``python inspect_run.py SAMPLES.jsonl LOGS``: the samples through inspect_ai with its mock model; writes its usual log."""

import json
import sys
from pathlib import Path

from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate


def main(path: str, logs: str) -> None:
    """Run and say how many samples were scored."""
    records = map(json.loads, Path(path).read_text("utf-8").splitlines())
    samples = [Sample(input=record["prompt"], target=record["answer"]) for record in records]
    task = Task(dataset=samples, solver=generate(), scorer=includes())
    [log] = eval(task, model="mockllm/model", log_dir=logs, display="none")
    assert log.results is not None
    print(log.results.completed_samples)


if __name__ == "__main__":
    main(*sys.argv[1:])

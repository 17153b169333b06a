"""``python lm_eval_run.py SAMPLES.jsonl LOGS``: the samples through lm-evaluation-harness with its dummy model, predictions kept."""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")

import lm_eval
from lm_eval.tasks import TaskManager

TASK = """
task: needle
dataset_path: json
dataset_kwargs:
  data_files: {{test: {samples}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{prompt}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: ["\\n"]}}
metric_list:
  - metric: exact_match
"""


def main(path: str, logs: str) -> None:
    """Run and say how many samples were scored."""
    folder = Path(logs)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "needle.yaml").write_text(TASK.format(samples=Path(path).resolve()), "utf-8")
    found = lm_eval.simple_evaluate(
        model="dummy", tasks=["needle"], task_manager=TaskManager(include_path=logs, include_defaults=False), bootstrap_iters=0
    )
    (folder / "samples.json").write_text(json.dumps(found["samples"], default=str), "utf-8")
    print(len(found["samples"]["needle"]))


if __name__ == "__main__":
    main(*sys.argv[1:])

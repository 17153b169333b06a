"""Training data: (pages, question, answer) records made by the very codecs, tasks and prompts that evaluation uses."""

from ctxbench_transformers.data.build import build
from ctxbench_transformers.data.config import DataConfig
from ctxbench_transformers.data.dataset import Dataset, Example, Split
from ctxbench_transformers.data.joined import Datasets, JoinedSplit
from ctxbench_transformers.data.own import OwnConfig, import_records

__all__ = ["DataConfig", "Dataset", "Datasets", "Example", "JoinedSplit", "OwnConfig", "Split", "build", "import_records"]

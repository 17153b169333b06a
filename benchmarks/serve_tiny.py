"""``transformers serve`` for models whose processors hold a video part, on machines without torchvision.

``python -m benchmarks.serve_tiny serve FOLDER [--port 8000 ...]`` takes what ``transformers`` takes. The server loads processors by
``AutoProcessor``, which for Qwen2-VL wants torchvision even where no video is read; here it loads them as the model ``hf`` does.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ctxbench_transformers.processors import load_processor


def _load_processor(self: Any, model_id_and_revision: str, gguf_file: str | None = None) -> Any:
    return load_processor(Path(model_id_and_revision.partition("@")[0]))


def main() -> None:
    """Run the command ``transformers`` with another way to load processors."""
    from transformers.cli.serving.model_manager import ModelManager
    from transformers.cli.transformers import main as transformers

    ModelManager._load_processor = _load_processor
    sys.argv[0] = "transformers"
    transformers()


if __name__ == "__main__":
    main()

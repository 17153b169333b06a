"""What several of these tests need: an encoder, and what the weights are made with, importable."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ctxbench_tiny.model import base_folder
from ctxbench_transformers.encoding import Encoder
from ctxbench_transformers.processors import load_processor

sys.path[:0] = [str(Path(__file__).parents[3] / "plugins" / "tiny" / "train"), str(Path(__file__).parent)]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    """The packaged model's."""
    return Encoder(load_processor(base_folder()))

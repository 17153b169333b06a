"""An augmented page depends on the page, the options and the generator, and on nothing else."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import imgaug
import imgaug.random
import numpy as np
import pytest
from PIL import Image

from ctxbench_imgaug.levels import Custom, Heavy, Light

PAGE = Image.fromarray(np.random.default_rng(5).integers(0, 256, (90, 140, 3), dtype=np.uint8))
LEVELS = [Light(), Heavy(), Heavy(order="camera", perspective=0.05), Custom(noise_std=0.1, noise_per_channel=False)]


def digest(level, seed, page: Image.Image = PAGE) -> str:
    made = level.apply(page, np.random.default_rng(seed))
    return hashlib.sha256(repr(made.size).encode() + made.tobytes()).hexdigest()


@pytest.mark.parametrize("level", LEVELS)
def test_equal_generators_give_equal_pages_and_others_do_not(level):
    assert digest(level, 3) == digest(level, 3)
    assert len({digest(level, seed) for seed in range(6)}) == 6


@pytest.mark.parametrize("level", LEVELS)
def test_global_random_state_neither_leaks_in_nor_out(level):
    expected = digest(level, 3)
    imgaug.seed(123)
    np.random.seed(123)
    before = (pickle.dumps(imgaug.random.get_global_rng().state), pickle.dumps(np.random.get_state()))
    assert digest(level, 3) == expected
    after = (pickle.dumps(imgaug.random.get_global_rng().state), pickle.dumps(np.random.get_state()))
    assert before == after


def test_the_generator_is_asked_for_the_same_draws_by_every_level():
    """So a generator that serves several pages is in the same state after any level."""
    states = []
    for level in [Custom(), *LEVELS]:
        rng = np.random.default_rng(3)
        level.apply(PAGE, rng)
        states.append(repr(rng.bit_generator.state))
    assert len(set(states)) == 1


def test_the_page_is_left_as_it_was():
    page = PAGE.copy()
    for level in LEVELS:
        level.apply(page, np.random.default_rng(1))
    assert page.tobytes() == PAGE.tobytes()


def test_threads_do_not_disturb_each_other():
    expected = [digest(Heavy(), seed) for seed in range(24)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda seed: digest(Heavy(), seed), range(24))) == expected


def test_another_process_makes_the_same_pages():
    """With another hash seed, another state of the global generators, and components that came through pickle."""
    expected = [digest(level, 3) for level in LEVELS]
    code = (
        "import sys, pickle, hashlib, imgaug, numpy as np; imgaug.seed(99); np.random.seed(4)\n"
        "levels, page = pickle.loads(sys.stdin.buffer.read())\n"
        "for level in levels:\n"
        "    made = level.apply(page, np.random.default_rng(3))\n"
        "    print(hashlib.sha256(repr(made.size).encode() + made.tobytes()).hexdigest())\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps((LEVELS, PAGE)),
        capture_output=True,
        check=True,
        env={"PYTHONHASHSEED": "77", "PATH": ""},
    )
    assert found.stdout.decode().split() == expected

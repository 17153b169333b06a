"""Answers in the words of ``tiny``: what an adapter for dictionary codes is trained to write."""

from __future__ import annotations

import pytest

from ctxbench import Prompt, Sample
from ctxbench_tiny.model import base_folder
from ctxbench_tiny.words import FIRST, Words, answer_codes
from ctxbench_transformers.data import Example
from ctxbench_transformers.encoding import Encoder
from ctxbench_transformers.processors import load_processor
from ctxbench_transformers.training.auxiliary import make_parts
from ctxbench_transformers.training.config import TrainConfig

CONTEXT = '{"id": 40417, "name": "Ada", "city": "København", "again": "Ada"}'


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    """The packaged model's."""
    return Encoder(load_processor(base_folder()))


def example(codec: str, answer: str) -> Example:
    """A record of a page with the context."""
    return Example("a", "json_restore", Prompt((), "?"), Sample(CONTEXT, "?", answer, 64, "en"), codec)


@pytest.mark.parametrize("answer", [CONTEXT, "40417", "København", "Ada", "nowhere"])
def test_answers_are_in_words_where_the_code_carried_the_context(encoder: Encoder, answer: str) -> None:
    """They spell the answer, and end as every answer does."""
    *ids, end = Words().write(example("codebook", answer), encoder).ids
    assert min(ids) >= FIRST
    assert len(ids) < len(answer.encode())
    assert encoder.tokenizer.decode(ids, clean_up_tokenization_spaces=False) == answer
    assert end == encoder.end_of_turn


@pytest.mark.parametrize("codec", ["text", "render"])
def test_other_answers_are_in_bytes(encoder: Encoder, codec: str) -> None:
    """As the tokenizer writes them."""
    assert Words().write(example(codec, "Ada"), encoder).ids == (*b"Ada", encoder.end_of_turn)


def test_codes_are_those_of_the_page() -> None:
    """An answer that stands in the context once is cut out of the page's codes, whatever codes it would have by itself."""
    whole, places = answer_codes(CONTEXT, CONTEXT)
    assert places == tuple(range(len(whole)))
    codes, places = answer_codes(CONTEXT, '"name": "Ada", "city": "København"')
    inner = [(code, place) for code, place in zip(codes, places, strict=True) if places[0] < place < places[-1]]
    assert len(inner) > 2
    assert all(whole[place] == code for code, place in inner)
    assert answer_codes(CONTEXT, "Ada")[1] == ()  # twice in the context


def test_the_writer_is_found_by_its_name() -> None:
    """As a config names it."""
    assert isinstance(make_parts(TrainConfig(answers="tiny_words")).writer, Words)

"""What a prompt says, and how much room its answer gets."""

from __future__ import annotations

import pytest

from ctxbench.prompts import answer_room, compose


def test_a_prompt_is_hint_text_question():
    """In this order, apart by a blank line; what is missing leaves no gap."""
    assert compose("hint", "text", "question") == "hint\n\ntext\n\nquestion"
    assert compose("hint", None, "question") == "hint\n\nquestion"
    assert compose("", "", "question") == "question"


def test_a_template_is_filled_in_as_it_is():
    """In its own order and words; a carrier of pages alone leaves nothing in the place of the text."""
    template = "{question}|{context}|{hint}|{question}"
    assert compose("hint", "text", "question", template) == "question|text|hint|question"
    assert compose("hint", None, "question", template) == "question||hint|question"


@pytest.mark.parametrize(("tokens", "room"), [(0, 32), (1, 33), (63, 95), (64, 96), (65, 98), (100, 150), (101, 152)])
def test_room_is_half_as_much_again_and_32_at_least(tokens, room):
    """Pretty-printed JSON takes half as many tokens again; a short answer gets 32 more, whichever is larger."""
    assert answer_room(tokens) == room

"""What goes into a model: batches against transformers' own padding, and the labels that training puts on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from ctxbench import ModelError, Prompt
from ctxbench_transformers import encoding
from ctxbench_transformers.batching import by_length, collate
from ctxbench_transformers.encoding import Encoder, conversation, message
from ctxbench_transformers.processors import load_processor
from ctxbench_transformers.testing import TRAINED
from ctxbench_transformers.training.examples import IGNORED, ExampleError, collate_labelled, label_turns

Folder = Callable[[str], Path]


def page(width: int, height: int) -> Image.Image:
    """A plain page."""
    return Image.new("RGB", (width, height), (200, 30, 90))


@pytest.fixture(params=TRAINED)
def encoder(request: pytest.FixtureRequest, tiny_model: Folder) -> Encoder:
    """Each architecture's encoder in turn."""
    return Encoder(load_processor(tiny_model(request.param)))


PROMPTS = (
    Prompt((page(100, 60), page(30, 200)), "two pages", system="be brief"),
    Prompt((page(84, 84),), "one page and more words than the other"),
)


@pytest.mark.parametrize("side", ["left", "right"])
def test_collating_equals_the_processors_own_batch(encoder: Encoder, side: str) -> None:
    """Every tensor of a batch that we put together must be the one that transformers' processor makes of the same prompts."""
    mine = collate([encoder.encode_prompt(p) for p in PROMPTS], encoder.tokenizer.pad_token_id, side)  # type: ignore[arg-type]
    theirs = encoder.processor.apply_chat_template(
        [conversation(p) for p in PROMPTS],
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        add_generation_prompt=True,
        processor_kwargs={"padding": True, "padding_side": side},
    )
    assert set(mine) == set(theirs)
    for key, value in theirs.items():
        assert torch.equal(mine[key], value), key


TURNS = (
    message("system", "you read"),
    message("user", "first question", [page(60, 60), page(30, 90)]),
    message("assistant", "first answer"),
    message("user", "and this one?", [page(28, 56)]),
    message("assistant", "the second, with <|im_end|> in it"),
)


def test_labels_are_the_answers_tokens_and_nothing_else(encoder: Encoder) -> None:
    """Three images, two turns: question, pages, template and padding must carry no label; both answers and both turn ends must."""
    made = label_turns(encoder, TURNS)
    said = [token for token, label in zip(made.encoded.ids.tolist(), made.labels.tolist(), strict=True) if label != IGNORED]
    end = encoder.end_of_turn
    assert said == [
        *encoder.tokenizer.encode("first answer", add_special_tokens=False),
        end,
        *encoder.tokenizer.encode("the second, with <|im_end|> in it", add_special_tokens=False, split_special_tokens=True),
        end,
    ]
    kept = made.labels != IGNORED
    assert torch.equal(made.labels[kept], made.encoded.ids[kept])
    assert not kept[made.encoded.ids == encoder.image_token_id].any()
    spans = torch.diff(kept.int(), prepend=torch.tensor([0]))
    assert int((spans == 1).sum()) == 2  # two stretches, not one that runs through the second question


def test_training_prompts_are_evaluation_prompts(encoder: Encoder) -> None:
    """The tokens before the first label must be those that generation starts from, or the model would be trained on another task."""
    made = label_turns(encoder, [*conversation(PROMPTS[0]), message("assistant", "yes")])
    prompt = encoder.encode_prompt(PROMPTS[0])
    start = int((made.labels != IGNORED).nonzero()[0])
    assert start == len(prompt)
    assert torch.equal(made.encoded.ids[:start], prompt.ids)
    assert made.encoded.ids[start:].tolist() == encoder.answer_ids("yes")


def test_padding_carries_no_label(encoder: Encoder) -> None:
    """A batch of unequal lengths: the pad token, which may be the end token, must not be learned."""
    short = label_turns(encoder, [message("user", "?"), message("assistant", "a")])
    long = label_turns(encoder, [message("user", "?" * 30), message("assistant", "b" * 30)])
    batch = collate_labelled([short, long], encoder.tokenizer.pad_token_id)
    assert batch["labels"].shape == batch["input_ids"].shape
    assert (batch["labels"][batch["attention_mask"] == 0] == IGNORED).all()
    assert int((batch["labels"] != IGNORED).sum()) == 2 + 31


def test_the_loss_counts_answer_tokens_only(tiny_model: Folder) -> None:
    """Computed by hand from the full logits; the shortcut that keeps only some positions must give the same number."""
    from ctxbench_transformers.training.loss import answer_loss
    from ctxbench_transformers.weights import Placement, load_weights

    model = load_weights(tiny_model("qwen2_vl"), Placement())
    encoder = Encoder(load_processor(tiny_model("qwen2_vl")))
    made = [label_turns(encoder, TURNS), label_turns(encoder, [message("user", "?"), message("assistant", "short")])]
    batch = collate_labelled(made, encoder.tokenizer.pad_token_id)
    with torch.no_grad():
        loss, count = answer_loss(model, batch)
        by_hand, tokens = 0.0, 0
        for one in made:
            inputs = collate([one.encoded], 0, "right")
            odds = torch.log_softmax(model(**inputs).logits[0].double(), dim=-1)
            for place, label in enumerate(one.labels.tolist()):
                if label != IGNORED:
                    by_hand -= float(odds[place - 1, label])
                    tokens += 1
    assert count == tokens
    assert float(loss) == pytest.approx(by_hand, rel=1e-4)


def test_a_conversation_must_end_with_the_assistant(encoder: Encoder) -> None:
    """Nothing to learn is a mistake in the data, not a loss of zero."""
    with pytest.raises(ExampleError, match="assistant"):
        label_turns(encoder, TURNS[:2])


def test_batches_hold_neighbours_in_length() -> None:
    """Longest first; every index once; no row is padded to more than twice its length."""
    assert list(by_length([50, 90, 47, 88, 46], 2)) == [[1, 3], [0, 2], [4]]
    assert list(by_length([320, 4805, 330, 2410, 2402], 8)) == [[1, 3], [4], [2, 0]]
    assert list(by_length([], 4)) == []


def test_a_batch_keeps_to_its_budget_of_padded_tokens() -> None:
    """Rows times the longest; one row alone may be longer than the budget, since nothing smaller can be tried."""
    assert list(by_length([100, 60, 60, 60, 60], 8, tokens=200)) == [[0, 1], [2, 3, 4]]
    assert list(by_length([500, 60, 60], 8, tokens=200)) == [[0], [1, 2]]


def test_control_tokens_are_refused_where_they_cannot_be_encoded_as_text(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older transformers takes the request and encodes the real control tokens: the turn would end inside a text."""
    monkeypatch.setattr(encoding, "can_sanitize", lambda: False)
    ends = encoder.tokenizer.convert_ids_to_tokens(encoder.end_of_turn)
    with pytest.raises(ModelError, match=r"needs transformers 5\.23 or later to be encoded as text, here is"):
        encoder.encode_prompt(Prompt((), f"say {ends}"))
    assert len(encoder.encode_prompt(Prompt((), "say it"))) > 0


def test_ids_without_visual_tokens_are_the_templates_own(encoder: Encoder) -> None:
    """A backend that puts visual tokens in itself gets one placeholder a page, and a prompt without pages as it is."""
    for prompt in PROMPTS:
        encoded = encoder.encode_prompt(prompt)
        text = encoder.processor.apply_chat_template(conversation(prompt), add_generation_prompt=True)
        ids = encoder.unexpanded(prompt, encoded)
        assert encoder.tokenizer.decode(ids) == text
        assert len(ids) < len(encoded)
    plain = Prompt((), "no page")
    assert encoder.unexpanded(plain, encoder.encode_prompt(plain)) == encoder.encode_prompt(plain).ids.tolist()

"""What the losses of ``tiny``'s training compare with: where a page shows what, and what a model is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from PIL import Image
from tiny_records import MICRO, PRINT, SEED, TEXT, codes, example, labelled
from tinytrain import export, losses, places, tasks
from tinytrain.model import make_config
from tinytrain.words import RANDOM, Words, entries, with_words, written

import ctxbench
from ctxbench import Prompt, Sample
from ctxbench.pipeline import ask, augment
from ctxbench_tiny.words import CODEC, FIRST, to_ids
from ctxbench_transformers.data import Example
from ctxbench_transformers.data.plan import page_seed
from ctxbench_transformers.encoding import Encoder
from ctxbench_transformers.training.auxiliary import Parts
from ctxbench_transformers.training.examples import label, make_batch
from ctxbench_transformers.training.loss import answer_loss


@pytest.mark.parametrize("answer", [TEXT, '{"id": 40417', "of print, the first of which is longer than a"])
@pytest.mark.parametrize(("codec", "options"), [("text", {}), ("render", PRINT), (CODEC, codes(2)), (CODEC, codes(4))])
def test_each_token_of_an_answer_is_looked_for_where_it_stands(encoder: Encoder, codec: str, options: dict[str, Any], answer: str) -> None:
    """In a text it is the same byte, on a page the visual token whose square shows it."""
    words_a_square = {2: 4, 4: 8}[options.get("colors", 2)]
    made, targets = labelled(encoder, example(codec, TEXT, answer, **options), words_a_square)
    asked, there = targets["look"]["rows"].T
    said = made.encoded.ids[asked + 1].tolist()
    assert (there < asked).all()
    if codec == "text":
        assert made.encoded.ids[there].tolist() == said == list(answer.encode())
        return
    shown = there - places.first_visual(made.encoded)
    assert (made.encoded.ids[there] == encoder.image_token_id).all()
    if codec == "render":
        assert said == list(answer.replace("\n", "").encode())
        assert all(byte in tile for byte, tile in zip(said, targets["printed"]["bytes"][shown].tolist(), strict=True))
    else:
        bits = targets["bits"]["bits"][shown].reshape(-1, words_a_square, 12).long()
        known = (bits * 2 ** torch.arange(11, -1, -1)).sum(-1)
        inside = [FIRST + i for i in written(example(codec, TEXT, answer, **options)).codes]
        assert said == inside
        right = [byte - FIRST in row for byte, row in zip(said, known.tolist(), strict=True)]
        assert right.count(False) <= 2  # the codes at the ends of an answer may be parts of the page's


@pytest.mark.parametrize("most", [1, 10, 1000])
def test_of_a_long_answer_some_tokens_are_looked_for(encoder: Encoder, most: int) -> None:
    """Evenly, from the first on: as many as there may be, and no fewer than half of that."""
    record, all_of_them = example("text", TEXT), losses.Look(most=1000)
    made = label(encoder, record, Parts())
    whole, some = (look.targets(record, made.encoded, made.labels) for look in (all_of_them, losses.Look(most=most)))
    assert whole is not None
    assert some is not None
    rows, kept = whole["rows"].tolist(), some["rows"].tolist()
    assert kept == rows[:: -(-len(rows) // most)]
    assert min(len(rows), most) / 2 <= len(kept) == losses.Look().terms(some) <= most
    assert len(rows) > 10


def test_a_single_line_is_in_the_first_row_of_its_page(encoder: Encoder) -> None:
    """A page has two rows of visual tokens at least."""
    made, targets = labelled(encoder, example("render", "a single line", **PRINT))
    assert places.grid(made.encoded) == (2, 12)
    assert ((targets["look"]["rows"][:, 1] - places.first_visual(made.encoded)) < 12).all()


@pytest.mark.parametrize("answer", ["a", "nowhere"])
def test_an_answer_without_one_place_is_not_looked_for(encoder: Encoder, answer: str) -> None:
    """It may stand in several places, or in none."""
    for codec, options in (("text", {}), ("render", PRINT), (CODEC, codes(2))):
        assert labelled(encoder, example(codec, TEXT, answer, **options))[1]["look"] is None


def test_the_characters_of_a_page_are_where_the_codec_draws_them(encoder: Encoder) -> None:
    """Labels one cell off would teach the vision part another character; blank cells must be the blank labels."""
    record = example("render", TEXT, **PRINT)
    made, targets = labelled(encoder, record)
    (page,) = record.prompt.pages
    wide, high = page.width // 28, page.height // 28
    cells = np.asarray(page.convert("L")).reshape(high, 28, wide * 4, 7).swapaxes(1, 2).min((2, 3)) < 250
    told = targets["printed"]["bytes"].reshape(high, wide * 4).numpy()
    assert ((told != 32) == cells)[told > 0].all()
    assert targets["printed"]["bytes"].shape == (made.encoded.visual, 4)
    assert losses.Printed().terms(targets["printed"]) == (told > 0).sum() >= told.size - high


def test_the_bits_of_a_square_are_those_that_it_shows(encoder: Encoder) -> None:
    """As the codec's own reader sees them in the page."""
    from ctxbench_codebook.aligned.layout import Modulation, look
    from ctxbench_codebook.symbol_bits import unpack

    for colors, count in ((2, 4), (4, 8)):
        record = example(CODEC, TEXT, **codes(colors))
        _, targets = labelled(encoder, record, count)
        (page,) = record.prompt.pages
        squares = np.asarray(page.convert("RGB")).reshape(page.height // 28, 28, 4, 28, 3).swapaxes(1, 2).reshape(-1, 28, 28, 3)
        modulation = Modulation(4, colors)
        seen = unpack(look(modulation, squares.swapaxes(0, 1).reshape(28, -1, 3)), modulation.bits).reshape(len(squares), -1)
        told = targets["bits"]["bits"].numpy()
        assert told.shape == (len(squares), 12 * count)
        assert (told == seen[:, : 12 * count])[told < 2].all()
        assert (told < 2).sum() == 12 * len(written(record).codes)


def test_squares_of_a_page_that_has_grown_are_found_again(encoder: Encoder) -> None:
    """Light damage scales and turns; of a page with other rows or columns each cell is at its share of height and width."""
    record = example(CODEC, TEXT * 6, **codes(2))
    (page,) = record.prompt.pages
    grown = page.resize((page.width, page.height + 28))
    moved = Example("a", "copy", Prompt((grown,), "?"), record.sample, CODEC)
    clean, found = labelled(encoder, record)[1], labelled(encoder, moved)[1]
    before, after = (own["look"]["rows"][:, 1] - own["look"]["rows"][0, 1] for own in (clean, found))
    assert after[-1] == before[-1] + 4  # a row lower at the end
    assert ((after - before) // 4 >= 0).all()
    assert ((after - before) % 4 == 0).all()
    assert len(found["bits"]["bits"]) == len(clean["bits"]["bits"]) + 4


@pytest.mark.parametrize(("codec", "options"), [("render", PRINT), (CODEC, codes(2)), (CODEC, codes(4))])
def test_what_a_damaged_page_shows_is_where_its_pixels_are(codec: str, options: dict[str, Any]) -> None:
    """A page with one cell inked is scaled and turned: the ink's middle lies on the visual token that is said to show the cell."""
    context = TEXT * 6
    record = example(codec, context, level="light", **options)
    asked = ask(ctxbench.load_plugins().codec(codec, **options), record.sample)
    (clean,) = asked.carrier.pages
    (damaged,) = record.prompt.pages
    width, height = places.CELL[codec]
    cells = clean.height // height, clean.width // width
    assert damaged.size != clean.size
    assert places.known(record, cells) is not None
    level = ctxbench.load_plugins().augmenter("light")
    for row, column in ((0, 0), (1, cells[1] - 1), (cells[0] - 2, 1), (cells[0] - 1, cells[1] // 2)):
        ink = Image.new("RGB", clean.size, "white")
        ink.paste((0, 0, 0), (column * width, row * height, (column + 1) * width, (row + 1) * height))
        (moved,) = augment([ink], level, page_seed(SEED, "light"))
        y, x = (float(each.mean()) + 0.5 for each in (np.asarray(moved.convert("L")) < 128).nonzero())
        there = places.to_seen(record, cells) @ [(column + 0.5) / cells[1], (row + 0.5) / cells[0], 1]
        assert abs(there[:2] * moved.size - (x, y)).max() < 1.5


def test_labels_follow_a_damaged_page(encoder: Encoder) -> None:
    """What a token shows stands next to the cells that it is looked for: from the page to what is seen and back again."""
    for codec, options in (("render", PRINT), (CODEC, codes(2))):
        record = example(codec, TEXT * 6, level="light", **options)
        made, targets = labelled(encoder, record)
        key = {"render": "printed", CODEC: "bits"}[codec]
        assert targets[key] is not None
        assert targets["look"] is not None or codec == "render"
        height = len(places.lines(TEXT * 6)) if codec == "render" else places.page_rows(record, 4)
        cells = height, places.COLUMNS + 1 if codec == "render" else places.SQUARES
        rows, columns = np.divmod(np.arange(cells[0] * cells[1]), cells[1])
        tokens = places.shown_on(rows, columns, cells, record, made.encoded)
        under = np.stack(places.cells_under(1, cells, record, made.encoded))[:, tokens, 0]
        on_page = under[0] >= 0
        assert on_page.mean() > 0.9
        away = np.abs(under - (rows, columns))[:, on_page]
        assert away[0].max() <= 1
        assert away[1].max() <= (places.GLYPHS if codec == "render" else 1)


@pytest.mark.parametrize(("codec", "options", "across", "times"), [("render", PRINT, 4, 6), (CODEC, codes(2), 1, 12)])
def test_nothing_stands_beside_a_damaged_page(encoder: Encoder, codec: str, options: dict[str, Any], across: int, times: int) -> None:
    """A page of ink is damaged alike: where a token's middle has none, its labels are those of nothing."""
    record = example(codec, TEXT * times, level="light", **options)
    made, targets = labelled(encoder, record)
    (clean,) = ask(ctxbench.load_plugins().codec(codec, **options), record.sample).carrier.pages
    (ink,) = augment([Image.new("RGB", clean.size)], ctxbench.load_plugins().augmenter("light"), page_seed(SEED, "light"))
    high, wide = places.grid(made.encoded)
    middles = np.asarray(ink.convert("L").resize((wide * across * 9, high * 9)))[4::9, 4::9].reshape(-1, across)
    told = targets["printed"]["bytes"] if codec == "render" else targets["bits"]["bits"]
    unknown = told.numpy() == 0 if codec == "render" else (told.numpy() == 2).all(1, keepdims=True)
    assert unknown[middles > 250].all()
    assert (middles > 250).sum() > 2
    if codec == "render":
        assert not unknown[middles < 5].mean() > 0.05  # the marks of lines that go on are not known either


def test_a_page_of_which_nothing_is_known_has_no_labels_of_print(encoder: Encoder) -> None:
    """It was scaled by something else, or damaged by another seed's draw."""
    record = example("render", TEXT * 6, level="light", **PRINT)
    cells = len(places.lines(TEXT * 6)), places.COLUMNS + 1
    assert places.known(record, cells) is not None
    other = attrs.evolve(record, seed=SEED + 1)
    assert places.known(other, cells) is None
    assert labelled(encoder, other)[1]["printed"] is None


def test_looking_costs_what_the_attention_says(encoder: Encoder, tmp_path: Path) -> None:
    """The loss is minus the logarithm of what the model's own attention gives to the place, and teaches queries and keys."""
    export.write_start(tmp_path, MICRO, seed=1)
    from transformers import Qwen2VLForConditionalGeneration as Model

    model = Model.from_pretrained(tmp_path, attn_implementation="eager")
    with torch.no_grad():  # attention that prefers something
        for layer in model.model.language_model.layers:
            layer.self_attn.q_proj.weight *= 30
    look = losses.Look(heads=[[0, 1], [1, 0]])
    look.attach(model)
    parts = Parts((look,), None)
    records = [example("text", "abc, def"), example("render", TEXT, **PRINT), example("text", "a", "b")]
    items = [label(encoder, record, parts) for record in records]
    batch = make_batch(items, 256)
    inputs = {key: value for key, value in batch.inputs.items() if key != "labels"}
    attention = model(**inputs, output_attentions=True).attentions
    wanted = torch.zeros(())
    for row, own in batch.targets[0]:
        asked, there = own["rows"].T
        for layer, head in look.heads:
            wanted = wanted - attention[layer][row, head, asked, there].log().sum() / 2
    found = look.loss(batch.inputs, batch.targets[0])
    assert [row for row, _ in batch.targets[0]] == [0, 1]
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-3)
    found.backward()
    attending = model.model.language_model.layers[1].self_attn
    assert attending.q_proj.weight.grad is not None
    assert attending.q_proj.weight.grad[:16].abs().max() > 0
    assert attending.q_proj.weight.grad[16:].abs().max() == 0  # the other head is not asked
    assert attending.k_proj.weight.grad.abs().max() > 0


def test_heads_on_visual_tokens_are_asked_for_their_own_pages(encoder: Encoder) -> None:
    """In a batch of text, print and codes each loss is of its codec's visual tokens, and of all of them."""
    from transformers import Qwen2VLForConditionalGeneration as Model

    model = Model._from_config(make_config(**MICRO, words=len(entries())))
    some: list[Any] = [losses.Printed(), losses.WordBits(words=4)]
    heads = [loss.attach(model) for loss in some]
    records = [example(CODEC, "codes", **codes(2)), example("text", "t"), example("render", TEXT, **PRINT), example("render", "x", **PRINT)]
    batch = make_batch([label(encoder, record, Parts(tuple(some), Words())) for record in records], 256)
    model(**{key: value for key, value in batch.inputs.items() if key != "labels"})
    for loss, head, targets, rows in zip(some, heads, batch.targets, ([2, 3], [0]), strict=True):
        assert [row for row, _ in targets] == rows
        tokens = (batch.inputs["input_ids"] == encoder.image_token_id).sum(1)
        told, right = loss.told(batch.inputs, targets, next(iter(targets[0][1])))
        assert len(told) == len(right) == tokens[rows].sum()
        value = loss.loss(batch.inputs, targets)
        assert 0 < value / sum(loss.terms(own) for _, own in targets) < 10
        value.backward(retain_graph=True)
        assert head.weight.grad.abs().max() > 0
        assert not any(p.grad.abs().max() for p in model.parameters() if p.grad is not None)  # a new head leads no model astray


def test_random_words_may_begin_anywhere(encoder: Encoder) -> None:
    """Given codes carry no loss, and are looked from but not for."""
    text = tasks.RandomWords().sample(24, 1).context
    record = next(
        made
        for i in range(20)
        if written(made := Example(str(i), RANDOM, *_carried(text), CODEC)).given and len(written(made).codes) < len(words_of(text))
    )
    own = written(record)
    made, targets = labelled(encoder, record)
    learned = made.labels[made.labels != -100].tolist()
    assert learned == [*to_ids(own.codes[own.given :]), encoder.end_of_turn]
    assert len(targets["look"]["rows"]) == len(own.codes) - own.given
    start = len(made.labels) - len(own.codes) - 1
    assert int(targets["look"]["rows"][0, 0]) == start + own.given - 1
    assert own.places[0] == len(words_of(text)) - len(own.codes)


def _carried(text: str) -> tuple[Prompt, Sample]:
    record = example(CODEC, text, **codes(2))
    return record.prompt, record.sample


def words_of(text: str) -> tuple[int, ...]:
    """All codes of a text."""
    return written(example(CODEC, text, **codes(2))).codes


def test_what_words_would_cost_is_what_they_cost(encoder: Encoder) -> None:
    """With the loss of the bytes it is the cross entropy of the same model with all words in its vocabulary."""
    from transformers import Qwen2VLForConditionalGeneration as Model

    torch.manual_seed(0)
    plain, wordy = Model._from_config(make_config(**MICRO)), Model._from_config(make_config(**MICRO, words=len(entries())))
    with torch.no_grad():
        plain.get_input_embeddings().weight[:40] *= 50  # else all logits are next to nothing
    weights = {name: value for name, value in plain.state_dict().items() if name != export.OUTPUT}
    wordy.load_state_dict(with_words(weights), strict=False)
    loss = losses.Apart()
    assert loss.attach(plain) is None
    records = [example("text", TEXT), example("render", TEXT, "print", **PRINT), example("text", "an answer", "an")]
    batch = make_batch([label(encoder, record, Parts((loss,), None)) for record in records], 256)
    (targets,) = batch.targets
    answer, tokens = answer_loss(plain, batch.inputs)
    apart = loss.loss(batch.inputs, targets)
    assert sum(loss.terms(own) for _, own in targets) == tokens
    torch.testing.assert_close(answer + apart, answer_loss(wordy, batch.inputs)[0], rtol=1e-4, atol=1e-3)
    answer_loss(plain, batch.inputs)
    some = loss.loss(batch.inputs, targets[1:])
    assert 0 < some.item() < apart.item()  # of the rows that are meant alone
    (gradient,) = torch.autograd.grad(some, [plain.model.language_model.norm.weight])
    assert float(gradient.abs().sum()) > 0


def test_ends_are_asked_for_once_more(encoder: Encoder) -> None:
    """The end of each answer and of its lines, at the cost that they have in the answers' loss."""
    from transformers import Qwen2VLForConditionalGeneration as Model

    model = Model._from_config(make_config(**MICRO))
    loss = losses.Ends()
    loss.attach(model)
    records = [example("text", TEXT), example("render", TEXT, "print", **PRINT), example("text", "a\n\nb")]
    batch = make_batch([label(encoder, record, Parts((loss,), None)) for record in records], 256)
    (targets,) = batch.targets
    assert [loss.terms(own) for _, own in targets] == [2, 1, 3]
    some = {
        **batch.inputs,
        "labels": torch.where(torch.isin(batch.inputs["labels"], torch.tensor([10, 258])), batch.inputs["labels"], -100),
    }
    wanted, tokens = answer_loss(model, some)
    assert tokens == 6
    answer_loss(model, batch.inputs)
    torch.testing.assert_close(loss.loss(batch.inputs, targets), wanted)

"""The tiny model's training code: its fast paths equal transformers' own, and an interrupted run ends where a whole one does."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ctxbench
from ctxbench_tiny.words import FIRST, answer_codes, to_ids

TRAIN = Path(__file__).parents[2] / "plugins" / "tiny" / "train"
sys.path.insert(0, str(TRAIN))

from tinytrain import attention_loss, batches, pages, words  # noqa: E402
from tinytrain.curriculum import Track  # noqa: E402
from tinytrain.export import export, make_tokenizer, write_adapter, write_base  # noqa: E402
from tinytrain.sources import Copy, Lookup, RandomWords, TaskSource  # noqa: E402
from tinytrain.stages import base_of, load_stages, make_model, make_tracks, make_trainer, with_adapter  # noqa: E402
from tinytrain.training import Settings, Trainer  # noqa: E402

MICRO = {"hidden": 32, "layers": 1, "heads": 2, "theta": 3000.0, "sections": [0, 3, 5]}
LORA = {"r": 4, "lora_alpha": 4, "target_modules": ["q_proj", "v_proj", "patch_embed.proj", "mlp.0"]}


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in one fixed order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("size", [(84, 140), (90, 131)])
def test_patches_equal_the_image_processor(size):
    """Tiles laid out otherwise than transformers does would train a model that reads nothing in use."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8))
    page = pages.of_image(image)
    made = Qwen2VLImageProcessorPil(size={"shortest_edge": 784, "longest_edge": 10**6})(images=[image], return_tensors="pt")
    assert made["image_grid_thw"].tolist() == [[1, 6, 10]]
    np.testing.assert_allclose(pages.patches(page.tiles), made["pixel_values"].numpy(), atol=1e-5)


def test_the_tokenizer_maps_bytes_to_themselves():
    """The training code writes bytes as ids without asking the tokenizer."""
    tokenizer = make_tokenizer()
    text = "".join(map(chr, range(256))) + "Grüße 你好 🙂\r\n\t  x"
    assert tokenizer.encode(text) == list(text.encode())
    assert tokenizer.decode(list(text.encode()), clean_up_tokenization_spaces=False) == text
    assert tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>", "<|image_pad|>"]) == [257, 258, 261]


def test_words_are_written_only_where_a_model_chooses_them():
    """Texts are encoded in bytes; the ids of words decode to what their codes mean."""
    from ctxbench_codebook import symbols

    tokenizer = make_tokenizer()
    text = '{"name":"Rosa Larsen","verified":true,"id":1}'
    codes = tuple(symbols.encode(text, "dictionary")[0].tolist())
    assert len(codes) < len(text) / 2
    assert len(tokenizer) == FIRST + len(words.entries())
    assert tokenizer.decode(to_ids(codes), clean_up_tokenization_spaces=False) == text
    assert tokenizer.decode(to_ids((ord("a"), ord("{")))) == "a{"


def test_words_do_not_change_what_a_model_makes_of_bytes():
    """Their rows are new; all others and all weights are the same."""
    plain = make_model(MICRO)
    weights = plain.state_dict()
    wordy = make_model(MICRO, words=len(words.entries()))
    made = words.with_words({k: v for k, v in weights.items() if k != "lm_head.weight"})
    assert set(wordy.load_state_dict(made, strict=False)[0]) <= {"lm_head.weight"}
    batch = batches.collate([Copy("text", [8]).make(random.Random(2), 8)])
    with torch.no_grad():
        torch.testing.assert_close(wordy(**batch).logits[..., :FIRST], plain(**batch).logits)
    table = made[words.TABLE]
    assert len({tuple(row) for row in table[FIRST:].mul(1000).round().tolist()}) == len(words.entries())


def test_an_answer_in_words_is_what_the_page_shows():
    """Codes that reach beyond the answer are cut; one that is not in the context is encoded by itself."""
    from ctxbench_codebook import symbols

    context = "Nobody spoke. The secret number of the pearl cricket is 4188540. The wind turned."
    for answer in ("4188540", context, "not found", "o"):
        assert symbols.decode(np.array(answer_codes(context, answer)[0]), "dictionary") == answer
    whole = tuple(symbols.encode(context, "dictionary")[0].tolist())
    assert answer_codes(context, context) == (whole, tuple(range(len(whole))))
    codes, places = answer_codes(context, "4188540")
    assert [whole[place] for place in places[:-1]] == list(codes[:-1])
    assert answer_codes(context, "o")[1] == ()


CODE = {"preset": "aligned", "cell": 4, "colors": 2, "columns": 4, "symbol": "dictionary"}


def test_a_page_of_words_knows_the_bits_of_its_squares():
    """Four codes of twelve bits on each, then the last of the square before."""
    source = RandomWords("json_restore", "codebook", [24], codec_options=CODE)
    example = source.make(random.Random(0), 24)
    (page,) = example.pages
    assert source.bits == page.bits.shape[1] == 60
    shown = page.bits.reshape(len(page.bits), 5, 12) @ (1 << np.arange(11, -1, -1))
    count = len(example.codes)
    assert tuple(shown[:, :4].reshape(-1)[:count].tolist()) == example.codes
    assert shown[1:, 4].tolist() == shown[:-1, 3].tolist()
    assert example.places == tuple(range(count))
    assert example.answer_ids()[:-1] == to_ids(example.codes)


def test_given_codes_carry_no_loss():
    """They say from where to go on."""
    source = RandomWords("json_restore", "codebook", [24], codec_options=CODE, inside=1.0)
    example = source.make(random.Random(0), 24)
    labels = batches.collate([example])["labels"][0]
    said = example.answer_ids()
    assert example.given in (1, 2)
    assert labels[labels != -100].tolist() == said[example.given :]
    assert len(example.codes) <= 24


@pytest.mark.parametrize(("colors", "count"), [(2, 4), (4, 8)])
def test_looking_is_learned_at_the_square_of_the_next_word(colors, count):
    """Rows name the position from which a word is written and the visual token that shows it; full attention there costs nothing."""
    source = RandomWords("json_restore", "codebook", [24], codec_options={**CODE, "colors": colors}, inside=1.0)
    example = source.make(random.Random(0), 24)
    rows = attention_loss.word_rows([example])
    asked, said = example.prompt_ids(), example.answer_ids()
    assert len(rows) == len(example.codes) - example.given
    page = example.pages[0]
    assert page.words == count
    for (_, position, quarter, token), place in zip(rows.tolist(), example.places[example.given :], strict=True):
        assert (asked + said)[token] == batches.IMAGE
        assert quarter == place % count * 4 // count
        shown = page.bits[token - attention_loss.first_tile(example)].reshape(-1, 12)[place % count] @ (1 << np.arange(11, -1, -1))
        assert to_ids((int(shown),)) == [(asked + said)[position + 1]]
    attention = torch.zeros(1, 2, len(example), len(example))
    attention[0, 1, rows[:, 1], rows[:, 3]] = 1.0
    assert attention_loss.look_loss((attention,), rows, [attention_loss.Head(0, 1, (0, 1, 2, 3))]) == 0
    assert attention_loss.look_loss((attention,), rows, [attention_loss.Head(0, 0, (2,))]) > 10


def test_squares_of_a_damaged_page_are_found_again():
    """Their place is the tile that has the most of a square's ink; a page that nothing moved keeps its places and bits."""
    augmenter = ctxbench.load_plugins().augmenter("light", noise_std=0.0)
    still = ctxbench.load_plugins().augmenter("light", scale=1, rotation=0)
    image = ctxbench.load_plugins().codec("codebook", **CODE).encode('{"name":"Rosa Larsen","verified":true,"id":1}' * 3).pages[0]
    whole = pages.with_bits(pages.of_image(image), CODE)
    same = pages.damaged(image, still, 3, CODE)
    assert same.where.tolist() == list(range(len(whole.tiles)))
    assert same.bits.tolist() == whole.bits.tolist()
    for square, seed in ((0, 1), (5, 2), (len(whole.tiles) - 1, 3)):
        page = pages.damaged(image, augmenter, seed, CODE)
        inked = Image.new("RGB", image.size, "white")
        inked.paste("black", (square % 4 * 28, square // 4 * 28, square % 4 * 28 + 28, square // 4 * 28 + 28))
        tiles = pages.of_image(augmenter.apply(inked, np.random.default_rng(seed))).tiles
        assert page.where[square] == (255 - tiles.astype(int)).sum((1, 2, 3)).argmax()
        assert len(page.bits) == len(page.tiles) == len(tiles)


def test_heads_that_look_are_found():
    """A threshold of nothing finds every head at every place, one above all attention none."""
    model = make_model(MICRO)
    examples = [TaskSource("json_restore", "render", [32], codec_options={**pages.RENDER, "columns": 47}).make(random.Random(0), 32)]
    assert attention_loss.looking_heads(model, examples, 0.0) == [attention_loss.Head(0, head, (0, 1, 2, 3)) for head in range(2)]
    assert attention_loss.looking_heads(model, examples, 1.1) == []


def test_prompt_ids_equal_the_exported_model_s_own_encoding(tmp_path):
    """Training on other tokens than the product sends would not show in any loss."""
    from ctxbench import Prompt
    from ctxbench_transformers import load

    write_base(make_model(MICRO), tmp_path / "base")
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (56, 84, 3), dtype=np.uint8))
    example = batches.Example("The context is above.\n\nCopy it.", "ok", (pages.of_image(image), pages.of_image(image)))
    usage = load(tmp_path / "base").count(Prompt((image, image), example.text))
    assert usage.prompt == len(example.prompt_ids())
    assert usage.pages == (6, 6)


def test_text_page_shows_what_its_slots_say():
    """Wrapped lines, hard breaks and both lines of a token row land where the labels say."""
    page = pages.text_page("abcdefghijkl\nmn", 2, lines_a_tile=2)
    shown = ["".join(map(chr, row)) for row in page.slots.reshape(-1, 2, 4).reshape(-1, 4)]
    assert shown == ["abcd", "ijkl", "efgh", "    ", "mn  ", "    ", "    ", "    "]
    glyph = pages.glyphs()[ord("i") - 32][7:21]
    np.testing.assert_array_equal(page.tiles[0][14:28, 0:7, 0], glyph)


def test_a_code_page_knows_its_bytes_and_how_they_look_printed():
    """The helper head learns the bytes; the vision part learns from the print, whose characters stand where their codes do."""
    text = "four bytes a tile: Gr\u00fc\u00dfe"
    page = pages.code_page(text)
    data = list(text.encode())
    assert (len(data), page.width, len(page.tiles)) == (26, 12, 24)
    assert page.slots.ravel()[: len(data)].tolist() == data
    table = [(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)]
    bits = "".join(format(byte, "08b") for byte in data[:4])
    for cell in range(16):
        colour = tuple(int(v) for v in page.tiles[0][7 * (cell // 4) + 3, 7 * (cell % 4) + 3])
        assert colour == table[int(bits[2 * cell : 2 * cell + 2], 2)]
    shown = pages.render_page("four bytes a tile: Gr", 12).tiles
    np.testing.assert_array_equal(page.printed[:5], shown[:5])
    assert (page.printed[7:] == 255).all()


@pytest.mark.long
def test_the_vision_part_may_train_alone_first():
    """It comes to see in codes what the base sees in print; the language part stands still, and so does the curriculum."""
    model = make_model(MICRO)
    visual = model.model.visual
    track = Track("code", Copy("code", [8, 16]), climb=0.0)
    adapted = with_adapter(model, {**LORA, "r": 16, "lora_alpha": 16, "target_modules": ["q_proj", "patch_embed.proj", "mlp.0", "mlp.2"]})
    trainer = Trainer(adapted, visual, [track], Settings(steps=40, eyes=39, tokens=200, warmup=1, decay=0.0), 32)
    before = {name: value.clone() for name, value in trainer.trainable().items()}
    rows = [trainer.advance(lambda line: None) for _ in range(39)]
    assert all(row["loss"] == 0 for row in rows)
    assert rows[-1]["tile_loss"] < 0.8 * rows[0]["tile_loss"]
    changed = {name for name, value in trainer.trainable().items() if not torch.equal(value, before[name])}
    assert changed
    assert all("visual" in name for name in changed)
    assert track.level == 0
    assert trainer.advance(lambda line: None)["loss"] > 0


def test_loss_is_on_the_answer_only():
    """A label in the prompt would teach the model to predict questions."""
    short, long = batches.Example("Q", "a"), batches.Example("Question?", "answer")
    made = batches.collate([short, long])
    assert made["labels"][0][made["labels"][0] != -100].tolist() == [97, 258]
    assert made["labels"][1][made["labels"][1] != -100].tolist() == [*b"answer", 258]
    assert made["attention_mask"].sum(1).tolist() == [len(short), len(long)]


def test_curriculum_climbs_only_on_its_longest_length():
    """Climbing on short examples would outrun the model."""
    track = Track("t", Copy("text", [8, 16]), climb=0.5)
    for _ in range(100):
        assert not track.learn(4, 0.0)
    climbed = [track.learn(8, 0.0) for _ in range(100)]
    assert climbed.count(True) == 1
    assert track.top == 16


@pytest.mark.parametrize("kind", ["text", "page", "dense", "code"])
def test_lookup_answers_stand_in_the_context(kind):
    """An answer that is not in the context could only be guessed."""
    r = random.Random(3)
    for _ in range(20):
        example = Lookup(kind, [200]).make(r, 200)
        context = (
            example.text if kind == "text" else bytes(b for b in example.pages[0].slots.reshape(-1) if b >= 0).decode(errors="replace")
        )
        if kind != "dense":
            assert example.answer in context.replace(" " * 4, "") or len(example.answer) > 20


def test_task_source_words_its_prompt_as_the_engine_does():
    """The engine's wording in training and in evaluation must be one."""
    example = TaskSource("needle", "text", [64]).make(random.Random(0), 64)
    assert example.text.startswith("The context is the text below.\n\n")
    assert example.answer in example.text
    assert not example.pages


def _trainer(adapter: bool = False) -> Trainer:
    model = make_model(MICRO)
    visual = model.model.visual
    tracks = [Track("text", Copy("text", [6, 8])), Track("code", Copy("code", [6, 12]))]
    return Trainer(with_adapter(model, LORA) if adapter else model, visual, tracks, Settings(6, tokens=200, warmup=2, every=2), 32)


@pytest.mark.parametrize("adapter", [pytest.param(False, marks=pytest.mark.long), True])
def test_resumed_run_ends_with_the_same_weights(tmp_path, adapter):
    """A checkpoint that forgets an optimizer, the generator or the curriculum gives other weights."""
    whole, first, second = _trainer(adapter), _trainer(adapter), _trainer(adapter)
    whole.run(tmp_path / "whole.pt", tmp_path / "whole.csv", lambda _: None)
    first.run(tmp_path / "part.pt", tmp_path / "part.csv", lambda _: None, until=3)
    second.run(tmp_path / "part.pt", tmp_path / "part.csv", lambda _: None)
    assert second.step == whole.step == 6
    for name, value in whole.trainable().items():
        assert torch.equal(value, second.trainable()[name]), name


def test_exported_adapter_loads_and_changes_the_answer(tmp_path):
    """An adapter written under other names than PEFT's would load as if it were empty."""
    from ctxbench import Prompt
    from ctxbench_transformers import load

    torch.manual_seed(0)
    trainer = _trainer(adapter=True)
    trainer.run(tmp_path / "a.pt", tmp_path / "a.csv", lambda _: None, until=5)
    kept = {k: torch.randn_like(v) for k, v in trainer.trainable().items()}
    write_base(make_model(MICRO), tmp_path / "base")
    write_adapter(make_model(MICRO), LORA, kept, tmp_path / "adapter")
    prompt = Prompt((Image.new("RGB", (56, 56), "red"),), "Copy it.")
    base, adapted = load(tmp_path / "base", max_new_tokens=8), load(tmp_path / "base", tmp_path / "adapter", max_new_tokens=8)
    assert base.read([prompt])[0].text != adapted.read([prompt])[0].text


def test_a_stage_goes_on_from_another_stages_adapter(tmp_path):
    """Its base is the one below all adapters, and its first loss is that of the adapter it goes on from."""
    tracks = {"a": {"source": "copy", "kind": "code", "lengths": [8]}}
    settings = {"steps": 2, "tokens": 120, "warmup": 1}
    tiny = {"hidden": 32, "layers": 1, "heads": 2, "theta": 100.0, "sections": (0, 4, 4)}
    stages = {
        "base": {"settings": settings, "tracks": tracks},
        "first": {"after": "base", "adapter": LORA, "settings": settings, "tracks": tracks},
        "second": {"after": "first", "adapter": LORA, "settings": settings, "tracks": tracks},
    }
    config = {"model": tiny, "stages": stages}
    for name in stages:
        trainer = make_trainer(config, name, tmp_path)
        trainer.run(tmp_path / f"{name}.pt", tmp_path / f"{name}.csv", lambda _: None)
    assert base_of(config, "second") == base_of(config, "base") == "base"
    first, second = make_trainer(config, "first", tmp_path), make_trainer(config, "second", tmp_path)
    first.restore(tmp_path / "first.pt")
    batch = batches.collate([Copy("code", [8]).make(random.Random(2), 8)])
    torch.testing.assert_close(first.model(**batch).logits, second.model(**batch).logits, atol=1e-4, rtol=1e-4)
    (tmp_path / "first.pt").rename(tmp_path / "away.pt")
    again = make_trainer(config, "second", tmp_path, begun=True)  # needs its base and its own checkpoint, nothing between
    again.restore(tmp_path / "second.pt")
    assert again.step == 2
    made = export(config, tmp_path, None, tmp_path / "out")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in made] == ["base", "adapters/second"]


def test_shipped_stages_parse_and_make_examples():
    """A typo in stages.yaml would show hours into a run."""
    config = load_stages(TRAIN / "stages.yaml")
    r = random.Random(0)
    for stage in config["stages"].values():
        Settings(**stage["settings"])
        for track in make_tracks(stage["tracks"]):
            for length in (track.source.lengths[0], track.source.lengths[-1]):
                assert len(track.source.make(r, length)) > 0


def test_slots_of_a_rendered_page_are_where_the_codec_draws():
    """Labels one cell off would teach the vision part another character; blank cells must be the blank labels."""
    text = '{"key":"value with spaces","n":[1,2,3,44444]}' + "x" * 60
    page = pages.render_page(text, 4)
    cells = page.tiles[..., 0].reshape(-1, 28, 4, 7).swapaxes(1, 2).reshape(-1, 28, 7)
    ink = (cells.min((1, 2)) < 250).tolist()
    kept = [slot // 4 % 4 != 3 or slot % 4 != 3 for slot in range(len(ink))]  # not the column with the mark of a continued line
    shown = [value != 32 for value in page.slots.reshape(-1).tolist()]
    assert [a for a, keep in zip(ink, kept, strict=True) if keep] == [b for b, keep in zip(shown, kept, strict=True) if keep]

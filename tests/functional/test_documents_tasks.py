"""The tasks on own data keep the contract of all tasks, and use each row once."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from ctxbench import ConfigError, SampleError, load_plugins
from ctxbench.config import make_config
from ctxbench.engine.failures import StageError
from ctxbench.engine.prepare import make_sample
from ctxbench.resolving import resolve
from ctxbench.session import Session
from ctxbench.testing import TaskContract
from ctxbench.tokens import count_text

WORDS = "harbour light ship net gull empty north captain ledger anchor quay 1832 14 Moreau storm rope lantern salt".split()


def prose(seed: int, sentences: int) -> str:
    rng = random.Random(seed)
    made = (" ".join(rng.choices(WORDS, k=rng.randint(5, 12))).capitalize() + "." for _ in range(sentences))
    return "\n".join(made)


def write_texts(folder: Path) -> None:
    """A folder as people have them: texts of several lengths, an empty one, and one below."""
    (folder / "sub").mkdir(parents=True)
    for i, size in enumerate((500, 60, 30, 3)):
        (folder / f"{i}.txt").write_text(prose(i, size), "utf-8")
    (folder / "empty.txt").write_text(" \n")
    (folder / "sub/zh.md").write_text("灯塔在港口的北边，船只在黄昏之前回来。\n" * 60, "utf-8")


def write_records(path: Path, count: int = 24) -> None:
    """Records with one answer, several, and none; two questions about one context, and one question about two contexts."""
    lines = []
    for i in range(count):
        context = f"{prose(100 + i, 4)} The keeper of pier {i} was Ada Moreau{i}. {prose(200 + i, 3)}"
        answers = [[f"Ada Moreau{i}", f"Moreau{i}"], f"Ada Moreau{i}", {"text": [f"Moreau{i}"], "answer_start": [0]}][i % 3]
        lines.append({"ctx": context, "q": f"Who kept pier {i}?", "a": answers})
        lines.append({"ctx": context, "q": "Who was the keeper?", "a": f"Ada Moreau{i}"})
        if i % 6 == 0:
            lines.append({"ctx": context, "q": f"Who built pier {i}?", "a": []})
            lines.append({"ctx": context, "q": f"Is pier {i} kept?", "a": "yes"})
    path.write_text("\n".join(map(json.dumps, lines)), "utf-8")


FIELDS = {"context": "ctx", "question": "q", "answers": "a"}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_texts(folder / "texts")
    write_records(folder / "qa.jsonl")
    (folder / "t.jsonl").write_text("\n".join(json.dumps({"body": prose(i, 200)}) for i in range(4)))
    return folder


class TestTranscribe(TaskContract):
    """Pieces of a folder's texts, and of a table's column; and whole ones."""

    buckets = (128, 0)

    @pytest.fixture(params=["texts", "t.jsonl"])
    def task(self, data, request):
        column = {"column": "body"} if request.param.endswith("l") else {}
        return load_plugins().task("transcribe", path=str(data / request.param), **column)


@pytest.mark.parametrize("payload", ["shuffled", "random"])
def test_the_same_pieces_with_another_payload(data, payload):
    """Piece by piece the same tokens, shuffled words within a tenth (Chinese has more), and the store can tell them apart."""
    natural, other = (load_plugins().task("transcribe", path=str(data / "texts"), payload=kind) for kind in ("natural", payload))
    assert natural.supply(128) == other.supply(128)
    for seed in range(4):
        one, two = natural.sample(128, seed), other.sample(128, seed)
        assert two.context == two.answer != one.context
        difference = abs(count_text(one.context) - count_text(two.context))
        assert difference <= {"random": 1, "shuffled": 13}[payload] or (payload, one.language) == ("shuffled", "zh")
        assert (one.metadata["payload"], two.metadata["payload"]) == ("natural", payload)
        assert {**one.metadata, "payload": payload} == two.metadata


class TestQuestions(TaskContract):
    """Records as they are, and within a bucket."""

    buckets = (0, 256)

    @pytest.fixture
    def task(self, data):
        return load_plugins().task("qa", path=str(data / "qa.jsonl"), **FIELDS)


class TestQuestionsAmongDistractors(TaskContract):
    """Buckets filled with other records' contexts."""

    buckets = (256, 1024)

    @pytest.fixture
    def task(self, data):
        return load_plugins().task("qa", path=str(data / "qa.jsonl"), distractors=True, **FIELDS)


def test_distractors_fill_the_bucket(data):
    """Within the bucket and nearly all of it; a question that is asked about every context has no distractors, and is left out."""
    task = load_plugins().task("qa", path=str(data / "qa.jsonl"), distractors=True, **FIELDS)
    depths = []
    for seed in range(task.supply(1024)):
        sample = task.sample(1024, seed)
        assert 0.95 * 1024 <= count_text(sample.context) <= 1024
        assert "Who was the keeper?" not in sample.question
        assert sample.metadata["others"] > 2
        depths.append(sample.metadata["depth"])
    assert len(depths) == 24 + 2 * 4
    assert min(depths) == 0
    assert max(depths) > 0.7


def test_two_contexts_of_one_question(tmp_path):
    """They never stand in one prompt, where either answer would be right; and the reader knows which of them it was given."""
    ask = "Who was mate?"
    lines = [
        {"context": f"{prose(i, 6)} The mate was Bo{i}.", "question": ask if i < 2 else f"Q{i}?", "answers": f"Bo{i}"} for i in range(9)
    ]
    lines.append({"context": f"{lines[0]['context']} The mate was then Cy.", "question": ask, "answers": "Cy"})
    path = tmp_path / "q.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    task = load_plugins().task("qa", path=str(path), distractors=True)
    samples = [task.sample(450, seed) for seed in range(task.supply(450))]
    mates = {sample.answer: sample for sample in samples if sample.question.startswith(ask)}
    assert sorted(mates) == ["Bo0", "Bo1", "Cy"]
    assert "Bo1" not in mates["Bo0"].context + mates["Cy"].context
    assert "Bo0" not in mates["Bo1"].context
    assert "then Cy" not in mates["Bo0"].context
    assert all(task.solve(sample.context, sample.question) == sample.answer for sample in samples)
    assert task.solve(prose(0, 3) + " The mate was Bo1.", mates["Bo0"].question) == "Bo1"
    assert task.solve(prose(0, 3), mates["Bo0"].question) == ""


def test_no_piece_comes_twice_and_none_is_left_out(data):
    """The pieces of a bucket, taken together, hold no place of any text twice, and all of a long text."""
    task = load_plugins().task("transcribe", path=str(data / "texts"))
    places = [task.sample(128, seed).metadata for seed in range(task.supply(128))]
    long = sorted((place["start"], place["end"]) for place in places if place["source"] == "0.txt")
    assert [end for _, end in long[:-1]] == [start for start, _ in long[1:]]
    text = (data / "texts/0.txt").read_text()
    assert count_text(text[long[-1][1] :]) < 96
    assert {place["source"] for place in places} == {"0.txt", "1.txt", "2.txt", "sub/zh.md"}


def test_whole_texts_are_as_they_are(data):
    """Every text once, with every character; the one that is empty is none."""
    task = load_plugins().task("transcribe", path=str(data / "texts"))
    texts = {sample.metadata["source"]: sample for sample in (task.sample(0, seed) for seed in range(task.supply(0)))}
    assert sorted(texts) == ["0.txt", "1.txt", "2.txt", "3.txt", "sub/zh.md"]
    assert texts["1.txt"].context == texts["1.txt"].answer == (data / "texts/1.txt").read_text()
    assert texts["sub/zh.md"].language == "zh"
    assert texts["1.txt"].language == "en"


def plan(config):
    experiment = resolve(make_config({"models": "mock", "codecs": "text", **config}), Session.of())
    try:
        return [(trial.sample_seed, trial.trial_id, trial.cell.task.fingerprint) for trial in experiment.trials()]
    finally:
        experiment.close()


def test_rows_are_used_once_in_a_seeded_order(data):
    """All rows of a run differ; a larger run begins with the smaller one's rows; another seed has another order."""
    config = {"tasks": {"name": "qa", "path": str(data / "qa.jsonl"), **FIELDS}, "buckets": None}
    count = load_plugins().task("qa", path=str(data / "qa.jsonl"), **FIELDS).supply(0)
    everything = plan({**config, "samples": count})
    assert sorted(row for row, *_ in everything) == list(range(count))
    assert [row for row, *_ in everything] != list(range(count))
    assert plan({**config, "samples": 7}) == everything[:7]
    other = [row for row, *_ in plan({**config, "samples": count, "seed": 1})]
    assert sorted(other) == list(range(count))
    assert other != [row for row, *_ in everything]
    with pytest.raises(
        ConfigError, match=rf"tasks\[0\] \(qa\): its data has {count} samples, and each is used once; {count + 1} are wanted"
    ):
        plan({**config, "samples": count + 1})


def test_the_data_decides_the_trial_id_and_its_place_does_not(data, tmp_path):
    """A copy elsewhere gives the same trials; one changed character gives others."""
    config = {"buckets": 128, "samples": 3}
    ids = [plan({**config, "tasks": {"name": "transcribe", "path": str(data / "texts")}})]
    for change in (False, True):
        folder = tmp_path / str(change)
        write_texts(folder)
        if change:
            (folder / "3.txt").write_text("another text")
        ids.append(plan({**config, "tasks": {"name": "transcribe", "path": str(folder)}}))
    assert ids[0] == ids[1]
    assert not {trial for _, trial, _ in ids[0]} & {trial for _, trial, _ in ids[2]}


def test_data_that_changes_while_a_run_goes_on(tmp_path):
    """A worker that starts later reads other data: its trials fail, and nothing is stored under the id of what was planned."""
    write_texts(tmp_path / "texts")
    config = make_config(
        {"models": "mock", "codecs": "text", "tasks": {"name": "transcribe", "path": str(tmp_path / "texts")}, "buckets": 128}
    )
    experiment = resolve(config, Session.of())
    experiment.close()
    (part,) = experiment.tasks
    seed = next(experiment.trials()).sample_seed
    assert make_sample(Session.of(), part, 128, seed, config.tokens)[1] <= 128
    (tmp_path / "texts/3.txt").write_text("another text")
    with pytest.raises(StageError) as error:
        make_sample(Session.of(), part, 128, seed, config.tokens)
    assert "the data of task 'transcribe' has changed since the run was planned" in error.value.failure.message


def test_whole_documents_are_for_tasks_that_have_them(data):
    """Without a bucket, a task that makes contexts of a length cannot work, and says so before anything runs."""
    with pytest.raises(ConfigError, match=r"tasks\[0\] \(needle\): makes contexts of a given length and needs a bucket"):
        plan({"tasks": "needle", "buckets": None})


@pytest.mark.parametrize(
    ("name", "options", "bucket", "message"),
    [
        ("transcribe", {"path": "t.jsonl", "column": "text"}, 64, "no column 'text'; there are body"),
        ("transcribe", {"path": "texts/3.txt"}, 512, "no text has 384 reference tokens or more"),
        ("transcribe", {"path": "texts/empty.txt"}, 0, "there is no text in it"),
        ("qa", {"path": "qa.jsonl", **FIELDS}, 8, "no record has a context of 8 reference tokens or fewer"),
        ("qa", {"path": "qa.jsonl", **FIELDS, "distractors": True}, 0, "distractors fill a bucket, and there is none"),
        ("qa", {"path": "qa.jsonl", **FIELDS, "distractors": True}, 100_000, "too few to fill a bucket of 100000"),
    ],
)
def test_what_the_data_does_not_have(data, name, options, bucket, message):
    """Each is one line that says what there is."""
    task = load_plugins().task(name, **{**options, "path": str(data / options["path"])})
    with pytest.raises(SampleError) as error:
        task.supply(bucket)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"text\0text", "bad.txt: holds a NUL character at position 4: a binary file, or another encoding"),
        ("grün".encode("utf-16"), "bad.txt: not UTF-8 text: byte 0xff at position 0; it begins as UTF-16 does: give the encoding utf-16"),
    ],
)
def test_a_file_that_is_no_text_stops_the_plan(data, tmp_path, content, message):
    """One file among good ones: nothing is run without it, quietly."""
    write_texts(tmp_path / "texts")
    (tmp_path / "texts/bad.txt").write_bytes(content)
    with pytest.raises(ConfigError) as error:
        plan({"tasks": {"name": "transcribe", "path": str(tmp_path / "texts")}, "buckets": None})
    assert str(error.value) == f"tasks[0] (transcribe): {message}"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("transcribe", {}, "needs the option 'path'"),
        ("transcribe", {"path": 5}, "path must be a file"),
        ("transcribe", {"path": "none.txt"}, "none.txt: No such file or directory"),
        ("transcribe", {"path": "texts", "column": "body"}, "columns are read from files that end in"),
        ("transcribe", {"path": "texts", "encoding": "utf-99"}, "encoding must be"),
        ("transcribe", {"path": "texts", "cut": "page"}, "cut must be one of line, sentence"),
        ("qa", {"path": "texts"}, "columns are read from files that end in"),
        ("qa", {"path": "qa.jsonl", "distractors": "yes"}, "distractors"),
    ],
)
def test_wrong_options(data, monkeypatch, name, options, message):
    """Refused when the task is made, in one line."""
    monkeypatch.chdir(data)
    with pytest.raises(ConfigError) as error:
        load_plugins().task(name, **options)
    assert message in str(error.value)

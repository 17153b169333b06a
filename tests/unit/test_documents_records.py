"""Reading records: the forms of answers, SQuAD's JSON, tables, and what is wrong with them."""

from __future__ import annotations

import gzip
import json

import pytest

from ctxbench import CtxbenchError, SampleError
from ctxbench.texts import find_files
from ctxbench_documents.corpus import look_at
from ctxbench_documents.records import Fields, read_records
from ctxbench_documents.tables import read_rows


def rows(path, *columns, **options):
    return read_rows(find_files([str(path)])[0], columns, **options)


def records(path, fields=Fields()):  # noqa: B008
    return read_records(find_files([str(path)]), fields)


def test_a_csv_as_people_write_it(tmp_path):
    """Quotes, line breaks and the delimiter in cells, a line that begins with #, numbers kept as they are, a byte order mark."""
    path = tmp_path / "a[1].csv"
    path.write_text('\ufeffid,text\n007,"He said ""no"", then\nleft; # so"\n#8,"a, b"\n9,\n', "utf-8")
    assert rows(path, "text", "id") == [
        {"text": 'He said "no", then\nleft; # so', "id": "007"},
        {"text": "a, b", "id": "#8"},
        {"text": None, "id": "9"},
    ]
    (tmp_path / "b.csv").write_text("x;text\n1;a,b\n")
    assert rows(tmp_path / "b.csv", "text", delimiter="semicolon") == [{"text": "a,b"}]
    (tmp_path / "c.tsv").write_text("x\ttext\n1\ta,b\n")
    assert rows(tmp_path / "c.tsv", "text") == [{"text": "a,b"}]


def test_jsonl_and_parquet(tmp_path):
    """Values keep their types and their exact text: a date stays the text that it is, a large number is not rounded."""
    lines = [{"t": "2020-01-01", "n": 12345678901234567890123}, {"t": "x\ny", "n": None}, {"n": 1}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    (tmp_path / "b.ndjson.gz").write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    wanted = [{"t": line.get("t"), "n": line.get("n")} for line in lines]
    assert rows(tmp_path / "a.jsonl", "t", "n") == rows(tmp_path / "b.ndjson.gz", "t", "n") == wanted
    import duckdb

    target = tmp_path / "c.parquet"
    duckdb.sql(f"COPY (SELECT 'a' AS t, {{'text': ['x', 'y'], 'answer_start': [1, 2]}} AS answers) TO '{target}' (FORMAT parquet)")
    assert rows(target, "t", "answers") == [{"t": "a", "answers": {"text": ["x", "y"], "answer_start": [1, 2]}}]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", b"id,txt\n1,a\n", "a.csv: no column 'text'; there are id, txt"),
        ("a.csv", b"", "a.csv: no column 'text'; there are none"),
        ("a.csv", b"text,text\n1,a\n", "names the column 'text' twice"),
        ("a.csv", "text\ngrün\n".encode("latin-1"), "a.csv: not UTF-8 text"),
        ("a.csv", b'text,n\n"open,1\nb,2\n', "a.csv: "),
        ("a.csv", b"text,n\na,1,2,3\n", "a.csv: "),
        ("a.jsonl", b'{"text": "x"}\n{"text": 5\n', "a.jsonl: Invalid Input Error: Malformed JSON"),
        ("a.jsonl", b'["x"]\n', "a.jsonl: row 1 is no JSON object but list"),
        ("a.jsonl", b'{"txt": 1}\n', "a.jsonl: no column 'text'; there are txt"),
        ("a.parquet", b"no parquet", "a.parquet: "),
        ("a.json", b"{", "a.json: not JSON"),
        ("a.json", b"5", "a.json: expected a list of records"),
    ],
)
def test_a_broken_table_is_one_line(tmp_path, name, data, message):
    """Which file, what is wrong, and which columns there are."""
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CtxbenchError) as error:
        rows(tmp_path / name, "text")
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert str(tmp_path) not in str(error.value)


def test_the_forms_of_answers(tmp_path):
    """A text, a number, a list, SQuAD's mapping, either as JSON in a text; a bracket that is no JSON is an answer."""
    forms = ["Ada", 14, ["Ada", " Ada ", "A."], {"text": ["Ada"], "answer_start": [0]}, '["Ada", "A."]', "[sic] so", None, []]
    wanted = [("Ada",), ("14",), ("Ada", "A."), ("Ada",), ("Ada", "A."), ("[sic] so",), (), ()]
    lines = [{"context": "c", "question": f"q{i}", "answers": form} for i, form in enumerate(forms)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert [record.answers for record in records(tmp_path / "a.jsonl")] == wanted


def test_rows_that_repeat_a_question_are_one_record(tmp_path):
    """A table with an answer a row: its answers are alternatives, not questions of their own."""
    (tmp_path / "a.csv").write_text("c,q,a\nctx,Who?,Ada\nctx,Who?,Lovelace\nctx,When?,1843\n")
    found = records(tmp_path / "a.csv", Fields("c", "q", "a"))
    assert [(record.question, record.answers, record.row) for record in found] == [
        ("Who?", ("Ada", "Lovelace"), 0),
        ("When?", ("1843",), 2),
    ]


def test_squads_json(tmp_path):
    """Version 2.0: nested, with questions that are marked as impossible, whose answers do not count."""
    asked = [
        {"id": "1", "question": "Who?", "answers": [{"text": "Ada", "answer_start": 0}, {"text": "Ada L.", "answer_start": 0}]},
        {"id": "2", "question": "Why?", "answers": [{"text": "Ada"}], "is_impossible": True},
    ]
    data = {"version": "v2.0", "data": [{"title": "T", "paragraphs": [{"context": "Ada L. wrote it.", "qas": asked}]}]}
    (tmp_path / "dev.json").write_text(json.dumps(data))
    assert [(r.question, r.answers) for r in records(tmp_path / "dev.json")] == [("Who?", ("Ada", "Ada L.")), ("Why?", ())]
    del asked[0]["question"]
    (tmp_path / "dev.json").write_text(json.dumps(data))
    with pytest.raises(CtxbenchError, match=r"dev.json: question 1 is not as SQuAD's JSON has it: no 'question'"):
        records(tmp_path / "dev.json")


def test_a_file_that_changes_is_told(tmp_path):
    """The trial's id names the data that was hashed: other data must not be stored under it."""
    path = tmp_path / "a.txt"
    path.write_text("one")
    corpus = look_at((str(path),))
    assert [document.text for document in corpus.documents()] == ["one"]
    path.write_text("two")
    with pytest.raises(SampleError, match="has changed since this run was planned"):
        list(corpus.documents())
    assert look_at((str(path),)).fingerprint != corpus.fingerprint

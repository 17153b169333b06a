"""A user's own documents, by the command: from a folder to costs, to a run, to SQL; and files that are none."""

from __future__ import annotations

import json

import pytest

RUN = ("run", "-m", "channel", "-c", "text", "-a", "clean", "--workers", "0", "--format", "json")
PARAGRAPH = "The harbour lights were lit before dusk. Ship {0} came in at {1}:30 with 14{0} crates, signed for by Anna Moreau.\n"


def one_error(done) -> str:
    """The one line on stderr."""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.fixture
def notes(tmp_path):
    """Three texts in two folders."""
    for i, name in enumerate(("a.md", "b.txt", "sub/c.md")):
        path = tmp_path / "notes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(PARAGRAPH.format(i * 40 + k, k) for k in range(12)), "utf-8")
    return tmp_path / "notes"


def test_from_a_folder_to_sql(ctxbench, notes):
    """Costs of all documents, pages of each, a run over their pieces with two workers, and the scores in SQL."""
    costs = json.loads(ctxbench("cost", "notes", "-c", "text", "-c", "codebook", "--family", "qwen2-vl", "--format", "json").stdout)
    text, codebook = costs["costs"]
    assert [document["file"] for document in costs["documents"]] == ["a.md", "b.txt", "sub/c.md"]
    assert text["tokens"] == costs["reference_tokens"] == sum(document["reference_tokens"] for document in costs["documents"])
    assert (codebook["documents"], codebook["pages"]) == (3, 3)
    assert codebook["ratio"] == pytest.approx(costs["reference_tokens"] / codebook["tokens"])
    ctxbench("encode", "notes", "-c", "codebook", "-o", "pages")
    assert ctxbench("decode", "pages/sub/c.md", "-c", "codebook").stdout == (notes / "sub/c.md").read_text()

    run = (*RUN[:5], "-c", "codebook", *RUN[5:7], "--workers", "2", *RUN[9:], "-t", "transcribe:path=notes", "-b", "100", "-n", "9")
    done = json.loads(ctxbench(*run).stdout)
    assert (done["planned"], done["finished"], done["errors"]) == (18, 18, 0)
    assert {cell["accuracy"] for cell in done["cells"]} == {1.0}
    assert json.loads(ctxbench(*run, "--dry-run").stdout)["stored"] == 18
    sql = (
        "SELECT sample_metadata->>'source' AS source, count(*) AS n, avg(identifier_recall) AS recall, sum(semantic_corruption) AS wrong, "
        "count(DISTINCT sample_seed) AS samples FROM results GROUP BY ALL ORDER BY source"
    )
    rows = json.loads(ctxbench("sql", sql, "--format", "json").stdout)
    assert sum(row["samples"] for row in rows) == 9
    assert {(row["recall"], row["wrong"]) for row in rows} == {(1.0, 0.0)}

    (notes / "b.txt").write_text("Another text. " * 200)
    assert json.loads(ctxbench(*run, "--dry-run").stdout)["stored"] == 0


def test_more_than_there_is(ctxbench, notes):
    """A sample is never used twice: the plan says how many there are, and what to do."""
    error = one_error(ctxbench(*RUN, "-t", "transcribe:path=notes", "-b", "none", "-n", "4", exit_code=2))
    said = "its data has 3 samples, and each is used once; 4 are wanted: use -n 3 (samples: 3) or less, -n all, or more data"
    assert error == f"error: tasks[0] (transcribe): {said}"
    done = json.loads(ctxbench(*RUN, "-t", "transcribe:path=notes", "-b", "none", "-n", "all").stdout)
    assert (done["planned"], done["errors"], done["cells"][0]["n"]) == (3, 0, 3)
    assert {cell["bucket"] for cell in done["cells"]} == {0}


def test_questions_of_a_table(ctxbench, tmp_path):
    """A CSV as a spreadsheet writes it, among distractors; answers in several forms; the prompt's template is in every prompt."""
    lines = ["text,asked,right"]
    for i in range(6):
        lines.append(
            f'"Pier {i} was built by ""Ada"" Moreau{i}, in 18{i}0.\nIt is {i} m wide.",Who built pier {i}?,"[""Moreau{i}"", ""Ada""]"'
        )
    (tmp_path / "q.csv").write_text("\n".join(lines) + "\n", "utf-8")
    task = "qa:path=q.csv,context=text,question=asked,answers=right,distractors=true"
    prompt = r"Q: {question}\n--\n{context}"
    done = json.loads(ctxbench(*RUN, "-t", task, "-b", "100", "-n", "6", "--prompt", prompt).stdout)
    assert (done["planned"], done["errors"], done["cells"][0]["accuracy"]) == (6, 0, 1.0)
    sql = "SELECT prompt, question, run_config->>'prompt' AS template, expected, squad_f1 FROM results ORDER BY expected"
    rows = json.loads(ctxbench("sql", sql, "--format", "json").stdout)
    assert [row["expected"] for row in rows] == [f"Moreau{i}" for i in range(6)]
    for row in rows:
        assert row["template"] == "Q: {question}\n--\n{context}"
        assert row["prompt"].startswith(f"Q: {row['question']}\n--\n")
        assert row["prompt"].count("It is ") >= 3
        assert "The context is the text below" not in row["prompt"]
    # The same without the template is another plan, and with it again is the stored one.
    assert json.loads(ctxbench(*RUN, "-t", task, "-b", "100", "-n", "6", "--dry-run").stdout)["stored"] == 0
    assert json.loads(ctxbench(*RUN, "-t", task, "-b", "100", "-n", "6", "--prompt", prompt, "--dry-run").stdout)["stored"] == 6
    error = one_error(ctxbench(*RUN, "-t", task, "--prompt", "{contex} {question}", exit_code=2))
    assert error.endswith("prompt: unknown placeholder {contex}; did you mean 'context'?")


def test_a_file_that_is_no_text(ctxbench, notes):
    """One line that names the file among its good neighbours, before anything is stored."""
    (notes / "bad.txt").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    error = one_error(ctxbench(*RUN, "-t", "transcribe:path=notes", "-b", "none", "-n", "2", exit_code=2))
    assert error == "error: tasks[0] (transcribe): bad.txt: not UTF-8 text: byte 0x89 at position 0"
    assert not (notes.parent / "ctxbench.duckdb").exists()


def test_utf_16_with_its_name(ctxbench, notes):
    """Another encoding is read when it is named, for runs and for costs."""
    (notes / "w.txt").write_bytes(("Grüße aus dem Hafen. " * 9).encode("utf-16"))
    done = json.loads(ctxbench(*RUN, "-t", "transcribe:path=notes/w.txt,encoding=utf-16", "-b", "none", "-n", "1").stdout)
    assert (done["errors"], done["cells"][0]["accuracy"]) == (0, 1.0)
    costs = ctxbench("cost", "notes/w.txt", "-c", "text", "--encoding", "utf-16", "--format", "json")
    assert json.loads(costs.stdout)["characters"] == 189
    error = one_error(ctxbench("cost", "notes", "-c", "text", exit_code=1))
    assert error == "error: w.txt: not UTF-8 text: byte 0xff at position 0; it begins as UTF-16 does: give the encoding utf-16"
    assert "--encoding must be the name of a text encoding" in one_error(ctxbench("cost", "notes", "--encoding", "utf-99", exit_code=2))


def test_links_empty_files_and_empty_folders(ctxbench, notes):
    """A link to the folder above is not followed round and round, one that leads nowhere is told, an empty file is no sample."""
    (notes / "sub/up").symlink_to("..")
    (notes / "empty.txt").write_text("")
    done = json.loads(ctxbench(*RUN, "-t", "transcribe:path=notes", "-b", "none", "-n", "3").stdout)
    assert (done["planned"], done["errors"]) == (3, 0)
    (notes / "self.txt").symlink_to("self.txt")
    for command in ((*RUN, "-t", "transcribe:path=notes", "-b", "none"), ("cost", "notes", "-c", "text")):
        assert "self.txt: " in one_error(ctxbench(*command, exit_code=None))
    (notes.parent / "void").mkdir()
    assert "void: the folder holds no files" in one_error(ctxbench("cost", "void", "-c", "text", exit_code=1))
    assert "no text in it" in one_error(ctxbench(*RUN, "-t", "transcribe:path=notes/empty.txt", "-b", "none", exit_code=2))


def test_a_line_of_50_megabytes(ctxbench, tmp_path):
    """In a text and in a CSV's cell: planned in one piece each, not refused and not cut."""
    line = "word " * 10_000_000
    (tmp_path / "a.csv").write_text(f'n,text\n1,"{line}"\n2,"a ""b"""\n')
    (tmp_path / "big.txt").write_text(line)
    tasks = "[{name: transcribe, label: one, path: big.txt}, {name: transcribe, label: two, path: a.csv, column: text}]"
    (tmp_path / "c.yaml").write_text(f"tasks: {tasks}\nbuckets: null\nsamples: 2\nmodels: mock\ncodecs: text\n")
    error = one_error(ctxbench("run", "c.yaml", "--dry-run", exit_code=2))
    assert error.startswith("error: tasks[0] (one): its data has 1 sample, and each is used once; 2 are wanted: use -n 1")
    plan = json.loads(ctxbench("run", "c.yaml", "-n", "1", "--dry-run", "--format", "json").stdout)
    assert plan["planned"] == 2


@pytest.mark.long
def test_a_line_of_50_megabytes_is_cut(ctxbench, tmp_path):
    """24 million tokens in one line: cut into pieces at words, each of which is transcribed."""
    (tmp_path / "big.txt").write_text("harbour lights, ship 14 and a gull " * 1_430_000)
    done = json.loads(ctxbench(*RUN, "-t", "transcribe:path=big.txt", "-b", "512", "-n", "2").stdout)
    assert (done["errors"], done["cells"][0]["accuracy"]) == (0, 1.0)


def test_a_document_that_a_codec_cannot_carry(ctxbench, notes):
    """The others are still counted and encoded, and it is said which one is missing and why."""
    (notes / "sub/c.md").unlink()
    (notes / "z.txt").write_text("ab cd " * 200_000)
    (notes / "empty.txt").write_text("")
    codec = "codebook:preset=aligned,page=112"
    shown = ctxbench("cost", "notes", "-c", codec, "--family", "qwen2-vl").stdout
    assert "4 documents (1 of them empty)" in shown
    assert "1 of 3 documents left out" in shown
    done = ctxbench("encode", "notes", "-c", codec, "-o", "p", exit_code=1)
    assert "left out: z.txt: " in done.stderr
    assert "cannot carry 1 of 4 documents; the others are in p" in done.stderr
    assert (notes.parent / "p/b.txt/page-001.png").exists()

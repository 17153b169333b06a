"""Commands beside strangers' plugins that are broken, noisy or wrong: results stay clean, and what is wrong is said once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

BROKEN = "raise SystemExit('no licence')"
LOUD = """
import attrs, ctxbench
print("import")

@attrs.frozen
class Loud(ctxbench.Codec):
    \"\"\"Prints.

    Attributes:
        volume: how loud it prints.
    \"\"\"

    volume: int = 3
    def encode(self, text):
        print("encode " * self.volume)
        return ctxbench.Carrier(text=ctxbench.require_text(text))
    def decode(self, carrier):
        print("decode")
        if carrier.text is None:
            raise ctxbench.DecodeError("no text")
        return carrier.text

class Abstract(ctxbench.Codec):
    pass

class Fails(Loud):
    def encode(self, text):
        raise RuntimeError("no such device")

class Forgets(Loud):
    texts = {}
    def encode(self, text):
        self.texts[len(text)] = text
        return ctxbench.Carrier(text=str(len(text)))
    def decode(self, carrier):
        if carrier.text is None:
            raise ctxbench.DecodeError("no text")
        return self.texts[int(carrier.text)]

class Ends(Loud):
    def encode(self, text):
        raise SystemExit(0)

def needs(folder):
    return Loud()

@ctxbench.hookimpl
def ctxbench_codecs():
    print("hook")
    yield ctxbench.CodecRecord("loud", "Prints.", Loud)
    yield ctxbench.CodecRecord("abstract", "Has no encode.", Abstract)
    yield ctxbench.CodecRecord("fails", "Raises.", Fails)
    yield ctxbench.CodecRecord("forgets", "Remembers texts.", Forgets)
    yield ctxbench.CodecRecord("ends", "Ends the program.", Ends)
    yield ctxbench.CodecRecord("needs", "Needs an option.", needs)

@ctxbench.hookimpl
def ctxbench_trial_finished(result):
    print("finished")
"""
LEFT_OUT = "ctxbench: 1 plugin is left out, wholly or in part (broken-codec); see: ctxbench plugins"


@pytest.fixture
def strangers(ctxbench, tmp_path: Path):
    """``strangers("cost", "f.txt")``: the command with the distributions ``broken-codec`` and ``loud-codec`` installed."""
    site = tmp_path / "site"
    site.mkdir()
    for name, source in (("broken", BROKEN), ("loud", LOUD)):
        (site / f"{name}_codec.py").write_text(source, "utf-8")
        info = site / f"{name}_codec-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-codec\nVersion: 1.0\n", "utf-8")
        (info / "entry_points.txt").write_text(f"[ctxbench]\n{name} = {name}_codec\n", "utf-8")
    (tmp_path / "in.txt").write_text('{"a": 1}\n' * 20, "utf-8")
    return lambda *args, **kwargs: ctxbench(*args, **{"env": {"PYTHONPATH": str(site)}, **kwargs})


def test_cost_lists_what_cannot_be_made(strangers):
    """A codec that cannot be made, or fails, is a row with its error; the others have their costs, and stdout is JSON."""
    done = strangers("cost", "in.txt", "--format", "json")
    rows = {row["codec"]: row for row in json.loads(done.stdout)["costs"]}
    assert rows["text"]["ratio"] == rows["loud"]["ratio"] == 1.0
    assert "codec 'abstract' of plugin 'loud' (loud-codec 1.0) cannot be made: Can't instantiate abstract" in rows["abstract"]["error"]
    assert rows["fails"]["error"] == "codec 'fails' failed: RuntimeError: no such device"
    assert rows["ends"]["error"] == "codec 'ends' failed: SystemExit: 0"
    assert rows["needs"]["error"] == "codec 'needs' needs the option 'folder', which has no default"
    assert done.stderr.count(LEFT_OUT) == 1
    assert "encode encode encode" in done.stderr


@pytest.mark.parametrize(
    ("codec", "message", "code"),
    [
        ("abstract", "error: codec 'abstract' of plugin 'loud' (loud-codec 1.0) cannot be made: Can't instantiate abstract class", 2),
        ("fails", "error: codec 'fails' failed: RuntimeError: no such device", 1),
        ("ends", "error: codec 'ends' failed: SystemExit: 0", 1),
        ("needs", "error: codec 'needs' needs the option 'folder'", 2),
        ("broken", "error: no codec named 'broken' (plugin 'broken' of broken-codec 1.0 left out at import: SystemExit: no licence)", 2),
    ],
)
def test_encode_with_a_broken_codec_is_one_clear_line(strangers, codec, message, code):
    """The last line says what is wrong and with whose codec, whatever the codec raised."""
    done = strangers("encode", "in.txt", "-c", codec, "-o", "p", exit_code=code)
    assert done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if line not in (LEFT_OUT, "import", "hook")]
    assert len(errors) == 1
    assert errors[0].startswith(message)


def test_what_plugins_print_does_not_reach_stdout(strangers, tmp_path):
    """Results alone are on stdout: the decoded text, the JSON of a run, of its plan and of the listing."""
    strangers("encode", "in.txt", "-c", "loud", "-o", "p")
    assert strangers("decode", "p", "-c", "loud").stdout == (tmp_path / "in.txt").read_text("utf-8")
    args = ("run", "-m", "mock", "-c", "loud", "-t", "needle", "-a", "clean", "-n", "1", "-b", "64", "--workers", "0", "--format", "json")
    assert json.loads(strangers(*args, "--dry-run").stdout)["planned"] == 1
    done = strangers(*args)
    assert json.loads(done.stdout)["finished"] == 1
    assert done.stderr.count(LEFT_OUT) == 1
    assert "finished" in done.stderr
    assert json.loads(strangers("plugins", "--json").stdout)["failures"][0]["distribution"] == "broken-codec"
    assert json.loads(strangers("sql", "SELECT count(*) AS n FROM trials", "--format", "json").stdout) == [{"n": 1}]


def test_failures_are_told_where_they_matter(strangers):
    """Commands that use no component say nothing of a broken plugin. The schema, which lacks it, does; the listing says all."""
    for args in (("--help",), ("--version",), ("config", "show"), ("plugins", "--json")):
        assert "left out" not in strangers(*args).stderr
    schema = strangers("config", "schema")
    assert schema.stderr.count("left out, wholly or in part (broken-codec)") == 1
    assert "codec.loud" in json.loads(schema.stdout)["$defs"]
    listed = strangers("plugins")
    assert "left out: broken (broken-codec 1.0) at import: SystemExit: no licence" in listed.stdout
    assert "left out" not in listed.stderr


def test_check_runs_the_contract(strangers):
    """A codec that remembers its texts fails by rule, in text and JSON, with exit code 1; a right one passes."""
    done = strangers("plugins", "check", "forgets", exit_code=1)
    assert "FAIL  codec forgets: decoding needs nothing but the pages: failed in another process: KeyError" in done.stdout
    assert "ok    codec forgets: round trip (18 decoded exactly)" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("error: forgets breaks ")
    checked = json.loads(strangers("plugins", "check", "loud:volume=1", "--json").stdout)
    assert checked["failed"] == 0
    assert {rule["outcome"] for rule in checked["rules"]} == {"ok", "skip"}
    assert "--rule" in strangers("plugins", "check", "--help").stdout
    wrong = strangers("plugins", "check", "loud", "--rule", "round_trp", exit_code=2)
    assert "no rule for a codec is named 'round_trp'; did you mean 'round_trip'?" in wrong.stderr
    wrong = strangers("plugins", "check", "loud", "--kind", "model", exit_code=1)
    assert "no model named 'loud'; 'loud' is a codec" in wrong.stderr
    assert "did you mean 'loud'" not in wrong.stderr
    assert "FAIL  codec abstract: it is made: codec 'abstract'" in strangers("plugins", "check", "abstract", exit_code=1).stdout


def test_show(strangers):
    """Options with type, default and meaning, from where; as JSON too."""
    (shown,) = json.loads(strangers("plugins", "show", "loud", "--json").stdout)
    assert (shown["kind"], shown["distribution"], shown["version"]) == ("codec", "loud-codec", "1.0")
    (volume,) = shown["options"]
    assert (volume["name"], volume["type"], volume["default"], volume["required"]) == ("volume", "whole number", 3, False)
    assert (volume["meaning"], volume["secret"], volume["schema"]) == ("how loud it prints.", False, {"type": "integer"})
    (shown,) = json.loads(strangers("plugins", "show", "needs", "--json").stdout)
    assert (shown["options"][0]["name"], shown["options"][0]["required"]) == ("folder", True)
    text = strangers("plugins", "show", "qwen2-vl").stdout
    assert "max_pixels   whole number at least 1   1003520   area in px that a larger page is scaled down to" in text
    assert "from ctxbench-qwen-tokens" in text
    assert "did you mean 'render'" in strangers("plugins", "show", "rendr", exit_code=1).stderr

"""What identifies a component, rule by rule: its options, its files, its release and its sources."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import sys
from pathlib import Path
from types import ModuleType

import attrs
import pytest

from ctxbench import Codec, ConfigError
from ctxbench import identity as module
from ctxbench.identity import IN_PROCESS, identify, is_editable, release, sources_sha256
from ctxbench.plugin import Origin
from ctxbench.seeds import stable_hash

ORIGIN = Origin("p", "dist-a", "1.0")


@attrs.frozen
class Plain(Codec):
    cell: object = 4
    neutral_options = frozenset({"speed"})

    def encode(self, text):
        raise NotImplementedError


@attrs.frozen
class Fast(Plain):
    speed: int = 1
    key: str = ""


def identity_of(component: Codec, options: dict | None = None, *extra: object, **more):
    return identify("codec", "plain", ORIGIN, component, options or {}, *extra, **more)


def test_the_hash_is_of_these_parts_in_this_order():
    """A change of the formula would run every stored trial again."""
    found = identity_of(Plain(5), {"cell": 5}, "weights", "more")
    parts = ["codec", "plain", "dist-a", {"cell": 5}, "", "weights", "more"]
    assert found.config == {"cell": 5}
    assert found.version == "1.0/1"
    assert found.unversioned == stable_hash(parts)
    assert found.full == stable_hash([*parts, "1.0/1"])


def test_what_is_stored_of_the_options():
    """The component's own config, and what it was given besides; secrets and what changes no output are left out of both."""
    found = identity_of(Fast(4, 9, "k"), {"cell": 4, "speed": 9, "key": "k", "hidden": 1}, secrets=frozenset({"key"}))
    assert found.config == {"cell": 4, "hidden": 1}
    assert identity_of(Fast(4, 1, "other"), {"cell": 4, "speed": 1, "hidden": 1}, secrets=frozenset({"key"})).full == found.full
    assert identity_of(Plain(), {"speed": 3, "password": "x"}, secrets=frozenset({"password"})).config == {"cell": 4}
    assert identity_of(Plain(4), {"cell": 5}).config == {"cell": 4}  # its own word counts


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}])
def test_a_config_that_is_not_json_is_refused(value):
    """It could not be stored, and would not be equal in another process."""
    with pytest.raises(ConfigError, match=r"^codec 'plain' of dist-a: its config is not JSON: "):
        identity_of(Plain(value))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("config", [1], "its config must be a dict, got list"), ("fingerprint", 7, "its fingerprint must be text, got int")],
)
def test_a_config_and_a_fingerprint_have_their_types(monkeypatch, name, value, message):
    """A plugin that returns something else is told so by name."""
    monkeypatch.setattr(Plain, name, value)
    with pytest.raises(ConfigError, match=f"^codec 'plain' of dist-a: {message}$"):
        identity_of(Plain())


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("shape", [lambda p: p, lambda p: [1, p], lambda p: {"a": {"b": [p]}}, lambda p: (p,)], ids=range(4))
def test_files_count_wherever_an_option_names_them(tmp_path, monkeypatch, shape):
    """In lists and mappings too. The fingerprint is of the component's own and of each file's place and content."""
    file = tmp_path / "font.ttf"
    file.write_bytes(b"glyphs")
    place = {0: "cell", 1: "cell[1]", 2: "cell.a.b[0]", 3: "cell[0]"}
    number = [shape("p") == s for s in ("p", [1, "p"], {"a": {"b": ["p"]}}, ("p",))].index(True)
    found = identity_of(Plain(shape(str(file))))
    assert found.fingerprint == stable_hash(["", {place[number]: sha256(b"glyphs")}])[:32]
    monkeypatch.setattr(Plain, "fingerprint", "own")
    assert identity_of(Plain(shape(str(file)))).fingerprint == stable_hash(["own", {place[number]: sha256(b"glyphs")}])[:32]
    file.write_bytes(b"other!")
    assert identity_of(Plain(shape(str(file)))).fingerprint != found.fingerprint


def test_which_words_are_paths(tmp_path, monkeypatch):
    """What has a separator or a dot, if there is such a file: not a bare word, no folder, nothing that no path can be."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    Path("bare").write_text("x")
    Path("dotted.bin").write_text("x")
    Path("folder.d").mkdir()
    Path("folder.d", "inner").write_text("x")
    for word in ("dotted.bin", "folder.d/inner", "./bare", "~/bare", str(tmp_path / "bare")):
        assert identity_of(Plain(word)).fingerprint, word
    no_paths = ("bare", "folder.d", "gone.bin", "", "a\0.b", "x." * 2048, "~nobody-of-this-name/x", 7, None, True)
    for word in no_paths:
        assert identity_of(Plain(word)).fingerprint == "", word


def test_a_path_may_be_long_but_not_longer_than_the_system_allows(tmp_path):
    """4,095 characters are looked up and 4,096 are not; a name that the system refuses is no file."""
    file = tmp_path / "f.bin"
    file.write_text("x")
    start = f"{tmp_path}/"
    for length, found in ((4095, True), (4096, False)):
        fill = length - len(start) - len("f.bin")
        assert bool(identity_of(Plain(start + "./" * (fill // 2) + "/" * (fill % 2) + "f.bin")).fingerprint) is found
    assert identity_of(Plain("n" * 1000 + ".bin")).fingerprint == ""


def test_a_file_is_read_again_when_it_changed(tmp_path):
    """Its size and time of change are looked at each time, its content when one of them is new."""
    file = tmp_path / "a.bin"
    seen = set()
    for i, content in enumerate((b"one", b"two", b"three")):
        file.write_bytes(content)
        os.utime(file, ns=(i, i))
        seen.add(identity_of(Plain(str(file))).fingerprint)
    assert len(seen) == 3


def distribution(folder: Path, name: str, direct_url: object) -> None:
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    if direct_url is not None:
        (info / "direct_url.json").write_text(direct_url if isinstance(direct_url, str) else json.dumps(direct_url))


@pytest.mark.parametrize(
    ("direct_url", "editable"),
    [
        ({"url": "file:///x", "dir_info": {"editable": True}}, True),
        ({"url": "file:///x", "dir_info": {"editable": False}}, False),
        ({"url": "file:///x", "dir_info": {}}, False),
        ({"url": "https://x/y.whl", "archive_info": {}}, False),
        ("{broken", False),
        ("", False),
        (None, False),
    ],
    ids=str,
)
def test_what_an_editable_installation_is(tmp_path, monkeypatch, direct_url, editable):
    """By the record of PEP 610; one that is missing or broken says no."""
    distribution(tmp_path, "dist-e", direct_url)
    monkeypatch.syspath_prepend(str(tmp_path))
    is_editable.cache_clear()
    assert is_editable("dist-e") is editable
    is_editable.cache_clear()


def test_a_distribution_that_is_not_there_or_cannot_be_read_is_not_editable(monkeypatch):
    """A component may be registered under a name that nothing is installed by."""
    is_editable.cache_clear()
    assert is_editable("no-such-distribution") is False

    def refuse(name):
        raise PermissionError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", refuse)
    assert is_editable("unreadable") is False
    is_editable.cache_clear()


def test_a_release_is_the_version_and_the_sources_where_it_does_not_tell(monkeypatch):
    """Installed: the version. Edited in place: a hash of the package's sources. Of the caller's own: a hash of the class."""
    monkeypatch.setattr(module, "is_editable", lambda name: name == "dist-a")
    monkeypatch.setattr(module, "sources_sha256", lambda package: {__name__.partition(".")[0]: "0123456789abcdef"}[package])
    assert release(Origin("p", "dist-b", "1.0"), Plain()) == "1.0"
    assert release(ORIGIN, Plain()) == "1.0+01234567"
    import inspect

    own = release(Origin("run", IN_PROCESS, "0"), Plain())
    assert own == "0+" + sha256(inspect.getsource(Plain).encode())[:8]


@pytest.mark.parametrize("error", [OSError, TypeError])
def test_a_class_without_source_has_the_version_alone(monkeypatch, error):
    """As one that was typed into an interpreter, or made by a program."""

    def refuse(cls):
        raise error("no source")

    monkeypatch.setattr(module.inspect, "getsource", refuse)
    assert release(Origin("run", IN_PROCESS, "0"), Plain()) == "0"


def module_at(monkeypatch, name: str, **attributes: object) -> None:
    made = ModuleType(name)
    vars(made).update(attributes)
    monkeypatch.setitem(sys.modules, name, made)
    sources_sha256.cache_clear()


def digest(*files: tuple[str, bytes]) -> str:
    return sha256(b"".join(name.encode() + b"\0" + hashlib.sha256(data).digest() for name, data in files))


def test_sources_are_names_and_contents_in_order(tmp_path, monkeypatch):
    """Code and small data that it reads, in all its folders; no caches, no other files."""
    files = {"b.py": b"b", "a.py": b"a", "data/words.txt": b"w", "data/t.csv": b"1,2"}
    left_out = {"__pycache__/a.py": b"c", "data/__pycache__/x.txt": b"c", "weights.bin": b"w", "image.png": b"p"}
    for name, data in {**files, **left_out}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.py").mkdir()
    module_at(monkeypatch, "in_a_folder", __path__=[str(tmp_path)], __file__=str(tmp_path / "a.py"))
    assert sources_sha256("in_a_folder") == digest(*sorted(files.items()))
    sources_sha256.cache_clear()


def test_sources_of_one_file_and_of_none(tmp_path, monkeypatch):
    """A module is its file; what has none has no sources, and not those of the folder that the run was started in."""
    file = tmp_path / "alone.py"
    file.write_bytes(b"x = 1\n")
    module_at(monkeypatch, "alone", __file__=str(file))
    assert sources_sha256("alone") == digest(("alone.py", b"x = 1\n"))
    for attributes in ({"__file__": None}, {}, {"__path__": []}):
        module_at(monkeypatch, "nowhere", **attributes)
        monkeypatch.chdir(tmp_path)
        assert sources_sha256("nowhere") == sha256(b"")
    assert sources_sha256("never_imported") == sha256(b"")
    sources_sha256.cache_clear()


def test_large_files_are_no_sources(tmp_path, monkeypatch):
    """Weights have fingerprints of their own; the limit itself still counts."""
    monkeypatch.setattr(module, "_LARGEST_SOURCE", 10)
    (tmp_path / "a.txt").write_bytes(b"x" * 10)
    (tmp_path / "b.txt").write_bytes(b"x" * 11)
    module_at(monkeypatch, "large", __path__=[str(tmp_path)])
    assert sources_sha256("large") == digest(("a.txt", b"x" * 10))
    sources_sha256.cache_clear()

"""The corpus of ``dictionary_2.txt``: documents of real packages, fetched by apt-get, pip and npm and sorted by kind.

``packages.csv`` names package, version, licence, kind, use (``train``, or ``unseen``: measured only) and the files that are taken.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
import subprocess
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

PACKAGES = Path(__file__).with_name("packages.csv")
PIECE = 8_192
"""Longer files are cut into documents of at most so many bytes, at ends of lines."""
LINE = 2_048
"""Characters of a line after which it may be cut too: JSON on one line, and no more bytes than a piece has."""
ANY = ("--only-binary", ":all:", "--platform", "any", "--abi", "none", "--implementation", "py", "--python-version", "3.11")
"""The same wheel on every machine."""
HELD_OUT = 26
"""Of 256 documents, by the first byte of the SHA-256 of their name: about a tenth."""
SHARES = {"English": 0.30, "man pages": 0.12, "Python": 0.24, "JSON": 0.20, "Chinese": 0.14}
"""Of the training bytes. Prose, programs and data as they reach models; Chinese is fewer than its readers, since most of its characters
would need an entry of their own, which 4,096 entries cannot give without costing the other kinds more than Chinese wins."""
SKIPPED = re.compile(
    r"\.\.$|[.']\s*(\\[\"}]|(TH|de|ie|el|if|ds|so|ad|nh|hy|nf|fi|ft|in|ta|sp|PD|RS|RE|EX|EE|TS|TE|UE|am|ig|nr|do|ll|br)\b)",
)
"""Lines of a man page's source that say nothing to a reader."""
CHARACTERS = {"aq": "'", "dq": '"', "bu": "*", "co": "©", "em": "—", "en": "–", "lq": "“", "rq": "”", "ti": "~", "ha": "^"}


@attrs.frozen
class Package:
    """A line of ``packages.csv``."""

    manager: str
    package: str
    version: str
    licence: str
    kind: str
    use: str
    files: str

    def archive(self, cache: Path) -> Path | None:
        """Where the cache has it."""
        name, version = re.escape(self.package), re.escape(self.version.replace(":", "%3a"))
        pattern = {
            "apt": rf"{name}_{version}_.*\.deb",
            "pip": rf"{self.package.replace('-', '_')}-{version}-py.*-any\.whl",
            "npm": rf"{name.replace('@', '').replace('/', '-')}-{version}\.tgz",
        }[self.manager]
        folder = cache / self.manager
        return next((path for path in sorted(folder.glob("*")) if re.fullmatch(pattern, path.name, re.IGNORECASE)), None)


@attrs.frozen
class Document:
    """A text, or a piece of one, and whose it is."""

    name: str
    text: str
    package: Package

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(f"{self.package.package}/{self.name}".encode()).digest()

    @property
    def held_out(self) -> bool:
        return self.digest[0] < HELD_OUT


def packages() -> list[Package]:
    """The lines of ``packages.csv``."""
    with PACKAGES.open(encoding="utf-8", newline="") as file:
        return [Package(**row) for row in csv.DictReader(file)]


def fetch(cache: Path) -> None:
    """Get what the cache does not have yet, each by its own client.

    Raises:
        SystemExit: a client failed, or left no archive.
    """
    for package in packages():
        if package.archive(cache):
            continue
        folder = cache / package.manager
        folder.mkdir(parents=True, exist_ok=True)
        command = {
            "apt": ["apt-get", "download", f"{package.package}={package.version}"],
            "pip": ["pip", "download", "--quiet", "--no-deps", *ANY, f"{package.package}=={package.version}"],
            "npm": ["npm", "pack", "--silent", f"{package.package}@{package.version}"],
        }[package.manager]
        try:
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemExit(f"{package.package} {package.version} could not be fetched: {error}") from None
        if not package.archive(cache):
            raise SystemExit(f"{' '.join(command)} left no archive of {package.package} in {folder}")


def documents(cache: Path) -> list[Document]:
    """All documents of the cache's packages, in the order of ``packages.csv`` and of their names.

    Raises:
        SystemExit: an archive is missing, or has no file that ``packages.csv`` asks for.
    """
    found = []
    for package in packages():
        archive = package.archive(cache)
        if archive is None:
            raise SystemExit(f"{cache} has no {package.package} {package.version}; make it with plugins/codebook/train/dictionary.py")
        own = [
            Document(name, text, package)
            for path, data in sorted(_members(archive))
            if re.search(package.files, path)
            for name, text in pieces(path, _texts(path, data))
        ]
        if not own:
            raise SystemExit(f"{archive.name} has no file that matches {package.files}")
        found += own
    return found


def sample(some: Iterable[Document], size: int) -> list[Document]:
    """Documents of about ``size`` bytes in all, packages with as many bytes each as they have; in each by the digest of the name."""
    queues: dict[str, list[Document]] = {}
    for document in sorted(some, key=lambda document: document.digest, reverse=True):
        queues.setdefault(document.package.package, []).append(document)
    taken, sizes = list[Document](), dict.fromkeys(sorted(queues), 0)
    while sizes and size > 0:
        least = min(sizes, key=lambda name: sizes[name])
        taken.append(queues[least].pop())
        length = len(taken[-1].text.encode())
        size -= length
        sizes[least] += length
        if not queues[least]:
            del sizes[least]
    return taken


def training(some: list[Document], size: int) -> list[Document]:
    """The training documents of about ``size`` bytes, each kind with its share."""
    known = [document for document in some if document.package.use == "train" and not document.held_out]
    return [
        document
        for kind, share in SHARES.items()
        for document in sample((each for each in known if each.package.kind == kind), int(size * share))
    ]


def pieces(path: str, texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(name, text) of at most :data:`PIECE` bytes each."""
    for i, text in enumerate(texts):
        part, size, number = list[str](), 0, 0
        for line in [*re.findall(rf"[^\n]{{0,{LINE}}}\n|[^\n]{{1,{LINE}}}", text), None]:
            length = 0 if line is None else len(line.encode())
            if part and (line is None or size + length > PIECE):
                yield f"{path}#{i}.{number}", "".join(part)
                part, size, number = [], 0, number + 1
            if line is not None:
                part.append(line)
                size += length


def unroff(source: str) -> str:
    """The words of a man page without its formatting, its lines as in the source; a line in a font of its own joins its neighbours."""
    words, before = "", False
    for line in source.splitlines():
        if SKIPPED.match(line):
            continue
        macro = line[:1] in (".", "'")
        text = re.sub(r"^[.']\s*\w+ ?", "", line) if macro else line
        text = re.sub(r'\\".*', "", text)
        text = re.sub(r"\\f(\[\w*\]|\(..|.)|\\s[-+]?\d|\\[&|^c/,:%]|\\[mn]\[\w*\]|\\[hvw]'[^']*'", "", text)
        text = re.sub(r"\\\*?\((..)|\\\*?\[([^\]]*)\]", lambda found: CHARACTERS.get(found[1] or found[2], ""), text)
        for escape, character in (("\\-", "-"), ("\\ ", " "), ("\\~", " "), ("\\e", "\\"), ("\\\\", "\\")):
            text = text.replace(escape, character)
        font = macro and re.match(r".\s*([BI]|[BIR]{2})\b", line) is not None
        words += (" " if words and (font or before) else "\n") + (text.replace('"', "") if macro else text)
        before = font
    return words.strip() + "\n"


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            yield from ((name, wheel.read(name)) for name in wheel.namelist())
        return
    packed = archive.read_bytes()
    if archive.suffix == ".deb":
        packed = subprocess.run(["dpkg-deb", "--fsys-tarfile", archive], check=True, stdout=subprocess.PIPE).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            if file is not None:
                yield member.name, file.read()


def _texts(path: str, data: bytes) -> Iterator[str]:
    """The texts of a file: none where it is not UTF-8; one, or the elements of a JSON list."""
    try:
        text = (gzip.decompress(data) if path.endswith(".gz") else data).decode()
        if not path.endswith(".json"):
            yield unroff(text) if "/man/" in path else text
            return
        whole = json.loads(text)
    except ValueError:
        return
    if isinstance(whole, dict) and isinstance(whole.get("text"), str):
        yield whole["text"]
        return
    for i, value in enumerate(whole if isinstance(whole, list) else [whole]):
        yield _json(f"{path}#{i}", value)


def _json(name: str, value: object) -> str:
    """As people have it: indented, on one line, or without any space, by the name."""
    style = hashlib.sha256(name.encode()).digest()[1] % 3
    if style == 0:
        return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":") if style == 1 else None)

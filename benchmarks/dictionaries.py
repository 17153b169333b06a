"""How well dictionaries fit real text: ``python -m benchmarks.dictionaries CACHE [--bytes 150000] [--out FILE]``.

CACHE is the folder of packages of ``python plugins/codebook/train/dictionary.py CACHE``. For each kind of text: UTF-8 bytes and reference
tokens a code on documents held out of the training's packages and on packages that it took nothing from; and on this project's own
documents. The ratios are of payloads: header, parity and a page's shape come on top, and weigh little on long texts.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import attrs

from ctxbench.tokens import count_text
from ctxbench_codebook import symbols

ROOT = Path(__file__).resolve().parents[1]
SYMBOLS = ("dictionary", "dictionary2", "bpe")
OWN = {
    "this project's README and docs (English)": ("README.md", "docs/*.md"),
    "this project's Python": ("core/src/ctxbench/*.py",),
    "the case study's JSON": ("benchmarks/case_study/own/*.json",),
    "the case study's Python": ("benchmarks/case_study/own/*.py",),
}


@attrs.frozen
class Fit:
    """Counts of some texts: UTF-8 bytes, reference tokens, and codes of each symbol."""

    size: int
    tokens: int
    codes: dict[str, int]

    def ratio(self, symbol: str, each: int) -> float:
        """Reference tokens per visual token where a square holds ``each`` codes."""
        return each * self.tokens / self.codes[symbol]


def measure(texts: list[str]) -> Fit:
    """Counts of all texts together; every text must come back from its codes.

    Raises:
        SystemExit: one does not.
    """
    codes = dict.fromkeys(SYMBOLS, 0)
    for text in texts:
        for symbol in SYMBOLS:
            found, kind = symbols.encode(text, symbol)
            if symbols.decode(found, kind) != text:
                raise SystemExit(f"codes of {symbol} do not give a text back: {text[:60]!r}")
            codes[symbol] += len(found)
    return Fit(sum(len(text.encode()) for text in texts), sum(map(count_text, texts)), codes)


def row(name: str, texts: list[str]) -> str:
    """A line of the table."""
    fit = measure(texts)
    cells = [f"{fit.size:,}", *(f"{fit.size / fit.codes[symbol]:.2f}" for symbol in SYMBOLS)]
    cells += [f"{fit.tokens / fit.codes[symbol]:.2f}" for symbol in SYMBOLS]
    cells += [f"{fit.ratio(symbol, each):.2f}" for symbol in SYMBOLS[:2] for each in (4, 8)]
    return f"| {name} | " + " | ".join(cells) + " |"


def report(cache: Path, size: int) -> str:
    """The tables of fit and of packages."""
    sys.path.insert(0, str(ROOT / "plugins" / "codebook" / "train"))
    import dictionary
    import dictionary_corpus as corpus

    known = corpus.documents(cache)
    used = corpus.training(known, dictionary.BYTES)
    head = [
        "text",
        "bytes",
        *(f"{unit} a code: {symbol}" for unit in ("bytes", "tokens") for symbol in SYMBOLS),
        *(f"ratio: {symbol}, {each} a square" for symbol in SYMBOLS[:2] for each in (4, 8)),
    ]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for kind in corpus.SHARES:
        own = [document for document in known if document.package.kind == kind]
        held = corpus.sample((document for document in own if document.package.use == "train" and document.held_out), size)
        other = corpus.sample((document for document in own if document.package.use == "unseen"), size)
        lines.append(row(f"{kind}, held out", [document.text for document in held]))
        lines.append(row(f"{kind}, other packages", [document.text for document in other]))
    for name, patterns in OWN.items():
        paths = [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]
        lines.append(row(name, [path.read_text("utf-8") for path in paths]))
    lines += ["", "| package | version | licence | kind | use | bytes used for training |", "|---" * 6 + "|"]
    for package in corpus.packages():
        total = sum(len(document.text.encode()) for document in used if document.package == package)
        lines.append(f"| {package.package} | {package.version} | {package.licence} | {package.kind} | {package.use} | {total:,} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--bytes", type=int, default=150_000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    text = f"""# Dictionaries on real text

`python -m benchmarks.dictionaries CACHE --bytes {options.bytes}`; up to about so many bytes of each kind. `dictionary` was
made of the tasks' texts, `dictionary2` of the packages below, `bpe` is Qwen's tokens. *Held out* are a tenth of the documents of the
training's packages (a document is a file, or 8 kB of a longer one, so that other parts of such a file were trained on); of *other
packages* nothing was trained on. Tokens are reference tokens (Qwen2's), and the ratio is reference tokens per visual token of the
payload: header, parity and a page's shape cost more, which weighs little on long texts. Four dictionary codes a square are
`cell=4, colors=2`, eight are `colors=4`. `bpe` holds a token a code, except where NFC would change a text and it is carried as
bytes; five of its codes a square are `colors=4`, eight are `colors=8`.

{report(options.cache, options.bytes)}
"""
    print(text, end="")
    if options.out:
        options.out.write_text(text, "utf-8")


if __name__ == "__main__":
    main()

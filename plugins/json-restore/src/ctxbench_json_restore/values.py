"""Keys and values at three levels of entropy: common words, plausible records, random characters."""

from __future__ import annotations

import itertools
import random
import string
import uuid
from collections.abc import Callable, Container, Sequence
from typing import Any, Literal, TypeVar

import attrs

from ctxbench.tokens import count_text
from ctxbench_json_restore.words import LEXICONS, Lexicon

Entropy = Literal["words", "realistic", "random"]
Kind = Literal["string", "integer", "number", "boolean", "null", "array"]
T = TypeVar("T")
Maker = Callable[["Source"], Any]

DECK: tuple[Kind, ...] = ("string", "string", "string", "string", "integer", "integer", "number", "boolean", "null", "array")
"""Kinds are dealt from a shuffled deck, so that ten fields in a row hold every kind."""

ALPHANUMERIC = string.ascii_letters + string.digits
COMMON_CHINESE = bytes(byte for high in range(0xB0, 0xD7) for low in range(0xA1, 0xFF) for byte in (high, low)).decode("gb2312")
"""The characters of the first level of GB 2312 but for its last row."""


def _name(s: Source) -> str:
    return s.lexicon.name.format(given=s.pick(s.lexicon.given), family=s.pick(s.lexicon.family))


def _email(s: Source) -> str:
    user = s.pick(LEXICONS["en"].given).lower()
    return f"{user}{s.whole(10, 100)}@{s.pick(LEXICONS['en'].words)}.{s.pick(('com', 'org', 'net', 'example'))}"


def _date(s: Source) -> str:
    return f"{s.whole(1995, 2035)}-{s.whole(1, 13):02}-{s.whole(1, 29):02}"


def _time(s: Source) -> str:
    return f"{_date(s)}T{s.whole(0, 24):02}:{s.whole(0, 60):02}:{s.whole(0, 60):02}Z"


def _code(s: Source) -> str:
    return "".join(s.rng.choices(string.ascii_uppercase, k=3)) + f"-{s.whole(1000, 100000)}"


def _phone(s: Source) -> str:
    return f"+{s.whole(20, 99)} {s.whole(100, 1000)} {s.whole(1000000, 10000000)}"


def _street(s: Source) -> str:
    number = s.whole(1, 300)
    street = s.pick(s.lexicon.streets)
    return f"{street}{number}号" if s.language == "zh" else f"{number} {street}"


# kind -> (key in English, key in Chinese, maker)
RECORD: dict[Kind, tuple[tuple[str, str, Maker], ...]] = {
    "string": (
        ("name", "姓名", _name),
        ("email", "邮箱", _email),
        ("city", "城市", lambda s: s.pick(s.lexicon.cities)),
        ("street", "街道", _street),
        ("created_at", "创建时间", _time),
        ("due_date", "到期日", _date),
        ("sku", "货号", _code),
        ("product", "产品", lambda s: s.pick(s.lexicon.products)),
        ("status", "状态", lambda s: s.pick(s.lexicon.statuses)),
        ("phone", "电话", _phone),
        ("remark", "备注", lambda s: s.pick(s.lexicon.remarks)),
        ("unit", "单位", lambda s: s.pick(s.lexicon.units)),
    ),
    "integer": (
        ("id", "编号", lambda s: s.whole(1000, 1000000)),
        ("quantity", "数量", lambda s: s.whole(1, 500)),
        ("age", "年龄", lambda s: s.whole(18, 90)),
        ("stock", "库存", lambda s: s.whole(0, 10000)),
        ("balance_cents", "余额", lambda s: s.whole(-500000, 500000)),
        ("views", "浏览量", lambda s: s.whole(0, 1000000)),
    ),
    "number": (
        ("price", "价格", lambda s: s.decimal(100000, 2)),
        ("rating", "评分", lambda s: s.decimal(50, 1)),
        ("latitude", "纬度", lambda s: s.decimal(900000, 4) * s.pick((1, -1)) + 0.0),
        ("weight", "重量", lambda s: s.decimal(20000, 3)),
    ),
    "boolean": (
        ("active", "启用", lambda s: s.rng.random() < 0.5),
        ("verified", "已验证", lambda s: s.rng.random() < 0.5),
        ("gift", "礼品", lambda s: s.rng.random() < 0.5),
    ),
    "null": (("deleted_at", "删除时间", lambda s: None), ("parent", "上级", lambda s: None), ("nickname", "昵称", lambda s: None)),
    "array": (
        ("tags", "标签", lambda s: [s.pick(s.lexicon.words) for _ in range(s.whole(0, 5))]),
        ("scores", "成绩", lambda s: [s.whole(0, 101) for _ in range(s.whole(1, 6))]),
        ("history", "历史", lambda s: [s.pick((_date(s), s.decimal(1000, 1), None, True)) for _ in range(s.whole(1, 4))]),
    ),
}


@attrs.define
class Source:
    """Draws keys and values.

    Attributes:
        rng: where all randomness comes from.
        language: ``en`` or ``zh``.
        entropy: how hard the values are to guess.
    """

    rng: random.Random
    language: str
    entropy: Entropy
    _deck: list[Kind] = attrs.field(factory=list, init=False)

    @property
    def lexicon(self) -> Lexicon:
        """The words of this source's language."""
        return LEXICONS[self.language]

    def pick(self, choices: Sequence[T]) -> T:
        """One of ``choices``; several times as fast as :meth:`random.Random.choice`."""
        return choices[int(self.rng.random() * len(choices))]

    def whole(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high`` - 1, for ranges far below 2**53; faster than :meth:`random.Random.randrange`."""
        return low + int(self.rng.random() * (high - low))

    def decimal(self, below: int, places: int) -> float:
        """A number under ``below`` / 10**places with at most so many decimal places; never a negative zero."""
        return self.whole(1, below) / float(10**places)

    def kind(self) -> Kind:
        """The next kind of the deck."""
        if not self._deck:
            self._deck = list(DECK)
            self.rng.shuffle(self._deck)
        return self._deck.pop()

    def characters(self, low: int, high: int) -> str:
        """``low`` to ``high`` random characters, in Chinese a third of them Chinese."""
        chinese = COMMON_CHINESE if self.language == "zh" else ""
        count = self.whole(low, high + 1)
        if not chinese:
            return "".join(self.rng.choices(ALPHANUMERIC, k=count))
        return "".join([self.pick(chinese if self.rng.random() < 0.34 else ALPHANUMERIC) for _ in range(count)])

    def _random_string(self) -> str:
        form = self.whole(0, 4)
        if form == 0:
            return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        return f"{self.rng.getrandbits(64):016x}" if form == 1 else self.characters(4, 24)

    def word(self) -> str:
        """A word, or a string of random characters at high entropy."""
        return self.characters(3, 8) if self.entropy == "random" else self.pick(self.lexicon.words)

    def words(self, count: int) -> str:
        """``count`` of them in one string."""
        return (" " if self.entropy == "random" else self.lexicon.join).join(self.word() for _ in range(count))

    def text(self, tokens: int) -> str:
        """A string of about so many reference tokens, at least one word long."""
        words = self.words(max(1, tokens))
        total = count_text(words)
        cut = words[: max(1, len(words) * tokens // total)] if total > tokens else words
        return cut if cut == words or " " not in cut else cut[: cut.rindex(" ")]

    def field(self, kind: Kind) -> tuple[str | None, Any]:
        """A value of this kind, and the key that fits it, if it needs a certain one."""
        if self.entropy != "realistic":
            return None, self._plain(kind)
        english, chinese, make = self.pick(RECORD[kind])
        return chinese if self.language == "zh" else english, make(self)

    def container_key(self, taken: Container[str], *, many: bool = False) -> str:
        """A key for a nested object, or for an array of objects."""
        known = self.lexicon.lists if many else self.lexicon.containers
        return self.key(taken, self.pick(known) if self.entropy == "realistic" else None)

    def _plain(self, kind: Kind) -> Any:
        wild = self.entropy == "random"
        if kind == "string":
            return self._random_string() if wild else self.words(self.whole(1, 4))
        if kind == "integer":
            return self.whole(-(2**31), 2**31) if wild else self.whole(0, 100)
        if kind == "number":
            return self.decimal(10**9, 5) if wild else self.decimal(1000, 1)
        if kind == "boolean":
            return self.rng.random() < 0.5
        if kind == "null":
            return None
        return [self._plain(self.pick(("string", "integer", "boolean"))) for _ in range(self.whole(0, 5))]

    def key(self, taken: Container[str], wanted: str | None = None) -> str:
        """A key that is not in ``taken``: ``wanted`` if it is free, then joined with a word, then numbered."""
        between = "" if self.language == "zh" else "_"
        key = wanted or self.word()
        if key not in taken:
            return key
        base = wanted or self.word()
        for _ in range(6):
            key = f"{self.word()}{between}{base}"
            if key not in taken:
                return key
        return next(numbered for number in itertools.count(2) if (numbered := f"{key}_{number}") not in taken)

"""What kind of answer a reading was: the one word that a table of failures is made of."""

from __future__ import annotations

import json
import re
import unicodedata

from ctxbench.records import Sample
from ctxbench.results import Outcome

MAX_REFUSAL = 400
"""A refusal is short: longer texts may say "not found" in passing, in characters."""

LOOP_WINDOW, LOOP_LENGTH, LOOP_REPEATS = 4096, 40, 6
"""A loop is a unit said at least six times in a row, forty characters or more in all, within the last 4,096 characters."""

_EN = r"""
    \b(?:
        not\ found
      | (?:not|never|\w+n't)\ (?:be\ |been\ |explicitly\ |actually\ |directly\ )?
        (?:mentioned|given|specified|provided|stated|present|available|included|legible|readable|named|listed|shown|disclosed|revealed)
      | (?:cannot|can't|can\ not|could\ not|couldn't|(?:am|are|is|was|be)\ (?:un|not\ )able\ to|unable\ to)\ (?:\w+\ ){0,2}?
        (?:read|find|see|determine|answer|locate|make\ out|decipher|decode|access|extract|identify|help|provide|view|process|tell
          |recogni[sz]e|interpret|assist|be\ (?:read|found|seen|determined|answered|located|deciphered|decoded|identified))
      | (?:do\ not|don't|does\ not|doesn't|did\ not|didn't)\ (?:seem\ to\ |actually\ |explicitly\ )?
        (?:know|contain|mention|include|provide|specify|state|appear|see|find|have|say|tell|give|reveal|indicate|list|show|disclose|name)
      | there\ (?:is|are|was|were)\ (?:none|nothing|not\ (?:any|one)) | there\ (?:isn't|aren't|wasn't|weren't)\ (?:any|one|a)
      | (?:none\ |nothing\ |no\ (?:\w+\ ){1,6}?)(?:is|are|was|were|has\ been|have\ been)
        \ (?:mentioned|given|specified|provided|stated|found|present|listed)
      | no\ (?:information|mention|answer|such|text|context|image|secret|indication|record|reference|matching|relevant)
      | (?:is|are)\ (?:missing|absent|unknown|illegible|unreadable|unclear) | too\ (?:blurry|blurred|small|noisy|unclear)
      | i'm\ sorry | i\ am\ sorry | unanswerable | not\ enough\ information | insufficient\ information
    )\b
    | ^sorry\b | ^(?:unknown|none|nothing|n/a|illegible|unreadable|absent|missing)(?:\ (?:given|found|mentioned|stated))?[.!]?$
"""
_ZH = r"""
    (?:未|没有?|沒有?|并未|並未|并没有|尚未)(?:\w{0,4}?)(?:找到|发现|發現|提到|提及|提供|给出|給出|说|說|写|寫
      |指明|指出|列出|透露|出现|出現|包含|记载|記載|相关|答案)
    | (?:没|沒|未)提 | ^(?:没有|沒有|无|無|不详|不詳)[。.!！]?$ | (?:并无|並無|没有|沒有)(?:这|這|该|該|此|任何)
    | (?:找|看|读|讀|认|認|分)(?:不到|不清|不出|不了)
    | 不(?:知道|清楚|存在|确定|確定)
    | (?:无法|無法|不能|难以|難以)\w{0,4}?(?:读|讀|识别|識別|回答|确定|確定|辨认|辨認|找到|看清|提供|判断|判斷|解码|解碼|获取|獲取|得知)
    | 抱歉 | 对不起 | 對不起
"""
_REFUSAL = re.compile(f"{_EN} | {_ZH}", re.VERBOSE | re.IGNORECASE)
_BEGINS_JSON = re.compile(r"\s*(?:```\w*\s*)?[\[{]")
_CONTRAST = re.compile(
    r"\b(?:but|however|although|best guess|my guess|nevertheless|maybe|perhaps|possibly|probably)\b"
    r"|但是|但|不过|不過|然而|可能|也许|也許|大概",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[.!?;](?=\s|$)|[。！？；;\n]")
_IDENTIFIER = re.compile(
    r"(?<![\w-])(?=[a-z-]*\d)[a-z0-9]+(?:[-_.,][a-z0-9]+)*(?<=\w{3})(?![\w-])"  # a number of three digits or more, a code, a hash
    r"|(?:\b(?:is|are|was|were)|[:=])\s*[\"'*`]*[a-z]{3,}-[a-z]{3,}[\"'*`]*\s*(?:[,:]|$)",  # two words as one value
    re.ASCII,
)


def classify(prediction: str, finish_reason: str, correct: bool, extraction: str | None, sample: Sample) -> Outcome:
    """Say how a reading ended; the first of these that holds:

    - ``correct``: the task's primary score is 1.
    - ``abstained``: it says nothing, or that it cannot tell, and no part of the answer.
    - ``looping``: it ends in one unit over and over.
    - ``truncated``: it was cut at the token limit.
    - ``unparsable``: JSON was asked for and there is none in it.
    - ``confabulated``: it says something else.

    Args:
        prediction: what the model said.
        finish_reason: as in :class:`~ctxbench.records.Reading`.
        correct: the primary score is 1.
        extraction: how the metric of the primary score found the answer, as in :class:`~ctxbench.records.Scores`.
        sample: what was asked.
    """
    if correct:
        return "correct"
    if not prediction.strip(" \t\r\n`") or (extraction in (None, "none") and _abstains(prediction, sample)):
        return "abstained"
    if is_looping(prediction):
        return "looping"
    if finish_reason == "length":
        return "truncated"
    if extraction == "none" and _asks_for_json(sample):
        return "unparsable"
    return "confabulated"


def is_refusal(text: str, phrase: str | None = None) -> bool:
    """True if a short text says, in English or Chinese, that the answer is not there or cannot be read.

    A guess after a contrast ("I cannot read it well, but the code is 17") is an answer, not a refusal; so is a text of which another
    sentence asserts a number, a code or another identifier ("It is 4821973. The other is not mentioned.").

    Args:
        text: what the model said.
        phrase: the words that the question asked for in this case (``not found``), if any.
    """
    if len(text) > MAX_REFUSAL:
        return False
    clause = _CONTRAST.split(_plain(text))[-1].strip()
    says_so = bool(_REFUSAL.search(clause)) or bool(phrase and _plain(phrase) in clause)
    return says_so and not any(_IDENTIFIER.search(sentence) for sentence in assertions(text))


def assertions(text: str) -> list[str]:
    """The sentences of a text that do not say that something is missing or cannot be read, in lower case."""
    sentences = (_plain(sentence) for sentence in _SENTENCE.split(text))
    return [sentence for sentence in sentences if sentence and not _REFUSAL.search(sentence)]


def is_looping(text: str) -> bool:
    """True if ``text`` ends in a short unit repeated many times; linear in the tail that it looks at.

    With ``z[p]`` the length of the longest common prefix of the reversed tail and itself moved by ``p``, the last ``p + z[p]``
    characters have period ``p`` (the Z-function; Gusfield, 1997, section 1.4).
    """
    tail = text.rstrip()[-LOOP_WINDOW:][::-1]
    if len(tail) < LOOP_LENGTH:
        return False
    z = _z_function(tail, len(tail) // LOOP_REPEATS + 1)
    return any(p + z[p] >= max(LOOP_LENGTH, LOOP_REPEATS * p) for p in range(1, len(z)))


def _z_function(text: str, count: int) -> list[int]:
    """The first ``count`` values of the Z-function of ``text``."""
    z = [0] * count
    left = right = 0
    for i in range(1, count):
        length = min(right - i, z[i - left]) if i < right else 0
        while i + length < len(text) and text[length] == text[i + length]:
            length += 1
        z[i] = length
        if i + length > right:
            left, right = i, i + length
    return z


def _plain(text: str) -> str:
    """NFKC, lower case, straight apostrophes, single spaces: how two spellings of one phrase become equal."""
    return " ".join(unicodedata.normalize("NFKC", text).replace("’", "'").casefold().split())


def _abstains(prediction: str, sample: Sample) -> bool:
    if _asks_for_json(sample) and _BEGINS_JSON.match(prediction):
        return False  # broken JSON, whatever its strings say
    said = _plain(prediction) if len(prediction) <= MAX_REFUSAL else ""
    answers = sample.metadata.get("answers") or ()
    if any(isinstance(answer, str) and answer and _plain(answer) in said for answer in answers):
        return False  # a part of the answer, and regret about the rest
    return is_refusal(prediction, sample.metadata.get("not_found"))


def _asks_for_json(sample: Sample) -> bool:
    if not sample.answer.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(sample.answer)
    except (ValueError, RecursionError):
        return False
    return True


__all__ = ["assertions", "classify", "is_looping", "is_refusal"]

"""Reed-Solomon over GF(256) for many code words at once: decoding steps through positions and coefficients, never through words.

Field polynomial 0x11D, generator element 2, first consecutive root 0 (as in QR; ISO/IEC 18004, annex A). A word is an array of bytes, the
coefficient of the highest power first. Decoding: syndromes, Berlekamp-Massey, Chien search and Forney's formula (Lin and Costello,
*Error Control Coding*, 2nd edition, sections 7.4 and 7.5).
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
_CHUNK = 512  # words worked on at once, to bound memory
_PRODUCTS = 1 << 20  # bytes of products made at once while encoding
_FEW = 8  # syndromes that tell most words with errors
_EFFORT = 1 << 26  # about the steps of a second: 1,677 words of 200 parity bytes, 29,127 of 48


@functools.lru_cache(maxsize=1)
def _tables() -> tuple[Bytes, npt.NDArray[np.int32], Bytes]:
    """(powers of 2, logarithms, products of all pairs at ``256 a + b``)."""
    power = np.zeros(255, np.uint8)
    log = np.zeros(256, np.int32)
    value = 1
    for i in range(255):
        power[i], log[value] = value, i
        value = value << 1 ^ (0x11D if value & 0x80 else 0)
    product = power[(log[:, None] + log[None, :]) % 255]
    product[0, :] = product[:, 0] = 0
    return power, log, product.ravel()


def _times(a: Bytes, b: Bytes) -> Bytes:
    """Products, element by element, broadcast."""
    return np.asarray(_tables()[2].take((a.astype(np.uint16) << 8) | b), np.uint8)


@functools.lru_cache(maxsize=64)
def _generator(check: int) -> Bytes:
    """Coefficients of the generator polynomial, highest first."""
    made = np.array([1], np.uint8)
    for root in _tables()[0][:check]:
        longer = np.append(made, np.uint8(0))
        longer[1:] ^= _times(made, root)
        made = longer
    return made


@functools.lru_cache(maxsize=64)
def _parity_rows(size: int, check: int) -> Bytes:
    """What a 1 at each place of a message adds to its parity, (size, check): a power of x modulo the generator polynomial."""
    generator = _generator(check)[1:]
    rows = np.zeros((size, check), np.uint8)
    rest = generator.copy()
    for place in reversed(range(size)):
        rows[place] = rest
        rest = np.append(rest[1:], np.uint8(0)) ^ _times(rest[:1], generator)
    return rows


def with_parity(message: Bytes, check: int) -> Bytes:
    """Code words, (words, size + check), of messages, (words, size)."""
    words, size = message.shape
    rows = _parity_rows(size, check)
    parity = np.empty((words, check), np.uint8)
    step = max(1, _PRODUCTS // max(1, size * check))
    for first in range(0, words, step):
        products = _times(message[first : first + step, :, None], rows)
        np.bitwise_xor.reduce(products, axis=1, out=parity[first : first + step])
    return np.hstack([message, parity])


def syndromes(words: Bytes, check: int) -> Bytes:
    """Values of the words at the code's roots, (words, check), by Horner's rule; all zero where a word is a code word."""
    roots = _tables()[0][:check]
    value = np.zeros((len(words), check), np.uint8)
    for column in words.T:
        value = _times(value, roots) ^ column[:, None]
    return value


def repair(words: Bytes, check: int) -> npt.NDArray[np.bool_]:
    """Correct up to ``check // 2`` wrong bytes in each word in place; returns which words are code words now. Others are left alone.

    Errors are sought in ``_EFFORT // check^2`` words at most; where more words have errors, so many, of so much parity, there is no hope.
    """
    left = _EFFORT // check**2
    good = np.ones(len(words), np.bool_)
    for start in range(0, len(words), 8 * _CHUNK):
        wrong = np.asarray(syndromes(words[start : start + 8 * _CHUNK], min(check, _FEW)).any(1), np.bool_)
        for first in range(start, start + len(wrong), _CHUNK):
            part, bad = words[first : first + _CHUNK], wrong[first - start : first - start + _CHUNK]
            bad[~bad] = syndromes(part[~bad], check).any(1)
            places = np.flatnonzero(bad)
            good[first + places] = False
            places = places[:left]
            left -= len(places)
            if len(places):
                errors, solved = _errors(syndromes(part[places], check), words.shape[1])
                part[places[solved]] ^= errors[solved]
                good[first + places[solved]] = True
    return good


def _errors(found: Bytes, size: int) -> tuple[Bytes, npt.NDArray[np.bool_]]:
    """(what to add to each word, (words, size); whether it makes a code word), from syndromes."""
    locator, degree = _berlekamp_massey(found)
    check = found.shape[1]
    evaluator = np.zeros_like(found)  # the syndromes' polynomial times the locator, modulo x^check
    for k in range(locator.shape[1]):
        evaluator[:, k:] ^= _times(locator[:, k, None], found[:, : check - k])
    odd = locator.copy()
    odd[:, ::2] = 0
    roots = _at_positions(locator, size) == 0
    top, below = _at_positions(evaluator[:, : check // 2], size), _at_positions(odd, size)
    power, log, _ = _tables()
    quotient = np.where(top == 0, np.uint8(0), power[(log[top] - log[below]) % 255])  # Forney; the first root is 0
    errors = np.where(roots, quotient, np.uint8(0))
    solved = (degree <= check // 2) & (roots.sum(1) == degree)
    solved[solved] &= ~(syndromes(errors[solved], check) ^ found[solved]).any(1)
    return errors, solved


def _berlekamp_massey(found: Bytes) -> tuple[Bytes, npt.NDArray[np.int64]]:
    """(error locator polynomials, lowest power first, cut to the degree that can be corrected; their degrees)."""
    words, check = found.shape
    power, log, _ = _tables()
    width = check + 1
    locator, before = np.zeros((words, width), np.uint8), np.zeros((words, width), np.uint8)
    locator[:, 0] = before[:, 0] = 1
    degree, last = np.zeros(words, np.int64), np.ones(words, np.uint8)
    for i in range(check):
        before[:, 1:] = before[:, :-1]
        before[:, 0] = 0
        reach = min(i, check // 2) + 1
        gap = np.bitwise_xor.reduce(_times(locator[:, :reach], found[:, i - reach + 1 : i + 1][:, ::-1]), axis=1)
        ratio = np.where(gap == 0, np.uint8(0), power[(log[gap] - log[last]) % 255])
        longer = (gap != 0) & (2 * degree <= i)
        kept = locator.copy()
        locator ^= _times(ratio[:, None], before)
        before = np.where(longer[:, None], kept, before)
        last = np.where(longer, gap, last)
        degree = np.where(longer, i + 1 - degree, degree)
    return locator[:, : check // 2 + 1], degree


def _at_positions(polynomial: Bytes, size: int) -> Bytes:
    """Values of polynomials, (words, coefficients from the lowest power), at the inverse of each position's element: (words, size)."""
    power, _, _ = _tables()
    exponents = -np.arange(size - 1, -1, -1)
    value = np.zeros((len(polynomial), size), np.uint8)
    for k in range(polynomial.shape[1]):
        column = polynomial[:, k]
        some = np.flatnonzero(column)
        if len(some) == len(column):
            value ^= _times(column[:, None], power[exponents * k % 255])
        elif len(some):
            value[some] ^= _times(column[some, None], power[exponents * k % 255])
    return value

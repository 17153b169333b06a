"""Aligned codebook pages keep the codec contract with every kind of code."""

from __future__ import annotations

import pytest

from ctxbench import load_plugins
from ctxbench.testing import CodecContract


class TestAlignedBytes(CodecContract):
    @pytest.fixture
    def codec(self):
        return load_plugins().codec("codebook", preset="aligned")

    def too_much(self, codec):
        return "x" * (12 * 35 * 35 * 4096)


class TestAlignedDictionary(CodecContract):
    @pytest.fixture
    def codec(self):
        return load_plugins().codec("codebook", preset="aligned", symbol="dictionary", colors=16, cell=2)


class TestAlignedSecondDictionary(CodecContract):
    @pytest.fixture
    def codec(self):
        return load_plugins().codec("codebook", preset="aligned", symbol="dictionary2")


class TestAlignedTokens(CodecContract):
    """Several pages, and texts that the tokenizer would normalise."""

    @pytest.fixture
    def codec(self):
        return load_plugins().codec("codebook", preset="aligned", symbol="bpe", colors=8, page=252)

"""Every codec that ships keeps the contract that strangers' codecs are held to."""

from __future__ import annotations

import pytest

from ctxbench import load_plugins
from ctxbench.testing import CodecContract


class TestText(CodecContract):
    @pytest.fixture
    def codec(self):
        return load_plugins().codec("text")


class TestRender(CodecContract):
    max_error_rate = 0.05

    @pytest.fixture
    def codec(self):
        return load_plugins().codec("render")

    def too_much(self, codec):
        return "x\n" * (1024 * 78 + 1)


class TestCodebook(CodecContract):
    @pytest.fixture
    def codec(self):
        return load_plugins().codec("codebook")


class TestQr(CodecContract):
    @pytest.fixture
    def codec(self):
        return load_plugins().codec("codebook_external")

    def too_much(self, codec):
        return "x" * (1024 * 2946)


class TestTiledQrWithZlib(CodecContract):
    @pytest.fixture
    def codec(self):
        return load_plugins().codec("codebook_external", layout="tiled", max_version=10, compression="zlib", error="H", module=3)


class TestDataMatrix(CodecContract):
    @pytest.fixture
    def codec(self):
        return load_plugins().codec("codebook_external", format="datamatrix")


class TestAztec(CodecContract):
    @pytest.fixture
    def codec(self):
        return load_plugins().codec("codebook_external", format="aztec")

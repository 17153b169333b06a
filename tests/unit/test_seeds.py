"""Seeds and hashes are the same on every machine, and depend on every part."""

from __future__ import annotations

import hashlib

import pytest

from ctxbench import canonical_json, derive_seed, stable_hash


def test_known_values():
    """A change of these would silently re-draw every experiment ever stored: each is that of the documented formula, and a literal."""
    assert canonical_json({"b": [1, None, "é"], "a": 1.5}) == '{"a":1.5,"b":[1,null,"é"]}'
    assert hashlib.sha256(b"{}").hexdigest() == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert stable_hash({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert stable_hash({"b": "é"}) == hashlib.sha256('{"b":"é"}'.encode()).hexdigest()


@pytest.mark.parametrize(
    ("parts", "text", "seed"),
    [
        (("sample", 0, "needle", 512, 0), b'["sample",0,"needle",512,0]', 6_895_458_625_669_149_224),
        (
            ("augmentation", 2**63 - 1, "heavy", {"b": 1, "a": 0.5}),
            b'["augmentation",9223372036854775807,"heavy",{"a":0.5,"b":1}]',
            2_368_366_330_080_323_995,
        ),
    ],
)
def test_a_seed_is_63_bits_of_a_sha256(parts, text, seed):
    """The first 8 bytes of the SHA-256 of the parts' canonical JSON, big-endian, without the lowest bit."""
    assert int.from_bytes(hashlib.sha256(text).digest()[:8], "big") // 2 == seed
    assert derive_seed(*parts) == seed


def test_seeds_use_all_63_bits():
    """Of a thousand seeds some have the highest bit, some the lowest, and none one more."""
    seeds = [derive_seed(i) for i in range(1000)]
    assert {seed >> 62 for seed in seeds} == {0, 1}
    assert {seed & 1 for seed in seeds} == {0, 1}


def test_every_part_and_the_order_matter():
    """No two different part lists share a seed by construction."""
    seeds = {
        derive_seed(*parts) for parts in [("a",), ("a", 0), ("a", 1), (0, "a"), ("a0",), ("a", "0"), (["a"],), ("a", None), ("a", False)]
    }
    assert len(seeds) == 9
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_cannot_say_is_refused(value):
    """NaN has no canonical form; it must not slip into an identity."""
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"x": value})

"""Validation of options that count pixels."""

from __future__ import annotations


def check_pixels(name: str, value: object, least: int = 1) -> None:
    """Refuse everything but a whole number of pixels that is at least ``least``.

    Raises:
        ValueError: it is too small, or no whole number.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number of pixels, at least {least}, got {value!r}")

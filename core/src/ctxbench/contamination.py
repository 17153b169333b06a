"""Tells how much of a context a model has been trained on: n-grams that the context and the training data have in common."""

from __future__ import annotations

import attrs


@attrs.frozen(eq=False)
class TrainingData:
    """The n-grams of one set of training data. ``fingerprint`` names the data."""

    fingerprint: str

    def overlap(self, context: str) -> float:
        """Share of the context's distinct n-grams that occur in the training data, from 0 to 1."""
        raise NotImplementedError



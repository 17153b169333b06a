"""The augmenter that changes nothing."""

from __future__ import annotations

import attrs
import numpy as np
from PIL import Image

from ctxbench.interfaces import Augmenter


@attrs.frozen
class Clean(Augmenter):
    """Pages as the codec made them."""

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """A copy of the page; ``rng`` is not used."""
        return image.copy()

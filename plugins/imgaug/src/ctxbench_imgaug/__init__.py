"""Page augmentation with imgaug: ``light``, ``heavy`` and ``custom`` (``clean`` comes with core)."""

from __future__ import annotations

from collections.abc import Iterable

import ctxbench


@ctxbench.hookimpl
def ctxbench_augmenters() -> Iterable[ctxbench.AugmenterRecord]:
    yield ctxbench.AugmenterRecord(
        "light", "Scale 0.9-1.1, rotation +-5 degrees, JPEG 85, blur sigma 0.5 px, noise 0.01.", "ctxbench_imgaug.levels:Light"
    )
    yield ctxbench.AugmenterRecord(
        "heavy", "Scale 0.7-1.3, rotation +-15 degrees, JPEG 60, blur sigma 1.5 px, noise 0.05.", "ctxbench_imgaug.levels:Heavy"
    )
    yield ctxbench.AugmenterRecord("custom", "Changes nothing until its options say what.", "ctxbench_imgaug.levels:Custom")

"""Pixels in chunks, for what would need temporaries as large as a binary input."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from ..array import Array


def cut(scores: Array, beside: Sequence[Any], size: int) -> Iterator[tuple[Any, Array, list[Any]]]:
    """Cut scores (N, C, P) into chunks of about `size` numbers, and what lies beside them.

    Yields
    ------
    tuple
        Where the chunk is, as an index of the scores; the chunk; what belongs to it: arrays whose first
        and last axes are those of the scores are cut, anything else is the same for all.
    """
    images, channels, count = scores.shape
    several = max(size // max(channels * count, 1), 1)
    width = max(size // max(channels, 1), 1) if several == 1 else count
    for n in range(0, images, several):
        for p in range(0, count, width):
            here = (slice(n, n + several), slice(None), slice(p, p + width))
            parts = [
                value[here[0], ..., here[2]] if _belongs(value, images, count) else value for value in beside
            ]
            yield here, scores[here], parts


def several(scores: Array, size: int) -> bool:
    """Whether there is more than one chunk."""
    return bool(size) and math.prod(scores.shape) >= 2 * size


def _belongs(value: Any, images: int, count: int) -> bool:
    shape = getattr(value, "shape", ())
    return len(shape) >= 2 and shape[0] == images and shape[-1] == count

"""Pixels in chunks, for what would need temporaries as large as a binary input."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..array import Array
from .threads import in_threads

if TYPE_CHECKING:
    from .base import Backend

Sums = tuple[Array, ...]
Function = Callable[..., Sums]
"""``function(values, *beside, *options)``: sums of values (N, C, P), of which the first depends on them."""


def several(values: Array, size: int) -> bool:
    """Whether there is more than one chunk."""
    return bool(size) and math.prod(values.shape) >= 2 * _at_most(values, size)


def _at_most(values: Array, size: int) -> int:
    """Values of a chunk: of labels (N, P) half as many, since the gradient of their scores lies there too."""
    return size // 2 if values.ndim == 2 else size


def cut(values: Array, beside: Sequence[Array | None], size: int) -> Iterator[tuple[Any, list[Any]]]:
    """Cut values and arrays beside them, all (N, ..., P), into chunks of about `size` values.

    Each is an index of the values and what it selects of each array.
    """
    images, count, of_pixel = values.shape[0], values.shape[-1], math.prod(values.shape[1:-1])
    size = _at_most(values, size)
    together = max(size // max(of_pixel * count, 1), 1)
    width = max(size // max(of_pixel, 1), 1) if together == 1 else count
    for n in range(0, images, together):
        for p in range(0, count, width):
            here = (slice(n, n + together), ..., slice(p, p + width))
            yield here, [None if array is None else array[here] for array in (values, *beside)]


def sums(function: Function, values: Array, beside: Sequence[Any], options: Sequence[Any], size: int) -> Sums:
    """Sums of all chunks."""
    parts = [function(*arrays, *options) for _, arrays in cut(values, beside, size)]
    return tuple(sum(found[1:], found[0]) for found in zip(*parts, strict=True))


def sums_and_gradient(
    backend: Backend, function: Function, values: Array, beside: Sequence[Any], options: Sequence[Any],
    threads: int | None = None,
) -> tuple[Sums, Array]:  # fmt: skip
    """Sums of all chunks, and the first one's gradient, taken while a chunk lies in the cache."""
    if not several(values, backend.chunk):
        found, (gradient,) = backend.value_and_grad(function, (0,), (values, *beside, *options))
        return tuple(found), gradient
    gradient = backend.xp.empty_like(values)

    def of_chunk(chunk: tuple[Any, list[Any]]) -> Sums:
        here, arrays = chunk
        found, (gradient[here],) = backend.value_and_grad(function, (0,), (*arrays, *options))
        return tuple(found)

    parts = list(cut(values, beside, backend.chunk))
    by_chunk = in_threads(of_chunk, parts, threads if backend.threads else 1)
    return tuple(sum(found[1:], found[0]) for found in zip(*by_chunk, strict=True)), gradient

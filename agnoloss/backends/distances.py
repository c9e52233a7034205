"""Distances and windows on a grid, in the array API standard alone.

Distances go axis by axis. What a cell knows after an axis is the least over the cells j of its row of
what j knew before, plus the square of the way to j: squared Euclidean distances are separable, so the
result is exact. Every pair of cells of a row is looked at, which has the same shapes whatever the values
are, and so runs under every compiler.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..array import Array

if TYPE_CHECKING:
    from .base import Backend

OverRows = Callable[..., tuple[Array, ...]]
"""``over_rows(backend, function, rows)``: apply an `OfRows` to all rows."""

OfRows = Callable[..., tuple[Array, ...]]
"""``function(*rows, cells)``: of rows (r, n) and some cells (c,) of each, what these find, (r, c)."""


def distance_transform(
    backend: Backend, mask: Array, spacing: tuple[float, ...], dtype: Any, over_rows: OverRows | None = None
) -> Array:
    """Distance of each cell (M, *S) to the nearest True cell of its image; inf where it has none.

    See `Backend.distance_transform`; `over_rows` is `in_parts` by default.
    """
    xp = backend.xp
    squares = xp.where(mask, backend.constant(0.0, dtype, mask), math.inf)

    def nearest(there: Array, cells: Array, step: float) -> tuple[Array]:
        pairs = xp.expand_dims(there, axis=1) + _squared_ways(backend, there, cells, step)
        return (xp.min(pairs, axis=-1),)

    for axis, step in enumerate(spacing, start=1):
        (squares,) = _along(backend, partial(nearest, step=step), (squares,), axis, over_rows or in_parts)
    return xp.sqrt(squares)


def nearest_two_distances(
    backend: Backend, labels: Array, spacing: tuple[float, ...], dtype: Any, over_rows: OverRows | None = None
) -> tuple[Array, Array]:
    """Distances to the nearest cell of a label other than 0, and to the nearest of any other such label.

    Each cell carries the nearest label's squared distance and name and the squared distance of the
    second nearest label. That is enough whatever the number of labels: of the labels that j knows, at
    most one is the nearest of i, and the nearer of the others is among j's first two.

    See `Backend.nearest_two_distances`; `over_rows` is `in_parts` by default.
    """
    xp = backend.xp
    first = xp.where(labels != 0, backend.constant(0.0, dtype, labels), math.inf)
    second = xp.zeros_like(first) + math.inf

    def nearest(first: Array, label: Array, second: Array, cells: Array, step: float) -> tuple[Array, ...]:
        ways = _squared_ways(backend, first, cells, step)
        # Each array of pairs below has one reader, a minimum, so that compilers need not store it.
        best = xp.argmin(xp.expand_dims(first, axis=1) + ways, axis=-1)
        way = step * (xp.expand_dims(cells, axis=0) - xp.astype(best, first.dtype))
        nearest_label = xp.take_along_axis(label, best, axis=-1)
        other = xp.expand_dims(label, axis=1) != xp.expand_dims(nearest_label, axis=-1)
        others = xp.where(other, xp.expand_dims(first, axis=1), xp.expand_dims(second, axis=1))
        nearest_first = xp.take_along_axis(first, best, axis=-1) + way * way
        return nearest_first, nearest_label, xp.min(others + ways, axis=-1)

    for axis, step in enumerate(spacing, start=1):
        known = (first, labels, second)
        first, labels, second = _along(
            backend, partial(nearest, step=step), known, axis, over_rows or in_parts
        )
    return xp.sqrt(first), xp.sqrt(second)


def nearest_two_by_bits(backend: Backend, labels: Array, spacing: Any, dtype: Any) -> tuple[Array, Array]:
    """`nearest_two_distances` of K labels by 2 log2(K) distance transforms.

    Split the labels in two sets, those whose number has a 1 at some bit and those whose number has a 0
    there. The farther set lacks the nearest label, and every other label is in the farther set of some
    bit, so the second distance is the least, over the bits, of the greater of the two sets' distances.
    Numbering the labels needs their values: not under a compiler.
    """
    xp = backend.xp
    names, numbers = xp.unique_inverse(labels)
    numbers, some = xp.reshape(numbers, labels.shape), labels != 0
    first = backend.distance_transform(some, spacing, dtype)
    second = xp.zeros_like(first) + math.inf
    for bit in range((names.shape[0] - 1).bit_length()):
        ones = (numbers >> bit) % 2 == 1
        to_ones, to_zeros = (
            backend.distance_transform(some & half, spacing, dtype) for half in (ones, ~ones)
        )
        second = xp.minimum(second, xp.maximum(to_ones, to_zeros))
    return first, second


def _squared_ways(backend: Backend, row: Array, cells: Array, step: float) -> Array:
    """(step (i - j))^2 for some cells i and every cell j of a row, (1, c, n)."""
    places = backend.arange(row.shape[1], row)
    ways = step * (backend.xp.reshape(cells, (1, -1, 1)) - backend.xp.reshape(places, (1, 1, -1)))
    return ways * ways


def _along(
    backend: Backend, function: OfRows, arrays: tuple[Array, ...], axis: int, over_rows: OverRows
) -> tuple[Array, ...]:
    """Apply a function of rows (R, n) to arrays (M, *S), a row being the cells along an axis."""
    xp, shape = backend.xp, arrays[0].shape
    if 0 in shape:
        return arrays
    last = len(shape) - 1
    swapped = tuple({axis: last, last: axis}.get(i, i) for i in range(len(shape)))
    rows = tuple(xp.permute_dims(array, swapped) for array in arrays)
    turned = rows[0].shape
    rows = tuple(xp.reshape(row, (-1, shape[axis])) for row in rows)
    results = over_rows(backend, function, rows)
    return tuple(xp.permute_dims(xp.reshape(result, turned), swapped) for result in results)


def in_parts(
    backend: Backend, function: OfRows, rows: tuple[Array, ...], limit: int = 2**18
) -> tuple[Array, ...]:
    """Apply a function to so many rows, or cells of a row, that `limit` pairs of cells come together.

    2**18 pairs, 2 MiB in float64, stay in a CPU's cache: 4 times as fast as 2**22 with NumPy.
    """
    xp, (count, length) = backend.xp, rows[0].shape
    cells = backend.arange(length, rows[0])
    wide = min(length, max(1, limit // length))
    deep = min(count, max(1, limit // (wide * length)))
    lines = []
    for start in range(0, count, deep):
        some = [row[start : min(start + deep, count), :] for row in rows]
        parts = [function(*some, cells[i : min(i + wide, length)]) for i in range(0, length, wide)]
        lines.append([_joined(xp, pieces, axis=1) for pieces in zip(*parts, strict=True)])
    return tuple(_joined(xp, pieces, axis=0) for pieces in zip(*lines, strict=True))


def _joined(xp: Any, pieces: Sequence[Array], axis: int) -> Array:
    return pieces[0] if len(pieces) == 1 else xp.concat(list(pieces), axis=axis)


def max_along(xp: Any, values: Array, axis: int, size: int) -> Array:
    """Largest value in the window of odd `size` about each cell of an axis, cut off at the ends.

    The gradient goes to the first of several largest values. Window by window along the last axis,
    then along the one before it, this is the first in the order of memory of the whole window: the
    rule of PyTorch's max_pool.
    """
    length = values.shape[axis]
    padded = pad(xp, values, axis, size // 2, -math.inf)
    largest = part(padded, axis, 0, length)
    for start in range(1, size):
        later = part(padded, axis, start, length)
        # not `later > largest`: NaN, wherever it comes, is the largest
        largest = xp.where((largest >= later) | (largest != largest), largest, later)
    return largest


def max_along_back(xp: Any, values: Array, largest: Array, gradient: Array, axis: int, size: int) -> Array:
    """Gradient of `max_along` in closed form: each window's goes to the first of its largest values."""
    length, reach = values.shape[axis], size // 2
    padded = pad(xp, values, axis, reach, -math.inf)
    shares, given = 0.0 * pad(xp, gradient, axis, reach, 0.0), None
    for start in range(size):
        there = part(padded, axis, start, length)
        hit = (there == largest) | (there != there)
        hit, given = (hit, hit) if given is None else (hit & ~given, hit | given)
        share = xp.where(hit, gradient, 0.0)
        before, after = _zeros(xp, share, axis, start), _zeros(xp, share, axis, size - 1 - start)
        shares = shares + xp.concat([*before, share, *after], axis=axis)
    return part(shares, axis, reach, length)


def pad(xp: Any, values: Array, axis: int, count: int, value: float) -> Array:
    """Put `count` cells of a value before and after an axis."""
    ends = [zeros + value for zeros in _zeros(xp, values, axis, count)]
    return xp.concat([*ends, values, *ends], axis=axis) if ends else values


def _zeros(xp: Any, like: Array, axis: int, count: int) -> list[Array]:
    """A list of one array of zeros of some length along an axis; of none for length 0."""
    if not count:
        return []
    zeros = xp.zeros_like(part(like, axis, 0, 1))
    return [xp.broadcast_to(zeros, (*like.shape[:axis], count, *like.shape[axis + 1 :]))]


def part(values: Array, axis: int, start: int, length: int) -> Array:
    """Some cells along an axis."""
    key = (slice(None),) * axis + (slice(start, start + length), ...)
    return values[key]

"""Derivative rules of the tape for indexing; the standard has no scatter to take gradients back with."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from ..backends import is_array
from .rules import rule


@rule
def getitem(tape: Any, a: Any, key: Any) -> Any:
    """Indexing by whatever the library takes; without a scatter where entries that are neighbours stay so."""
    x, plain = tape.plain(a), tape.plain(key)
    if not tape.any_tracked(a):
        return tape.box(x[plain])
    keys = plain if isinstance(plain, tuple) else (plain,)
    if not all(k is None or k is ... or _is_run(k) or _is_integer(k) for k in keys):
        return _selected(tape, a, lambda x: x[plain])
    keys = tuple(operator.index(k) if _is_integer(k) else k for k in keys)
    return tape.note(x[keys], (a, lambda g: _back_to_slices(tape.inner.xp, g, keys, x.shape)))


def _is_run(key: Any) -> bool:
    return isinstance(key, slice) and key.step in (None, 1)


def _is_integer(key: Any) -> bool:
    return hasattr(key, "__index__") and not is_array(key) and not isinstance(key, bool)


def _back_to_slices(xp: Any, g: Any, keys: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    """Put a gradient where it was sliced from, zeros elsewhere."""
    used = sum(k is not None and k is not ... for k in keys)
    filled: list[Any] = []
    for k in keys:
        filled += [slice(None)] * (len(shape) - used) if k is ... else [] if k is None else [k]
    filled += [slice(None)] * (len(shape) - len(filled))
    places = [
        range(k % n, k % n + 1) if isinstance(k, int) else range(n)[k]
        for k, n in zip(filled, shape, strict=True)
    ]
    g = xp.reshape(g, tuple(len(place) for place in places))
    for axis, (place, n) in enumerate(zip(places, shape, strict=True)):
        first, last = (place[0], place[-1] + 1) if place else (0, 0)
        g = padded(xp, padded(xp, g, axis, first, before=True), axis, n - last)
    return g


def padded(xp: Any, g: Any, axis: int, count: int, before: bool = False) -> Any:
    """Zeros before or after a gradient along an axis."""
    if not count:
        return g
    zeros = xp.broadcast_to(xp.zeros_like(xp.sum(g)), (*g.shape[:axis], count, *g.shape[axis + 1 :]))
    return xp.concat([zeros, g] if before else [g, zeros], axis=axis)


def inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """Permutation that takes a permutation of axes back."""
    return tuple(sorted(range(len(axes)), key=lambda i: axes[i] % len(axes)))


def _selected(tape: Any, a: Any, select: Callable[[Any], Any]) -> Any:
    """Entries that a function selects; gradients add up at those whose numbers it selects."""
    xp, x = tape.inner.xp, tape.plain(a)

    def back(g: Any) -> Any:
        if not x.size:
            return xp.zeros_like(x)
        numbers = tape.inner.arange(x.size, xp.zeros_like(x, dtype=xp.int64))
        index = xp.reshape(select(xp.reshape(numbers, x.shape)), (1, -1))
        return xp.reshape(tape.inner.class_sums(xp.reshape(g, (1, -1)), index, x.size), x.shape)

    return tape.note(select(x), (a, back))


@rule
def take(tape: Any, a: Any, indices: Any, /, *, axis: int | None = None) -> Any:
    xp, index = tape.inner.xp, tape.plain(indices)
    return _selected(tape, a, lambda x: xp.take(x, index, axis=axis))


@rule
def take_along_axis(tape: Any, a: Any, indices: Any, /, *, axis: int = -1) -> Any:
    xp, index = tape.inner.xp, tape.plain(indices)
    return _selected(tape, a, lambda x: xp.take_along_axis(x, index, axis=axis))


@rule
def sort(tape: Any, a: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    order = tape.inner.xp.argsort(tape.plain(a), axis=axis, descending=descending, stable=stable)
    return take_along_axis(tape, a, order, axis=axis)

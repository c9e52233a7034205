"""Derivative rules of the tape for indexing; the standard has no scatter to take gradients back with."""

from __future__ import annotations

import math
import operator
from typing import Any

from ..backends import is_array
from .rules import RULES, rule, unbroadcast


@rule
def getitem(tape: Any, a: Any, key: Any) -> Any:
    """Indexing of the standard: integers, slices, None, ellipsis; or integers and integer arrays."""
    x, plain = tape.plain(a), tape.plain(key)
    if not tape.any_tracked(a):
        return tape.box(x[plain])
    keys = plain if isinstance(plain, tuple) else (plain,)
    if any(is_array(k) for k in keys):
        xp = tape.inner.xp
        keys = tuple(k if is_array(k) and xp.isdtype(k.dtype, "integral") else _integer(k) for k in keys)
        return tape.note(x[plain], (a, lambda g: _back_to_entries(tape, g, keys, x.shape)))
    keys = tuple(k if k is None or k is ... or isinstance(k, slice) else _integer(k) for k in keys)
    return tape.note(x[keys], (a, lambda g: _back_to_slices(tape.inner.xp, g, keys, x.shape)))


_REFUSED = (
    "The tape differentiates indexing by integers, slices, None and an ellipsis, or by integers and "
    "integer arrays alone. Instead of indexing by a mask, use `where`; instead of by a list, `take`."
)


def _integer(key: Any) -> int:
    if is_array(key) or isinstance(key, bool) or not hasattr(key, "__index__"):
        raise NotImplementedError(_REFUSED)
    return operator.index(key)


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
        if place.step < 0:
            g, place = xp.flip(g, axis=axis), place[::-1]
        if len(place) > 1 and place.step > 1:
            g = _spread(xp, g, axis, place.step)
        first, last = (place[0], place[-1] + 1) if place else (0, 0)
        g = _padded(xp, _padded(xp, g, axis, first, before=True), axis, n - last)
    return g


def _padded(xp: Any, g: Any, axis: int, count: int, before: bool = False) -> Any:
    """Zeros before or after a gradient along an axis."""
    if not count:
        return g
    zeros = xp.broadcast_to(xp.zeros_like(xp.sum(g)), (*g.shape[:axis], count, *g.shape[axis + 1 :]))
    return xp.concat([zeros, g] if before else [g, zeros], axis=axis)


def _spread(xp: Any, g: Any, axis: int, step: int) -> Any:
    """Put ``step - 1`` zeros between the entries along an axis."""
    before, n, after = g.shape[:axis], g.shape[axis], g.shape[axis + 1 :]
    wide = _padded(xp, xp.reshape(g, (*before, n, 1, *after)), axis + 1, step - 1)
    wide = xp.reshape(wide, (*before, n * step, *after))
    return wide[(slice(None),) * axis + (slice(0, (n - 1) * step + 1), ...)]


def _back_to_entries(tape: Any, g: Any, keys: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    """Add up a gradient at the entries that integer arrays name, over the leading axes."""
    xp = tape.inner.xp
    flat: Any = 0
    for key, n in zip(keys, shape, strict=False):
        flat = flat * n + (xp.astype(key, xp.int64) if is_array(key) else key) % n
    leading, rest = math.prod(shape[: len(keys)]), math.prod(shape[len(keys) :])
    g = xp.reshape(g, (math.prod(flat.shape), rest))
    return xp.reshape(scattered(tape, g, xp.reshape(flat, (-1,)), 0, leading), shape)


def inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """Permutation that takes a permutation of axes back."""
    return tuple(sorted(range(len(axes)), key=lambda i: axes[i] % len(axes)))


def scattered(tape: Any, g: Any, index: Any, axis: int, length: int) -> Any:
    """Add up a gradient at the entries of an axis of some length that an index names.

    The index has the gradient's shape, or is one of the axis alone.
    """
    xp = tape.inner.xp
    axis %= g.ndim
    order = (*(i for i in range(g.ndim) if i != axis), axis)
    rest, count = tuple(g.shape[i] for i in order[:-1]), g.shape[axis]
    rows = (math.prod(rest), count)
    if not length:
        return xp.reshape(g, (*g.shape[:axis], 0, *g.shape[axis + 1 :]))
    alone = index.ndim == 1
    index = xp.broadcast_to(index, rows) if alone else xp.reshape(xp.permute_dims(index, order), rows)
    labels = xp.astype(index, xp.int64) % length
    sums = tape.inner.class_sums(xp.reshape(xp.permute_dims(g, order), rows), labels, length)
    return xp.permute_dims(xp.reshape(sums, (*rest, length)), inverse(order))


@rule
def take(tape: Any, a: Any, indices: Any, /, *, axis: int | None = None) -> Any:
    if axis is None and a.ndim != 1:
        return take(tape, RULES["reshape"](tape, a, (-1,)), indices, axis=0)
    xp, x, index = tape.inner.xp, tape.plain(a), tape.plain(indices)
    place = (axis or 0) % x.ndim

    def back(g: Any) -> Any:
        flat = xp.reshape(index, (-1,))
        g = xp.reshape(g, (*x.shape[:place], flat.shape[0], *x.shape[place + 1 :]))
        return scattered(tape, g, flat, place, x.shape[place])

    return tape.note(xp.take(x, index, axis=axis), (a, back))


@rule
def take_along_axis(tape: Any, a: Any, indices: Any, /, *, axis: int = -1) -> Any:
    xp, x, index = tape.inner.xp, tape.plain(a), tape.plain(indices)

    def back(g: Any) -> Any:
        share = scattered(tape, g, xp.broadcast_to(index, g.shape), axis, x.shape[axis])
        return unbroadcast(xp, share, x.shape)

    return tape.note(xp.take_along_axis(x, index, axis=axis), (a, back))

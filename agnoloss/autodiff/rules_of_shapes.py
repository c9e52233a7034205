"""Derivative rules of the tape for shapes."""

from __future__ import annotations

from typing import Any

from .rules import RULES, rule, unbroadcast
from .rules_of_indexing import getitem, inverse

# --- one array in, one array out --------------------------------------------------------------


def _reshaping(name: str) -> None:
    def reshaped(tape: Any, a: Any, /, *args: Any, **kwargs: Any) -> Any:
        xp, x = tape.inner.xp, tape.plain(a)
        value = getattr(xp, name)(x, *args, **kwargs)
        return tape.note(value, (a, lambda g: xp.reshape(g, x.shape)))

    RULES[name] = reshaped


def _alike(name: str) -> None:
    """Rule of a function that takes the gradient back by itself."""

    def moved(tape: Any, a: Any, /, *args: Any, **options: Any) -> Any:
        function = getattr(tape.inner.xp, name)
        value = function(tape.plain(a), *args, **options)
        return tape.note(value, (a, lambda g: function(g, *args, **options)))

    RULES[name] = moved


for _name in ("reshape", "expand_dims", "squeeze", "ravel"):
    _reshaping(_name)
for _name in ("flip", "matrix_transpose", "tril", "triu", "swapaxes"):
    _alike(_name)


@rule
def permute_dims(tape: Any, a: Any, /, axes: tuple[int, ...]) -> Any:
    xp, back = tape.inner.xp, inverse(axes)
    return tape.note(xp.permute_dims(tape.plain(a), axes), (a, lambda g: xp.permute_dims(g, back)))


@rule
def moveaxis(tape: Any, a: Any, source: Any, destination: Any, /) -> Any:
    xp = tape.inner.xp
    value = xp.moveaxis(tape.plain(a), source, destination)
    return tape.note(value, (a, lambda g: xp.moveaxis(g, destination, source)))


@rule
def roll(tape: Any, a: Any, /, shift: Any, *, axis: Any = None) -> Any:
    xp = tape.inner.xp
    back = tuple(-n for n in shift) if isinstance(shift, tuple) else -shift
    return tape.note(xp.roll(tape.plain(a), shift, axis=axis), (a, lambda g: xp.roll(g, back, axis=axis)))


# --- copies of the entries --------------------------------------------------------------------


@rule
def broadcast_to(tape: Any, a: Any, /, shape: tuple[int, ...]) -> Any:
    xp, x = tape.inner.xp, tape.plain(a)
    return tape.note(xp.broadcast_to(x, shape), (a, lambda g: unbroadcast(xp, g, x.shape)))


@rule
def broadcast_arrays(tape: Any, /, *arrays: Any) -> Any:
    values = tape.inner.xp.broadcast_arrays(*tape.plain(arrays))
    return type(values)(broadcast_to(tape, a, v.shape) for a, v in zip(arrays, values, strict=True))


@rule
def meshgrid(tape: Any, /, *arrays: Any, indexing: str = "xy") -> Any:
    count = len(arrays)
    places = [1, 0, *range(2, count)] if indexing == "xy" and count > 1 else range(count)
    shapes = (tuple(-1 if i == place else 1 for i in range(count)) for place in places)
    columns = [RULES["reshape"](tape, a, shape) for a, shape in zip(arrays, shapes, strict=True)]
    return broadcast_arrays(tape, *columns)


@rule
def tile(tape: Any, a: Any, repetitions: tuple[int, ...], /) -> Any:
    ndim = max(a.ndim, len(repetitions))
    times = (1,) * (ndim - len(repetitions)) + tuple(repetitions)
    sizes = (1,) * (ndim - a.ndim) + tuple(a.shape)
    pairs = list(zip(times, sizes, strict=True))
    once = RULES["reshape"](tape, a, tuple(n for _, size in pairs for n in (1, size)))
    every = broadcast_to(tape, once, tuple(n for pair in pairs for n in pair))
    return RULES["reshape"](tape, every, tuple(t * n for t, n in pairs))


@rule
def repeat(tape: Any, a: Any, repeats: Any, /, *, axis: int | None = None) -> Any:
    if axis is None:
        return repeat(tape, RULES["reshape"](tape, a, (-1,)), repeats, axis=0)
    *before, length = a.shape[: axis % a.ndim + 1]
    after, times = a.shape[len(before) + 1 :], tape.plain(repeats)
    if not isinstance(times, int):
        source = tape.inner.xp.repeat(tape.inner.arange(length, times), times)
        return RULES["take"](tape, a, source, axis=len(before))
    once = RULES["reshape"](tape, a, (*before, length, 1, *after))
    every = broadcast_to(tape, once, (*before, length, times, *after))
    return RULES["reshape"](tape, every, (*before, length * times, *after))


# --- several arrays ---------------------------------------------------------------------------


@rule
def concat(tape: Any, arrays: Any, /, *, axis: int | None = 0) -> Any:
    if axis is None:
        return concat(tape, [RULES["reshape"](tape, a, (-1,)) for a in arrays])
    plain = tape.plain(list(arrays))
    value = tape.inner.xp.concat(plain, axis=axis)
    inputs, start = [], 0
    for box, part in zip(arrays, plain, strict=True):
        stop = start + part.shape[axis]
        key = (slice(None),) * (axis % value.ndim) + (slice(start, stop),)
        inputs.append((box, lambda g, key=(*key, ...): g[key]))
        start = stop
    return tape.note(value, *inputs)


@rule
def stack(tape: Any, arrays: Any, /, *, axis: int = 0) -> Any:
    return concat(tape, [RULES["expand_dims"](tape, a, axis=axis) for a in arrays], axis=axis)


@rule
def unstack(tape: Any, a: Any, /, *, axis: int = 0) -> Any:
    """All gradients go back together: one by one, each would be as large as the array."""
    xp, x = tape.inner.xp, tape.plain(a)
    before = (slice(None),) * (axis % x.ndim)
    parts = [x[before + (i, ...)] for i in range(x.shape[axis])]  # noqa: RUF005 - for Python 3.10

    def back(gradients: Any) -> Any:
        shares = [xp.zeros_like(x) if g is None else g for g, x in zip(gradients, parts, strict=True)]
        return (xp.stack(shares, axis=axis),)

    return tuple(tape.note_together(parts, (a,), back))


@rule
def diff(tape: Any, a: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
    if prepend is not None or append is not None:
        a = concat(tape, [part for part in (prepend, a, append) if part is not None], axis=axis)
    before = (slice(None),) * (axis % a.ndim)
    for _ in range(n):
        later, earlier = (getitem(tape, a, (*before, part, ...)) for part in (slice(1, None), slice(-1)))
        a = RULES["subtract"](tape, later, earlier)
    return a

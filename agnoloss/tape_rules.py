"""Derivative rules of the tape, one for each function of the array API standard it knows.

A rule computes the value with the inner library's function and notes, for each input, how a
gradient ``g`` of the value becomes its share.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

RULES: dict[str, Callable[..., Any]] = {}

BINARY_OPERATORS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "pow",
    "matmul": "matmul", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
}  # fmt: skip
COMPARISONS = {
    "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
    "ge": "greater_equal",
}  # fmt: skip

# Functions whose derivative is zero or has no meaning: their results are constants.
NO_GRADIENT = {
    *COMPARISONS.values(), "isnan", "isfinite", "isinf", "isin", "sign", "signbit", "floor", "ceil",
    "round", "trunc", "argmax", "argmin", "argsort", "searchsorted", "nonzero", "count_nonzero",
    "all", "any", "logical_and", "logical_or", "logical_not", "logical_xor", "zeros_like",
    "ones_like", "empty_like", "full_like", "result_type", "can_cast", "isdtype", "finfo", "iinfo",
}  # fmt: skip


def _rule(function: Callable[..., Any]) -> Callable[..., Any]:
    RULES[function.__name__.rstrip("_")] = function
    return function


def _elementwise(name: str, derivative: Callable[..., Any]) -> None:
    """Rule of one input: ``derivative(xp, a, value)`` times g."""

    def rule(tape: Any, a: Any, /) -> Any:
        xp, x = tape.inner.xp, tape.plain(a)
        value = getattr(xp, name)(x)
        return tape.note(value, (a, lambda g: g * derivative(xp, x, value)))

    RULES[name] = rule


def _unbroadcast(xp: Any, g: Any, shape: tuple[int, ...]) -> Any:
    """Sum a gradient over the axes along which an input of a given shape was repeated."""
    if tuple(g.shape) == tuple(shape):
        return g
    extra = g.ndim - len(shape)
    if extra:
        g = xp.sum(g, axis=tuple(range(extra)))
    repeated = tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1)
    return xp.sum(g, axis=repeated, keepdims=True) if repeated else g


def _two(name: str, of_a: Callable[..., Any], of_b: Callable[..., Any]) -> None:
    """Rule of two inputs that broadcast: ``of_a(xp, g, a, b, value)``, and the same for b."""

    def rule(tape: Any, a: Any, b: Any, /) -> Any:
        xp, x, y = tape.inner.xp, tape.plain(a), tape.plain(b)
        value = getattr(xp, name)(x, y)
        return tape.note(
            value,
            (a, lambda g: _unbroadcast(xp, of_a(xp, g, x, y, value), x.shape)),
            (b, lambda g: _unbroadcast(xp, of_b(xp, g, x, y, value), y.shape)),
        )

    RULES[name] = rule


# --- elementwise ------------------------------------------------------------------------------

_elementwise("negative", lambda xp, a, v: -1.0)
_elementwise("positive", lambda xp, a, v: 1.0)
_elementwise("exp", lambda xp, a, v: v)
_elementwise("expm1", lambda xp, a, v: v + 1.0)
_elementwise("log", lambda xp, a, v: 1.0 / a)
_elementwise("log1p", lambda xp, a, v: 1.0 / (1.0 + a))
_elementwise("sqrt", lambda xp, a, v: 0.5 / v)
_elementwise("square", lambda xp, a, v: 2.0 * a)
_elementwise("tanh", lambda xp, a, v: 1.0 - v * v)
_elementwise("abs", lambda xp, a, v: xp.sign(a))
_elementwise("reciprocal", lambda xp, a, v: -(v * v))

_two("add", lambda xp, g, a, b, v: g, lambda xp, g, a, b, v: g)
_two("subtract", lambda xp, g, a, b, v: g, lambda xp, g, a, b, v: -g)
_two("multiply", lambda xp, g, a, b, v: g * b, lambda xp, g, a, b, v: g * a)
_two("divide", lambda xp, g, a, b, v: g / b, lambda xp, g, a, b, v: -(g * v / b))
_two(
    "pow",
    lambda xp, g, a, b, v: g * b * a ** (b - 1),
    lambda xp, g, a, b, v: g * v * xp.log(xp.where(a > 0, a, 1.0)),
)
_two(
    "logaddexp",
    lambda xp, g, a, b, v: g * xp.exp(a - v),
    lambda xp, g, a, b, v: g * xp.exp(b - v),
)
# At a tie each input gets half, as in PyTorch and JAX.
_two(
    "maximum",
    lambda xp, g, a, b, v: xp.where(a > b, g, xp.where(a == b, 0.5 * g, 0.0)),
    lambda xp, g, a, b, v: xp.where(b > a, g, xp.where(a == b, 0.5 * g, 0.0)),
)
_two(
    "minimum",
    lambda xp, g, a, b, v: xp.where(a < b, g, xp.where(a == b, 0.5 * g, 0.0)),
    lambda xp, g, a, b, v: xp.where(b < a, g, xp.where(a == b, 0.5 * g, 0.0)),
)


@_rule
def where(tape: Any, condition: Any, a: Any, b: Any, /) -> Any:
    xp = tape.inner.xp
    c, x, y = tape.plain((condition, a, b))
    return tape.note(
        xp.where(c, x, y),
        (a, lambda g: _unbroadcast(xp, xp.where(c, g, 0.0), x.shape)),
        (b, lambda g: _unbroadcast(xp, xp.where(c, 0.0, g), y.shape)),
    )


@_rule
def clip(tape: Any, a: Any, /, min: Any = None, max: Any = None) -> Any:
    # At a bound the gradient passes, as in PyTorch.
    xp, x = tape.inner.xp, tape.plain(a)
    value = xp.clip(x, min, max)
    return tape.note(value, (a, lambda g: xp.where(value == x, g, 0.0)))


@_rule
def astype(tape: Any, a: Any, dtype: Any, /, **kwargs: Any) -> Any:
    xp, x = tape.inner.xp, tape.plain(a)
    return tape.note(xp.astype(x, dtype, **kwargs), (a, lambda g: xp.astype(g, x.dtype)))


# --- shape ------------------------------------------------------------------------------------


def _reshaping(name: str) -> None:
    def rule(tape: Any, a: Any, /, *args: Any, **kwargs: Any) -> Any:
        xp, x = tape.inner.xp, tape.plain(a)
        value = getattr(xp, name)(x, *args, **kwargs)
        return tape.note(value, (a, lambda g: xp.reshape(g, x.shape)))

    RULES[name] = rule


for _name in ("reshape", "expand_dims", "squeeze"):
    _reshaping(_name)


@_rule
def permute_dims(tape: Any, a: Any, /, axes: tuple[int, ...]) -> Any:
    xp = tape.inner.xp
    back = tuple(sorted(range(len(axes)), key=lambda i: axes[i] % len(axes)))
    return tape.note(xp.permute_dims(tape.plain(a), axes), (a, lambda g: xp.permute_dims(g, back)))


@_rule
def matrix_transpose(tape: Any, a: Any, /) -> Any:
    xp = tape.inner.xp
    return tape.note(xp.matrix_transpose(tape.plain(a)), (a, xp.matrix_transpose))


@_rule
def broadcast_to(tape: Any, a: Any, /, shape: tuple[int, ...]) -> Any:
    xp, x = tape.inner.xp, tape.plain(a)
    return tape.note(xp.broadcast_to(x, shape), (a, lambda g: _unbroadcast(xp, g, x.shape)))


@_rule
def flip(tape: Any, a: Any, /, *, axis: Any = None) -> Any:
    xp = tape.inner.xp
    return tape.note(xp.flip(tape.plain(a), axis=axis), (a, lambda g: xp.flip(g, axis=axis)))


@_rule
def concat(tape: Any, arrays: Any, /, *, axis: int = 0) -> Any:
    plain = tape.plain(list(arrays))
    value = tape.inner.xp.concat(plain, axis=axis)
    inputs, start = [], 0
    for box, part in zip(arrays, plain, strict=True):
        stop = start + part.shape[axis]
        key = (slice(None),) * (axis % value.ndim) + (slice(start, stop),)
        inputs.append((box, lambda g, key=(*key, ...): g[key]))
        start = stop
    return tape.note(value, *inputs)


@_rule
def stack(tape: Any, arrays: Any, /, *, axis: int = 0) -> Any:
    return concat(tape, [RULES["expand_dims"](tape, a, axis=axis) for a in arrays], axis=axis)


@_rule
def getitem(tape: Any, a: Any, key: Any) -> Any:
    """Basic indexing: integers, slices of step 1, None and one ellipsis."""
    xp, x = tape.inner.xp, tape.plain(a)
    keys = key if isinstance(key, tuple) else (key,)
    if tape.any_tracked(a) and not all(
        k is None or k is ... or isinstance(k, int) or (isinstance(k, slice) and k.step in (None, 1))
        for k in keys
    ):
        raise NotImplementedError("The tape differentiates indexing by integers and plain slices.")
    value = x[tape.plain(key)]

    def back(g: Any) -> Any:
        used = sum(k is not None and k is not ... for k in keys)
        filled: list[Any] = []
        for k in keys:
            filled += [slice(None)] * (x.ndim - used) if k is ... else [] if k is None else [k]
        filled += [slice(None)] * (x.ndim - len(filled))
        bounds = [
            (k % n, k % n + 1) if isinstance(k, int) else k.indices(n)[:2]
            for k, n in zip(filled, x.shape, strict=True)
        ]
        g = xp.reshape(g, tuple(max(stop - start, 0) for start, stop in bounds))
        for axis, (start, stop) in enumerate(bounds):  # the standard has no scatter: pad by zeros
            for missing, before in ((start, True), (x.shape[axis] - max(start, stop), False)):
                if missing:
                    shape = (*g.shape[:axis], missing, *g.shape[axis + 1 :])
                    zeros = xp.broadcast_to(xp.zeros_like(xp.sum(g)), shape)
                    g = xp.concat([zeros, g] if before else [g, zeros], axis=axis)
        return g

    return tape.note(value, (a, back))


# --- reductions, products, gathers ------------------------------------------------------------


def _kept(axis: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape after a reduction that keeps its axes with length 1."""
    if axis is None:
        return (1,) * len(shape)
    axes = {i % len(shape) for i in (axis if isinstance(axis, tuple) else (axis,))}
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


@_rule
def sum_(tape: Any, a: Any, /, *, axis: Any = None, keepdims: bool = False, **kwargs: Any) -> Any:
    xp, x = tape.inner.xp, tape.plain(a)
    kept = _kept(axis, x.shape)

    def back(g: Any) -> Any:
        return xp.broadcast_to(xp.reshape(g, kept), x.shape)

    return tape.note(xp.sum(x, axis=axis, keepdims=keepdims, **kwargs), (a, back))


@_rule
def mean(tape: Any, a: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    count = math.prod(a.shape) // math.prod(_kept(axis, a.shape) or (1,))
    return sum_(tape, a, axis=axis, keepdims=keepdims) / count


def _extreme(name: str) -> None:
    """Max or min: equal elements share the gradient equally, as in PyTorch's amax and in JAX."""

    def rule(tape: Any, a: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
        xp, x = tape.inner.xp, tape.plain(a)
        value = getattr(xp, name)(x, axis=axis, keepdims=keepdims)
        kept = _kept(axis, x.shape)

        def back(g: Any) -> Any:
            here = xp.astype(x == xp.reshape(value, kept), g.dtype)
            return here * (xp.reshape(g, kept) / xp.sum(here, axis=axis, keepdims=True))

        return tape.note(value, (a, back))

    RULES[name] = rule


_extreme("max")
_extreme("min")


@_rule
def matmul(tape: Any, a: Any, b: Any, /) -> Any:
    xp, x, y = tape.inner.xp, tape.plain(a), tape.plain(b)
    if x.ndim < 2 or y.ndim < 2:
        raise NotImplementedError("The tape differentiates matmul of arrays with two axes or more.")
    return tape.note(
        xp.matmul(x, y),
        (a, lambda g: _unbroadcast(xp, xp.matmul(g, xp.matrix_transpose(y)), x.shape)),
        (b, lambda g: _unbroadcast(xp, xp.matmul(xp.matrix_transpose(x), g), y.shape)),
    )


@_rule
def cumulative_sum(tape: Any, a: Any, /, *, axis: int | None = None, **kwargs: Any) -> Any:
    xp, x = tape.inner.xp, tape.plain(a)
    where_ = 0 if axis is None else axis

    def back(g: Any) -> Any:
        return xp.flip(xp.cumulative_sum(xp.flip(g, axis=where_), axis=where_), axis=where_)

    return tape.note(xp.cumulative_sum(x, axis=axis, **kwargs), (a, back))


@_rule
def take_along_axis(tape: Any, a: Any, indices: Any, /, *, axis: int = -1) -> Any:
    xp, x, index = tape.inner.xp, tape.plain(a), tape.plain(indices)
    length = x.shape[axis]

    def back(g: Any) -> Any:  # the standard has no scatter: one sum for each entry of the axis
        here = (xp.where(index % length == i, g, 0.0) for i in range(length))
        return xp.concat([xp.sum(part, axis=axis, keepdims=True) for part in here], axis=axis)

    return tape.note(xp.take_along_axis(x, index, axis=axis), (a, back))

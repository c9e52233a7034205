"""Derivative rules of the tape for reductions, cumulative functions and matrix products."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .rules import RULES, no_rule, over, rule, unbroadcast
from .rules_of_indexing import inverse

# --- reductions -------------------------------------------------------------------------------


def _kept(axis: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape after a reduction that keeps its axes with length 1."""
    if axis is None:
        return (1,) * len(shape)
    axes = {i % len(shape) for i in (axis if isinstance(axis, tuple) else (axis,))}
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def _reduction(name: str, derivative: Callable[..., Any]) -> None:
    """Rule of a reduction: ``derivative(xp, x, value, axis, count, **options)`` times g.

    `value` has its axes kept; `count` is how many entries went into each value.
    """

    def reduced(tape: Any, a: Any, /, *, axis: Any = None, keepdims: bool = False, **options: Any) -> Any:
        xp, x = tape.inner.xp, tape.plain(a)
        value = getattr(xp, name)(x, axis=axis, keepdims=keepdims, **options)

        def back(g: Any) -> Any:
            kept = _kept(axis, x.shape)
            count = math.prod(n for n, k in zip(x.shape, kept, strict=True) if k == 1)
            slope = derivative(xp, x, xp.reshape(value, kept), axis, count, **options)
            g = xp.reshape(g, kept)
            return xp.broadcast_to(g if slope is None else g * slope, x.shape)

        return tape.note(value, (a, back))

    RULES[name] = reduced


def _extreme(xp: Any, x: Any, v: Any, axis: Any, count: int) -> Any:
    """Equal elements share the gradient equally, as in PyTorch's amax and in JAX."""
    here = xp.astype(x == v, x.dtype)
    return here / xp.sum(here, axis=axis, keepdims=True)


def _of_var(xp: Any, x: Any, v: Any, axis: Any, count: int, correction: float = 0.0) -> Any:
    """2 (x - mean) / (count - correction)."""
    return (x - xp.mean(x, axis=axis, keepdims=True)) * 2.0 / (count - correction)


def _of_std(xp: Any, x: Any, v: Any, axis: Any, count: int, correction: float = 0.0) -> Any:
    """Half of the variance's over the deviation; 0 where that is 0."""
    return over(xp, _of_var(xp, x, v, axis, count, correction) * 0.5, v)


def _of_prod(xp: Any, x: Any, v: Any, axis: Any, count: int, dtype: Any = None) -> Any:
    """Product of the others: of those before times of those after, which zeros do not spoil."""
    kept = _kept(axis, x.shape)
    reduced = axis if isinstance(axis, tuple) else tuple(range(x.ndim)) if axis is None else (axis,)
    last = tuple(sorted(i % x.ndim for i in reduced))
    order = (*(i for i in range(x.ndim) if i not in last), *last)
    moved = xp.permute_dims(x, order)
    rows = xp.reshape(moved, (math.prod(kept), count))
    others = xp.reshape(_before(xp, rows) * xp.flip(_before(xp, xp.flip(rows, axis=1)), axis=1), moved.shape)
    return xp.permute_dims(others, inverse(order))


def _before(xp: Any, rows: Any) -> Any:
    """Product of the entries before each in its row (R, n)."""
    return xp.concat([xp.ones_like(rows[:, :1]), xp.cumulative_prod(rows[:, :-1], axis=1)], axis=1)


_reduction("sum", lambda xp, x, v, axis, count, dtype=None: None)
_reduction("mean", lambda xp, x, v, axis, count, dtype=None: 1.0 / count)
_reduction("prod", _of_prod)
_reduction("max", _extreme)
_reduction("min", _extreme)
_reduction("var", _of_var)
_reduction("std", _of_std)

# --- cumulative functions ---------------------------------------------------------------------


def _cumulative(name: str, back: Callable[..., Any]) -> None:
    """Rule of a cumulative function: ``back(xp, x, g, axis)``, of the gradient without an initial value."""

    def cumulative(
        tape: Any, a: Any, /, *, axis: int | None = None, include_initial: bool = False, **kwargs: Any
    ) -> Any:
        xp, x = tape.inner.xp, tape.plain(a)
        place = (axis or 0) % x.ndim
        options = {"include_initial": True, **kwargs} if include_initial else kwargs
        key = (slice(None),) * place + (slice(int(include_initial), None), ...)
        value = getattr(xp, name)(x, axis=axis, **options)
        return tape.note(value, (a, lambda g: back(xp, x, g[key], place)))

    RULES[name] = cumulative


def _of_cumulative_sum(xp: Any, x: Any, g: Any, axis: int) -> Any:
    return xp.flip(xp.cumulative_sum(xp.flip(g, axis=axis), axis=axis), axis=axis)


def _of_cumulative_prod(xp: Any, x: Any, g: Any, axis: int) -> Any:
    """Share of x_i: (product of those before) h_i, with h_i = g_i + x_(i+1) h_(i+1)."""
    places = [(slice(None),) * axis + (slice(i, i + 1), ...) for i in range(x.shape[axis])]
    if not places:
        return xp.zeros_like(x)
    terms, factors = [g[place] for place in places], [x[place] for place in places]
    for i in range(len(terms) - 2, -1, -1):
        terms[i] = terms[i] + factors[i + 1] * terms[i + 1]
    before = xp.ones_like(terms[0])
    for i, factor in enumerate(factors):
        terms[i] = terms[i] * before
        before = before * factor
    return xp.concat(terms, axis=axis)


_cumulative("cumulative_sum", _of_cumulative_sum)
_cumulative("cumulative_prod", _of_cumulative_prod)

# --- products of matrices and vectors ---------------------------------------------------------


@rule
def matmul(tape: Any, a: Any, b: Any, /) -> Any:
    """Of matrices; a vector gets an axis, which the product loses."""
    expand, squeeze = RULES["expand_dims"], RULES["squeeze"]
    if b.ndim == 1:
        return squeeze(tape, matmul(tape, a, expand(tape, b, axis=1)), axis=-1)
    if a.ndim == 1:
        return squeeze(tape, matmul(tape, expand(tape, a, axis=0), b), axis=-2)
    xp, x, y = tape.inner.xp, tape.plain(a), tape.plain(b)
    return tape.note(
        xp.matmul(x, y),
        (a, lambda g: unbroadcast(xp, xp.matmul(g, xp.matrix_transpose(y)), x.shape)),
        (b, lambda g: unbroadcast(xp, xp.matmul(xp.matrix_transpose(x), g), y.shape)),
    )


@rule
def vecdot(tape: Any, a: Any, b: Any, /, *, axis: int = -1) -> Any:
    return RULES["sum"](tape, RULES["multiply"](tape, a, b), axis=axis)


@rule
def tensordot(tape: Any, a: Any, b: Any, /, *, axes: Any = 2) -> Any:
    """One product of matrices: free axes of a, axes in common, free axes of b."""
    if isinstance(axes, int):
        axes = tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes))
    of_a, of_b = (tuple(i % array.ndim for i in part) for array, part in zip((a, b), axes, strict=True))
    free_a = tuple(i for i in range(a.ndim) if i not in of_a)
    free_b = tuple(i for i in range(b.ndim) if i not in of_b)
    common = math.prod(a.shape[i] for i in of_a)
    rows, columns = tuple(a.shape[i] for i in free_a), tuple(b.shape[i] for i in free_b)
    reshape, permute = RULES["reshape"], RULES["permute_dims"]
    left = reshape(tape, permute(tape, a, (*free_a, *of_a)), (math.prod(rows), common))
    right = reshape(tape, permute(tape, b, (*of_b, *free_b)), (common, math.prod(columns)))
    return reshape(tape, matmul(tape, left, right), (*rows, *columns))


@rule
def einsum(tape: Any, subscripts: str, /, *operands: Any) -> Any:
    """NumPy's. The share of one operand is the same sum, with the gradient in its place."""
    terms, arrow, result = subscripts.replace(" ", "").partition("->")
    inputs = terms.split(",")
    if not arrow or "." in terms or any(len(set(term)) < len(term) for term in inputs):
        raise no_rule(f"einsum of {subscripts}", "write `->`, no `...`, and no label twice in one operand")
    xp, values = tape.inner.xp, tape.plain(operands)

    def back(g: Any, i: int) -> Any:
        pairs = [(result, g), *zip(inputs, values, strict=True)]
        term, x = pairs.pop(i + 1)
        if not set(term) <= set("".join(dict(pairs))):
            pairs.append((term, xp.ones_like(x)))  # all entries along a label that it alone has get the same
        spelt = ",".join(labels for labels, _ in pairs)
        return unbroadcast(xp, xp.einsum(f"{spelt}->{term}", *(y for _, y in pairs)), x.shape)

    shares = [(a, lambda g, i=i: back(g, i)) for i, a in enumerate(operands)]
    return tape.note(xp.einsum(subscripts, *values), *shares)

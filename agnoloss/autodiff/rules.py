"""Derivative rules of the tape, one for each function of the array API standard that has one.

A rule computes the value with the inner library's function and notes, for each input, how a
gradient ``g`` of the value becomes its share. Here are the table and the elementwise functions;
`rules_of_indexing`, `rules_of_shapes` and `rules_of_reductions` add to it. All are written with the
standard's functions, so that they nest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..backends import is_array

RULES: dict[str, Callable[..., Any]] = {}

BINARY_OPERATORS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "pow",
    "floordiv": "floor_divide", "mod": "remainder", "matmul": "matmul", "and": "bitwise_and",
    "or": "bitwise_or", "xor": "bitwise_xor", "lshift": "bitwise_left_shift",
    "rshift": "bitwise_right_shift",
}  # fmt: skip
COMPARISONS = {
    "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
    "ge": "greater_equal",
}  # fmt: skip
UNARY_OPERATORS = {"neg": "negative", "pos": "positive", "invert": "bitwise_invert", "abs": "abs"}

# Functions whose derivative is zero or has no meaning: their results are constants.
NO_GRADIENT = {
    *COMPARISONS.values(), "isnan", "isfinite", "isinf", "isin", "sign", "signbit", "floor", "ceil",
    "round", "trunc", "floor_divide", "argmax", "argmin", "argsort", "searchsorted", "nonzero",
    "count_nonzero", "all", "any", "logical_and", "logical_or", "logical_not", "logical_xor",
    "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_invert", "bitwise_left_shift",
    "bitwise_right_shift", "zeros_like", "ones_like", "empty_like", "result_type", "can_cast",
    "isdtype", "finfo", "iinfo", "broadcast_shapes",
    # These take no array that could be differentiated.
    "arange", "empty", "eye", "ones", "zeros",
}  # fmt: skip

_VALUES_DECIDE = "the shape of its result depends on values"
REFUSED = {
    "unique_all": _VALUES_DECIDE, "unique_counts": _VALUES_DECIDE, "unique_inverse": _VALUES_DECIDE,
    "unique_values": _VALUES_DECIDE,
    "imag": "the tape is for real numbers",
    "nextafter": "it asks for the bits of a number",
    "from_dlpack": "another library would not note what it does",
    "full": "its value is a Python number; use `full_like` or `broadcast_to`",
    "linspace": "its ends are Python numbers",
}  # fmt: skip
"""Functions of the standard that the tape refuses to differentiate, and why."""

WAY_OUT = "use operators, and functions and methods that NumPy shares with the standard's main namespace"


def rule(function: Callable[..., Any]) -> Callable[..., Any]:
    """Note a rule under the name of its function; a trailing underscore spares a builtin."""
    RULES[function.__name__.rstrip("_")] = function
    return function


def no_rule(name: str, why: str | None = None) -> NotImplementedError:
    """Name what cannot be differentiated, and the way out."""
    return NotImplementedError(
        f"The tape has no derivative rule for `{name}`: {why or REFUSED.get(name, WAY_OUT)}."
    )


def unbroadcast(xp: Any, g: Any, shape: tuple[int, ...]) -> Any:
    """Sum a gradient over the axes along which an input of a given shape was repeated."""
    if tuple(g.shape) == tuple(shape):
        return g
    extra = g.ndim - len(shape)
    if extra:
        g = xp.sum(g, axis=tuple(range(extra)))
    repeated = tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1)
    return xp.sum(g, axis=repeated, keepdims=True) if repeated else g


def _elementwise(name: str, derivative: Callable[..., Any]) -> None:
    """Rule of one input: ``derivative(xp, a, value)`` times g."""

    def one(tape: Any, a: Any, /) -> Any:
        xp, x = tape.inner.xp, tape.plain(a)
        value = getattr(xp, name)(x)
        return tape.note(value, (a, lambda g: g * derivative(xp, x, value)))

    RULES[name] = one


def _two(name: str, of_a: Callable[..., Any], of_b: Callable[..., Any]) -> None:
    """Rule of two inputs that broadcast: ``of_a(xp, g, a, b, value)``, and the same for b.

    One of a and b may be a Python number.
    """

    def two(tape: Any, a: Any, b: Any, /) -> Any:
        xp, x, y = tape.inner.xp, tape.plain(a), tape.plain(b)
        # NumPy's operator multiplies where its function raises to a power
        value = x**y if name == "pow" else getattr(xp, name)(x, y)
        return tape.note(
            value,
            (a, lambda g: unbroadcast(xp, of_a(xp, g, x, y, value), x.shape)),
            (b, lambda g: unbroadcast(xp, of_b(xp, g, x, y, value), y.shape)),
        )

    RULES[name] = two


# --- of one input -----------------------------------------------------------------------------

_elementwise("negative", lambda xp, a, v: -1.0)
for _name in ("positive", "conj", "real"):  # of a real number
    _elementwise(_name, lambda xp, a, v: 1.0)
_elementwise("abs", lambda xp, a, v: xp.sign(a))
_elementwise("square", lambda xp, a, v: 2.0 * a)
_elementwise("sqrt", lambda xp, a, v: 0.5 / v)
_elementwise("reciprocal", lambda xp, a, v: -(v * v))
_elementwise("exp", lambda xp, a, v: v)
_elementwise("expm1", lambda xp, a, v: v + 1.0)
_elementwise("log", lambda xp, a, v: 1.0 / a)
_elementwise("log1p", lambda xp, a, v: 1.0 / (1.0 + a))
_elementwise("log2", lambda xp, a, v: (1.0 / math.log(2.0)) / a)
_elementwise("log10", lambda xp, a, v: (1.0 / math.log(10.0)) / a)
_elementwise("sin", lambda xp, a, v: xp.cos(a))
_elementwise("cos", lambda xp, a, v: -xp.sin(a))
_elementwise("tan", lambda xp, a, v: 1.0 + v * v)
_elementwise("asin", lambda xp, a, v: 1.0 / xp.sqrt((1.0 - a) * (1.0 + a)))
_elementwise("acos", lambda xp, a, v: -1.0 / xp.sqrt((1.0 - a) * (1.0 + a)))
_elementwise("atan", lambda xp, a, v: 1.0 / (1.0 + a * a))
_elementwise("sinh", lambda xp, a, v: xp.cosh(a))
_elementwise("cosh", lambda xp, a, v: xp.sinh(a))
_elementwise("tanh", lambda xp, a, v: 1.0 - v * v)
_elementwise("asinh", lambda xp, a, v: 1.0 / xp.hypot(a, xp.ones_like(a)))
_elementwise("acosh", lambda xp, a, v: 1.0 / (xp.sqrt(a - 1.0) * xp.sqrt(a + 1.0)))
_elementwise("atanh", lambda xp, a, v: 1.0 / ((1.0 - a) * (1.0 + a)))

# --- of two inputs ----------------------------------------------------------------------------


def _pow_a(xp: Any, g: Any, a: Any, b: Any, v: Any) -> Any:
    """g b a^(b-1), which is 0 at b = 0 whatever a is."""
    if is_array(b):
        return g * b * a ** (xp.where(b == 0, 1, b) - 1)
    return g * b * a ** (b - 1) if b != 0 else xp.zeros_like(g)


def _pow_b(xp: Any, g: Any, a: Any, b: Any, v: Any) -> Any:
    """g v log a; 0 for a <= 0."""
    if is_array(a):
        return g * v * xp.log(xp.where(a > 0, a, 1.0))
    return g * v * math.log(a if a > 0 else 1.0)


def _larger(xp: Any, g: Any, a: Any, b: Any) -> Any:
    """g where a > b; at a tie each input gets half, as in PyTorch and JAX."""
    return xp.where(a > b, g, xp.where(a == b, 0.5 * g, 0.0))


def over(xp: Any, a: Any, v: Any) -> Any:
    """a / v, and 0 where v is 0."""
    return xp.where(v == 0, 0.0, a / xp.where(v == 0, 1.0, v))


_two("add", lambda xp, g, a, b, v: g, lambda xp, g, a, b, v: g)
_two("subtract", lambda xp, g, a, b, v: g, lambda xp, g, a, b, v: -g)
_two("multiply", lambda xp, g, a, b, v: g * b, lambda xp, g, a, b, v: g * a)
_two("divide", lambda xp, g, a, b, v: g / b, lambda xp, g, a, b, v: -(g * v / b))
_two("pow", _pow_a, _pow_b)
_two("logaddexp", lambda xp, g, a, b, v: g * xp.exp(a - v), lambda xp, g, a, b, v: g * xp.exp(b - v))
_two("maximum", lambda xp, g, a, b, v: _larger(xp, g, a, b), lambda xp, g, a, b, v: _larger(xp, g, b, a))
_two("minimum", lambda xp, g, a, b, v: _larger(xp, g, b, a), lambda xp, g, a, b, v: _larger(xp, g, a, b))
_two("hypot", lambda xp, g, a, b, v: g * over(xp, a, v), lambda xp, g, a, b, v: g * over(xp, b, v))
_two("atan2", lambda xp, g, a, b, v: g * b / (a * a + b * b), lambda xp, g, a, b, v: -g * a / (a * a + b * b))
# |a| with the sign of b: constant in b; at a = 0 the gradient is 0, as that of abs.
_two(
    "copysign",
    lambda xp, g, a, b, v: g * xp.sign(a) * xp.sign(xp.copysign(xp.ones_like(v), b)),
    lambda xp, g, a, b, v: xp.zeros_like(g),
)
# v = a - n b, where the integer n = floor(a / b) is constant.
_two("remainder", lambda xp, g, a, b, v: g, lambda xp, g, a, b, v: g * xp.round((v - a) / b))


@rule
def where(tape: Any, condition: Any, a: Any, b: Any, /) -> Any:
    xp = tape.inner.xp
    c, x, y = tape.plain((condition, a, b))
    return tape.note(
        xp.where(c, x, y),
        (a, lambda g: unbroadcast(xp, xp.where(c, g, 0.0), x.shape)),
        (b, lambda g: unbroadcast(xp, xp.where(c, 0.0, g), y.shape)),
    )


@rule
def clip(tape: Any, a: Any, /, min: Any = None, max: Any = None) -> Any:
    # At a bound the gradient passes to the clipped array, as in PyTorch; outside, to the bound.
    xp = tape.inner.xp
    x, low, high = tape.plain((a, min, max))
    value = xp.clip(x, low, high)
    return tape.note(
        value,
        (a, lambda g: unbroadcast(xp, xp.where(value == x, g, 0.0), x.shape)),
        (min, lambda g: unbroadcast(xp, xp.where(x < low, g, 0.0), low.shape)),
        (max, lambda g: unbroadcast(xp, xp.where(x > high, g, 0.0), high.shape)),
    )


# --- copies -----------------------------------------------------------------------------------


@rule
def astype(tape: Any, a: Any, dtype: Any, /, **kwargs: Any) -> Any:
    xp, x = tape.inner.xp, tape.plain(a)
    value = xp.astype(x, dtype, **kwargs)
    if xp.isdtype(value.dtype, ("bool", "integral")):
        return tape.box(value)  # steps have no slope
    return tape.note(value, (a, lambda g: xp.astype(g, x.dtype)))


@rule
def asarray(tape: Any, a: Any, /, **kwargs: Any) -> Any:
    if not tape.any_tracked(a):
        return tape.box(tape.inner.xp.asarray(tape.plain(a), **kwargs))
    if isinstance(a, (tuple, list)):
        raise no_rule("asarray", "of a list it makes constants; use `stack`")
    return a if kwargs.get("dtype") is None else astype(tape, a, kwargs["dtype"])


@rule
def full_like(tape: Any, a: Any, /, fill_value: Any, **kwargs: Any) -> Any:
    xp = tape.inner.xp
    if not tape.any_tracked(fill_value):
        return tape.box(xp.full_like(tape.plain(a), tape.plain(fill_value), **kwargs))
    like = xp.zeros_like(tape.plain(a), **kwargs)
    return astype(tape, RULES["broadcast_to"](tape, fill_value, like.shape), like.dtype)

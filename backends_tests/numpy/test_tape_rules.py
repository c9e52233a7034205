"""Every rule of the tape against central differences, and differentiated once more."""

import numpy as np
import pytest
from array_api_compat import numpy as compat
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from agnoloss import grad, value_and_grad
from agnoloss.tape_rules import BINARY_OPERATORS, NO_GRADIENT, RULES

RNG = np.random.default_rng(16)
A = RNG.normal(size=(2, 3))
POSITIVE = RNG.uniform(0.5, 2, (2, 3))
ROW = RNG.uniform(0.5, 2, (1, 3))
CUBE = RNG.normal(size=(2, 3, 4))
DISTINCT = RNG.permutation(24).reshape(2, 3, 4) / 7 - 1.6


def xp_of(box):
    return box.__array_namespace__()


# Name of the rule -> calls, each a function of (namespace, arrays) with the arrays to differentiate at.
CALLS = {
    **{
        name: [(lambda xp, a, name=name: getattr(xp, name)(a), A)] for name in ("negative", "positive", "exp")
    },
    **{
        name: [(lambda xp, a, name=name: getattr(xp, name)(a), A)]
        for name in ("expm1", "square", "tanh", "abs")
    },
    **{
        name: [(lambda xp, a, name=name: getattr(xp, name)(a), POSITIVE)]
        for name in ("log", "log1p", "sqrt", "reciprocal")
    },
    **{
        name: [
            (lambda xp, a, b, name=name: getattr(xp, name)(a, b), POSITIVE, POSITIVE[::-1]),
            (lambda xp, a, b, name=name: getattr(xp, name)(a, b), POSITIVE, ROW),  # broadcast
            (lambda xp, a, b, name=name: getattr(xp, name)(a, b), ROW[0], POSITIVE[..., :1]),
            (lambda xp, a, b, name=name: getattr(xp, name)(a, b), POSITIVE[0, 0], POSITIVE),
            (lambda xp, a, name=name: getattr(xp, name)(a, a), POSITIVE),  # the same array twice
        ]
        for name in ("add", "subtract", "multiply", "divide", "logaddexp")
    },
    "pow": [
        (lambda xp, a, b: xp.pow(a, b), POSITIVE, A),
        (lambda xp, a, b: xp.pow(a, b), ROW, A),
        (lambda xp, a: a**2, A),
        (lambda xp, a: a**2.5, POSITIVE),
        (lambda xp, a: 2.0**a, A),
    ],
    "maximum": [(lambda xp, a, b: xp.maximum(a, b), A, A[::-1]), (lambda xp, a, b: xp.maximum(a, b), A, ROW)],
    "minimum": [(lambda xp, a, b: xp.minimum(a, b), A, A[::-1]), (lambda xp, a, b: xp.minimum(a, b), A, ROW)],
    "where": [
        (lambda xp, a, b: xp.where(a > 0, a, b), A, POSITIVE),
        (lambda xp, a, b: xp.where(a > 0, a, b), A, ROW),
        (lambda xp, a: xp.where(a > 0, a, 0.0), A),
        (lambda xp, a: xp.where(a > 0, 1.0, a), A),
    ],
    "clip": [
        (lambda xp, a: xp.clip(a, -0.5, 0.5), A),
        (lambda xp, a: xp.clip(a, min=0.1), A),
        (lambda xp, a: xp.clip(a, max=0.1), A),
    ],
    "astype": [(lambda xp, a: xp.astype(xp.astype(a, compat.float64), compat.float64), A)],
    "reshape": [(lambda xp, a: xp.reshape(a, (3, 2)), A), (lambda xp, a: xp.reshape(a, (-1,)), CUBE)],
    "expand_dims": [
        (lambda xp, a: xp.expand_dims(a, axis=1), A),
        (lambda xp, a: xp.expand_dims(a, axis=-1), A),
    ],
    "squeeze": [(lambda xp, a: xp.squeeze(a, axis=0), ROW), (lambda xp, a: xp.squeeze(a, axis=(0,)), ROW)],
    "permute_dims": [
        (lambda xp, a: xp.permute_dims(a, (2, 0, 1)), CUBE),
        (lambda xp, a: xp.permute_dims(a, (-1, 0, -2)), CUBE),
    ],
    "matrix_transpose": [(lambda xp, a: xp.matrix_transpose(a), CUBE), (lambda xp, a: a.mT * a.mT, CUBE)],
    "broadcast_to": [
        (lambda xp, a: xp.broadcast_to(a, (4, 2, 3)), A),
        (lambda xp, a: xp.broadcast_to(a, (5, 3)), ROW),
    ],
    "flip": [
        (lambda xp, a: xp.flip(a), CUBE),
        (lambda xp, a: xp.flip(a, axis=1), CUBE),
        (lambda xp, a: xp.flip(a, axis=(0, -1)), CUBE),
    ],
    "concat": [
        (lambda xp, a, b: xp.concat([a, b]), A, ROW),
        (lambda xp, a, b: xp.concat([a, b, a], axis=-1), A, POSITIVE),
    ],
    "stack": [
        (lambda xp, a, b: xp.stack([a, b]), A, POSITIVE),
        (lambda xp, a, b: xp.stack([a, b], axis=1), A, POSITIVE),
        (lambda xp, a, b: xp.stack([a, b], axis=-1), A, POSITIVE),
    ],
    "getitem": [
        (lambda xp, a, key=key: a[key], CUBE)
        for key in (
            *(0, -1, slice(1, 3), slice(None, -1), slice(2, 1), slice(-9, 9), (0, 1), (-1, ..., 2), ...),
            *((slice(None), 1), (..., None), (None, 1, slice(1, None)), (slice(0, 1), -2, slice(1, 3)), ()),
        )
    ],
    "sum": [
        (lambda xp, a, axis=axis, keep=keep: xp.sum(a, axis=axis, keepdims=keep), CUBE)
        for axis in (None, 0, -1, (0, 2), (-1, 1), ())
        for keep in (False, True)
    ],
    "mean": [
        (lambda xp, a, axis=axis, keep=keep: xp.mean(a, axis=axis, keepdims=keep), CUBE)
        for axis in (None, 1, (0, -1))
        for keep in (False, True)
    ],
    "max": [
        (lambda xp, a, axis=axis, keep=keep: xp.max(a, axis=axis, keepdims=keep), DISTINCT)
        for axis in (None, 1, (0, -1))
        for keep in (False, True)
    ],
    "min": [
        (lambda xp, a, axis=axis, keep=keep: xp.min(a, axis=axis, keepdims=keep), DISTINCT)
        for axis in (None, -2, (0, -1))
        for keep in (False, True)
    ],
    "matmul": [
        (lambda xp, a, b: xp.matmul(a, b), A, POSITIVE.T),
        (lambda xp, a, b: a @ b, CUBE, CUBE.swapaxes(-1, -2)),
        (lambda xp, a, b: a @ b, CUBE, RNG.normal(size=(4, 5))),  # one matrix for all
        (lambda xp, a, b: a @ b, A, CUBE),
    ],
    "cumulative_sum": [
        (lambda xp, a: xp.cumulative_sum(a, axis=1), CUBE),
        (lambda xp, a: xp.cumulative_sum(a, axis=-1), CUBE),
        (lambda xp, a: xp.cumulative_sum(a), A[0]),
    ],
}
CASES = [(name, call, arrays) for name, calls in CALLS.items() for call, *arrays in calls]


def scalar(call, seed=17):
    """A function to one number: a random quadratic of the call's value, so that no slope is 0 or 1."""

    def function(*arrays):
        xp = xp_of(arrays[0]) if hasattr(arrays[0], "parents") else compat
        value = call(xp, *arrays)
        rng = np.random.default_rng(seed)
        slopes = rng.normal(size=value.shape), rng.normal(size=value.shape)
        return xp.sum(slopes[0] * value + slopes[1] * value * value)

    return function


def differences(function, arrays, position, step=1e-6):
    gradient = np.empty(arrays[position].shape)
    for index in np.ndindex(gradient.shape):
        ends = []
        for sign in (1, -1):
            moved = [np.array(array) for array in arrays]
            moved[position][index] += sign * step
            ends.append(function(*moved))
        gradient[index] = (ends[0] - ends[1]) / (2 * step)
    return gradient


def test_no_rule_is_left_out():
    assert set(CALLS) == set(RULES)
    assert not set(RULES) & NO_GRADIENT


@pytest.mark.parametrize(("name", "call", "arrays"), CASES, ids=[f"{c[0]}{i}" for i, c in enumerate(CASES)])
def test_a_rule_against_differences(name, call, arrays):
    function = scalar(call)
    everything = tuple(range(len(arrays)))
    value, gradients = value_and_grad(function, everything)(*arrays)
    np.testing.assert_array_equal(value, function(*arrays))
    for position, gradient in zip(everything, gradients, strict=True):
        assert (type(gradient), gradient.shape) == (type(arrays[position]), np.shape(arrays[position]))
        np.testing.assert_allclose(gradient, differences(function, arrays, position), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(("name", "call", "arrays"), CASES, ids=[f"{c[0]}{i}" for i, c in enumerate(CASES)])
def test_a_rule_differentiated_once_more(name, call, arrays):
    """Gradient of the squared length of the gradient: rules are differentiable themselves."""

    def length(*arrays):
        slope = grad(scalar(call))(*arrays)
        return xp_of(slope).sum(slope * slope) if hasattr(slope, "parents") else np.sum(slope * slope)

    gradient = grad(length)(*arrays)
    np.testing.assert_allclose(gradient, differences(length, arrays, 0), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("symbol", BINARY_OPERATORS)
def test_operators_from_both_sides(symbol):
    """Box and box, box and array, array and box, box and number, number and box."""
    import operator

    if symbol in ("and", "or", "xor"):
        return  # of bools, which have no gradient
    operate = getattr(operator, symbol)
    x = POSITIVE[:, :2]
    pairs = [lambda a: operate(a, a), lambda a: operate(a, x), lambda a: operate(x, a)]
    if symbol != "matmul":
        pairs += [lambda a: operate(a, 2.5), lambda a: operate(2.5, a), lambda a: operate(np.float64(2.5), a)]
    for pair in pairs:
        function = scalar(lambda xp, a, pair=pair: pair(a))
        np.testing.assert_allclose(grad(function)(x), differences(function, [x], 0), rtol=1e-7, atol=1e-7)


SHAPES = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3)


@settings(max_examples=40, deadline=None)
@given(
    SHAPES, st.sampled_from(["add", "subtract", "multiply", "divide", "where", "maximum"]), st.integers(0, 99)
)
def test_shapes_that_broadcast(shapes, name, seed):
    rng = np.random.default_rng(seed)
    a, b = (rng.uniform(0.5, 2, shape) for shape in shapes.input_shapes)

    def function(a, b):
        xp = xp_of(a) if hasattr(a, "parents") else compat
        value = xp.where(a * 0 + b > 1, a, b) if name == "where" else getattr(xp, name)(a, b)
        return xp.sum(value * value)

    gradients = grad(function, (0, 1))(a, b)
    for position, gradient in enumerate(gradients):
        assert gradient.shape == (a, b)[position].shape
        np.testing.assert_allclose(gradient, differences(function, [a, b], position), rtol=1e-6, atol=1e-7)

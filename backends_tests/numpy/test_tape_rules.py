"""Every rule of the tape against central differences, and differentiated once more."""

import operator

import array_api_strict
import numpy as np
import pytest
from array_api_compat import array_namespace
from array_api_compat import numpy as compat
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from agnoloss import grad, value_and_grad
from agnoloss.autodiff.rules import BINARY_OPERATORS, NO_GRADIENT, REFUSED
from agnoloss.autodiff.tape import RULES
from backends_tests.numpy.tape_calls import CALLS, CASES, ELEMENTWISE, NAMES, NOT_OF_STRICT, POSITIVE, A
from conformance.suite.libraries import LIBRARIES

calls = pytest.mark.parametrize(("name", "call", "arrays"), CASES, ids=NAMES)


@pytest.fixture(params=["numpy", "strict"])
def library(request):
    library = LIBRARIES[request.param]
    reason = NOT_OF_STRICT.get(request.node.callspec.id.removeprefix("strict-"))
    if reason and request.param == "strict":
        pytest.skip(f"array-api-strict: {reason}")
    with library.active():
        yield library


def scalar(call, seed=17):
    """A function to one number: a random quadratic of the call's value, so that no slope is 0 or 1."""

    def function(*arrays):
        xp = array_namespace(arrays[0])
        value = call(xp, *arrays)
        rng = np.random.default_rng(seed)
        # A read-only float64 constant on the value's device.
        once, twice = (
            xp.reshape(
                xp.asarray(rng.normal(size=value.size).tolist(), dtype=value.dtype, device=value.device),
                value.shape,
            )
            for _ in range(2)
        )
        return xp.sum(once * value + twice * value * value)

    return function


def differences(function, arrays, position, step=1e-6, array=np.asarray):
    gradient = np.empty(np.shape(arrays[position]))
    for index in np.ndindex(gradient.shape):
        ends = []
        for sign in (1, -1):
            moved = [np.array(part) for part in arrays]
            moved[position][index] += sign * step
            ends.append(float(function(*map(array, moved))))
        gradient[index] = (ends[0] - ends[1]) / (2 * step)
    return gradient


def test_no_rule_is_left_out():
    assert set(CALLS) == set(RULES)
    assert not set(RULES) & (NO_GRADIENT | set(REFUSED))
    assert not NO_GRADIENT & set(REFUSED)


def test_no_function_of_the_standard_is_left_out():
    """array-api-strict has the standard's functions and no others."""
    own = {"set_array_api_strict_flags", "get_array_api_strict_flags", "reset_array_api_strict_flags"}
    standard = {
        name
        for name, value in vars(array_api_strict).items()
        if callable(value) and not isinstance(value, type) and not name.startswith("_")
    }
    assert len(standard) > 130
    assert standard - own - set(RULES) - NO_GRADIENT == set(REFUSED)


@calls
def test_a_rule_against_differences(library, name, call, arrays):
    function = scalar(call)
    everything = tuple(range(len(arrays)))
    own = [library.array(np.asarray(array)) for array in arrays]
    value, gradients = value_and_grad(function, everything)(*own)
    np.testing.assert_allclose(float(value), float(function(*own)), rtol=1e-14)
    for position, gradient in zip(everything, gradients, strict=True):
        assert (gradient.shape, gradient.dtype) == (own[position].shape, own[position].dtype)
        expected = differences(function, arrays, position, array=library.array)
        np.testing.assert_allclose(library.numpy(gradient), expected, rtol=1e-7, atol=2e-7)


@calls
def test_a_rule_differentiated_once_more(library, name, call, arrays):
    """Gradient of the squared length of the gradient: rules are differentiable themselves."""

    def length(*arrays):
        slope = grad(scalar(call))(*arrays)
        return array_namespace(slope).sum(slope * slope)

    own = [library.array(np.asarray(array)) for array in arrays]
    gradient = library.numpy(grad(length)(*own))
    expected = differences(length, arrays, 0, array=library.array)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-6)


@calls
def test_a_rule_keeps_float32(library, name, call, arrays):
    if name in ("astype", "asarray"):
        return  # to float64
    own = [library.array(np.asarray(array, dtype=np.float32)) for array in arrays]
    kept = []

    def function(*arrays):
        value = call(array_namespace(arrays[0]), *arrays)
        kept.append(library.dtype(value))
        return array_namespace(value).sum(value)

    gradients = grad(function, tuple(range(len(own))))(*own)
    assert {*kept, *map(library.dtype, gradients)} == {"float32"}


def test_no_array_is_written_into():
    a = np.array(A)

    def write(a):
        a[0] = 1.0

    with pytest.raises(TypeError, match="cannot be written into: make a new array, with `where`"):
        grad(write)(a)

    def add(a):
        total = a
        total += a  # makes a new array
        total *= 2.0
        return array_namespace(a).sum(total)

    np.testing.assert_array_equal(grad(add)(a), np.full_like(a, 4.0))
    np.testing.assert_array_equal(a, A)


@pytest.mark.parametrize("symbol", BINARY_OPERATORS)
def test_operators_from_both_sides(symbol):
    """Box and box, box and array, array and box, box and number, number and box."""
    if symbol in ("and", "or", "xor", "lshift", "rshift"):
        return  # of bools and integers, which have no gradient
    operate = getattr(operator, symbol)
    x = POSITIVE[:, :2] + np.asarray([[0.0, 0.03], [0.05, 0.07]])
    y = x + 0.01
    pairs = [lambda a: operate(a, a + 0.01), lambda a: operate(a, y), lambda a: operate(y, a)]
    if symbol != "matmul":
        pairs += [lambda a: operate(a, 2.5), lambda a: operate(2.5, a), lambda a: operate(np.float64(2.5), a)]
    for pair in pairs:
        function = scalar(lambda xp, a, pair=pair: pair(a))
        np.testing.assert_allclose(grad(function)(x), differences(function, [x], 0), rtol=1e-7, atol=1e-7)


def test_operators_of_integers():
    """They take part as constants."""

    def function(a, n):
        xp = array_namespace(a)
        bits = ((n << 2) >> 1 | 1) & 7 ^ ~n
        assert bits.dtype == n.dtype
        return xp.sum(+a * xp.astype(bits // 2 % 5, a.dtype))

    n = np.asarray([[3, 5, 6], [1, 0, 2]])
    expected = (((n << 2) >> 1 | 1) & 7 ^ ~n) // 2 % 5
    np.testing.assert_array_equal(grad(function)(A, n), expected)


# Choices at kinks, and where formulas would divide by zero


@pytest.mark.parametrize(
    ("call", "at", "expected"),
    [
        (lambda xp, a: xp.abs(a), 0.0, 0.0),
        (lambda xp, a: xp.hypot(a, 0.0 * a), 0.0, 0.0),
        (lambda xp, a: xp.hypot(a, xp.zeros_like(a)), -2.0, -1.0),
        (lambda xp, a: xp.copysign(a, -1.0), 0.0, 0.0),
        (lambda xp, a: xp.copysign(a, -0.0), 3.0, -1.0),
        (lambda xp, a: xp.copysign(3.0, a), 2.0, 0.0),
        (lambda xp, a: a**0, 0.0, 0.0),
        (lambda xp, a: xp.pow(a, xp.zeros_like(a)), 0.0, 0.0),
        (lambda xp, a: 0.0**a, 2.0, 0.0),
        (lambda xp, a: xp.pow(xp.zeros_like(a), a), 2.0, 0.0),
        (lambda xp, a: xp.clip(a, 1.0, 3.0), 1.0, 1.0),
        (lambda xp, a: xp.clip(a, a, a), 1.0, 1.0),
        (lambda xp, a: xp.std(xp.stack([a, a])), 2.0, 0.0),
        (lambda xp, a: xp.full_like(a, a) * a, 3.0, 6.0),
        (lambda xp, a: xp.astype(xp.astype(a, xp.int64), a.dtype) + a, 2.5, 1.0),
        (lambda xp, a: xp.asinh(a), 1e200, 1e-200),
    ],
)
def test_choices(call, at, expected):
    assert grad(lambda a: call(array_namespace(a), a))(np.asarray(at)) == expected


@pytest.mark.parametrize("name", [name for name, cases in ELEMENTWISE.items() if len(cases[0]) == 2])
def test_empty_arrays(name):
    gradient = grad(lambda a: array_namespace(a).sum(ELEMENTWISE[name][0][0](array_namespace(a), a)))(A[:0])
    assert gradient.shape == (0, 3)


@pytest.mark.parametrize(
    "call",
    [
        lambda xp, a: xp.sum(a, axis=0),
        lambda xp, a: xp.prod(a, axis=0),
        lambda xp, a: xp.cumulative_prod(a, axis=0),
        lambda xp, a: xp.cumulative_sum(a, axis=0, include_initial=True),
        lambda xp, a: xp.sort(a),
        lambda xp, a: xp.take(a, xp.asarray([1, 0]), axis=1),
        lambda xp, a: xp.take_along_axis(a, xp.argsort(a, axis=0), axis=0),
        lambda xp, a: xp.tile(a, (2, 2)),
        lambda xp, a: xp.repeat(a, 2),
        lambda xp, a: a[::-2, 1::2],
        lambda xp, a: xp.concat([a, a], axis=None),
        lambda xp, a: xp.matmul(a.T, a),
    ],
)
def test_shapes_of_empty_arrays(call):
    gradient = grad(lambda a: array_namespace(a).sum(call(array_namespace(a), a)))(A[:0])
    assert gradient.shape == (0, 3)


MESHES = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3)


@settings(max_examples=40, deadline=None)
@given(
    MESHES, st.sampled_from(["add", "subtract", "multiply", "divide", "where", "maximum"]), st.integers(0, 99)
)
def test_shapes_that_broadcast(shapes, name, seed):
    rng = np.random.default_rng(seed)
    a, b = (rng.uniform(0.5, 2, shape) for shape in shapes.input_shapes)

    def function(a, b):
        xp = array_namespace(a) if hasattr(a, "parents") else compat
        value = xp.where(a * 0 + b > 1, a, b) if name == "where" else getattr(xp, name)(a, b)
        return xp.sum(value * value)

    gradients = grad(function, (0, 1))(a, b)
    for position, gradient in enumerate(gradients):
        assert gradient.shape == (a, b)[position].shape
        np.testing.assert_allclose(gradient, differences(function, [a, b], position), rtol=1e-6, atol=1e-7)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_slices_of_any_step(data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=5))
    key = data.draw(hnp.basic_indices(shape, allow_newaxis=True))
    a = np.random.default_rng(3).normal(size=shape)
    weights = np.random.default_rng(4).normal(size=np.shape(a[key]))
    gradient = grad(lambda a: array_namespace(a).sum(a[key] * weights))(a)
    expected = np.zeros(shape)
    np.add.at(expected, key, weights)
    np.testing.assert_array_equal(gradient, expected)

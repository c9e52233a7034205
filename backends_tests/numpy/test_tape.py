"""The tape: what a box is, what it refuses, how derivatives nest."""

import math
import threading
from typing import NamedTuple

import numpy as np
import pytest

from agnoloss import cross_entropy_loss, dice_loss, focal_loss, focal_modulation, grad, value_and_grad
from conformance.tests.losses import LOSSES, MULTICLASS, mode_of

losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)

RNG = np.random.default_rng(18)
Z = RNG.normal(size=(2, 3, 2))
Y = RNG.integers(0, 3, (2, 2))
ONE_HOT = np.moveaxis(np.eye(3)[Y], -1, 1)
X = RNG.uniform(0.5, 2, (2, 3))


def namespace(array):
    return array.__array_namespace__()


def differences(function, at, step=1e-5):
    gradient = np.empty_like(at)
    for index in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (function(up) - function(down)) / (2 * step)
    return gradient


# What is differentiated


def test_a_scalar_of_numpy_has_a_gradient():
    """Which is no array, though NumPy's sums are."""
    value, gradient = value_and_grad(lambda x: x * x + x)(np.float64(3.0))
    assert (value, gradient) == (12.0, 7.0)
    one, other = grad(lambda x, y: x * y, (0, 1))(np.float64(3.0), X[0, 0])
    assert (one, other) == (X[0, 0], 3.0)


def test_a_gradient_has_the_dtype_of_its_argument():
    """In float32, though all after it was computed in float64."""
    narrow = X.astype(np.float32)
    one, other = grad(lambda a, b: namespace(a).sum(a * b), (0, 1))(narrow, X)
    assert (one.dtype, other.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(one, narrow)
    np.testing.assert_array_equal(other, narrow.astype(np.float64))


# A box is an array, and nothing less


def test_a_box_looks_like_its_array():
    seen = {}

    def look(a):
        seen.update(shape=a.shape, ndim=a.ndim, dtype=a.dtype, size=a.size, device=a.device)
        seen.update(T=a.T.shape, mT=a.mT.shape, text=repr(a), hashable=len({a, a}))
        assert a.__array_namespace__(api_version="2023.12") is namespace(a)
        return namespace(a).sum(a)

    grad(look)(X)
    assert seen["text"].startswith("Box(array(")
    del seen["text"]
    assert seen == {
        "shape": (2, 3),
        "ndim": 2,
        "dtype": X.dtype,
        "size": 6,
        "device": "cpu",
        "T": (3, 2),
        "mT": (3, 2),
        "hashable": 1,
    }


@pytest.mark.parametrize(
    "use", [float, int, bool, complex, np.asarray, math.exp, lambda a: [0][a], lambda a: a or 1]
)
def test_a_box_becomes_no_python_value(use):
    """Each of these would cut the gradient in silence."""
    with pytest.raises(TypeError, match="being differentiated cannot become a Python number"):
        grad(lambda a: use(namespace(a).sum(a)) * namespace(a).sum(a))(X)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("unique_values", "the shape of its result depends on values"),
        ("nextafter", "it asks for the bits of a number"),
        ("imag", "the tape is for real numbers"),
        (
            "median",
            "use operators, and functions and methods that NumPy shares with the standard's main namespace",
        ),
    ],
)
def test_a_function_without_a_rule_says_so(name, why):
    arguments = {"nextafter": (2.0,)}.get(name, ())
    with pytest.raises(NotImplementedError, match=rf"no derivative rule for `{name}`: {why}\."):
        grad(lambda a: getattr(namespace(a), name)(a, *arguments))(X)


def test_extensions_of_the_standard():
    """Those functions of linalg that the main namespace has; the others say that they are not known."""
    expected = grad(lambda a: namespace(a).sum(a @ a.T))(X)
    gradient = grad(lambda a: namespace(a).sum(namespace(a).linalg.matmul(a, a.T)))(X)
    np.testing.assert_array_equal(gradient, expected)
    with pytest.raises(NotImplementedError, match=r"no derivative rule for `linalg\.norm`: use operators"):
        grad(lambda a: namespace(a).linalg.norm(a))(X)
    twice = grad(lambda a: grad(lambda b: namespace(b).linalg.vecdot(b, b))(a) @ a)(X[0])
    np.testing.assert_allclose(twice, 4 * X[0], rtol=1e-15)


def test_asarray_of_a_list_of_boxes():
    with pytest.raises(NotImplementedError, match="`asarray`: of a list it makes constants; use `stack`"):
        grad(lambda a: namespace(a).sum(namespace(a).asarray([a[0, 0], a[0, 1]])))(X)


def test_a_function_without_a_rule_may_work_on_constants():
    def function(a, b):
        xp = namespace(a)
        return xp.sum(a * xp.linalg.pinv(b.T)) + xp.sum(a * xp.unique_values(b)[0])

    expected = np.linalg.pinv(X.T) + np.min(X)
    np.testing.assert_allclose(grad(function)(X, X), expected, rtol=1e-15)


def test_a_name_that_is_none():
    with pytest.raises(AttributeError, match="softplus"):
        grad(lambda a: namespace(a).softplus(a))(X)


@pytest.mark.parametrize(
    "key",
    [
        *([0, 1], X > 1, True, np.False_, (slice(None), np.asarray([0])), (X[:, 0] > 1, 0), range(2)),
        *(([1, 0], None, slice(2)), (..., [2, 2]), (0, [0, 2, 0]), np.asarray(1)),
    ],
)
def test_indexing_that_the_standard_lacks(key):
    """Lists, masks and arrays beside slices: entries named twice get both gradients."""
    weights = np.random.default_rng(4).normal(size=X[key].shape)
    gradient = grad(lambda a: namespace(a).sum(a[key] * weights))(X)
    expected = np.zeros_like(X)
    np.add.at(expected, key, weights)
    np.testing.assert_allclose(gradient, expected, rtol=1e-15)


def test_what_has_no_slope_is_constant():
    """Comparisons, roundings, positions: their results carry no gradient."""

    def function(a):
        xp = namespace(a)
        steps = xp.astype(a > 1, a.dtype) + xp.floor(a) + xp.sign(a) + xp.round(a)
        order = xp.argsort(a, axis=-1)
        assert order.shape == a.shape
        return xp.sum(a * steps)

    steps = (X > 1) + np.floor(X) + np.sign(X) + np.round(X)
    np.testing.assert_array_equal(grad(function)(X), steps)


def test_constants_of_the_namespace():
    def function(a):
        xp = namespace(a)
        assert (xp.pi, xp.float32) == (math.pi, np.dtype("float32").type)
        assert xp.isdtype(a.dtype, "real floating")
        return xp.sum(a * xp.ones_like(a) * xp.pi)

    np.testing.assert_array_equal(grad(function)(X), np.full_like(X, math.pi))


def test_ties_share_the_gradient():
    """As in PyTorch and JAX."""
    tied = np.asarray([2.0, 1.0, 2.0])
    np.testing.assert_array_equal(grad(lambda a: namespace(a).max(a))(tied), [0.5, 0, 0.5])
    np.testing.assert_array_equal(grad(lambda a: namespace(a).min(-a))(tied), [-0.5, 0, -0.5])
    both = grad(lambda a, b: namespace(a).sum(namespace(a).maximum(a, b)), (0, 1))(tied, tied.copy())
    np.testing.assert_array_equal(both, np.full((2, 3), 0.5))


# Derivatives nest


def test_second_derivatives_by_hand():
    def length(a):
        slope = grad(lambda b: namespace(b).sum(b**3))(a)
        return namespace(slope).sum(slope * slope)

    value, gradient = value_and_grad(length)(X)
    np.testing.assert_allclose(value, np.sum(9 * X**4), rtol=1e-14)
    np.testing.assert_allclose(gradient, 36 * X**3, rtol=1e-14)


def test_perturbations_are_not_confused():
    """d/dx x d/dy (x + y) is 1: the classic trap of nested differentiation (Siskind & Pearlmutter 2005)."""

    def outer(x):
        return x * grad(lambda y: x + y)(namespace(x).ones_like(x))

    assert grad(outer)(np.asarray(1.0)) == 1.0
    assert grad(lambda x: x * grad(lambda y: x * y)(x))(np.asarray(3.0)) == 6.0  # d/dx x^2


def test_third_derivative():
    def power(a):
        return a**5

    assert grad(grad(grad(power)))(np.asarray(2.0)) == 5 * 4 * 3 * 2.0**2


@losses
def test_second_derivatives_of_losses(loss):
    """Gradient of the squared length of the gradient, against differences of first gradients."""
    y, mode = (Y, "multiclass") if mode_of(loss) == "multiclass" else (ONE_HOT, "multilabel")

    def length(z):
        slope = grad(loss)(z, y, mode=mode)
        return (namespace(slope) if hasattr(slope, "parents") else np).sum(slope * slope)

    gradient = grad(length)(Z)
    np.testing.assert_allclose(gradient, differences(length, Z), rtol=1e-6, atol=1e-9)


def test_focal_modulation_of_a_mean_that_is_a_scalar():
    """NumPy's sums are float64 scalars, not arrays of shape (): both are taken."""
    ce = cross_entropy_loss(Z, Y)
    for value in (np.float64(ce), np.asarray(ce), np.float32(ce)):
        expected = (1 - math.exp(-value)) ** 2 * value
        assert float(focal_modulation(value)) == pytest.approx(float(expected), rel=1e-6)

    def loss(z):
        return focal_modulation(cross_entropy_loss(z, Y), 2.0)

    np.testing.assert_allclose(grad(loss)(Z), differences(loss, Z), rtol=1e-6, atol=1e-9)


# Bookkeeping


def test_a_long_chain_needs_no_recursion():
    def function(a):
        for _ in range(5000):
            a = a * 1.0001
        return namespace(a).sum(a)

    np.testing.assert_allclose(grad(function)(X), np.full_like(X, 1.0001**5000), rtol=1e-10)


def test_shared_parts_are_counted_once_each():
    """2^40 paths, 40 boxes."""

    def function(a):
        for _ in range(40):
            a = a + a
        return namespace(a).sum(a)

    np.testing.assert_array_equal(grad(function)(X), np.full_like(X, 2.0**40))


def test_dtypes_of_gradients():
    def function(a, b):
        xp = namespace(a)
        return xp.sum(xp.astype(a, np.float64) * b)

    half, wide = grad(function, (0, 1))(X.astype(np.float16), X)
    assert (half.dtype, wide.dtype) == (np.float16, np.float64)
    np.testing.assert_array_equal(half, X.astype(np.float16))


def test_arrays_inside_containers():
    """Weights in a list or a dictionary are constants of the tape."""

    def function(z, layers, options):
        hidden = z @ layers[0] + options["bias"]
        return namespace(z).sum(hidden * hidden)

    layers, options = [X.T], {"bias": X[:, :2]}
    expected = differences(lambda z: np.sum((z @ X.T + X[:, :2]) ** 2), X)
    np.testing.assert_allclose(grad(function)(X, layers, options), expected, rtol=1e-8)


class Layers(NamedTuple):
    weights: np.ndarray
    bias: np.ndarray


def test_named_tuples():
    """They stay what they are, as arguments and in what is returned beside the value."""

    def function(z, layers):
        hidden = z @ layers.weights + layers.bias
        return namespace(z).sum(hidden * hidden), Layers(hidden, 2.0)

    layers = Layers(X.T, X[:, :2])
    (value, aux), gradient = value_and_grad(function, has_aux=True)(X, layers)
    hidden = X @ X.T + X[:, :2]
    np.testing.assert_allclose(value, np.sum(hidden**2), rtol=1e-14)
    np.testing.assert_allclose(gradient, 2 * hidden @ X, rtol=1e-13)
    assert isinstance(aux, Layers)
    assert (type(aux.weights), aux.bias) == (np.ndarray, 2.0)


def test_threads():
    """Each call has a tape of its own."""
    expected = {name: grad(loss)(Z, Y) for name, loss in MULTICLASS.items()}
    wrong = []

    def work():
        for name, loss in MULTICLASS.items():
            for _ in range(5):
                if not np.array_equal(grad(loss)(Z, Y), expected[name]):
                    wrong.append(name)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_error_leaves_nothing_behind():
    with pytest.raises(ZeroDivisionError):
        grad(lambda a: a / (1 // 0))(X)
    np.testing.assert_array_equal(grad(dice_loss)(Z, Y), grad(dice_loss)(Z, Y))
    assert isinstance(focal_loss(Z, Y), np.float64 | np.ndarray)

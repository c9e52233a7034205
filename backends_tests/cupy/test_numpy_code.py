"""Ordinary NumPy code on CuPy's arrays, by NumPy's functions and by CuPy's; expected from NumPy."""

import cupy
import numpy as np
import pytest

from agnoloss import grad, value_and_grad
from agnoloss.backends.cupy import BACKEND
from backends_tests.numpy_code import CLASSES, LABELS, LINES, PROGRAMS, W, X, differences, focal_terms


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(backend, name):
    program, w, labels = PROGRAMS[name]
    features, targets = backend.array(X), backend.array(labels)
    value, gradient = value_and_grad(lambda w: program(cupy, w, features, targets))(backend.array(w))
    assert backend.owns(gradient)
    np.testing.assert_allclose(backend.numpy(value), program(np, w.copy(), X, labels), rtol=1e-12)
    expected = differences(lambda w: program(np, w, X, labels), w)
    np.testing.assert_allclose(backend.numpy(gradient), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_lines(backend, line):
    value, gradient = value_and_grad(line)(backend.array(W), backend.array(X))
    np.testing.assert_allclose(backend.numpy(value), line(W.copy(), X), rtol=1e-12)
    np.testing.assert_allclose(backend.numpy(gradient), grad(line)(W, X), rtol=1e-10, atol=1e-12)


def test_an_objective_for_xgboost(backend):
    """Gradient and diagonal of the Hessian, as on NumPy."""

    def objective(np, margins, labels):
        def gradient(m):
            return grad(lambda m: focal_terms(np, m, labels).sum())(m)

        return gradient(margins), grad(lambda m: gradient(m).sum())(margins)

    found = objective(cupy, backend.array(X[:, 0]), backend.array(LABELS))
    for one, other in zip(found, objective(np, X[:, 0], LABELS), strict=True):
        np.testing.assert_allclose(backend.numpy(one), other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "line",
    [
        lambda w, X: cupy.exp(w).sum() + cupy.sum(cupy.tanh(w), axis=0).std() + cupy.mean(cupy.abs(w)),
        lambda w, X: cupy.maximum(0, w).sum() + cupy.where(w > 0, w, 0.0).std() + cupy.clip(w, -1, 1).sum(),
        lambda w, X: (X @ w.T).std() + (X[:3] * w).sum() + (X[:3] - w).max() + cupy.square(w).min(),
        lambda w, X: cupy.reshape(w, (4, 3)).std(0).sum() + (cupy.transpose(w) @ w).sum() + cupy.ravel(w)[2],
        lambda w, X: cupy.dot(w, X.T).var() + (w[cupy.isfinite(w)] ** 2).sum() + w[0, cupy.argmax(w[0])],
    ],
)
def test_functions_of_cupy(backend, line):
    """Ufuncs, `where`, and those that call methods."""
    _, gradient = value_and_grad(line)(backend.array(W), backend.array(X))
    expected = differences(lambda w: float(line(backend.array(w), backend.array(X))), W)
    np.testing.assert_allclose(backend.numpy(gradient), expected, rtol=1e-6, atol=1e-8)


def test_what_cannot_be_differentiated_is_named(backend):
    w, features = backend.array(W), backend.array(X)

    def written_into(w):
        total = cupy.zeros((3, 4))
        total += w
        return total.sum()

    with pytest.raises(NotImplementedError, match=r"`add\(out=\)`: nothing can be written into"):
        grad(written_into)(w)
    with pytest.raises(NotImplementedError, match=r"`cbrt`: use operators, and functions"):
        grad(lambda w: cupy.cbrt(w).sum())(w)
    with pytest.raises(NotImplementedError, match=r"`trace`: use operators, and functions"):
        grad(lambda w: cupy.trace(w))(w)
    for use in (
        lambda w: features.dot(w.T),
        lambda w: cupy.concatenate([w, features]),
        lambda w: cupy.sort(w),
    ):
        with pytest.raises((TypeError, NotImplementedError)):
            grad(use)(w)


def test_a_gradient_of_many_entries(backend):
    """Sums of each label: by comparisons if labels are few, by additions at addresses if they are many."""
    values = np.random.default_rng(3).normal(size=(2, 500))
    labels = np.random.default_rng(4).integers(0, 300, (2, 500))
    for classes in (255, 256, 300):
        kept = np.minimum(labels, classes - 1)
        expected = np.stack([np.bincount(r, v, classes) for r, v in zip(kept, values, strict=True)])
        for dtype, digits in (("float64", 1e-13), ("float32", 1e-5)):
            given = backend.array(values.astype(dtype))
            sums = BACKEND.class_sums(given, backend.array(kept), classes)
            assert backend.dtype(sums) == dtype
            np.testing.assert_allclose(backend.numpy(sums), expected, rtol=digits, atol=digits)
    scores = np.random.default_rng(5).normal(size=(300, 3))
    y = backend.array(np.resize(CLASSES, 300))
    gradient = grad(lambda z: (z[cupy.arange(300), y] ** 2).sum())(backend.array(scores))
    expected = np.where(np.arange(3) == np.resize(CLASSES, 300)[:, None], 2 * scores, 0.0)
    np.testing.assert_allclose(backend.numpy(gradient), expected, rtol=1e-15)

"""Ordinary NumPy code under `value_and_grad`, against central differences; and what is refused, by name."""

import copy

import numpy as np
import pytest

from agnoloss import grad, value_and_grad
from backends_tests.numpy_code import LABELS, LINES, POSITIVE, PROGRAMS, W, X, differences, focal_terms

programs = pytest.mark.parametrize("name", PROGRAMS)
lines = pytest.mark.parametrize("line", LINES.values(), ids=LINES)


@programs
def test_programs(name):
    program, w, labels = PROGRAMS[name]
    value, gradient = value_and_grad(lambda w: program(np, w, X, labels))(w)
    np.testing.assert_allclose(value, program(np, w.copy(), X, labels), rtol=1e-14)
    expected = differences(lambda w: program(np, w, X, labels), w)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-9)
    # features and labels as arguments are plain arrays, as far as NumPy is concerned
    _, again = value_and_grad(program, 1)(np, w, X, labels)
    np.testing.assert_allclose(again, gradient, rtol=1e-14)


@programs
def test_hessians_of_programs(name):
    """Each row by a derivative of a derivative, against differences of gradients."""
    program, w, labels = PROGRAMS[name]
    gradient = grad(lambda w: program(np, w, X, labels))
    direction = np.cos(np.arange(w.size))
    product = grad(lambda w: np.sum(gradient(w) * direction))(w)
    expected = differences(lambda w: np.sum(gradient(w) * direction), w, 1e-5)
    np.testing.assert_allclose(product, expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_an_objective_for_xgboost(gamma):
    """Gradient and diagonal of the Hessian, of terms of one margin each."""
    margins = X[:, 0]

    def objective(margins, labels):
        def gradient(m):
            return grad(lambda m: np.sum(focal_terms(np, m, labels, gamma)))(m)

        return gradient(margins), grad(lambda m: gradient(m).sum())(margins)

    first, second = objective(margins, LABELS)
    step = 1e-3
    down, at, up = (focal_terms(np, margins + s, LABELS, gamma) for s in (-step, 0, step))
    # differences of this step are off by 1e-6 / 6 and 1e-6 / 12 of the third and fourth derivatives
    np.testing.assert_allclose(first, (up - down) / (2 * step), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(second, (up - 2 * at + down) / step**2, rtol=1e-5, atol=1e-6)


@lines
def test_lines(line):
    value, gradient = value_and_grad(line)(W, X)
    np.testing.assert_allclose(value, line(W.copy(), X), rtol=1e-14)
    assert gradient.shape == W.shape
    np.testing.assert_allclose(gradient, differences(lambda w: line(w, X), W), rtol=1e-6, atol=1e-8)


@lines
def test_lines_differentiated_once_more(line):
    def along(w):
        return np.sum(grad(line)(w, X) * X[:3])

    np.testing.assert_allclose(grad(along)(W), differences(along, W, 1e-5), rtol=1e-5, atol=1e-6)


@lines
def test_lines_of_float32(line):
    """The value has the dtype that NumPy gives it, the gradient that of the argument."""
    w, x = W.astype(np.float32), X.astype(np.float32)
    value, gradient = value_and_grad(line)(w, x)
    assert np.asarray(value).dtype == np.asarray(line(w.copy(), x)).dtype
    assert gradient.dtype == np.float32
    np.testing.assert_allclose(
        gradient, grad(line)(W, X), rtol=2e-3, atol=2e-3
    )  # of sums of cancelling terms


def test_constants_may_become_anything():
    """What is not differentiated has all that NumPy's arrays have."""

    def function(w, X, y):
        rows = [row for row in X if float(row[0]) > 0 and not np.isnan(row).any()]
        one_hot = np.eye(2)[y]
        counts = np.bincount(y, minlength=2) + np.unique(y).size
        assert y.tolist() == LABELS.tolist()
        assert (X.nbytes, y.max().item()) == (96 * 4, 1)
        scores = w.reshape(4, 3)[:, :2].T @ np.linalg.pinv(X)
        return np.sum(scores.T * one_hot * counts) * len(rows) + np.add.reduce(X[0]) * w.sum()

    gradient = grad(function)(W, X, LABELS)
    np.testing.assert_allclose(
        gradient, differences(lambda w: function(w, X, LABELS), W), rtol=1e-6, atol=1e-6
    )


def test_kinks_and_ties_are_those_of_the_rules():
    """Ties share; at a bound of clip the gradient passes; where NumPy has no slope, it is 0."""
    at = np.asarray([2.0, 0.0, -1.0, 2.0])
    np.testing.assert_array_equal(grad(lambda w: np.maximum(0, w).sum())(at), [1, 0.5, 0, 1])
    np.testing.assert_array_equal(grad(lambda w: w.max())(at), [0.5, 0, 0, 0.5])
    np.testing.assert_array_equal(grad(lambda w: np.abs(w).sum())(at), [1, 0, -1, 1])
    np.testing.assert_array_equal(grad(lambda w: np.clip(w, 0, 2).sum())(at), [1, 1, 0, 1])
    value, gradient = value_and_grad(np.linalg.norm)(0 * at)
    assert value == 0
    np.testing.assert_array_equal(gradient, 0 * at)
    assert value_and_grad(np.linalg.norm)(np.asarray([0.0, 1.0]))[0] == 1
    np.testing.assert_array_equal(grad(lambda w: np.linalg.norm(w, axis=0))(at), at / 3)


def test_lists_stand_for_arrays():
    plain = [0.5, -1.0, 2.0, 3.0]
    for function in (
        lambda w: np.dot(w, plain).std() + np.inner(plain, w).var(),
        lambda w: (np.add(w, plain) * np.where([True, False, True, True], w, plain)).std(),
        lambda w: np.concatenate([w[0], plain, [1.0]]).std() + np.stack([w[0, 0], 2.0, w[1, 1]]).std(),
        lambda w: np.clip(w, -0.2, plain).sum() + (plain * w + (w - plain) ** 2).sum(),
        lambda w: np.take(w, [1, 1], axis=0).std() + np.einsum("ij,j->i", w, plain).std(),
    ):
        np.testing.assert_allclose(grad(function)(W), differences(function, W), rtol=1e-6, atol=1e-8)


def test_rows_are_differentiated_together():
    """A loop over 20,000 entries, whose gradients one by one would be 20,000 arrays of that size."""
    at = np.linspace(-1, 1, 20_000)

    def function(w):
        return sum(x * x for x in w)

    np.testing.assert_allclose(grad(function)(at), 2 * at, rtol=1e-15)


def test_a_copy_stays_on_the_tape():
    gradient = grad(lambda w: np.sum(copy.copy(w) * copy.deepcopy(w)))(W)
    np.testing.assert_array_equal(gradient, 2 * W)


WAY_OUT = "use operators, and functions and methods that NumPy shares with the standard's main namespace"
NO_VALUE = (
    "being differentiated cannot become a Python number, .* `where` stands for `if`, `stack` for an array"
)


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("median", np.median),
        ("cbrt", lambda w: np.cbrt(w).sum()),
        ("trace", lambda w: w.trace()),
        ("fill", lambda w: w.fill(0.0)),
        ("sort in place", lambda w: w.sort()),
        ("linalg.det", lambda w: np.linalg.det(w.T @ w)),
        ("fft.fft", lambda w: np.fft.fft(w)),
        ("linalg.norm(ord=)", lambda w: np.linalg.norm(w, 2)),
        ("reshape(order=)", lambda w: w.reshape(4, 3, order="F").sum()),
        ("ravel(order=)", lambda w: np.ravel(w, "F").sum()),
        ("pad(mode=)", lambda w: np.pad(w, 1, mode="edge").sum()),
        ("max(initial=)", lambda w: np.max(w, initial=0.0)),
        ("max(further=)", lambda w: np.max(w, None, None, False, 0.0)),
        ("exp(dtype=)", lambda w: np.exp(w, dtype=np.float64).sum()),
        ("subtract.outer", lambda w: np.subtract.outer(w, w).sum()),
    ],
)
def test_what_has_no_rule_is_named(name, use):
    with pytest.raises(NotImplementedError) as caught:
        grad(use)(W)
    assert str(caught.value) == f"The tape has no derivative rule for `{name}`: {WAY_OUT}."


def written_into(w):
    total = np.zeros(4)
    for row in w:
        total += row
    return total.sum()


@pytest.mark.parametrize(
    ("message", "use"),
    [
        (
            r"`add\(out=\)`: nothing can be written into; make a new array, as `total = total \+ a`",
            written_into,
        ),
        (r"`exp\(out=\)`: nothing can be written into", lambda w: np.exp(w, out=np.empty((3, 4))).sum()),
        (r"`sum\(where=\)`: choose by the function `where`", lambda w: np.sum(w, where=W > 0)),
        (r"`add\.reduce`: use `sum`, `prod`, `max` or `min`", lambda w: np.add.reduce(w).sum()),
        (r"`multiply\.accumulate`: use `cumsum` or `cumprod`", lambda w: np.multiply.accumulate(w).sum()),
        (
            r"`einsum of ii->`: write `->`, no `...`, and no label twice",
            lambda w: np.einsum("ii->", w[:, :3]),
        ),
        (r"`einsum of ij`: write `->`", lambda w: np.einsum("ij", w).sum()),
        (r"`einsum of ...j->j`: write `->`", lambda w: np.einsum("...j->j", w).sum()),
    ],
)
def test_refusals_tell_the_way_out(message, use):
    with pytest.raises(NotImplementedError, match=message):
        grad(use)(W)


@pytest.mark.parametrize(
    "use",
    [
        lambda w: np.asarray(w).sum(),
        lambda w: np.array([w[0, 0], w[1, 1]]).sum(),
        lambda w: X.dot(w.T).sum(),
        lambda w: w.sum() if w.sum() else 0.0,
        lambda w: float(w[0, 0]) * w.sum(),
        lambda w: np.eye(3)[w[0, 0]],
    ],
)
def test_no_gradient_is_cut_in_silence(use):
    with pytest.raises(TypeError, match=NO_VALUE):
        grad(use)(W)


def test_plain_arrays_take_no_entries():
    """NumPy says that it is no number; why is the cause."""
    with pytest.raises(ValueError, match="setting an array element") as caught:
        grad(lambda w: np.zeros(3).__setitem__(0, w[0, 0]))(W)
    assert "being differentiated cannot become" in str(caught.value.__cause__)


@pytest.mark.parametrize("name", ["flat", "nbytes", "real", "strides"])
def test_attributes_that_are_no_methods(name):
    with pytest.raises(AttributeError, match=rf"has no `{name}`: use operators"):
        grad(lambda w: getattr(w, name))(W)


def test_names_that_numpy_lacks():
    with pytest.raises(AttributeError, match="softplus"):
        grad(lambda w: w.softplus())(W)
    with pytest.raises(TypeError, match="has no len"):
        grad(lambda w: sum(w.sum()))(W)
    with pytest.raises(TypeError, match="cannot be written into: make a new array"):
        grad(lambda w: w.__setitem__(0, 1.0))(W)


def test_the_value_may_be_of_other_functions():
    """POSITIVE powers and roots, in one go, against the derivative by hand."""
    value, gradient = value_and_grad(lambda w: np.sqrt(w).sum() + np.reciprocal(w).sum())(POSITIVE)
    np.testing.assert_allclose(value, np.sum(POSITIVE**0.5 + 1 / POSITIVE), rtol=1e-14)
    np.testing.assert_allclose(gradient, 0.5 * POSITIVE**-0.5 - POSITIVE**-2, rtol=1e-14)

"""The backend of docs/backends.md: the page's code, and every case of every loss against NumPy's float64."""

import doctest
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

import agnoloss
from agnoloss import backends, value_and_grad
from agnoloss.compat import array_namespace
from conformance.suite.agreement import compare
from conformance.suite.cases import cases_of, make_case
from conformance.suite.differentiation import cotangent, one_number
from conformance.suite.floats import HALVES
from conformance.suite.libraries import LIBRARIES
from conformance.suite.oracle import Exact, Truth
from conformance.suite.registry import ENTRIES, matching

PAGE = Path(__file__).parents[2] / "docs" / "backends.md"
MLX = LIBRARIES["mlx"]

losses = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)


@pytest.fixture(scope="module", autouse=True)
def page():
    """What the page's blocks define, run as they stand there; what prints, prints what the page says."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    document = Sybil(parsers=[PythonCodeBlockParser(doctest_optionflags=flags)]).parse(PAGE)
    known = dict(backends._BY_TYPE)
    with MLX.active():
        for example in document.examples():
            example.evaluate()
        yield document.namespace
    backends._BY_TYPE.clear()
    backends._BY_TYPE.update(known)


def truth(case):
    """Value and gradient by NumPy in float64, of numbers that are rounded already."""
    case = case.rounded("float64")
    loss, given = case.entry.function, (case.predictions, case.targets)
    value = loss(*given, **case.options)
    gradient = agnoloss.grad(one_number(loss, cotangent(np.shape(value))))(*given, **case.options)
    return Truth(*(Exact(x, np.zeros_like(x)) for x in map(np.asarray, (value, gradient))), True)


def default(entry, mode):
    """Predictions and targets, for NumPy and for MLX, and options."""
    case = make_case(entry, mode, {}).rounded("float32")
    arrays = case.predictions, case.targets
    return arrays, tuple(map(MLX.array, arrays)), case.options


def close(found, expected):
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-4, atol=1e-6)


def test_the_page_registers_its_backend(page):
    backend = backends.backend_of(mx.array([1.0]), "predictions")
    assert type(backend) is page["MLX"]


@losses
@pytest.mark.parametrize("dtype", ["float32", "half"])
def test_values_and_gradients_are_exact_up_to_rounding(entry, dtype):
    cases, wrong = cases_of(entry), []
    for i, case in enumerate(cases):
        name = HALVES[i % len(HALVES)] if dtype == "half" else dtype
        result = compare(case, truth(case.rounded(name)), MLX, name)
        if not result.agrees:
            wrong.append(str(result))
    assert not wrong, "\n".join([f"{len(wrong)} of {len(cases)} disagree", *wrong[:10]])


@pytest.mark.parametrize("name", ["cross_entropy_loss", "top_k_cross_entropy_loss"])
def test_compiled_it_is_the_same(name):
    """Which calls a C++ compiler on a CPU, for each kernel."""
    (entry,) = matching(name)
    arrays, (z, y), options = default(entry, "multiclass")
    value, gradient = value_and_grad(entry.function)(*arrays, **options)
    found = mx.compile(mx.value_and_grad(lambda z: entry.function(z, y, **options)))(z)
    close(found[0], value)
    close(found[1], gradient)


@losses
def test_gradients_by_pixel_weights_and_scores(entry):
    for mode in entry.modes:
        (z, y), (mlx_z, mlx_y), options = default(entry, mode)
        loss = entry.function
        u = np.linspace(0.5, 2, y.size, dtype=np.float32).reshape(y.shape)
        if mode == "multilabel":  # a weight of each pixel
            u = u[:, 0]

        def weighted(z, u, y):
            return loss(z, y, pixel_weights=u, **options)  # noqa: B023

        value, (of_z, of_u) = value_and_grad(weighted, (0, 1))(z, u, y)
        found, (mlx_of_z, mlx_of_u) = value_and_grad(weighted, (0, 1))(mlx_z, MLX.array(u), mlx_y)
        close(found, value)
        close(mlx_of_z, of_z)
        close(mlx_of_u, of_u)


def test_second_derivatives():
    (z, y), (mlx_z, mlx_y), options = default(ENTRIES[0], "multiclass")
    slope = agnoloss.grad(agnoloss.dice_loss)
    expected = agnoloss.grad(lambda z: array_namespace(z).sum(slope(z, y, **options) ** 2))(z)
    gradient = mx.grad(lambda z: agnoloss.dice_loss(z, mlx_y, **options))
    close(mx.grad(lambda z: mx.sum(gradient(z) ** 2))(mlx_z), expected)


def test_an_array_of_another_library_is_refused_by_name():
    with pytest.raises(TypeError, match=r"mlx\.core\.array\(targets\)"):
        agnoloss.dice_loss(mx.zeros((1, 2, 3)), np.zeros((1, 3), dtype=int))

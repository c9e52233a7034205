"""Every loss on NumPy against its loop in `references`, which was written from the formula alone."""

import inspect
from zlib import crc32

import numpy as np
import pytest

import agnoloss

from .. import references
from ..suite.agreement import tolerance
from ..suite.cases import Case, cases_of
from ..suite.differentiation import cotangent, one_number
from ..suite.registry import ENTRIES

LOSSES = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)


def volumes(entry):
    """Three spatial axes, each long enough for a pixel to have neighbours on both sides."""
    rng = np.random.default_rng(crc32(entry.name.encode()))
    z, y = rng.normal(size=(2, 3, 3, 5, 4)), rng.integers(0, 3, (2, 3, 5, 4))
    one_hot = np.moveaxis(np.eye(3, dtype=int)[y], -1, 1)
    inputs = {"multiclass": (z, y), "multilabel": (z, one_hot), "binary": (z[:, 0], one_hot[:, 0])}
    return [
        Case(f"{mode} volume", entry, *inputs[mode], {"mode": mode, **entry.required}, exact=False)
        for mode in entry.modes
    ]


@LOSSES
@pytest.mark.parametrize("cases", [cases_of, volumes])
def test_value_is_the_reference(entry, cases):
    reference = getattr(references, entry.name)
    for case in cases(entry):
        value = entry.function(case.predictions, case.targets, **case.options)
        expected = np.asarray(reference(case.predictions, case.targets, **case.options))
        assert np.shape(value) == expected.shape, case.name
        scale = max(entry.unit, np.max(np.abs(expected), initial=0.0))
        # Both round, the reference in plain loops.
        allowed = 2 * tolerance("float64", case.predictions.size) * np.finfo(np.float64).eps * scale
        np.testing.assert_allclose(value, expected, rtol=0, atol=allowed, err_msg=case.name)


@LOSSES
@pytest.mark.parametrize("cases", [cases_of, volumes])
def test_gradient_is_the_slope_of_the_value(entry, cases):
    """Along one random direction for each case; no case is within a step of a kink."""
    for case in cases(entry):
        shape = np.shape(entry.function(case.predictions, case.targets, **case.options))
        loss = one_number(entry.function, cotangent(shape))

        def at(predictions, case=case, loss=loss):
            return loss(predictions, case.targets, **case.options)

        gradient = agnoloss.grad(loss)(case.predictions, case.targets, **case.options)
        way = np.random.default_rng(crc32(case.name.encode())).normal(size=case.predictions.shape)
        step = 1e-6 * max(1.0, np.max(np.abs(case.predictions)))
        slope = (at(case.predictions + step * way) - at(case.predictions - step * way)) / (2 * step)
        # rounding of the values over the step, and the third derivative times its square
        allowed = 1e-9 * max(1.0, abs(float(at(case.predictions)))) + 1e-6 * np.sum(np.abs(gradient))
        np.testing.assert_allclose(np.sum(gradient * way), slope, rtol=0, atol=allowed, err_msg=case.name)


@pytest.mark.parametrize("name", sorted(set(references.__all__) - {"Counts"}))
def test_signature_is_the_promised_one(name):
    """Words and defaults."""

    def words(function):
        parameters = inspect.signature(function).parameters.values()
        return {p.name: p.default for p in parameters if p.name != "all_reduce"}

    function = getattr(agnoloss, name, None) or getattr(agnoloss.maps, name)
    assert words(function) == words(getattr(references, name))


def test_every_public_loss_is_in_the_registry():
    public = {name for name in agnoloss.__all__ if name.endswith("_loss")}
    assert public == {entry.name for entry in ENTRIES}

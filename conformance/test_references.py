"""Every loss on NumPy against its loop in `references`, which was written from the formula alone."""

import inspect

import numpy as np
import pytest

import agnoloss

from . import references
from .agreement import tolerance
from .cases import cases_of
from .registry import ENTRIES

LOSSES = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)


@LOSSES
def test_value_is_the_reference(entry):
    reference = getattr(references, entry.name)
    for case in cases_of(entry):
        value = entry.function(case.predictions, case.targets, **case.options)
        expected = np.asarray(reference(case.predictions, case.targets, **case.options))
        assert np.shape(value) == expected.shape, case.name
        scale = max(entry.unit, np.max(np.abs(expected), initial=0.0))
        # Both round, the reference in plain loops.
        allowed = 2 * tolerance("float64", case.predictions.size) * np.finfo(np.float64).eps * scale
        np.testing.assert_allclose(value, expected, rtol=0, atol=allowed, err_msg=case.name)


@LOSSES
def test_signature_is_the_promised_one(entry):
    def words(function):
        parameters = inspect.signature(function).parameters.values()
        return {p.name: p.default for p in parameters if p.name != "all_reduce"}

    assert words(entry.function) == words(getattr(references, entry.name))


def test_every_public_loss_is_in_the_registry():
    public = {name for name in agnoloss.__all__ if name.endswith("_loss")}
    assert public == {entry.name for entry in ENTRIES}

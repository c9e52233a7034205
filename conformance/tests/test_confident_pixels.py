"""Late in training most pixels are right by a margin: what is left of loss and gradient is still exact."""

import dataclasses
import math

import numpy as np
import pytest

from agnoloss import cross_entropy_loss, dice_loss, grad
from agnoloss.compat import array_namespace

from ..laws.all_laws import BY_NAME, breaches
from ..suite.registry import ENTRIES

CONFIDENT = BY_NAME["confident"]
PROMISED = [entry for entry in ENTRIES if entry.confident is not None]


@pytest.mark.parametrize("entry", PROMISED, ids=lambda entry: entry.name)
def test_small_numbers_are_exact_relative_to_themselves(backend, entry):
    found = [str(breach) for breach in breaches(CONFIDENT, entry, backend)]
    assert not found, "\n".join(found)


def test_a_formula_without_cancellation_obeys(backend):
    """``log1p`` of the other exponentials, in the standard: the law asks for nothing that float32 has not."""

    def by_log1p(predictions, targets, mode):
        xp = array_namespace(predictions)
        labels = xp.expand_dims(targets, axis=1)
        above = predictions - xp.take_along_axis(predictions, labels, axis=1)
        others = xp.where(above == 0, 0.0, xp.exp(above))
        return xp.mean(xp.log1p(xp.sum(others, axis=1)))

    by_log1p.__name__ = cross_entropy_loss.__name__
    entry = dataclasses.replace(PROMISED[0], function=by_log1p, modes=("multiclass",))
    assert not list(map(str, breaches(CONFIDENT, entry, backend)))


def test_a_pixel_sure_of_another_class_keeps_its_gradient(backend):
    """One pixel of class 1, p = (1 - e, e): d loss / d p = (1/8, -3/8), so d z = p_0 p_1 (1/2, -1/2)."""
    gradient = grad(dice_loss)(backend.array(np.asarray([[[0.0], [-260.0]]])), backend.array([[1]]))
    half = math.exp(-260) / 2
    np.testing.assert_allclose(backend.numpy(gradient), [[[half], [-half]]], rtol=1e-12)

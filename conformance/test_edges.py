"""What the formulas give at their edges: certain predictions, and the ends of what a number may be."""

import re

import numpy as np
import pytest

from agnoloss import (
    active_contour_loss,
    balanced_cross_entropy_loss,
    boundary_f1_loss,
    combo_loss,
    conservative_loss,
    cross_entropy_loss,
    dice_boundary_loss,
    dice_cross_entropy_loss,
    dice_loss,
    exponential_logarithmic_loss,
    focal_loss,
    focal_tversky_loss,
    generalized_dice_loss,
    grad,
    jaccard_loss,
    log_cosh_dice_loss,
    top_k_cross_entropy_loss,
    tversky_loss,
)

from .losses import mode_of

OF_PIXELS = [cross_entropy_loss, balanced_cross_entropy_loss, focal_loss, top_k_cross_entropy_loss]
OF_PIXELS += [combo_loss, exponential_logarithmic_loss, dice_cross_entropy_loss]
INF = np.inf


def check_nothing(backend, loss, z, y, **options):
    """No loss, and no gradient."""
    value = loss(backend.array(z), backend.array(y), **options)
    assert float(backend.numpy(value)) == 0
    gradient = grad(loss)(backend.array(z), backend.array(y), **options)
    np.testing.assert_array_equal(backend.numpy(gradient), np.zeros_like(z))


@pytest.mark.parametrize("loss", OF_PIXELS, ids=lambda loss: loss.__name__)
@pytest.mark.parametrize("score", [INF, 1e4])
def test_what_is_certain_and_right_costs_nothing(backend, loss, score):
    """0 log 0 is 0."""
    y = np.asarray([[1, 0, 0, 1]])
    for z, labels in ((y, y), (np.stack([y, 1 - y], axis=1), np.stack([y, 1 - y], axis=1))):
        mode = "binary" if z is y else "multilabel"
        check_nothing(backend, loss, np.where(z == 1, score, -score), labels, mode=mode)


@pytest.mark.parametrize(
    "loss", [loss for loss in OF_PIXELS if mode_of(loss) == "multiclass"], ids=lambda loss: loss.__name__
)
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("score", [-1e300, -1e4])
def test_a_class_that_is_ruled_out(backend, loss, dense, score):
    y = np.asarray([[0, 1, 1]])
    one_hot = np.stack([1 - y, y], axis=1)
    check_nothing(backend, loss, np.where(one_hot == 1, 0.0, score), one_hot if dense else y)


RANGES = {
    combo_loss: {"alpha": (0, 1), "beta": (0, 1)},
    cross_entropy_loss: {"label_smoothing": (0, 1)},
    dice_boundary_loss: {"alpha": (0, 1)},
    exponential_logarithmic_loss: {"gamma_dice": (0, None), "gamma_cross_entropy": (0, None)},
    focal_loss: {"gamma": (0, None)},
    focal_tversky_loss: {"alpha": (0, None), "beta": (0, None), "gamma": (None, None)},
    top_k_cross_entropy_loss: {"k": (None, 1)},
    conservative_loss: {"lam": (0, None), "base": (None, None), "eps": (None, 0.5)},
    tversky_loss: {"alpha": (0, None), "beta": (0, None)},
    active_contour_loss: {"weight": (0, None), "eps": (None, None)},
}
"""Ends that are allowed; None where there is none, or where it is left out."""

BELOW = {"base": 1.0}
"""What is too small, where that is not 0 or less."""

ENDS = [
    pytest.param(loss, name, low, high, id=f"{loss.__name__} {name}")
    for loss, names in RANGES.items()
    for name, (low, high) in names.items()
]

Z = np.random.default_rng(4).normal(size=(1, 3, 4, 4))
Y = np.arange(16).reshape(1, 4, 4) % 3


@pytest.mark.parametrize(("loss", "name", "low", "high"), ENDS)
def test_numbers_in_range(backend, loss, name, low, high):
    def call(value):
        return backend.numpy(loss(backend.array(Z), backend.array(Y), **{name: value}))

    for end in (low, high):
        if end is not None:
            assert np.isfinite(call(end))
            assert np.isfinite(call(float(end)))
    least = BELOW.get(name, 0.0)
    for wrong in (least - 1e-9, np.inf, -np.inf, np.nan, *([least] if low is None else [])):
        with pytest.raises(ValueError, match=rf"`{name}` .*(?=.*{re.escape(str(wrong).removesuffix('.0'))})"):
            call(wrong)
    assert np.isfinite(call(least + 1e-3))
    if high is not None:
        with pytest.raises(ValueError, match=rf"`{name}` must be from .* to {float(high)}; got"):
            call(high + 1e-9)
    else:
        assert np.isfinite(call(1.0 + least))


@pytest.mark.parametrize(("name", "least"), [("theta0", 3), ("theta", 1)])
def test_windows_have_a_cell_in_their_middle(backend, name, least):
    def call(value):
        return backend.numpy(boundary_f1_loss(backend.array(Z), backend.array(Y), **{name: value}))

    for right in (least, 5, 7):
        assert np.isfinite(call(right))
    for wrong in (least - 2, least + 1, 0, -1, 6):
        with pytest.raises(
            ValueError, match=f"`{name}` .*odd number of pixels, at least {least}; got {wrong}"
        ):
            call(wrong)
    for wrong in (5.0, "5", None):
        with pytest.raises(TypeError, match=f"`{name}` must be an int; got {wrong!r}"):
            call(wrong)


@pytest.mark.parametrize("loss", [generalized_dice_loss, dice_boundary_loss])
def test_weightings(backend, loss):
    for wrong in ("squares", "", None, 2):
        with pytest.raises(ValueError, match=r'`weighting` must be "square" or "simple" or "uniform"'):
            loss(backend.array(Z), backend.array(Y), weighting=wrong)


@pytest.mark.parametrize("loss", [dice_loss, jaccard_loss, log_cosh_dice_loss, dice_cross_entropy_loss])
def test_squared_is_a_flag(backend, loss):
    for wrong in (1, None, "yes"):
        with pytest.raises(TypeError, match=f"`squared` must be True or False; got {wrong!r}"):
            loss(backend.array(Z), backend.array(Y), squared=wrong)

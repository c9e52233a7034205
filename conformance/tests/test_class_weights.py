"""Class weights of binary mode: two numbers, for 0 and for 1, in losses of pixels."""

import math

import numpy as np
import pytest

from agnoloss import (
    balanced_cross_entropy_loss,
    cross_entropy_loss,
    dice_cross_entropy_loss,
    exponential_logarithmic_loss,
    focal_loss,
    iou,
    value_and_grad,
)

from ..suite.registry import ENTRIES
from .test_input_values import refused

RNG = np.random.default_rng(12)
Z, Y, SOFT = RNG.normal(size=(2, 5)), RNG.integers(0, 2, (2, 5)), RNG.uniform(size=(2, 5))
P, ONE_ZERO = np.asarray([[0.8, 0.6]]), np.asarray([[1, 0]])
WEIGHTS = [1.0, 3.0]
TRUE, FALSE = -math.log(0.8), -math.log(0.4)

of_pixels = [entry.function for entry in ENTRIES if "binary" in entry.modes and entry.of_pixels]
of_regions = [entry.function for entry in ENTRIES if "binary" in entry.modes and not entry.of_pixels]


@pytest.mark.parametrize(
    ("loss", "options", "expected"),
    [
        (cross_entropy_loss, {}, (3 * TRUE + FALSE) / (3 + 1)),
        (cross_entropy_loss, {"reduction": "sum"}, 3 * TRUE + FALSE),
        (cross_entropy_loss, {"pos_weight": 2.0}, (3 * 2 * TRUE + FALSE) / (3 + 1)),
        (focal_loss, {"alpha": 0.25, "gamma": 1.0}, (3 / 4 * 0.2 * TRUE + 3 / 4 * 0.6 * FALSE) / (3 + 1)),
        (balanced_cross_entropy_loss, {"beta": 0.75}, (3 * 3 / 4 * TRUE + FALSE / 4) / (3 + 1)),
        (dice_cross_entropy_loss, {"smooth": 0.0}, 1 - 2 * 0.8 / (1.4 + 1) + (3 * TRUE + FALSE) / (3 + 1)),
        (
            exponential_logarithmic_loss,
            {"dice_weight": 0.0, "cross_entropy_weight": 1.0, "gamma_cross_entropy": 1.0},
            (3 * TRUE + FALSE) / 2,
        ),
    ],
)
def test_numbers_by_hand(backend, loss, options, expected):
    options = {"mode": "binary", "from_logits": False, "class_weights": WEIGHTS, **options}
    value = backend.numpy(loss(backend.array(P), backend.array(ONE_ZERO), **options))
    np.testing.assert_allclose(value, expected, rtol=1e-14)


def test_balanced_by_hand(backend):
    y = np.asarray([[1, 0, 0, 0, 9]])
    z = np.asarray([[0.5, -1.0, 0.0, 2.0, 7.0]])
    # one pixel of class 1 weighs 4 / (2 x 1), three of class 0 weigh 4 / (2 x 3): each class half the mean
    costs = np.log1p(np.exp([-0.5, -1.0, 0.0, 2.0]))
    options = {"mode": "binary", "class_weights": "balanced", "ignore_index": 9}
    value = backend.numpy(cross_entropy_loss(backend.array(z), backend.array(y), **options))
    np.testing.assert_allclose(value, costs[0] / 2 + np.sum(costs[1:]) / 6, rtol=1e-14)


@pytest.mark.parametrize("y", [Y, SOFT], ids=["hard", "soft"])
@pytest.mark.parametrize("weights", [WEIGHTS, "balanced"], ids=str)
def test_balanced_cross_entropy_is_focal_loss_of_two_classes(backend, y, weights):
    """With gamma = 0, which leaves alpha = (1 - beta, beta)."""
    z = backend.array(Z)
    value, gradient = value_and_grad(balanced_cross_entropy_loss)(
        z, backend.array(y), beta=0.75, class_weights=weights
    )
    two = backend.array(np.stack([0 * Z, Z], axis=1))
    targets = y if y is Y else np.stack([1 - y, y], axis=1)
    expected, of_two = value_and_grad(focal_loss)(
        two, backend.array(targets), gamma=0.0, alpha=[0.25, 0.75], class_weights=weights
    )
    np.testing.assert_allclose(backend.numpy(value), backend.numpy(expected), rtol=1e-14)
    np.testing.assert_allclose(backend.numpy(gradient), backend.numpy(of_two)[:, 1], rtol=1e-13)


def test_pos_weight_is_a_class_weight_outside_the_divisor(backend):
    z, y = backend.array(Z), backend.array(Y)
    options = {"mode": "binary", "reduction": "none"}
    one = cross_entropy_loss(z, y, pos_weight=2.5, **options)
    other = cross_entropy_loss(z, y, class_weights=[1.0, 2.5], **options)
    np.testing.assert_allclose(backend.numpy(one), backend.numpy(other), rtol=1e-15)


@pytest.mark.parametrize("loss", [*of_regions, iou], ids=lambda loss: loss.__name__)
@pytest.mark.parametrize("weights", [WEIGHTS, [1.0], "balanced"], ids=str)
def test_losses_of_counts_refuse_them(backend, loss, weights):
    z, y = (backend.array(np.stack([x] * 5, axis=1)) for x in (Z, Y))
    with refused(ValueError, "`class_weights`", "`pos_weight`", 'mode="multiclass"', repr(weights)):
        loss(z, y, mode="binary", class_weights=weights)


@pytest.mark.parametrize("loss", of_pixels, ids=lambda loss: loss.__name__)
def test_there_must_be_two(backend, loss):
    z, y = backend.array(Z), backend.array(Y)
    for weights, count in (([2.0], 1), ([1.0, 2.0, 3.0], 3), (backend.array(np.ones(1)), 1)):
        with refused(ValueError, "`class_weights`", "length 2", f"got shape ({count},)"):
            loss(z, y, mode="binary", class_weights=weights)


def test_of_several_channels_they_stay_one_for_each(backend):
    z, y = backend.array(np.stack([Z, 2 * Z], axis=1)), backend.array(np.stack([Y, 1 - Y], axis=1))
    options = {"mode": "multilabel", "class_weights": WEIGHTS}
    first, second = (backend.numpy(cross_entropy_loss(z[:, c, :], y[:, c, :], mode="binary")) for c in (0, 1))
    value = backend.numpy(cross_entropy_loss(z, y, **options))
    np.testing.assert_allclose(value, (first + 3 * second) / 4, rtol=1e-14)

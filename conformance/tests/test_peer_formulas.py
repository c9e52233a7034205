"""More faults that users of other libraries reported: absent classes, layouts, and what a formula means.

The expected numbers are the formulas', written out in NumPy, or relations that need no number.
"""

import math

import numpy as np
import pytest

from agnoloss import (
    balanced_cross_entropy_loss,
    cross_entropy_loss,
    dice_cross_entropy_loss,
    dice_loss,
    focal_loss,
    focal_modulation,
    jaccard_loss,
    lovasz_hinge_loss,
    lovasz_softmax_loss,
    tversky_loss,
    value_and_grad,
)

from .losses import BINARY, LOSSES, MULTICLASS, mode_of, takes

REGION = [dice_loss, jaccard_loss, tversky_loss]

losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
binary_losses = pytest.mark.parametrize("loss", BINARY.values(), ids=BINARY)
multiclass_losses = pytest.mark.parametrize("loss", MULTICLASS.values(), ids=MULTICLASS)
region_losses = pytest.mark.parametrize("loss", REGION)

RNG = np.random.default_rng(10)
Z = RNG.normal(size=(2, 3, 4, 5))
Y = RNG.integers(0, 3, (2, 4, 5))
ONE_HOT = np.moveaxis(np.eye(3)[Y], -1, 1)


def evaluate(backend, loss, z, y, **options):
    """Value and gradient as NumPy arrays."""
    value, gradient = value_and_grad(loss)(backend.array(z), backend.array(y), **options)
    return backend.numpy(value), backend.numpy(gradient)


def close(one, other, rtol=1e-13):
    np.testing.assert_allclose(one[0], other[0], rtol=rtol)
    np.testing.assert_allclose(one[1], other[1], rtol=rtol, atol=1e-16)


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


@multiclass_losses
def test_a_score_of_minus_infinity_takes_a_class_from_a_pixel(backend, loss):
    """The others share its probability, and it has no gradient."""
    gone = (np.arange(Z.size).reshape(Z.shape) % 3 == 0) & (ONE_HOT == 0)
    left = np.exp(Z) * ~gone
    value, gradient = evaluate(backend, loss, np.where(gone, -np.inf, Z), Y)
    p = backend.array(left / left.sum(1, keepdims=True))
    by_hand = backend.numpy(loss(p, backend.array(Y), from_logits=False))
    np.testing.assert_allclose(value, by_hand, rtol=1e-12)
    assert np.all(np.isfinite(gradient))
    np.testing.assert_array_equal(gradient[gone], 0.0)
    assert np.any(gradient[~gone])


# 12, 30, 31: absent classes


@region_losses
def test_an_absent_class_costs_what_is_predicted_of_it(backend, loss):
    p = np.asarray([[0.7, 0.3, 0.0], [0.4, 0.6, 0.0]])
    y = np.asarray([0, 0])
    each, _ = evaluate(backend, summed(loss), p, y, from_logits=False, smooth=0.0)
    tp, predicted, true = np.asarray([1.1, 0, 0]), np.asarray([1.1, 0.9, 0]), np.asarray([2.0, 0, 0])
    fp, fn = predicted - tp, true - tp
    a, b = {dice_loss: (0.5, 0.5), jaccard_loss: (1, 1), tversky_loss: (0.3, 0.7)}[loss]
    score = np.asarray([tp[0] / (tp[0] + a * fp[0] + b * fn[0]), 0, 1])  # 0 / 0 scores 1
    np.testing.assert_allclose(each, np.sum(1 - score), rtol=1e-14)
    present, gradient = evaluate(backend, loss, p, y, from_logits=False, smooth=0.0, classes="present")
    np.testing.assert_allclose(present, 1 - score[0], rtol=1e-14)
    assert np.all(np.isfinite(gradient))


def summed(loss):
    return lambda *arrays, **options: loss(*arrays, reduction="sum", **options)


def test_balanced_weights_of_an_absent_class(backend):
    z, y = Z[:, :, 0], np.where(Y[:, 0] == 2, 0, Y[:, 0])  # nothing of class 2
    counts = [np.sum(y == c) for c in range(3)]
    weights = [y.size / (3 * n) if n else 0.0 for n in counts]
    balanced = evaluate(backend, cross_entropy_loss, z, y, class_weights="balanced")
    close(balanced, evaluate(backend, cross_entropy_loss, z, y, class_weights=weights))


@pytest.mark.parametrize("classes", ["all", "present"])
def test_lovasz_of_an_absent_class(backend, classes):
    p = np.asarray([[0.7, 0.2, 0.1], [0.6, 0.4, 0.0], [0.5, 0.3, 0.2]])
    value, _ = evaluate(backend, lovasz_softmax_loss, p, np.zeros(3, int), from_logits=False, classes=classes)
    # errors .5 .4 .3 of class 0, each a third of the union; an absent class costs its largest error
    expected = {"present": 0.4, "all": (0.4 + 0.4 + 0.2) / 3}[classes]
    assert value == pytest.approx(expected, rel=1e-14)


def test_lovasz_without_foreground(backend):
    z = np.asarray([[-2.0, 0.5, -0.5]])
    value, gradient = evaluate(backend, lovasz_hinge_loss, z, np.zeros((1, 3), int))
    assert value == 1.5
    np.testing.assert_array_equal(gradient, [[0, 1, 0]])


# 29: alpha weighs false positives


def test_alpha_raises_the_cost_of_false_positives(backend):
    y = np.asarray([[0, 0, 1, 1]])
    for wrong, costs in (([1.0, 0, 1, 1], [True, False]), ([0.0, 0, 0, 1], [False, True])):
        base, more_alpha, more_beta = (
            evaluate(
                backend, tversky_loss, np.asarray([wrong]), y, mode="binary", from_logits=False, **weights
            )[0]
            for weights in (
                {"alpha": 0.5, "beta": 0.5},
                {"alpha": 0.9, "beta": 0.5},
                {"alpha": 0.5, "beta": 0.9},
            )
        )
        assert [more_alpha > base, more_beta > base] == costs
    # Salehi et al. 2017, equation 4, with one false positive: 1 - (2 + 1) / (2 + alpha + 1)
    value, _ = evaluate(
        backend,
        tversky_loss,
        np.asarray([[1.0, 0, 1, 1]]),
        y,
        mode="binary",
        from_logits=False,
        alpha=0.9,
        beta=0.5,
    )
    assert value == pytest.approx(1 - 3 / 3.9, rel=1e-14)


@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 0.5), (1.0, 1.0)])
def test_tversky_is_dice_and_jaccard(backend, alpha, beta):
    one = evaluate(backend, tversky_loss, Z, Y, alpha=alpha, beta=beta, smooth=0.5)
    other = (dice_loss, 1.0) if alpha == 0.5 else (jaccard_loss, 0.5)
    close(one, evaluate(backend, other[0], Z, Y, smooth=other[1]))


# 37: (N, 1, H, W) against (N, H, W); 28: the class axis anywhere


@binary_losses
@pytest.mark.parametrize("axis", [1, 0, 2, -1])
def test_a_class_axis_of_one_in_binary_mode(backend, loss, axis):
    z, y = Z[:, 0], Y % 2
    value, gradient = evaluate(backend, loss, z, y, mode="binary")
    for targets in (y, np.expand_dims(y, axis)):
        with_axis = evaluate(backend, loss, np.expand_dims(z, axis), targets, mode="binary", axis=axis)
        close(with_axis, (value, np.expand_dims(gradient, axis)))


@losses
@pytest.mark.parametrize("axis", [0, 2, 3, -1, -3])
def test_the_class_axis_anywhere(backend, loss, axis):
    mode = mode_of(loss)
    value, gradient = evaluate(backend, loss, Z, Y if mode == "multiclass" else ONE_HOT, mode=mode)
    y = Y if mode == "multiclass" else np.moveaxis(ONE_HOT, 1, axis)
    moved = evaluate(backend, loss, np.moveaxis(Z, 1, axis), y, mode=mode, axis=axis)
    close(moved, (value, np.moveaxis(gradient, 1, axis)), rtol=1e-12)


@multiclass_losses
def test_one_hot_and_labels(backend, loss):
    labels = evaluate(backend, loss, Z, Y)
    for dtype in (float, int, bool):
        close(evaluate(backend, loss, Z, ONE_HOT.astype(dtype)), labels, rtol=1e-12)


# 19: Dice and its kin are minimal where prediction and soft target agree


@region_losses
@pytest.mark.parametrize("mode", ["multiclass", "multilabel", "binary"])
@pytest.mark.parametrize("smooth", [0.0, 1.0])
def test_a_soft_target_predicted_is_a_loss_of_zero(backend, loss, mode, smooth):
    t = softmax(Z)
    loss_at = at_targets(backend, loss, t, mode, smooth)
    assert loss_at(t)[0] == pytest.approx(0, abs=1e-15)
    for way in RNG.normal(size=(5, *t.shape)):
        for step in (1e-2, 0.3):
            assert loss_at(softmax(Z + step * way))[0] > 0


def at_targets(backend, loss, targets, mode, smooth):
    def loss_at(p):
        return evaluate(backend, loss, p, targets, mode=mode, from_logits=False, smooth=smooth)

    return loss_at


# 20, 21: alpha and gamma of the softmax focal loss


def test_softmax_focal_is_not_sigmoid(backend):
    alpha, gamma = np.asarray([0.25, 1.0, 2.0]), 1.5
    p = np.take_along_axis(softmax(Z), Y[:, None], 1)[:, 0]
    value, _ = evaluate(backend, focal_loss, Z, Y, gamma=gamma, alpha=alpha.tolist())
    assert value == pytest.approx(np.mean(-alpha[Y] * (1 - p) ** gamma * np.log(p)), rel=1e-13)
    plain = evaluate(backend, cross_entropy_loss, Z, Y)
    close(evaluate(backend, focal_loss, Z, Y, gamma=0.0), plain)
    close(evaluate(backend, focal_loss, Z, Y, gamma=0), plain)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_modulation_of_a_mean(backend, gamma):
    ce = np.asarray([0.0, 0.3, 2.0, 50.0])
    modulated = backend.numpy(focal_modulation(backend.array(ce), gamma))
    np.testing.assert_allclose(modulated, (1 - np.exp(-ce)) ** gamma * ce, rtol=1e-14)

    def loss(z, y):
        return focal_modulation(cross_entropy_loss(z, y), gamma)

    value, gradient = evaluate(backend, loss, Z, Y)
    ce, slope = evaluate(backend, cross_entropy_loss, Z, Y)
    p = math.exp(-ce)
    assert value == pytest.approx((1 - p) ** gamma * ce, rel=1e-13)
    chain = (1 - p) ** gamma + (gamma * (1 - p) ** (gamma - 1) * p * ce if gamma else 0)
    np.testing.assert_allclose(gradient, chain * slope, rtol=1e-12)


# 22, 26: activation and `from_logits`


@losses
def test_from_logits_is_obeyed(backend, loss):
    if not takes(loss, "from_logits"):
        assert loss is lovasz_hinge_loss  # which takes scores only, and has no such argument
        return
    mode = mode_of(loss)
    p = softmax(Z) if mode == "multiclass" else 1 / (1 + np.exp(-Z))
    y = Y if mode == "multiclass" else ONE_HOT
    value, _ = evaluate(backend, loss, p, y, mode=mode, from_logits=False)
    np.testing.assert_allclose(value, evaluate(backend, loss, Z, y, mode=mode)[0], rtol=1e-13)


def test_a_compound_is_the_sum_of_its_parts(backend):
    for mode, y in (("multiclass", Y), ("multilabel", ONE_HOT), ("binary", ONE_HOT)):
        dice, entropy = (evaluate(backend, loss, Z, y, mode=mode) for loss in (dice_loss, cross_entropy_loss))
        both = evaluate(
            backend, dice_cross_entropy_loss, Z, y, mode=mode, dice_weight=0.3, cross_entropy_weight=2.0
        )
        close(both, tuple(0.3 * d + 2 * e for d, e in zip(dice, entropy, strict=True)), rtol=1e-12)


# 23: the background is left out after the softmax, not before


@pytest.mark.parametrize("loss", [*REGION, lovasz_softmax_loss])
def test_background_is_left_out_after_the_activation(backend, loss):
    each = backend.numpy(loss(backend.array(Z), backend.array(Y), classes="all", reduction="none"))
    value, gradient = evaluate(backend, loss, Z, Y, classes=(1, 2))
    np.testing.assert_allclose(value, np.mean(each[1:]), rtol=1e-14)
    assert np.all(gradient[:, 0] != 0)  # the background's score moves the others' probabilities
    chosen = backend.numpy(loss(backend.array(Z), backend.array(Y), classes=[2, 1], reduction="none"))
    np.testing.assert_array_equal(chosen, [0, *each[1:]])


# 39: gradients that helpers cut; Keras clips a saturated sigmoid


@losses
def test_gradients_reach_every_pixel(backend, loss):
    mode = mode_of(loss)
    options = {"classes": "all"} if takes(loss, "classes") else {}
    _, gradient = evaluate(backend, loss, Z / 8, Y if mode == "multiclass" else ONE_HOT, mode=mode, **options)
    if loss.__name__ == "top_k_cross_entropy_loss":  # the hardest pixels alone: 4 of 40
        assert np.sum(np.any(gradient != 0, axis=1)) == 4
    elif loss is lovasz_hinge_loss:  # below the last of the foreground, J changes no more
        assert np.all(np.any(gradient != 0, axis=(2, 3)))
    else:
        assert np.all(gradient != 0)


@pytest.mark.parametrize("loss", [cross_entropy_loss, balanced_cross_entropy_loss])
def test_saturated_binary_scores(backend, loss):
    z, y = np.asarray([[40.0, -1e4, 1e4, 1e4]]), np.asarray([[0, 1, 1, 0]])
    value, gradient = evaluate(backend, loss, z, y, mode="binary")
    share = 1.0 if loss is cross_entropy_loss else 0.5  # half of the pixels are positive
    assert value == pytest.approx(share * (40 + 1e4 + 1e4) / 4, rel=1e-15)
    np.testing.assert_allclose(gradient, share * np.asarray([[1, -1, 0, 1]]) / 4, rtol=1e-15)

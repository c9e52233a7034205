"""Hard counts against loops, and the choices in counts that no value shows."""

import numpy as np
import pytest

from agnoloss import confusion, dice_loss, dice_score, grad, iou, jaccard_score, tversky_score

RNG = np.random.default_rng(41)
Z = RNG.normal(size=(2, 3, 4, 2))
Y = RNG.integers(0, 3, (2, 4, 2))
WEIGHTS = RNG.uniform(0.5, 2, Y.shape)


def counted(predicted, true, weights):
    """tp, fp, fn of one class, pixel by pixel."""
    tp = fp = fn = 0.0
    for p, y, u in zip(predicted.ravel(), true.ravel(), weights.ravel(), strict=True):
        tp += u * (p and y)
        fp += u * (p and not y)
        fn += u * (y and not p)
    return tp, fp, fn


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_hard_counts_of_classes(weights):
    counts = confusion(Z, Y, hard=True, pixel_weights=weights)
    u = np.ones(Y.shape) if weights is None else weights
    for c in range(3):
        expected = counted(Z.argmax(1) == c, c == Y, u)
        np.testing.assert_allclose([part[c] for part in counts], expected, rtol=1e-14)
        tp, fp, fn = expected
        np.testing.assert_allclose(dice_score(counts)[c], 2 * tp / (2 * tp + fp + fn), rtol=1e-14)
        np.testing.assert_allclose(jaccard_score(counts)[c], tp / (tp + fp + fn), rtol=1e-14)
        tversky = tversky_score(counts, alpha=0.2, beta=0.7)[c]
        np.testing.assert_allclose(tversky, tp / (tp + 0.2 * fp + 0.7 * fn), rtol=1e-14)
    np.testing.assert_allclose(iou(Z, Y, pixel_weights=weights), np.mean(jaccard_score(counts)), rtol=1e-14)


def test_hard_counts_of_channels():
    """A probability of exactly 1/2 is no yes."""
    p = np.asarray([[0.5, 0.50001, 0.9, 0.2, 0.0, 1.0]])
    y = np.asarray([[1, 1, 0, 1, 0, 1]])
    counts = confusion(p, y, hard=True, mode="binary", from_logits=False)
    np.testing.assert_array_equal(
        [float(np.sum(part)) for part in counts], counted(p > 0.5, y == 1, np.ones(6))
    )


@pytest.mark.parametrize("hard", [True, False])
def test_a_nan_is_no_decision(hard):
    z = Z.copy()
    z[0, 1, 2, 0] = np.nan
    assert np.isnan(iou(z, Y) if hard else dice_loss(z, Y))
    assert np.all(np.isnan(dice_score(confusion(z, Y, hard=hard))))  # of every class: a softmax


def test_infinite_logits_are_decisions():
    """0 times a probability is 0, whatever the logit; and as many counts as pixels."""
    z = np.where(np.arange(3)[None, :, None, None] == Y[:, None], 1e4, -1e4)
    counts = confusion(z, Y, hard=True)
    np.testing.assert_array_equal(counts.tp, np.bincount(Y.ravel(), minlength=3))
    assert not np.any(counts.fp)
    assert not np.any(counts.fn)


def test_the_derivative_of_min_at_a_tie():
    """d min(p, y) / dp = y at p = y, in between what it is on the two sides."""
    p = np.asarray([[[0.25, 0.5, 0.75]]])
    y = np.asarray([[[0.25, 0.5, 0.25]]])
    gradient = grad(dice_loss)(p, y, mode="multilabel", from_logits=False, smooth=0.0)
    tp, total = 0.25 + 0.5 + 0.25, p.sum() + y.sum()
    slope = np.asarray([0.25, 0.5, 0.0])  # of min(p, y): the third p is above y
    np.testing.assert_allclose(gradient[0, 0], 2 * tp / total**2 - 2 * slope / total, rtol=1e-12)


@pytest.mark.parametrize("soft", [True, False])
def test_squares_of_dense_targets(soft):
    """TP = sum p y, P = sum p^2, T = sum y^2 (V-Net): of soft targets no label path computes them."""
    y = np.moveaxis(np.eye(3)[Y], -1, 1)
    if soft:
        y = 0.5 * y + 0.5 * np.roll(y, 1, axis=0)
    e = np.exp(Z)
    p = e / e.sum(axis=1, keepdims=True)
    tp, predicted, true = ((a * b).sum(axis=(0, 2, 3)) for a, b in ((p, y), (p, p), (y, y)))
    np.testing.assert_allclose(
        dice_loss(Z, y, squared=True), 1 - np.mean((2 * tp + 1) / (predicted + true + 1)), rtol=1e-13
    )

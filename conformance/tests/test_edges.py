"""What the formulas give at their edges: certain predictions, and the ends of what a number may be."""

import math
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
    lovasz_hinge_loss,
    lovasz_softmax_loss,
    top_k_cross_entropy_loss,
    tversky_loss,
    value_and_grad,
)

from .losses import mode_of
from .test_input_values import LOOKING_IS_FREE

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
        for given in (labels, labels.astype("float64")):
            check_nothing(backend, loss, np.where(z == 1, score, -score), given, mode=mode)


@pytest.mark.parametrize(
    "loss", [loss for loss in OF_PIXELS if mode_of(loss) == "multiclass"], ids=lambda loss: loss.__name__
)
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("score", [-INF, -1e300, -1e4])
def test_a_class_that_is_ruled_out(backend, loss, dense, classes, score):
    y = np.asarray([[0, 1, 1, 0]])
    one_hot = np.stack([y == c for c in range(classes)], axis=1).astype(int)
    check_nothing(backend, loss, np.where(one_hot == 1, 0.0, score), one_hot if dense else y)


@pytest.mark.parametrize("loss", [cross_entropy_loss, focal_loss, conservative_loss, combo_loss])
@pytest.mark.parametrize("dense", [False, True])
def test_a_class_that_is_ruled_out_takes_no_part(backend, loss, dense):
    """As if it were not there; combo loss has an element more in its mean, and in its Dice a class."""
    p, y = np.asarray([[[0.25, 0.6, 0.5, 0.8], [0.75, 0.4, 0.5, 0.2]]]), np.asarray([[0, 1, 1, 0]])
    z = np.concatenate([np.log(p), np.full((1, 1, 4), -INF)], axis=1)
    one_hot = np.stack([y == c for c in range(3)], axis=1).astype(float)
    options = {"classes": [0, 1], "alpha": 1.0} if loss is combo_loss else {}
    value, slope = value_and_grad(loss)(backend.array(z), backend.array(one_hot if dense else y), **options)
    two, without = value_and_grad(loss)(backend.array(z[:, :2]), backend.array(y), **options)
    share = 2 / 3 if loss is combo_loss else 1.0
    np.testing.assert_allclose(backend.numpy(value), share * backend.numpy(two), rtol=1e-13)
    np.testing.assert_allclose(backend.numpy(slope)[:, :2], share * backend.numpy(without), rtol=1e-12)
    np.testing.assert_array_equal(backend.numpy(slope)[:, 2], np.zeros((1, 4)))


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 2.5])
def test_gammas_of_focal_loss(backend, gamma):
    """-(1 - p)^gamma log p; gamma 0 and whole numbers take ways of their own."""
    p = np.asarray([0.1, 0.5, 0.9])
    z, y = np.stack([np.log(p), np.log1p(-p)], axis=1), np.zeros(3, int)
    value = focal_loss(backend.array(z), backend.array(y), gamma=gamma, reduction="none")
    np.testing.assert_allclose(backend.numpy(value), -((1 - p) ** gamma) * np.log(p), rtol=1e-13)


@pytest.mark.parametrize("k", [1e-6, 0.2, 0.21, 0.3, 0.99, 1.0])
@pytest.mark.parametrize("ignored", [0, 5, 9])
def test_the_hardest_pixels_are_at_least_one(backend, k, ignored):
    """The mean of max(1, ceil(k n)) of n losses, however few; the ignored ones are the hardest."""
    n = 10 - ignored
    p = np.linspace(0.9, 0.2, n)
    z, y = np.append(np.log(p) - np.log1p(-p), [-50.0] * ignored)[None], np.ones((1, 10), int)
    y[0, n:] = 255
    value, slope = value_and_grad(top_k_cross_entropy_loss)(
        backend.array(z), backend.array(y), mode="binary", k=k, ignore_index=255
    )
    kept = np.sort(-np.log(p))[::-1][: max(1, math.ceil(k * n - 1e-9))]
    np.testing.assert_allclose(backend.numpy(value), np.mean(kept), rtol=1e-13)
    assert np.sum(backend.numpy(slope) != 0) == kept.size


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
        with pytest.raises(ValueError, match=rf"`{name}` must be .* to {float(high)}; got"):
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


@pytest.mark.parametrize("loss", [cross_entropy_loss, focal_loss])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_mean_over_few_channels(backend, loss, channels):
    """Of weighted pixels it is that of each channel alone, averaged."""
    z, u = np.linspace(-3, 2, 8 * channels).reshape(2, channels, 4), np.arange(8.0).reshape(2, 4)
    y = (z * 7 % 3 > 1).astype("int64")

    def mean(z, y, mode):
        arrays = backend.array(z), backend.array(y)
        return float(backend.numpy(loss(*arrays, mode=mode, pixel_weights=backend.array(u))))

    alone = [mean(z[:, c], y[:, c], "binary") for c in range(channels)]
    assert mean(z, y, "multilabel") == pytest.approx(np.mean(alone))


@pytest.mark.parametrize(
    ("loss", "plain", "options"),
    [
        (focal_loss, focal_loss, {"alpha": 0.5}),
        (balanced_cross_entropy_loss, cross_entropy_loss, {"beta": 0.5}),
    ],
)
def test_equal_weights_of_the_two_sides(backend, loss, plain, options):
    """Half of each, half of all."""
    z, y = backend.array(np.asarray([[0.5, -1.0, 2.0]])), backend.array(np.asarray([[1, 0, 0]]))
    half, whole = (backend.numpy(f(z, y, mode="binary", **o)) for f, o in ((loss, options), (plain, {})))
    assert float(half) == pytest.approx(float(whole) / 2)


@pytest.mark.parametrize("mode", ["binary", "multiclass"])
@pytest.mark.parametrize("score", [INF, -INF, math.nan, -3e38, 3e38])
def test_one_ignored_score_is_not_seen(backend, mode, score):
    """Whichever it is: each shows in another way."""
    z, y = np.linspace(-1, 1, 8).reshape(1, 2, 4), np.asarray([[1, 0, 7, 1]])
    z, spoilt = (z[:, 0], z[:, 0].copy()) if mode == "binary" else (z, z.copy())
    spoilt.reshape(-1)[2] = score
    arrays, words = (backend.array(z), backend.array(spoilt)), {"mode": mode, "ignore_index": 7}
    for loss in (cross_entropy_loss, dice_cross_entropy_loss):
        found = [value_and_grad(loss)(array, backend.array(y), **words) for array in arrays]
        for a, b in zip(*found, strict=True):
            np.testing.assert_allclose(backend.numpy(b), backend.numpy(a), rtol=1e-13, atol=0)


def test_the_rarity_of_an_absent_class(backend):
    """It has a slope by the targets, and dividing by its count nowhere shows."""
    z, y = np.linspace(-1, 1, 12).reshape(1, 3, 4), np.zeros((1, 3, 4))
    y[:, 0] = 1.0
    slope = grad(exponential_logarithmic_loss, 1)(backend.array(z), backend.array(y))
    assert np.all(np.isfinite(backend.numpy(slope)))


def test_the_least_probability_was_not_raised(backend):
    """Below it the gradient is 0."""
    p, y = backend.array(np.asarray([[1e-7, 0.9e-7]])), backend.array(np.asarray([[1, 1]]))
    gradient = grad(cross_entropy_loss)(p, y, mode="binary", from_logits=False, reduction="sum")
    np.testing.assert_allclose(backend.numpy(gradient), [[-1e7, 0]], rtol=1e-12)


@pytest.mark.parametrize("loss", [cross_entropy_loss, dice_loss, focal_loss, dice_cross_entropy_loss])
@pytest.mark.parametrize("mode", ["binary", "multilabel", "multiclass"])
def test_a_score_that_is_no_number_shows(backend, loss, mode):
    """In the value and in its own gradient."""
    z, y = np.linspace(-1, 2, 8).reshape(1, 2, 4), np.asarray([[[1, 0, 1, 0], [0, 1, 1, 0]]])
    z[0, 0, 0] = math.nan
    z, y = (z[:, 0], y[:, 0]) if mode == "binary" else (z, y[:, 0] if mode == "multiclass" else y)
    value, gradient = value_and_grad(loss)(backend.array(z), backend.array(y), mode=mode)
    assert np.isnan(backend.numpy(value))
    assert np.isnan(np.ravel(backend.numpy(gradient))[0])


SLACK = 1e-3
"""How far outside [0, 1] a probability may lie."""


@pytest.mark.parametrize("mode", ["binary", "multilabel"])
@pytest.mark.parametrize("ignored", [0.5, 5.0, -5.0])
def test_probabilities_may_be_rounded(backend, mode, ignored):
    """As far as the slack, whatever an ignored pixel holds; further, the message says what came."""

    def call(*p):
        p, y = np.asarray([[*p, ignored]]), np.asarray([[1, 0, 255]])
        if mode == "multilabel":
            p, y = p[:, None], y[:, None]
        return cross_entropy_loss(
            backend.array(p), backend.array(y), mode=mode, from_logits=False, ignore_index=255
        )

    for right in ((-SLACK, 0.5), (0.5, 1 + SLACK), (-SLACK, 1 + SLACK)):
        assert np.isfinite(backend.numpy(call(*right)))
    for p, came in (((-0.25, 0.5), -0.25), ((0.5, 2.0), 2.0), ((-SLACK, 2.0), 2.0), ((-0.25, 2.0), -0.25)):
        if backend.name in LOOKING_IS_FREE:
            with pytest.raises(ValueError, match=rf"`predictions` must be probabilities.* got {came}\."):
                call(*p)
        else:
            assert np.isnan(backend.numpy(call(*p)))


@pytest.mark.parametrize("loss", [cross_entropy_loss, dice_loss])
@pytest.mark.parametrize("wrong", [-0.5, np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 2])
def test_arrays_of_weights_are_looked_at(backend, loss, wrong, place):
    """Where that costs nothing."""
    weights = np.asarray([0.5, 1.0, 2.0])
    for right in (weights, weights * 0):
        value = loss(backend.array(Z), backend.array(Y), class_weights=backend.array(right))
        assert np.isfinite(backend.numpy(value))
    weights[place] = wrong
    if backend.name in LOOKING_IS_FREE:
        with pytest.raises(ValueError, match=rf"`class_weights` must be at least 0.*got {wrong}"):
            loss(backend.array(Z), backend.array(Y), class_weights=backend.array(weights))


@pytest.mark.parametrize(
    ("mode", "what"), [("binary", "labels from 0 to 1"), ("multilabel", "values from 0 to 1")]
)
def test_what_a_wrong_target_is_called(backend, mode, what):
    z, y = Z[:, 0], np.full(Y.shape, 3)
    if mode == "multilabel":
        z, y = z[:, None], y[:, None]
    if backend.name in LOOKING_IS_FREE:
        with pytest.raises(ValueError, match=f"`targets` must hold {what}; got 3"):
            cross_entropy_loss(backend.array(z), backend.array(y), mode=mode)


@pytest.mark.parametrize("loss", [cross_entropy_loss, dice_loss])
def test_weights_do_not_hide_a_label_out_of_range(backend, loss):
    """Unless they are 0 where it is."""
    y, weights = Y.copy(), np.full(Y.shape, 0.5)
    y[0, 1, 1] = 9

    def call():
        return loss(backend.array(Z), backend.array(y), pixel_weights=backend.array(weights))

    if backend.name in LOOKING_IS_FREE:
        with pytest.raises(ValueError, match="`targets` must hold labels from 0 to 2; got 9"):
            call()
    else:
        assert np.isnan(backend.numpy(call()))
    weights[0, 1, 1] = 0
    assert np.isfinite(backend.numpy(call()))


def test_a_pixel_without_error_has_no_lovasz_gradient(backend):
    """At the kink the slope is 0, as of relu and abs; elsewhere a difference of the Jaccard index."""
    z, y = np.asarray([[1.0, -1.0, 0.5, -2.0]]), np.asarray([[1, 0, 1, 1]])  # errors 0, 0, 1/2 and 3
    gradient = grad(lovasz_hinge_loss)(backend.array(z), backend.array(y))
    np.testing.assert_allclose(backend.numpy(gradient), [[0, 0, -1 / 3, -1 / 3]], rtol=1e-12)
    p, y = np.asarray([[1.0, 0.0, 0.5, 0.25]]), np.asarray([[1, 0, 1, 0]])  # errors 0, 0, 1/2 and 1/4
    gradient = grad(lovasz_softmax_loss)(backend.array(p), backend.array(y), mode="binary", from_logits=False)
    np.testing.assert_allclose(backend.numpy(gradient), [[0, 0, -1 / 2, 1 / 6]], rtol=1e-12)

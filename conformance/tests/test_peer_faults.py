"""One test for each fault that users of other libraries met and reported: what does not count, and half.

The expected numbers are the formulas', written out in NumPy, or relations that need no number.
"""

import math

import numpy as np
import pytest

from agnoloss import (
    cross_entropy_loss,
    dice_cross_entropy_loss,
    dice_loss,
    focal_loss,
    jaccard_loss,
    tversky_loss,
    value_and_grad,
)

from .losses import LOSSES, MULTICLASS, WITHOUT_NEIGHBOURS, mode_of, takes

# Class weights replace the formula's own there, and its mean is a plain one over pixels.
WEIGHS_CLASSES_ITSELF = ("exponential_logarithmic_loss",)
REGION = [dice_loss, jaccard_loss, tversky_loss]

losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
of_pixels = pytest.mark.parametrize("loss", WITHOUT_NEIGHBOURS.values(), ids=WITHOUT_NEIGHBOURS)
multiclass_losses = pytest.mark.parametrize("loss", MULTICLASS.values(), ids=MULTICLASS)
region_losses = pytest.mark.parametrize("loss", REGION)

RNG = np.random.default_rng(9)
Z = RNG.normal(size=(2, 3, 4, 5))
Y = RNG.integers(0, 3, (2, 4, 5))


def evaluate(backend, loss, z, y, **options):
    """Value and gradient as NumPy arrays."""
    options = {k: backend.array(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    value, gradient = value_and_grad(loss)(backend.array(z), backend.array(y), **options)
    return backend.numpy(value), backend.numpy(gradient)


def same(one, other):
    """Value and gradient are bit for bit the same: the option has not even been computed with."""
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])


def close(one, other, rtol=1e-13):
    np.testing.assert_allclose(one[0], other[0], rtol=rtol)
    np.testing.assert_allclose(one[1], other[1], rtol=rtol, atol=1e-16)


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


# 1, 2: sums of half precision overflow at 65504


@pytest.mark.parametrize("loss", [*REGION, dice_cross_entropy_loss])
@pytest.mark.parametrize("mode", ["multiclass", "binary"])
def test_half_precision_on_a_large_image(backend, loss, mode):
    if "float16" in backend.refuses:
        pytest.skip(f"{backend.name}: {backend.refuses['float16']}")
    shape = (1, 512, 512) if mode == "binary" else (1, 2, 512, 512)
    z = RNG.normal(size=shape).astype(np.float16)
    y = RNG.integers(0, 2, (1, 512, 512))
    value, gradient = evaluate(backend, loss, z, y, mode=mode)
    wide, wide_gradient = evaluate(backend, loss, z.astype(np.float32), y, mode=mode)
    assert (value.dtype, gradient.dtype) == (np.float32, np.float16)
    np.testing.assert_allclose(value, wide, rtol=1e-6)
    # float16 holds a gradient of 1e-6 in steps of 2^-24, whatever it is computed in
    np.testing.assert_allclose(gradient, wide_gradient, rtol=2**-10, atol=2**-24)


# 3, 4: NaN from 0 ** (gamma - 1) and 0 log 0


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["multiclass", "binary"])
def test_focal_of_saturated_logits(backend, gamma, dtype, mode):
    scores = np.asarray([1e4, -1e4, 1e4, -1e4, 50.0, -50.0, 0.0], dtype)
    labels = np.asarray([1, 0, 0, 1, 1, 1, 1])
    if mode == "binary":
        z, y = scores[None], labels[None]
    else:
        z, y = np.stack([np.zeros_like(scores), scores], -1), labels
    value, gradient = evaluate(backend, focal_loss, z, y, mode=mode, gamma=gamma)
    # right: 0; wrong: 1^gamma 1e4; -50 and 0 by the formula
    hard = -math.expm1(-50.0 - math.log1p(math.exp(-50.0))), 50.0 + math.log1p(math.exp(-50.0))
    assert value == pytest.approx((2e4 + hard[0] ** gamma * hard[1] + 0.5**gamma * math.log(2)) / 7, rel=1e-5)
    assert np.all(np.isfinite(gradient))
    slope = gradient[0] if mode == "binary" else gradient[:, 1]
    np.testing.assert_allclose(7 * slope[:4], [0, 0, 1, -1], atol=1e-6)


# 5, 7, 13: the mean is over valid pixels; of none it is 0


@losses
@pytest.mark.parametrize("how", ["ignore_index", "pixel_weights"])
def test_all_pixels_ignored(backend, loss, how):
    mode = mode_of(loss)
    y = np.full((2, 4, 5), 255) if mode == "multiclass" else np.full(Z.shape, 255)
    options = {"ignore_index": 255}
    if how == "pixel_weights":
        y, options = y * 0, {"pixel_weights": np.zeros((2, 4, 5))}
    for smooth in [{}] if not takes(loss, "smooth") else [{}, {"smooth": 0.0}, {"smooth": (0.0, 1.0)}]:
        value, gradient = evaluate(backend, loss, Z, y, mode=mode, **options, **smooth)
        assert value == 0
        np.testing.assert_array_equal(gradient, np.zeros_like(Z))


def test_mean_over_valid_pixels(backend):
    y = Y.copy()
    y[:, :2] = 255
    value, _ = evaluate(backend, cross_entropy_loss, Z, y, ignore_index=255)
    log_p = np.log(softmax(Z))
    kept = [-log_p[n, Y[n, i, j], i, j] for n in range(2) for i in (2, 3) for j in range(5)]
    assert value == pytest.approx(np.mean(kept), rel=1e-14)


@of_pixels
def test_ignoring_is_deleting(backend, loss):
    mode = mode_of(loss)
    y = Y if mode == "multiclass" else (Y[:, None] == np.arange(3)[:, None, None]).astype(int)
    z = np.concatenate([Z, 7 * Z[..., :2]], -1)
    ignored = np.concatenate([y, np.full((*y.shape[:-1], 2), -1)], -1)
    value, gradient = evaluate(backend, loss, z, ignored, mode=mode, ignore_index=-1)
    close((value, gradient[..., :5]), evaluate(backend, loss, Z, y, mode=mode))
    assert not np.any(gradient[..., 5:])


@of_pixels
def test_a_single_valid_pixel(backend, loss):
    mode = mode_of(loss)
    y = np.full((2, 4, 5) if mode == "multiclass" else Z.shape, 255)
    y[0, ..., 1, 2] = 1
    pooled = {"per_image": False} if takes(loss, "per_image") else {}  # an empty image counts as 0
    value, gradient = evaluate(backend, loss, Z, y, mode=mode, ignore_index=255, **pooled)
    alone = value_and_grad(loss)(Z[:1, :, 1, 2], y[:1, ..., 1, 2], mode=mode, **pooled)  # by NumPy
    close((value, gradient[:1, :, 1, 2]), alone)
    gradient = gradient.copy()
    gradient[0, :, 1, 2] = 0
    assert not np.any(gradient)


# 6: ignored pixels masked in the numerator alone; NaN that comes back by 0 * NaN


@losses
@pytest.mark.parametrize("how", ["ignore_index", "pixel_weights"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_lies_in_an_ignored_pixel_is_not_seen(backend, loss, how, bad):
    mode = mode_of(loss)
    y = Y.copy() if mode == "multiclass" else (Y[:, None] == np.arange(3)[:, None, None]).astype(int)
    y[..., 1, 2] = 255 if how == "ignore_index" else 0
    weights = np.ones((2, 4, 5))
    weights[:, 1, 2] = 0
    options = {"ignore_index": 255} if how == "ignore_index" else {"pixel_weights": weights}
    z = Z.copy()
    z[..., 1, 2] = bad
    one = evaluate(backend, loss, z, y, mode=mode, **options)
    same(one, evaluate(backend, loss, Z, y, mode=mode, **options))
    assert np.all(np.isfinite(one[1]))
    assert not np.any(one[1][..., 1, 2])


@losses
def test_nan_that_counts_is_not_hidden(backend, loss):
    mode = mode_of(loss)
    z = Z.copy()
    z[1, 2, 3, 4] = math.nan
    value, _ = evaluate(backend, loss, z, Y if mode == "multiclass" else np.zeros(Z.shape, int), mode=mode)
    assert np.isnan(value)


# 8: an option whose value hits nothing; 25: weights of ones


@losses
@pytest.mark.parametrize(
    "options",
    [
        {"ignore_index": 255},
        {"ignore_index": (255, -100)},
        {"ignore_index": ()},
        {"pixel_weights": np.ones((2, 4, 5))},
        {"pixel_weights": np.ones((2, 4, 5), bool)},
        {"class_weights": [1, 1, 1]},
        {"class_weights": np.ones(3)},
    ],
    ids=str,
)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_an_option_that_hits_nothing(backend, loss, options, reduction):
    if "class_weights" in options and loss.__name__ in WEIGHS_CLASSES_ITSELF:
        return
    mode = mode_of(loss)
    y = Y if mode == "multiclass" else (Y[:, None] == np.arange(3)[:, None, None]).astype(int)
    plain = evaluate(backend, loss, Z, y, mode=mode, reduction=reduction)
    close(plain, evaluate(backend, loss, Z, y, mode=mode, reduction=reduction, **options))


@losses
@pytest.mark.parametrize("name", ["pixel_weights", "class_weights"])
def test_doubled_weights_change_no_mean(backend, loss, name):
    if name == "class_weights" and loss.__name__ in WEIGHS_CLASSES_ITSELF:
        return
    if name == "pixel_weights" and loss.__name__ == "boundary_f1_loss":
        return  # its eps is no weight: conformance/registry.py says so, and laws look that it is needed
    mode = mode_of(loss)
    y = Y if mode == "multiclass" else (Y[:, None] == np.arange(3)[:, None, None]).astype(int)
    weights = RNG.uniform(0.5, 2, (2, 4, 5) if name == "pixel_weights" else 3)
    smooth = {"smooth": 0.0} if takes(loss, "smooth") else {}  # it is no weight
    one, two = (evaluate(backend, loss, Z, y, mode=mode, **{name: k * weights}, **smooth) for k in (1, 2))
    close(one, two)


def test_doubled_class_weights_double_a_sum(backend):
    one, two = (
        evaluate(backend, dice_loss, Z, Y, class_weights=[k, 2 * k, 3 * k], reduction="sum") for k in (1, 2)
    )
    close((2 * one[0], 2 * one[1]), two)


# 10, 27: labels 255 and -1 crash the one-hot encoding, or are silently inert; uint8 is no label


LABELS = [("uint8", 255), ("int8", -1), ("int16", -100), ("int32", 255), ("int64", -100), ("uint16", 65535)]


@pytest.mark.parametrize(
    ("loss", "dtype", "label"),
    [
        *((loss, *LABELS[0]) for loss in MULTICLASS.values()),
        *((loss, *label) for loss in (cross_entropy_loss, dice_loss) for label in LABELS[1:]),
    ],
)
def test_labels_to_ignore_of_every_dtype(backend, loss, dtype, label):
    """All losses read labels by one function: one dtype each, all of them for a loss of each kind."""
    weights = RNG.integers(0, 2, Y.shape)
    y = np.where(weights == 0, label, Y)
    expected = evaluate(backend, loss, Z, Y, pixel_weights=weights.astype(float))
    close(evaluate(backend, loss, Z, y.astype(dtype), ignore_index=label), expected)


@multiclass_losses
def test_several_labels_to_ignore(backend, loss):
    hit = RNG.integers(0, 4, Y.shape)
    y = np.select([hit == 0, hit == 1], [255, -1], Y)
    expected = evaluate(backend, loss, Z, Y, pixel_weights=(hit > 1).astype(float))
    for several in [(255, -1), [-1, 255], {255, -1}, np.asarray([255, -1])]:
        ignored = several.tolist() if isinstance(several, np.ndarray) else several
        close(evaluate(backend, loss, Z, y, ignore_index=ignored), expected)


def test_a_label_that_uint8_cannot_hold_hits_nothing(backend):
    y = Y.astype(np.uint8)
    same(
        evaluate(backend, dice_loss, Z, y, ignore_index=-1),
        evaluate(backend, dice_loss, Z, y, ignore_index=511),
    )


@multiclass_losses
def test_a_class_can_be_ignored(backend, loss):
    expected = evaluate(backend, loss, Z, Y, pixel_weights=(Y != 0).astype(float))
    close(evaluate(backend, loss, Z, Y, ignore_index=0), expected)

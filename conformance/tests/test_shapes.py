"""Shapes in which labels, weights and dense targets may come, and where the class axis of a result lies."""

import numpy as np
import pytest

from agnoloss import (
    active_contour_loss,
    boundary_loss,
    conservative_loss,
    cost_sensitive_cross_entropy_loss,
    cross_entropy_loss,
    dice_loss,
    focal_loss,
    top_k_cross_entropy_loss,
    value_and_grad,
)

from ..suite.floats import numpy_dtype
from .losses import MULTICLASS, MULTILABEL, REDUCTIONS, takes
from .test_input_values import LOOKING_IS_FREE, refused, refused_or_nan

RNG = np.random.default_rng(12)
Z = RNG.normal(size=(2, 3, 4, 5))
Y = RNG.integers(0, 3, (2, 4, 5))
B = RNG.integers(0, 2, Z.shape)

losses = pytest.mark.parametrize("loss", MULTILABEL.values(), ids=MULTILABEL)
multiclass_losses = pytest.mark.parametrize("loss", MULTICLASS.values(), ids=MULTICLASS)


def both(backend, loss, z, y, **options):
    """Value and gradient, as NumPy arrays."""
    options = {key: backend.array(x) if isinstance(x, np.ndarray) else x for key, x in options.items()}
    found = value_and_grad(loss)(backend.array(z), backend.array(y), **options)
    return [backend.numpy(part) for part in found]


def equal(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)  # sums in another order


# Labels with a class axis of length 1


@multiclass_losses
@pytest.mark.parametrize("axis", [1, -1, 0])
def test_labels_may_carry_a_class_axis(backend, loss, axis):
    z, y = np.moveaxis(Z, 1, axis), np.where(Y == 2, 255, Y)
    given = np.expand_dims(y, axis)
    options = {"axis": axis, "ignore_index": 255}
    equal(both(backend, loss, z, given, **options), both(backend, loss, z, y, **options))
    if "none" in REDUCTIONS[loss]:
        one, other = (
            backend.numpy(loss(backend.array(z), backend.array(x), reduction="none", **options))
            for x in (given, y)
        )
        np.testing.assert_allclose(one, other, rtol=1e-12)
        assert one.shape == other.shape


def test_labels_with_a_class_axis_in_ones_place(backend):
    """An axis of length 1 elsewhere is none, nor one where predictions have a single class."""
    with refused(ValueError, "`targets`", "(2, 4, 5)", "got (2, 4, 1, 5)"):
        cross_entropy_loss(backend.array(Z), backend.array(Y[:, :, None]))
    with refused(ValueError, "`targets`", "(2, 4, 5)", "got (2, 1, 4, 5)"):
        cross_entropy_loss(backend.array(Z[:, 0]), backend.array(B[:, :1]), mode="binary")


# Weights of images and of elements


@losses
@pytest.mark.parametrize("mode", ["multilabel", "binary"])
def test_one_weight_for_each_image(backend, loss, mode):
    z, y = (Z, B) if mode == "multilabel" else (Z[:, 0], B[:, 0])
    of_images = np.asarray([0.25, 2.0])
    of_pixels = np.broadcast_to(of_images[:, None, None], Y.shape)
    one, other = (both(backend, loss, z, y, mode=mode, pixel_weights=w) for w in (of_images, of_pixels))
    equal(one, other)


@losses
@pytest.mark.parametrize("axis", [1, -1])
def test_one_weight_for_each_element(backend, loss, axis):
    """A weight of 0 leaves an element out, as a label to ignore does; equal ones are those of pixels."""
    z, y = np.moveaxis(Z, 1, axis), np.moveaxis(B, 1, axis)
    weights = RNG.uniform(0.5, 2, Y.shape)
    alike = np.repeat(np.expand_dims(weights, axis), 3, axis)
    options = {"mode": "multilabel", "axis": axis}
    one, other = (both(backend, loss, z, y, pixel_weights=w, **options) for w in (alike, weights))
    equal(one, other)
    gone = RNG.uniform(size=z.shape) < 0.25
    ignored = both(backend, loss, z, np.where(gone, 255, y), ignore_index=255, **options)
    equal(both(backend, loss, z, y, pixel_weights=np.where(gone, 0.0, 1.0), **options), ignored)


def test_the_gradient_by_weights_of_elements(backend):
    """sum w l / sum w has the slope (l - mean) / sum w by each weight."""
    weights = RNG.uniform(0.5, 2, Z.shape)
    z, y = backend.array(Z), backend.array(B)

    def loss(w):
        return cross_entropy_loss(z, y, mode="multilabel", pixel_weights=w)

    value, gradient = value_and_grad(loss)(backend.array(weights))
    each = np.log1p(np.exp(-Z * (2 * B - 1)))
    mean = np.sum(weights * each) / np.sum(weights)
    np.testing.assert_allclose(backend.numpy(value), mean, rtol=1e-13)
    np.testing.assert_allclose(backend.numpy(gradient), (each - mean) / np.sum(weights), rtol=1e-11)


def test_the_gradient_by_weights_of_images(backend):
    z, y = backend.array(Z), backend.array(Y)
    value, gradient = value_and_grad(lambda w: cross_entropy_loss(z, y, pixel_weights=w))(
        backend.array(np.asarray([0.5, 2.0]))
    )
    each = np.log(np.exp(Z).sum(1)) - np.take_along_axis(Z, Y[:, None], 1)[:, 0]
    sums, count = each.sum((1, 2)), each[0].size
    mean = (0.5 * sums[0] + 2 * sums[1]) / (2.5 * count)
    np.testing.assert_allclose(backend.numpy(value), mean, rtol=1e-13)
    np.testing.assert_allclose(backend.numpy(gradient), (sums - count * mean) / (2.5 * count), rtol=1e-11)


def test_weights_of_elements_are_for_multilabel(backend):
    weights = backend.array(np.ones(Z.shape))
    with refused(ValueError, "`pixel_weights`", "(2, 4, 5) or (2,)", "got (2, 3, 4, 5)"):
        cross_entropy_loss(backend.array(Z), backend.array(Y), pixel_weights=weights)


def test_a_label_counts_where_any_of_its_elements_does(backend):
    """Index labels of a multilabel problem: one out of range may stand where all weights are 0."""
    labels, weights = np.asarray([[0, 1, 9]]), np.ones((1, 3, 3))
    weights[:, 1:, 2] = 0

    def call():
        given = (backend.array(x) for x in (np.zeros((1, 3, 3)), labels))
        return cross_entropy_loss(*given, mode="multilabel", pixel_weights=backend.array(weights))

    refused_or_nan(backend, call, "`targets`", "from 0 to 2", "got 9")
    weights[:, 0, 2] = 0
    np.testing.assert_allclose(backend.numpy(call()), np.log(2), rtol=1e-14)


# Dense multiclass targets


@multiclass_losses
@pytest.mark.parametrize("dtype", ["int64", "bool", "float64"])
def test_dense_targets_of_more_than_one_class(backend, loss, dtype):
    """A mask (N, H, W) beside the scores (N, H, W) of one class is the usual case."""
    y = np.zeros((2, 3, 4, 5))
    y[:, 0] = y[1, 1:, 2, 3] = 1

    def call(**options):
        return loss(backend.array(Z), backend.array(y.astype(dtype)), **options)

    words = ("`targets`", "axis=1", "got 3", 'mode="multilabel"', 'mode="binary"', "`axis`")
    refused_or_nan(backend, call, *words)
    weights = np.ones((2, 4, 5))
    refused_or_nan(backend, lambda: call(pixel_weights=backend.array(weights)), *words)
    weights[1, 2, 3] = 0
    assert np.isfinite(backend.numpy(call(pixel_weights=backend.array(weights))))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_rounding_does_not_make_two_classes(backend, dtype):
    """Halves are up to 2^-9 too large each, and float32 numbers were halves perhaps."""
    values = np.full((1, 5, 6), 0.201171875)  # 1/5 rounded up as bfloat16 does, twice: 1.00586 in all
    if dtype in backend.refuses:
        pytest.skip(backend.refuses[dtype])
    y = backend.array(values.astype(numpy_dtype(dtype)))
    z = backend.array(np.zeros((1, 5, 6), np.float32))
    np.testing.assert_allclose(backend.numpy(cross_entropy_loss(z, y)), np.log(5), rtol=1e-6)


OF_SHARES = {
    "cross entropy": (cross_entropy_loss, {}),
    "smoothed": (cross_entropy_loss, {"label_smoothing": 0.25}),
    "smoothed and weighted": (
        cross_entropy_loss,
        {"label_smoothing": 0.25, "class_weights": [0.0, 1.0, 2.0]},
    ),
    "focal": (focal_loss, {}),
    "conservative": (conservative_loss, {}),
    "cost-sensitive": (cost_sensitive_cross_entropy_loss, {"cost_matrix": [[1, 2, 3], [4, 1, 2], [3, 4, 1]]}),
    "top-k": (top_k_cross_entropy_loss, {"k": 1.0}),
}


@pytest.mark.parametrize(("loss", "options"), OF_SHARES.values(), ids=OF_SHARES)
def test_a_pixel_without_a_class_has_no_share(backend, loss, options):
    """It is as good as left out by a weight of 0: value, gradient and divisor."""
    one_hot = np.moveaxis(np.eye(3)[Y], -1, 1)
    none = RNG.uniform(size=Y.shape) < 0.3
    without = np.where(none[:, None], 0.0, one_hot)
    equal(
        both(backend, loss, Z, without, **options),
        both(backend, loss, Z, one_hot, pixel_weights=np.where(none, 0.0, 1.0), **options),
    )


@pytest.mark.parametrize("loss", [cross_entropy_loss, dice_loss])
@pytest.mark.parametrize("mode", ["multilabel", "multiclass", "binary"])
def test_a_target_that_is_no_number(backend, loss, mode):
    y = np.full((1, 2, 3), 0.25)
    y[0, 1, 2] = np.nan

    def call(**options):
        return loss(backend.array(np.zeros(y.shape)), backend.array(y), mode=mode, **options)

    refused_or_nan(backend, call, "`targets`", "from 0 to 1", "got nan")
    if mode != "multiclass":
        refused_or_nan(backend, lambda: call(ignore_index=7), "`targets`", "from 0 to 1", "got nan")
    weights = np.ones((1, 2, 3) if mode == "binary" else (1, 3))
    weights[..., 2] = 0
    assert np.isfinite(backend.numpy(call(pixel_weights=backend.array(weights))))


# Where the class axis lies


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_the_class_axis_stays_where_it_was(backend, axis):
    first = backend.numpy(
        cross_entropy_loss(backend.array(Z), backend.array(B), mode="multilabel", reduction="none")
    )
    z, y = (backend.array(np.moveaxis(x, 1, axis)) for x in (Z, B))
    found = cross_entropy_loss(z, y, mode="multilabel", axis=axis, reduction="none")
    np.testing.assert_allclose(backend.numpy(found), np.moveaxis(first, 1, axis), rtol=1e-13)
    labels = backend.array(Y)
    plain = boundary_loss(backend.array(Z), labels, reduction="none")
    found = boundary_loss(z, labels, axis=axis, reduction="none")
    np.testing.assert_allclose(backend.numpy(found), np.moveaxis(backend.numpy(plain), 1, axis), rtol=1e-12)


def test_a_class_axis_of_length_1_is_left_out(backend):
    for z, y in ((Z[:, :1], B[:, :1]), (Z[:, :1], B[:, 0])):
        found = cross_entropy_loss(backend.array(z), backend.array(y), mode="binary", reduction="none")
        assert tuple(found.shape) == (2, 4, 5)


def test_images_of_one_row(backend):
    """(N, 1, W) in both is a class axis and W pixels; messages tell what images of one row need."""
    z, y = (backend.array(x) for x in (Z[:, :1, 0], B[:, :1, 0]))
    rows = (backend.array(x[:, None]) for x in (Z[:, :1, 0], B[:, :1, 0]))
    out = ("Axis 1, of length 1 in both, is the class axis", "`predictions[:, None]` and `targets[:, None]`")
    with refused(ValueError, "`spacing`", "length 1", *out):
        boundary_loss(z, y, mode="binary", spacing=(2.0, 1.0))
    with refused(ValueError, "`predictions`", "one spatial axis", *out):
        active_contour_loss(*(backend.array(x[:, :1, 0, 0]) for x in (Z, B)), mode="binary")
    found = boundary_loss(*rows, mode="binary", spacing=(2.0, 1.0), reduction="none")
    assert tuple(found.shape) == (2, 1, 5)
    with pytest.raises(ValueError, match=r"one step for each spatial axis; got \(1\.0,\)\.$"):
        boundary_loss(backend.array(Z[:, 0]), backend.array(B[:, 0]), mode="binary", spacing=(1.0,))


# Each image alone


@multiclass_losses
def test_a_wrong_label_spoils_its_image_alone(backend, loss):
    y = Y.copy()
    y[1, 2, 3] = 9
    z, wrong = backend.array(Z), backend.array(y)
    if backend.name in LOOKING_IS_FREE:
        with refused(ValueError, "`targets`", "got 9"):
            loss(z, wrong, reduction="per_image")
        return
    found = backend.numpy(loss(z, wrong, reduction="per_image"))
    np.testing.assert_allclose(found[0], loss(Z[:1], Y[:1]), rtol=1e-12)
    assert np.isnan(found[1])


@losses
def test_an_image_without_anything_costs_nothing(backend, loss):
    z, weights = np.where(np.arange(2)[:, None, None, None], np.nan, Z), np.asarray([1.0, 0.0])
    value, gradient = both(backend, lambda *args, **options: loss(*args, **options)[1], z, B,
                           mode="multilabel", pixel_weights=weights, reduction="per_image")  # fmt: skip
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros(Z.shape))


@losses
def test_no_images_have_no_losses(backend, loss):
    z, y = backend.array(Z[:0]), backend.array(B[:0])
    found = loss(z, y, mode="multilabel", class_weights="balanced", reduction="per_image")
    assert tuple(found.shape) == (0,)


@losses
def test_losses_of_images_are_not_added_over_devices(backend, loss):
    if takes(loss, "all_reduce"):
        with refused(ValueError, "`all_reduce`", 'reduction="per_image"'):
            loss(backend.array(Z), backend.array(B), mode="multilabel", reduction="per_image",
                 all_reduce=lambda sums: sums)  # fmt: skip

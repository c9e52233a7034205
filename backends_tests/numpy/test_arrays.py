"""NumPy: kinds of arrays, layouts in memory, dtypes, and no warnings. All warnings are errors here."""

import math

import numpy as np
import pytest
from scipy.sparse import csr_array

from agnoloss import cross_entropy_loss, dice_loss, value_and_grad
from conformance.tests.losses import BINARY, LOSSES, MULTICLASS, mode_of, takes

losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
binary_losses = pytest.mark.parametrize("loss", BINARY.values(), ids=BINARY)
multiclass_losses = pytest.mark.parametrize("loss", MULTICLASS.values(), ids=MULTICLASS)

RNG = np.random.default_rng(19)
Z = RNG.normal(size=(2, 3, 4, 5))
Y = RNG.integers(0, 3, (2, 4, 5))
ONE_HOT = np.moveaxis(np.eye(3, dtype=np.int64)[Y], -1, 1)


def inputs(loss):
    return Z, Y if mode_of(loss) == "multiclass" else ONE_HOT, mode_of(loss)


def close(one, other, rtol=1e-13):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-17)


def frozen(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@losses
def test_read_only_arrays(loss):
    z, y, mode = inputs(loss)
    weights = frozen(RNG.integers(0, 3, (2, 4, 5)) / 2)
    options = {"mode": mode, "pixel_weights": weights, "class_weights": frozen(np.asarray([1.0, 2, 3]))}
    close(value_and_grad(loss)(frozen(z), frozen(y), **options), value_and_grad(loss)(z, y, **options))


@losses
def test_inputs_are_never_modified(loss):
    z, y, mode = inputs(loss)
    y = np.where(RNG.random(y.shape) < 0.2, 255, y)
    arrays = {"z": z.copy(), "y": y.copy(), "w": RNG.uniform(0, 2, (2, 4, 5)), "c": np.asarray([1.0, 2, 3])}
    before = {name: array.tobytes() for name, array in arrays.items()}
    for reduction in ("mean", "sum"):
        value, gradient = value_and_grad(loss)(
            arrays["z"],
            arrays["y"],
            mode=mode,
            ignore_index=255,
            pixel_weights=arrays["w"],
            class_weights=arrays["c"],
            reduction=reduction,
        )
        assert {name: array.tobytes() for name, array in arrays.items()} == before
        for array in arrays.values():
            assert not np.shares_memory(gradient, array)
            assert not np.shares_memory(value, array)


@losses
def test_layouts_in_memory(loss):
    z, y, mode = inputs(loss)
    expected = value_and_grad(loss)(z, y, mode=mode)
    padded = np.full((2, 3, 8, 15), np.nan)
    padded[:, :, ::2, ::3] = z
    backwards = z[::-1, ::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1, ::-1]  # negative strides
    for same in (
        padded[:, :, ::2, ::3],
        backwards,
        np.asfortranarray(z),
        z.transpose(3, 1, 0, 2).copy().transpose(2, 1, 3, 0),
    ):
        np.testing.assert_array_equal(same, z)
        for targets in (y, np.asfortranarray(y), y[..., ::-1].copy()[..., ::-1]):
            close(value_and_grad(loss)(same, targets, mode=mode), expected, rtol=1e-12)
    repeated = np.broadcast_to(z[:1, :, :1, :1], z.shape)  # strides of 0, and read-only
    close(
        value_and_grad(loss)(repeated, y, mode=mode),
        value_and_grad(loss)(repeated.copy(), y, mode=mode),
        1e-12,
    )


@losses
def test_big_endian(loss):
    """As files of other machines hold them."""
    z, y, mode = inputs(loss)
    expected = value_and_grad(loss)(z, y, mode=mode)
    value, gradient = value_and_grad(loss)(z.astype(">f8"), y.astype(">i8"), mode=mode)
    close((value, gradient), expected)


@losses
def test_masked_arrays_and_matrices_are_refused(loss):
    """Their operators mean something else: a mask would be lost, `*` would be a matrix product."""
    z, y, mode = inputs(loss)
    for strange, kind in ((np.ma.masked_array, "MaskedArray"),):
        with pytest.raises(
            TypeError, match=rf"`predictions` must be a numpy\.ndarray; got {kind}.*ignore_index"
        ):
            loss(strange(z), y, mode=mode)
        with pytest.raises(TypeError, match=rf"`targets` must be a numpy\.ndarray; got {kind}"):
            loss(z, strange(y), mode=mode)
        with pytest.raises(TypeError, match=rf"`pixel_weights` must be a numpy\.ndarray; got {kind}"):
            loss(z, y, mode=mode, pixel_weights=strange(np.ones((2, 4, 5))))
        with pytest.raises(TypeError, match="MaskedArray"):
            value_and_grad(loss)(strange(z), y, mode=mode)


# NumPy says itself that matrix is going: making one warns.
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@binary_losses
def test_a_matrix_is_refused(loss):
    z, y = Z[0, 0], ONE_HOT[0, 0]
    for _ in range(2):  # also the second time, when the type has been met
        with pytest.raises(TypeError, match=r"`predictions` must be a numpy\.ndarray; got matrix"):
            loss(np.asmatrix(z), y, mode="binary")
        with pytest.raises(TypeError, match=r"`targets` must be a numpy\.ndarray; got matrix"):
            loss(z, np.asmatrix(y), mode="binary")


@losses
def test_memory_maps(loss, tmp_path):
    """A volume that stays on disk."""
    z, y, mode = inputs(loss)
    expected = value_and_grad(loss)(z, y, mode=mode)
    np.save(tmp_path / "z.npy", z)
    mapped = np.load(tmp_path / "z.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    close(value_and_grad(loss)(mapped, y, mode=mode), expected)


# Dtypes


@losses
def test_half_precision(loss):
    z, y, mode = inputs(loss)
    value, gradient = value_and_grad(loss)(z.astype(np.float16), y, mode=mode)
    wide, wide_gradient = value_and_grad(loss)(z.astype(np.float16).astype(np.float32), y, mode=mode)
    assert (value.dtype, gradient.dtype) == (np.float32, np.float16)
    np.testing.assert_array_equal(value, wide)
    np.testing.assert_allclose(gradient, wide_gradient, rtol=2**-10, atol=2**-24)


@losses
def test_bfloat16(loss):
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="NumPy has bfloat16 from ml_dtypes alone")
    z, y, mode = inputs(loss)
    value, gradient = value_and_grad(loss)(z.astype(ml_dtypes.bfloat16), y, mode=mode)
    wide, wide_gradient = value_and_grad(loss)(z.astype(ml_dtypes.bfloat16).astype(np.float32), y, mode=mode)
    assert (value.dtype, gradient.dtype) == (np.float32, ml_dtypes.bfloat16)
    np.testing.assert_array_equal(value, wide)
    np.testing.assert_allclose(gradient.astype(np.float32), wide_gradient, rtol=2**-7, atol=2**-24)


@multiclass_losses
@pytest.mark.parametrize("dtype", ["?", "b", "B", "h", "H", "i", "I", "l", "L", "q", "Q"])
def test_labels_of_every_integer_dtype(loss, dtype):
    z, y = Z[:, :2], Y % 2
    expected = value_and_grad(loss)(z, y)
    close(value_and_grad(loss)(z, y.astype(dtype)), expected, rtol=0)


@losses
@pytest.mark.parametrize("dtype", ["U1", "S1", "O", "M8[s]", "m8[s]"])
def test_what_is_no_number(loss, dtype):
    strange = np.zeros((2, 3, 4, 5), np.int64).astype(dtype)
    mode = mode_of(loss)
    with pytest.raises(TypeError, match="`predictions` must be real floating"):
        loss(strange, Y, mode=mode)
    targets = strange if mode == "multilabel" else strange[:, 0]
    with pytest.raises(TypeError, match="`targets` must be integer, bool"):
        loss(Z, targets, mode=mode)


def test_options_may_be_numpy_scalars():
    expected = dice_loss(Z, Y, smooth=0.5, classes=(0, 2), ignore_index=1, class_weights=[1.0, 2.0, 3.0])
    close(
        [
            dice_loss(
                Z,
                Y,
                smooth=np.float32(0.5),
                classes=np.asarray([0, 2]),
                ignore_index=np.int64(1),
                class_weights=np.asarray([1, 2, 3]),
                axis=np.int8(1),
            )
        ],
        [expected],
    )


# Warnings and extremes


@losses
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("sign", [1, -1])
def test_no_warning_at_extreme_scores(loss, dtype, sign):
    """A RuntimeWarning would be an error of this test."""
    z = (sign * 1e4 * np.sign(Z)).astype(dtype)
    for options in ({}, {"reduction": "sum"}, {"ignore_index": 255}, {"class_weights": "balanced"}):
        value, gradient = value_and_grad(loss)(z, inputs(loss)[1], mode=mode_of(loss), **options)
        assert np.isfinite(value)
        assert np.all(np.isfinite(gradient))


@losses
@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_no_warning_at_extreme_probabilities(loss, fill):
    if not takes(loss, "from_logits"):
        assert loss.__name__ == "lovasz_hinge_loss"  # which takes scores only
        return
    p = np.full(Z.shape, fill)
    p[:, 0] = 1.0  # a column of zeros has no probabilities
    for smooth in ({"smooth": 0.0}, {}) if takes(loss, "smooth") else ({},):
        value, gradient = value_and_grad(loss)(
            p, inputs(loss)[1], mode=mode_of(loss), from_logits=False, **smooth
        )
        assert np.isfinite(value)
        assert np.all(np.isfinite(gradient))


def test_a_column_that_sums_to_zero_is_nan():
    p = np.full((2, 3), 1 / 3)
    p[1] = 0
    value, _ = value_and_grad(cross_entropy_loss)(p, np.asarray([0, 1]), from_logits=False)
    assert math.isnan(value)
    assert math.isfinite(cross_entropy_loss(p, np.asarray([0, 255]), from_logits=False, ignore_index=255))


@losses
def test_empty_batches(loss):
    """No pixel at all: nothing to average."""
    for shape in ((0, 3, 4, 5), (2, 3, 0, 5)):
        z = np.zeros(shape)
        y = np.zeros(shape if mode_of(loss) == "multilabel" else (shape[0], *shape[2:]), np.int64)
        for words in ({}, {"per_image": True}) if takes(loss, "per_image") else ({},):
            value, gradient = value_and_grad(loss)(z, y, mode=mode_of(loss), **words)
            assert value == 0
            assert gradient.shape == shape


@losses
def test_sparse_arrays_are_refused(loss):
    z, y, mode = inputs(loss)
    given = {"predictions": z, "targets": y, "pixel_weights": np.ones((2, 4, 5))}
    for name, array in given.items():
        sparse = csr_array(array.reshape(2, -1))
        with pytest.raises(TypeError, match=f"`{name}` must be an array.* got csr_array.*`toarray\\(\\)`"):
            loss(**{**given, name: sparse}, mode=mode)

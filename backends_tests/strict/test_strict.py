"""array-api-strict: only the standard, no shape that depends on values, no device but the input's."""

import array_api_strict as xp
import numpy as np
import pytest

import agnoloss
from agnoloss import focal_modulation, grad, value_and_grad
from conformance.tests.losses import LOSSES, MULTICLASS, REDUCTIONS, mode_of, takes

losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
DEVICE = xp.Device("device1")

RNG = np.random.default_rng(15)
Z = RNG.normal(size=(2, 3, 4, 5))
Y = RNG.integers(0, 3, (2, 4, 5))
OPTIONS = {"squared dice": {"squared": True}, "smoothed cross_entropy": {"label_smoothing": 0.1}}
ONE_HOT = np.moveaxis(np.eye(3)[Y], -1, 1)


@pytest.fixture(autouse=True)
def _strictest():
    with xp.ArrayAPIStrictFlags(boolean_indexing=False, data_dependent_shapes=False):
        yield


def there(values):
    return xp.asarray(values, device=DEVICE)


def here(array):
    return np.asarray(array.to_device(xp.Device("CPU_DEVICE")))


def every_option(loss, array):
    """All at once; arrays by a function that makes them."""
    options = {
        "mode": mode_of(loss),
        "ignore_index": (1, 255),
        "pixel_weights": array(np.linspace(0, 2, 40).reshape(2, 4, 5)),
        "class_weights": array(np.asarray([0.5, 1.0, 2.0])),
        "classes": (0, 2),
        "per_image": True,
        "smooth": (0.5, 1.0),
        "label_smoothing": 0.1,
    }
    return {name: value for name, value in options.items() if takes(loss, name)}


@losses
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", ["none", "every", "balanced", "probabilities"])
def test_everything_happens_on_the_device_of_the_input(loss, dtype, options):
    mode = mode_of(loss)
    z, y = Z.astype(dtype), (Y if mode == "multiclass" else ONE_HOT)
    given, twin = {
        "none": lambda: ({"mode": mode}, {"mode": mode}),
        "every": lambda: (
            every_option(loss, lambda a: there(a.astype(dtype))),
            every_option(loss, np.asarray),
        ),
        "balanced": lambda: ({"mode": mode, "class_weights": "balanced"},) * 2,
        "probabilities": lambda: ({"mode": mode, "from_logits": False},) * 2,
    }[options]()
    if options == "probabilities":
        if not takes(loss, "from_logits"):
            given = twin = {"mode": mode}  # the hinge, which takes scores only
        z = (1 / (1 + np.exp(-Z))).astype(dtype)
    value, gradient = value_and_grad(loss)(there(z), there(y), **given)
    for array, shape in ((value, ()), (gradient, Z.shape), (loss(there(z), there(y), **given), ())):
        assert isinstance(array, xp._array_object.Array)
        assert (array.device, array.shape, array.dtype) == (DEVICE, shape, getattr(xp, dtype))
    # the same source on NumPy: another library, other hooks
    expected, slope = value_and_grad(loss)(z, y, **twin)
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(here(value), expected, rtol=tolerance)
    np.testing.assert_allclose(here(gradient), slope, rtol=100 * tolerance, atol=tolerance / 100)


@pytest.mark.parametrize("name", ["cross_entropy", "dice", "dice_cross_entropy", "focal", *OPTIONS])
@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "soft", "binary"])
@pytest.mark.parametrize("options", ["weights", "ignored", "both"])
def test_gradients_by_scores_and_weights(name, kind, options):
    """In which NumPy's rules and those of the standard meet; some scores are far, some probabilities y."""
    z, y = 3 * Z, Y.astype("int64") if kind == "multiclass" else ONE_HOT.astype("int64")
    z[0, :, 1, :2], z[1, 0, 2] = 0.0, 300.0
    words = {"mode": {"soft": "multilabel"}.get(kind, kind), "per_image": True} | OPTIONS.get(name, {})
    if kind == "soft":
        y = np.round(RNG.random(Z.shape), 1)
        y[0, :, 1, :2] = 0.5
    elif options != "weights":
        words["ignore_index"] = 7
        y[..., 3:, 2:] = 7
        z[..., 3:, 2:] = np.nan
    if kind == "binary":
        z, y = z[:, 0], y[:, 0]
    u = np.ones((2, 4, 5)) if options == "ignored" else np.arange(40.0).reshape(2, 4, 5) % 4
    loss = getattr(agnoloss, f"{name.split()[-1]}_loss")
    words = {word: option for word, option in words.items() if takes(loss, word)}

    def of(z, u, y):
        return loss(z, y, pixel_weights=u, **words)

    found, gradients = value_and_grad(of, (0, 1))(there(z), there(u), there(y))
    expected, slopes = value_and_grad(of, (0, 1))(z, u, y)
    for array, other in zip((found, *gradients), (expected, *slopes), strict=True):
        np.testing.assert_allclose(here(array), other, rtol=1e-12, atol=1e-15)


@losses
@pytest.mark.parametrize("reduction", ["none", "sum"])
def test_reductions_stay_on_the_device(loss, reduction):
    mode = mode_of(loss)
    reduction = reduction if reduction in REDUCTIONS[loss] else "mean"
    result = loss(there(Z), there(Y if mode == "multiclass" else ONE_HOT), mode=mode, reduction=reduction)
    assert result.device == DEVICE


@losses
def test_arrays_of_two_devices_do_not_mix(loss):
    """strict refuses, and nothing is moved behind its back."""
    y = xp.asarray(Y if mode_of(loss) == "multiclass" else ONE_HOT)
    with pytest.raises((RuntimeError, ValueError, TypeError), match="device"):
        loss(there(Z), y, mode=mode_of(loss))


@pytest.mark.parametrize("name", MULTICLASS)
def test_a_label_out_of_range_is_nan(name):
    """Looking at values costs a transfer on a real device: the loss says it in its value."""
    y = Y.copy()
    y[1, 2, 3] = 3
    value, gradient = value_and_grad(MULTICLASS[name])(there(Z), there(y))
    assert np.isnan(here(value))
    assert np.any(np.isnan(here(gradient)))
    assert np.isfinite(here(MULTICLASS[name](there(Z), there(y), ignore_index=3)))


def test_focal_modulation():
    ce = np.asarray([0.0, 0.5, 3.0])
    modulated = focal_modulation(there(ce), 1.5)
    assert modulated.device == DEVICE
    np.testing.assert_allclose(here(modulated), (1 - np.exp(-ce)) ** 1.5 * ce, rtol=1e-14)
    gradient = grad(lambda ce: focal_modulation(ce, 1.5))(there(np.asarray(0.5)))
    q = np.exp(-0.5)
    np.testing.assert_allclose(here(gradient), (1 - q) ** 1.5 + 1.5 * (1 - q) ** 0.5 * q * 0.5, rtol=1e-14)


@losses
def test_integer_dtypes_of_the_standard(loss):
    mode = mode_of(loss)
    y = Y if mode == "multiclass" else ONE_HOT
    expected = here(loss(there(Z), there(y), mode=mode))
    for dtype in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"):
        np.testing.assert_array_equal(here(loss(there(Z), there(y.astype(dtype)), mode=mode)), expected)

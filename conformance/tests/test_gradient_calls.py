"""`value_and_grad` and `grad`: the same call on every library. Numbers are compared with differences."""

import math
import re

import numpy as np
import pytest

from agnoloss import cross_entropy_loss, dice_loss, focal_loss, focal_modulation, grad, value_and_grad

from .losses import LOSSES, REDUCTIONS, mode_of

losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)

RNG = np.random.default_rng(11)
Z = RNG.normal(size=(2, 3, 4))
Y = RNG.integers(0, 3, (2, 4))
ONE_HOT = np.moveaxis(np.eye(3)[Y], -1, 1)
WEIGHTS = RNG.uniform(0.5, 2, (2, 4))


def differences(function, at, step=1e-6):
    """Gradient of a function of one NumPy array by central differences."""
    gradient = np.empty_like(at)
    for index in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (function(up) - function(down)) / (2 * step)
    return gradient


def near(one, other):
    """Equal but for the rounding of differences, 1e-16 / 1e-6."""
    np.testing.assert_allclose(one, other, atol=1e-8)


@losses
def test_value_and_grad(backend, loss):
    z, y = backend.array(Z), backend.array(Y if mode_of(loss) == "multiclass" else ONE_HOT)
    value, gradient = value_and_grad(loss)(z, y, mode=mode_of(loss))
    alone = grad(loss)(z, y, mode=mode_of(loss))
    direct = loss(z, y, mode=mode_of(loss))
    for array, shape in ((value, ()), (direct, ()), (gradient, Z.shape), (alone, Z.shape)):
        assert backend.owns(array)
        assert tuple(array.shape) == shape
        assert backend.dtype(array) == "float64"
        assert backend.device(array) == backend.device(z)
    np.testing.assert_array_equal(backend.numpy(value), backend.numpy(direct))
    np.testing.assert_array_equal(backend.numpy(gradient), backend.numpy(alone))
    # of NumPy's values: the libraries' are the same by `test_agreement.py`
    labels, at = backend.numpy(y), {"mode": mode_of(loss)}
    near(backend.numpy(gradient), differences(lambda x: loss(x, labels, **at), Z))


def test_argnums(backend):
    def loss(z, weights, y, scale):
        return scale * cross_entropy_loss(z, y, pixel_weights=weights)

    arrays = [backend.array(x) for x in (Z, WEIGHTS, Y, np.asarray(2.5))]
    values = Z, WEIGHTS, Y, np.asarray(2.5)

    def by_differences(position):
        def varied(x):
            inputs = [*arrays]
            inputs[position] = backend.array(x)
            return backend.numpy(loss(*inputs))

        return differences(varied, values[position])

    for position in (0, 1, 3):
        gradient = grad(loss, position)(*arrays)
        assert tuple(gradient.shape) == values[position].shape
        near(backend.numpy(gradient), by_differences(position))
        np.testing.assert_array_equal(
            backend.numpy(grad(loss, position - 4)(*arrays)), backend.numpy(gradient)
        )
        (one,) = grad(loss, (position,))(*arrays)
        np.testing.assert_array_equal(backend.numpy(one), backend.numpy(gradient))
    value, several = value_and_grad(loss, argnums=(3, 0, 1))(*arrays)
    assert isinstance(several, tuple)
    assert [tuple(x.shape) for x in several] == [(), Z.shape, WEIGHTS.shape]
    for gradient, position in zip(several, (3, 0, 1), strict=True):
        near(backend.numpy(gradient), by_differences(position))
    # weights with a gradient may be summed over in another order
    np.testing.assert_allclose(backend.numpy(value), backend.numpy(loss(*arrays)), rtol=1e-15)


def test_no_argnums(backend):
    """The value, and a gradient by nothing."""
    z, y = backend.array(Z), backend.array(Y)
    expected = backend.numpy(cross_entropy_loss(z, y))
    for value, gradients in (
        value_and_grad(cross_entropy_loss, ())(z, y),
        value_and_grad(lambda *, z: cross_entropy_loss(z, y), ())(z=z),
    ):
        assert backend.owns(value)
        assert gradients == ()
        np.testing.assert_array_equal(backend.numpy(value), expected)
    assert grad(cross_entropy_loss, argnums=())(z, y) == ()
    (value, aux), gradients = value_and_grad(lambda z: (cross_entropy_loss(z, y), z), (), has_aux=True)(z)
    np.testing.assert_array_equal(backend.numpy(aux), Z)
    assert (float(backend.numpy(value)), gradients) == (float(expected), ())


def test_aux(backend):
    """What a function returns beside its value comes through, detached."""

    def loss(z, y):
        parts = {"dice": dice_loss(z, y), "several": (2 * z, [y, None, "name"])}
        return cross_entropy_loss(z, y), parts

    z, y = backend.array(Z), backend.array(Y)
    (value, aux), gradient = value_and_grad(loss, has_aux=True)(z, y)
    alone, same = grad(loss, argnums=(0,), has_aux=True)(z, y)
    expected, of_expected = value_and_grad(cross_entropy_loss)(z, y)
    np.testing.assert_array_equal(backend.numpy(value), backend.numpy(expected))
    for found in (gradient, *alone):
        np.testing.assert_array_equal(backend.numpy(found), backend.numpy(of_expected))
    for parts in (aux, same):
        assert backend.owns(parts["dice"])
        twice, (labels, *others) = parts["several"]
        np.testing.assert_array_equal(backend.numpy(parts["dice"]), backend.numpy(dice_loss(z, y)))
        np.testing.assert_array_equal(backend.numpy(twice), 2 * Z)
        np.testing.assert_array_equal(backend.numpy(labels), Y)
        assert others == [None, "name"]


@pytest.mark.parametrize("wrong", [1.0, (1,), (1, 2, 3), [1, 2], "ab"])
def test_aux_that_is_missing(backend, wrong):
    with pytest.raises(ValueError, match=rf"pair \(value, aux\); got {type(wrong).__name__}"):
        grad(lambda z: wrong, has_aux=True)(backend.array(Z))


def test_soft_targets_and_class_weights_have_gradients(backend):
    soft = RNG.dirichlet(np.ones(3), (2, 4)).transpose(0, 2, 1)
    weights = RNG.uniform(0.5, 2, 3)

    def loss(y, w):
        return focal_loss(backend.array(Z), y, class_weights=w)

    gradients = grad(loss, (0, 1))(backend.array(soft), backend.array(weights))
    fixed = backend.array(soft), backend.array(weights)
    near(
        backend.numpy(gradients[0]),
        differences(lambda y: backend.numpy(loss(backend.array(y), fixed[1])), soft),
    )
    near(
        backend.numpy(gradients[1]),
        differences(lambda w: backend.numpy(loss(fixed[0], backend.array(w))), weights),
    )


def test_the_mean_of_weights_is_differentiated(backend):
    def loss(w):  # the divisor depends on the weights too
        return dice_loss(backend.array(Z), backend.array(Y), pixel_weights=w)

    gradient = backend.numpy(grad(loss)(backend.array(WEIGHTS)))
    near(gradient, differences(lambda w: backend.numpy(loss(backend.array(w))), WEIGHTS))


@losses
def test_a_weight_of_0_has_gradient_0(backend, loss):
    """It leaves its pixel out, and how hard that pixel is shows nowhere."""
    y, weights = backend.array(Y if mode_of(loss) == "multiclass" else ONE_HOT), WEIGHTS * (WEIGHTS < 1.5)
    weighted = grad(lambda w: loss(backend.array(Z), y, mode=mode_of(loss), pixel_weights=w))
    gradient = backend.numpy(weighted(backend.array(weights)))
    assert np.all(np.isfinite(gradient))
    np.testing.assert_array_equal(gradient[weights == 0], 0.0)


def test_keywords_are_passed_through(backend):
    y = np.where(WEIGHTS > 1.5, 255, Y)
    options = {
        "ignore_index": 255,
        "pixel_weights": backend.array(WEIGHTS),
        "class_weights": backend.array(np.asarray([1.0, 2.0, 3.0])),
        "classes": (0, 2),
        "smooth": (0.5, 1.0),
    }
    value, gradient = value_and_grad(dice_loss)(backend.array(Z), backend.array(y), **options)
    direct = dice_loss(backend.array(Z), backend.array(y), **options)
    np.testing.assert_array_equal(backend.numpy(value), backend.numpy(direct))
    assert not np.any(backend.numpy(gradient)[np.broadcast_to((y == 255)[:, None], Z.shape)])
    near(
        backend.numpy(gradient),
        differences(lambda x: backend.numpy(dice_loss(backend.array(x), backend.array(y), **options)), Z),
    )


def test_a_function_of_several_losses(backend):
    def loss(z, y, *, weight):
        return weight * cross_entropy_loss(z, y) + dice_loss(z, y) ** 2

    z, y, weight = backend.array(Z), backend.array(Y), backend.array(np.asarray(0.5))
    gradient = grad(loss)(z, y, weight=weight)
    near(
        backend.numpy(gradient),
        differences(lambda x: backend.numpy(loss(backend.array(x), y, weight=weight)), Z),
    )
    modulated = grad(lambda z, y: focal_modulation(cross_entropy_loss(z, y, reduction="none"), 2.0).sum())
    if backend.name != "strict":  # whose arrays have no methods
        near(backend.numpy(modulated(z, y)) / 8, backend.numpy(grad(focal_loss)(z, y)))


def test_a_value_that_does_not_depend_on_the_argument(backend):
    other = backend.array(np.asarray(1.5))
    value, gradient = value_and_grad(lambda z: other)(backend.array(Z))
    assert float(backend.numpy(value)) == 1.5
    np.testing.assert_array_equal(backend.numpy(gradient), np.zeros_like(Z))


@pytest.mark.parametrize("loss", [loss for loss in LOSSES.values() if "none" in REDUCTIONS[loss]])
def test_a_value_of_many_numbers_has_no_gradient(backend, loss):
    z, y = backend.array(Z), backend.array(Y if mode_of(loss) == "multiclass" else ONE_HOT)
    if loss.__name__ == "generalized_dice_loss":
        return  # one ratio for all classes
    with pytest.raises(ValueError, match=r'one number .*got shape \(\d.*\)\. `reduction="none"`'):
        value_and_grad(loss)(z, y, mode=mode_of(loss), reduction="none")


@pytest.mark.parametrize("wrong", [None, 1.0, "a", (1, 2)])
def test_a_value_that_is_no_array(backend, wrong):
    with pytest.raises(ValueError, match=f"one number.*got {type(wrong).__name__}"):
        grad(lambda z: wrong)(backend.array(Z))


@pytest.mark.parametrize("argnums", [2, -3, (0, 2), (5,)])
def test_argnums_that_name_no_argument(backend, argnums):
    with pytest.raises(ValueError, match=rf"`argnums`.*there are 2; got {re.escape(str(argnums))}"):
        value_and_grad(dice_loss, argnums)(backend.array(Z), backend.array(Y))


@pytest.mark.parametrize("argnums", [0.0, "0", None, (0.0,)])
def test_argnums_that_are_no_ints(argnums):
    with pytest.raises(TypeError):
        value_and_grad(dice_loss, argnums)


def test_labels_have_no_gradient(backend):
    with pytest.raises(TypeError, match=r"[Aa]rgument 1.*floating.*int64"):
        grad(dice_loss, 1)(backend.array(Z), backend.array(Y))
    with pytest.raises(TypeError, match=r"argument 0.*array.*list"):
        grad(dice_loss)(Z.tolist(), backend.array(Y))


def test_errors_of_the_loss_come_through(backend):
    with pytest.raises(ValueError, match=r"`targets` must have shape \(2, 4\)"):
        grad(dice_loss)(backend.array(Z), backend.array(Y[:, :3]))
    with pytest.raises(TypeError, match="unexpected keyword"):
        grad(dice_loss)(backend.array(Z), backend.array(Y), smoth=1.0)


def test_the_name_is_kept():
    assert value_and_grad(dice_loss).__name__ == grad(dice_loss).__name__ == "dice_loss"


def test_inputs_are_left_alone(backend):
    arrays = {"z": Z, "y": np.where(WEIGHTS > 1.5, 255, Y), "w": WEIGHTS}
    made = {name: backend.array(values) for name, values in arrays.items()}
    value_and_grad(dice_loss)(made["z"], made["y"], pixel_weights=made["w"], ignore_index=255)
    for name, values in arrays.items():
        np.testing.assert_array_equal(backend.numpy(made[name]), values)


def test_half_precision(backend):
    if "float16" in backend.refuses:
        pytest.skip(f"{backend.name}: {backend.refuses['float16']}")
    z = Z.astype(np.float16)
    value, gradient = value_and_grad(dice_loss)(backend.array(z), backend.array(Y))
    assert (backend.dtype(value), backend.dtype(gradient)) == ("float32", "float16")
    wide = grad(dice_loss)(backend.array(z.astype(np.float32)), backend.array(Y))
    np.testing.assert_allclose(backend.numpy(gradient), backend.numpy(wide), rtol=2**-10, atol=2**-24)
    assert math.isfinite(backend.numpy(value))

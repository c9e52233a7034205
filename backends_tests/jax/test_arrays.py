"""JAX: NumPy targets, integers without 64 bits, dtypes, and what concrete arrays allow."""

import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax.experimental.sparse import BCOO

from agnoloss import cross_entropy_loss, dice_loss, value_and_grad
from conformance.tests.losses import LOSSES, MULTICLASS, mode_of

losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
multiclass_losses = pytest.mark.parametrize("loss", MULTICLASS.values(), ids=MULTICLASS)

RNG = np.random.default_rng(13)
Z = RNG.normal(size=(2, 3, 4)).astype(np.float32)
Y = RNG.integers(0, 3, (2, 4))
ONE_HOT = np.moveaxis(np.eye(3, dtype=np.float32)[Y], -1, 1)


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


@losses
def test_numpy_beside_predictions_of_jax(loss):
    """As jax.numpy takes NumPy's arrays, concrete and traced."""
    mode = mode_of(loss)
    y = Y if mode == "multiclass" else ONE_HOT
    weights = RNG.uniform(0.5, 2, (2, 4)).astype(np.float32)
    expected = value_and_grad(loss)(
        jnp.asarray(Z), jnp.asarray(y), mode=mode, pixel_weights=jnp.asarray(weights)
    )
    given = value_and_grad(loss)(jnp.asarray(Z), y, mode=mode, pixel_weights=weights)
    same(given, expected)
    assert all(isinstance(array, jax.Array) for array in given)
    jitted = jax.jit(lambda z: loss(z, y, mode=mode, pixel_weights=weights))(jnp.asarray(Z))
    np.testing.assert_allclose(jitted, expected[0], rtol=1e-6)


@losses
def test_predictions_of_numpy_are_numpy(loss):
    """The predictions decide: NumPy's with JAX's targets are refused, not converted."""
    mode = mode_of(loss)
    y = jnp.asarray(Y if mode == "multiclass" else ONE_HOT)
    with pytest.raises(
        TypeError, match=r"`targets` must be an array of numpy.*got one of jax.*numpy\.asarray\("
    ):
        loss(Z, y, mode=mode)


@multiclass_losses
def test_without_64_bits(loss):
    """float32, and int64 labels of NumPy as long as they fit."""
    assert not jax.config.jax_enable_x64
    value, gradient = value_and_grad(loss)(jnp.asarray(Z), Y.astype(np.int64))
    assert (value.dtype, gradient.dtype) == (jnp.float32, jnp.float32)
    same((value, gradient), value_and_grad(loss)(jnp.asarray(Z), jnp.asarray(Y)))
    np.testing.assert_allclose(value, loss(Z.astype(float), Y), rtol=1e-5)


@multiclass_losses
@pytest.mark.parametrize(
    ("label", "dtype"), [(2**32, np.int64), (-(2**40) + 1, np.int64), (2**32 + 1, np.uint64)]
)
def test_labels_too_large_for_32_bits(loss, label, dtype):
    """jnp.asarray would wrap 2^32 to 0, a label in range: nobody would ever know."""
    y = Y.astype(dtype)
    y[1, 2] = label
    with pytest.raises(ValueError, match=rf"`targets`.*{re.escape(str(label))}"):
        loss(jnp.asarray(Z), y)


def test_uint32_labels_are_not_read_as_negative():
    y = Y.astype(np.uint32)
    y[1, 2] = 2**32 - 1
    expected = cross_entropy_loss(
        jnp.asarray(Z), np.where(y == 2**32 - 1, 255, y).astype(np.int32), ignore_index=255
    )
    np.testing.assert_allclose(
        cross_entropy_loss(jnp.asarray(Z), y, ignore_index=2**32 - 1), expected, rtol=1e-6
    )
    with pytest.raises(ValueError, match="4294967295"):
        cross_entropy_loss(jnp.asarray(Z), y)


@losses
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision(loss, dtype):
    """Computed in float32: the value is that of the upcast input, the gradient rounded once."""
    mode = mode_of(loss)
    y = Y if mode == "multiclass" else ONE_HOT
    z = jnp.asarray(Z, dtype)
    value, gradient = value_and_grad(loss)(z, jnp.asarray(y), mode=mode)
    wide, wide_gradient = value_and_grad(loss)(z.astype(jnp.float32), jnp.asarray(y), mode=mode)
    assert (value.dtype, gradient.dtype) == (jnp.float32, dtype)
    np.testing.assert_array_equal(value, wide)
    rounding = float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(gradient.astype(jnp.float32), wide_gradient, rtol=rounding, atol=2.0**-24)


@multiclass_losses
def test_half_soft_targets(loss):
    """ml_dtypes' bfloat16 in NumPy's arrays too."""
    soft = RNG.dirichlet(np.ones(3), (2, 4)).transpose(0, 2, 1).astype(ml_dtypes.bfloat16)
    expected = loss(jnp.asarray(Z), jnp.asarray(soft.astype(np.float32)))
    for targets in (soft, jnp.asarray(soft)):
        np.testing.assert_array_equal(loss(jnp.asarray(Z), targets), expected)


def test_weak_types_do_not_widen():
    """Python numbers as options leave float32 alone, with 64 bits on too."""
    with jax.enable_x64(True):
        z = jnp.asarray(Z)
        for options in (
            {},
            {"class_weights": [1, 2, 3]},
            {"smooth": 2},
            {"smooth": (0.5, 1)},
            {"classes": (0, 1)},
        ):
            value, gradient = value_and_grad(dice_loss)(z, jnp.asarray(Y), **options)
            assert (value.dtype, gradient.dtype) == (jnp.float32, jnp.float32)


def test_no_array_is_leaked():
    with jax.checking_leaks():
        for loss in LOSSES.values():
            y = jnp.asarray(Y if mode_of(loss) == "multiclass" else ONE_HOT)
            step = value_and_grad(lambda z, y, loss=loss: loss(z, y, mode=mode_of(loss)))
            jax.jit(step).trace(jnp.asarray(Z), y)


def test_tracers_come_before_numpy():
    """NumPy targets with traced predictions: constants of the function."""
    gradients = jax.vmap(jax.grad(dice_loss), in_axes=(0, None))(jnp.stack([Z, 2 * Z]), Y)
    for scale, gradient in zip((1, 2), gradients, strict=True):
        np.testing.assert_allclose(
            gradient,
            value_and_grad(dice_loss)(jnp.asarray(scale * Z), jnp.asarray(Y))[1],
            rtol=1e-4,
            atol=1e-8,
        )


@losses
def test_sparse_arrays_are_refused(loss):
    z, y = jnp.asarray(Z), jnp.asarray(Y if mode_of(loss) == "multiclass" else ONE_HOT)
    given = {"predictions": z, "targets": y, "pixel_weights": jnp.ones((2, 4))}
    for name, array in given.items():
        with pytest.raises(TypeError, match=f"`{name}` must be an array.* got BCOO.*`todense\\(\\)`"):
            loss(**{**given, name: BCOO.fromdense(array)}, mode=mode_of(loss))


TWO_DEVICES = """
import itertools
import jax, jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec as P
from agnoloss import dice_loss

z, y, u, w = jnp.zeros((2, 3, 4)), jnp.zeros((2, 4), int), jnp.ones((2, 4)), jnp.ones(3)
places = [*jax.devices(), NamedSharding(jax.make_mesh((2,), ("data",)), P())]
for own, other in itertools.permutations(places, 2):
    near = [jax.device_put(array, own) for array in (z, y, u, w)]
    for i, name in enumerate(("targets", "pixel_weights", "class_weights"), start=1):
        far = [*near[:i], jax.device_put(near[i], other), *near[i + 1 :]]
        try:
            dice_loss(far[0], far[1], pixel_weights=far[2], class_weights=far[3])
        except ValueError as error:
            there = f"{near[0].device}; got one on {far[i].device}."
            assert str(error).startswith(f"`{name}` must be on the device of `predictions`, {there}")
        else:
            raise AssertionError("JAX computes with arrays that lie apart")
    # what was put nowhere goes where it is needed, and so does what lies on the same devices in another way
    dice_loss(near[0], y, pixel_weights=u, class_weights=w)
rows = NamedSharding(places[2].mesh, P("data"))
dice_loss(jax.device_put(z, rows), jax.device_put(y, rows), class_weights=jax.device_put(w, places[2]))
"""


def test_two_devices():
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    environment = {**os.environ, **flags, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr

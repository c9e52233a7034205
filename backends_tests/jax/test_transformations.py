"""JAX: grad, jit, vmap, forward mode, second derivatives. Expected values come from loops and differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import agnoloss
from agnoloss import cross_entropy_loss, dice_loss, value_and_grad
from conformance.tests.losses import LOSSES, MULTICLASS, mode_of, takes

losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
multiclass_losses = pytest.mark.parametrize("loss", MULTICLASS.values(), ids=MULTICLASS)

TASKS = 3


@pytest.fixture(autouse=True)
def _wide():
    with jax.enable_x64(True):
        yield


def inputs(loss, size=(2, 3, 2, 3)):
    """Predictions and targets of several tasks, and the loss with its mode."""
    rng = np.random.default_rng(12)
    z = rng.normal(size=(TASKS, *size))
    y = rng.integers(0, size[1], (TASKS, size[0], *size[2:]))
    if mode_of(loss) == "multilabel":
        y = np.moveaxis(np.eye(size[1])[y], -1, 2)
    return jnp.asarray(z), jnp.asarray(y), lambda z, y, **options: loss(z, y, mode=mode_of(loss), **options)


def close(one, other, rtol=1e-12):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-16), one, other)


def every_option(loss):
    """Options that change what is traced, all at once."""
    options = {
        "ignore_index": (1, 255),
        "pixel_weights": jnp.linspace(0.0, 2.0, 12).reshape(2, 2, 3),
        "class_weights": [0.5, 1.0, 2.0],
        "classes": (0, 2),
        "smooth": (0.5, 1.0),
        "label_smoothing": 0.1,
        "alpha": [0.25, 0.5, 0.75] if loss is agnoloss.focal_loss else 0.3,
    }
    return {name: value for name, value in options.items() if takes(loss, name)}


@losses
def test_jax_grad_and_jit(loss):
    """The jitted step runs without transfers once compiled."""
    z, y, call = inputs(loss)
    z, y = z[0], y[0]
    for options in ({}, every_option(loss)):

        def given(z, y, options=options):
            return call(z, y, **options)

        step = jax.jit(value_and_grad(given))
        close(step(z, y), value_and_grad(given)(z, y))
        with jax.transfer_guard("disallow"):
            jax.block_until_ready(step(z, y))
    expected = jitted(call)(z, y)
    close(value_and_grad(jax.jit(call))(z, y), expected)
    close(jax.jit(jax.grad(jax.checkpoint(call)))(z, y), expected[1])


def jitted(call):
    """Value and gradient by a step that the test above compares with what no compiler has seen."""
    return jax.jit(value_and_grad(call))


@losses
def test_arrays_of_options_are_traced(loss):
    """Weights that are arguments of a jitted function, not constants of it."""
    z, y, call = inputs(loss)
    u, w = jnp.linspace(0.0, 2.0, 12).reshape(2, 2, 3), jnp.asarray([0.5, 1.0, 2.0])
    traced = jax.jit(lambda z, y, u, w: call(z, y, pixel_weights=u, class_weights=w))
    close(traced(z[0], y[0], u, w), call(z[0], y[0], pixel_weights=u, class_weights=w))
    assert traced._cache_size() == 1
    traced(z[1], y[1], 2 * u, w)
    assert traced._cache_size() == 1


@losses
def test_vmap(loss):
    z, y, call = inputs(loss)
    step = jitted(call)
    loop = [step(z[i], y[i]) for i in range(TASKS)]
    values, gradients = (jnp.stack(parts) for parts in zip(*loop, strict=True))
    close(jax.vmap(call)(z, y), values)
    close(jax.jit(jax.vmap(value_and_grad(call)))(z, y), (values, gradients))
    close(jax.jit(jax.grad(lambda z: jnp.sum(jax.vmap(call)(z, y))))(z), gradients)
    close(jax.jit(jax.vmap(call, in_axes=(-1, 0)))(jnp.moveaxis(z, 0, -1), y), values)


@losses
def test_control_flow(loss):
    """Inside scan and cond, where nothing has a value."""
    z, y, call = inputs(loss)
    total, each = jax.lax.scan(lambda sum_, zy: (sum_ + call(*zy), call(*zy)), 0.0, (z, y))
    step = jitted(call)
    expected = jnp.stack([step(z[i], y[i])[0] for i in range(TASKS)])
    close(each, expected)
    close(total, jnp.sum(expected))
    either = jax.jit(lambda p: jax.lax.cond(p, lambda: call(z[0], y[0]), lambda: call(z[1], y[1])))
    close(either(False), expected[1])


@losses
def test_forward_mode_and_second_derivatives(loss):
    z, y, call = inputs(loss, (1, 3, 2))
    z, y = z[0], y[0]

    def value(z):
        return call(z, y)

    # jitted: by itself, every operation of a transformation would be compiled alone
    slope = jax.jit(jax.grad(value))
    close(jax.jit(jax.jacfwd(value))(z), slope(z))
    second = jax.jit(jax.hessian(value))(z)
    steps = 1e-5 * jnp.eye(z.size).reshape(z.size, *z.shape)
    rows = [(slope(z + e) - slope(z - e)) / 2e-5 for e in steps]
    np.testing.assert_allclose(second.reshape(z.size, *z.shape), jnp.stack(rows), rtol=0, atol=1e-8)


@multiclass_losses
def test_a_label_out_of_range_is_nan_where_nobody_can_look(loss):
    z, y, call = inputs(loss)
    expected = jax.vmap(call)(z, y)
    wrong = y.at[1, 0, 0, 0].set(3)
    # every label is a constant of its own program: all of them for one loss alone
    for label in (3, -1, 255) if loss is agnoloss.cross_entropy_loss else (255,):
        bad = y.at[1, 0, 0, 0].set(label)
        assert jnp.isnan(jax.jit(call)(z[1], bad[1]))
        ignoring = jax.jit(lambda z, y, label=label: call(z, y, ignore_index=label))
        assert jnp.isfinite(ignoring(z[1], bad[1]))
    values = jax.vmap(call)(z, wrong)
    assert jnp.isnan(values).tolist() == [False, True, False]
    close(values[::2], expected[::2])
    with pytest.raises(ValueError, match=r"`targets` must hold labels from 0 to 2; got 3\."):
        call(z[1], wrong[1])
    with pytest.raises(ValueError, match=r"labels from 0 to 2; got 3"):
        jax.grad(call)(z[1], wrong[1])  # the labels are still concrete there


def test_shapes_are_checked_while_tracing():
    z, y, call = inputs(agnoloss.dice_loss)
    with pytest.raises(ValueError, match=r"`targets` must have shape \(2, 2, 3\)"):
        jax.jit(call)(z[0], y[0, :, :1])
    shape = jax.eval_shape(
        call, jax.ShapeDtypeStruct((2, 3, 5), jnp.float16), jax.ShapeDtypeStruct((2, 5), jnp.uint8)
    )
    assert (shape.shape, shape.dtype) == ((), jnp.float32)


def test_a_training_step_with_donated_buffers():
    z, y, call = inputs(agnoloss.dice_cross_entropy_loss)
    start = np.asarray(z[0])

    def step(z, y):
        value, gradient = value_and_grad(call)(z, y)
        return value, z - 0.5 * gradient

    donated = jax.jit(step, donate_argnums=0)
    given, y = jnp.array(start), y[0]
    value, after = donated(given, y)
    assert given.is_deleted()
    close((value, after), step(jnp.asarray(start), y))


def test_aux_is_traced():
    def with_aux(z, y):
        return cross_entropy_loss(z, y), {"dice": dice_loss(z, y)}

    z, y, _ = inputs(dice_loss)
    for argnums in (0, (0,), ()):
        step = value_and_grad(with_aux, argnums, has_aux=True)
        for i in range(TASKS):
            close(jax.jit(step)(z[i], y[i]), step(z[i], y[i]))
        values, _ = jax.jit(jax.vmap(step))(z, y)
        close(values[1]["dice"][0], dice_loss(z[0], y[0]))

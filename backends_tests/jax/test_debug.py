"""JAX: `agnoloss.debug()` under its transformations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import agnoloss
from agnoloss import cross_entropy_loss, dice_loss, value_and_grad
from conformance.tests.losses import MULTICLASS
from conformance.tests.test_debug import MARKED, Z, wrong

RIGHT = np.where(MARKED == 255, 2, MARKED)


def named(error):
    """JAX tells what a callback raised in an error of its own, out of compiled functions."""
    return pytest.raises((ValueError, jax.errors.JaxRuntimeError), match=error)


def scanned(z, y):
    return jax.lax.scan(lambda total, pair: (total + dice_loss(*pair), None), 0.0, (z[:, None], y[:, None]))[
        0
    ]


TRANSFORMED = {
    "jit": jax.jit(dice_loss),
    "grad": jax.grad(dice_loss),
    "jit(grad)": jax.jit(jax.grad(dice_loss)),
    "jit(value_and_grad)": jax.jit(value_and_grad(dice_loss)),
    "vmap": lambda z, y: jax.vmap(dice_loss)(z[:, None], y[:, None]),
    "jit(vmap(grad))": lambda z, y: jax.jit(jax.vmap(jax.grad(dice_loss)))(z[:, None], y[:, None]),
    "hessian": jax.hessian(dice_loss),
    "checkpoint": jax.jit(jax.grad(jax.checkpoint(dice_loss))),
    "scan": jax.jit(scanned),
    "captured": lambda z, y: jax.jit(jax.grad(lambda q: dice_loss(q, y)))(z),
}


@pytest.mark.parametrize("call", TRANSFORMED.values(), ids=TRANSFORMED)
def test_transformations(call):
    z = jnp.asarray(Z)
    jax.clear_caches()  # what was traced before does not look
    with agnoloss.debug():
        with named(r"`targets` must hold labels from 0 to 2; got 255\."):
            jax.block_until_ready(call(z, jnp.asarray(MARKED)))
        looked = call(z, jnp.asarray(RIGHT))
    jax.clear_caches()
    jax.tree.map(np.testing.assert_array_equal, looked, call(z, jnp.asarray(RIGHT)))


@wrong
def test_all_that_has_a_range(arrays, options, sentence):
    numbers = {key: jnp.asarray(x) for key, x in options.items() if isinstance(x, np.ndarray)}
    words = {key: x for key, x in options.items() if key not in numbers}
    jitted = jax.jit(lambda z, y, numbers: cross_entropy_loss(z, y, **numbers, **words))
    with agnoloss.debug(), named(".") as raised:
        jax.block_until_ready(jitted(*map(jnp.asarray, arrays), numbers))
    assert sentence in str(raised.value)


@pytest.mark.parametrize("loss", MULTICLASS.values(), ids=MULTICLASS)
def test_every_loss_looks(loss):
    with agnoloss.debug(), named("`targets` must hold labels from 0 to 2; got 255"):
        jax.block_until_ready(jax.jit(lambda z, y: loss(z, y))(jnp.asarray(Z), jnp.asarray(MARKED)))


def test_what_was_traced_before_does_not_look():
    jitted = jax.jit(lambda z, y: dice_loss(z, y))
    z, y = jnp.asarray(Z), jnp.asarray(MARKED)
    assert np.isnan(jitted(z, y))
    with agnoloss.debug():
        assert np.isnan(jitted(z, y))
        jax.clear_caches()
        with named("got 255"):
            jax.block_until_ready(jitted(z, y))

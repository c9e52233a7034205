"""Four devices, run by `test_sharding.py` in a process of its own: XLA reads its flags once.

Prints one line of JSON for each comparison of a loss named with the whole batch on one device.
"""

import json
import os
import sys
import warnings

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"
os.environ["JAX_PLATFORMS"] = "cpu"
warnings.simplefilter("error")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax.sharding import AxisType, NamedSharding  # noqa: E402
from jax.sharding import PartitionSpec as P  # noqa: E402

from agnoloss import value_and_grad  # noqa: E402
from conformance.tests.losses import LOSSES, mode_of, takes  # noqa: E402

jax.config.update("jax_enable_x64", True)
RNG = np.random.default_rng(14)
Z = jnp.asarray(RNG.normal(size=(8, 3, 4, 4)))
LABELS = RNG.integers(0, 3, (8, 4, 4))
WEIGHTS = jnp.asarray(RNG.uniform(0.5, 2, (8, 4, 4)))
EAGER = ("dice_cross_entropy_loss", "lovasz_softmax_loss")  # every operation is compiled by itself: slow


def report(name, how, one, other):
    """Largest distances of value and gradient, relative to the largest number."""
    errors = [float(jnp.max(jnp.abs(a - b)) / jnp.max(jnp.abs(b))) for a, b in zip(one, other, strict=True)]
    print(json.dumps({"loss": name, "how": how, "value": errors[0], "gradient": errors[1]}), flush=True)


def main(name):
    """Compare one loss."""
    assert len(jax.devices()) == 4
    automatic = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    loss = LOSSES[name]
    mode = mode_of(loss)
    labels = LABELS if mode == "multiclass" else np.moveaxis(np.eye(3)[LABELS], -1, 1)
    y = jnp.asarray(labels)
    # a wrong label in one shard is seen in the whole; here all are right
    options = {"mode": mode, "class_weights": "balanced"}

    def whole(z, y, u):
        return loss(z, y, pixel_weights=u, **options)

    expected = jax.jit(value_and_grad(whole))(Z, y, WEIGHTS)

    place = NamedSharding(automatic, P("data"))
    split = [jax.device_put(array, place) for array in (Z, y, WEIGHTS)]
    if name in EAGER:
        report(name, "auto, eager", value_and_grad(whole)(*split), expected)
    value, gradient = jax.jit(value_and_grad(whole))(*split)
    assert gradient.sharding.is_equivalent_to(place, 4), gradient.sharding
    report(name, "auto, jit", (value, gradient), expected)
    rows = NamedSharding(automatic, P(None, None, "data"))
    report(name, "auto, rows", jax.jit(value_and_grad(whole))(jax.device_put(Z, rows), *split[1:]), expected)

    if not takes(loss, "all_reduce"):
        return

    def part(z, y, u):
        return loss(z, y, pixel_weights=u, all_reduce=lambda s: jax.lax.psum(s, "data"), **options)

    shards = (P("data"), P("data"), P("data"))
    outside = jax.shard_map(part, mesh=automatic, in_specs=shards, out_specs=P())
    report(name, "shard_map, gradient outside", jax.jit(value_and_grad(outside))(Z, y, WEIGHTS), expected)
    inside = jax.shard_map(
        jax.value_and_grad(part), mesh=automatic, in_specs=shards, out_specs=(P(), P("data"))
    )
    report(name, "shard_map, gradient inside", jax.jit(inside)(Z, y, WEIGHTS), expected)


if __name__ == "__main__":
    for loss_name in sys.argv[1:]:
        main(loss_name)

"""Arrays on two devices in one call: the message names the argument, and both devices."""

import re

import array_api_strict
import numpy as np
import pytest

import agnoloss

from .losses import MULTILABEL

RNG = np.random.default_rng(7)
Z = RNG.normal(size=(2, 3, 4))
Y = RNG.integers(0, 3, (2, 4))
B = RNG.integers(0, 2, (2, 3, 4))


def elsewhere(backend, array):
    """The same numbers, or at least the same shape, on another device."""
    if backend.name == "torch":
        return array.to("meta")
    if backend.name == "strict":
        return array.to_device(array_api_strict.Device("device2"))
    if backend.name == "cupy" and backend.count > 1:
        with backend.find("cuda:0"):
            return backend.xp.asarray(array)
    pytest.skip(f"{backend.title} has no second device here")


BESIDE_PREDICTIONS = [
    *((x, "targets", B) for x in MULTILABEL.values()),
    *((x, "pixel_weights", np.ones((2, 4))) for x in MULTILABEL.values()),
    *((x, "class_weights", np.ones(3)) for x in MULTILABEL.values()),
    (agnoloss.cross_entropy_loss, "pos_weight", np.ones(3)),
    (agnoloss.focal_loss, "alpha", np.ones(3)),
    (agnoloss.balanced_cross_entropy_loss, "beta", np.ones(3)),
    (agnoloss.cost_sensitive_cross_entropy_loss, "cost_matrix", np.ones((3, 3))),
    (agnoloss.boundary_loss, "distance_maps", Z),
]


@pytest.mark.parametrize(
    ("loss", "name", "values"),
    BESIDE_PREDICTIONS,
    ids=[f"{x.__name__}-{name}" for x, name, _ in BESIDE_PREDICTIONS],
)
def test_two_devices(backend, loss, name, values):
    mode, targets = ("multilabel", B) if loss in MULTILABEL.values() else ("multiclass", Y)
    z, away = backend.array(Z), elsewhere(backend, backend.array(values))
    given = {"targets": backend.array(targets), name: away}
    sentence = (
        f"`{name}` must be on the device of `predictions`, {z.device}; got one on {away.device}. Move it"
    )
    for call in (loss, agnoloss.grad(loss)):
        with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
            call(z, mode=mode, **given)

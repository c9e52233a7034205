"""Boundary loss with distance maps that the user made, with and without targets."""

import re

import numpy as np
import pytest

from agnoloss import boundary_loss, dice_boundary_loss, grad

from ..references import boundary_loss as reference

RNG = np.random.default_rng(23)
Z = RNG.normal(size=(2, 3, 4, 2))
Y = RNG.integers(0, 3, (2, 4, 2))
Y[1][Y[1] == 2] = 0  # class 2 is in the first image alone
PHI = RNG.normal(scale=3, size=Z.shape)
WEIGHTS = RNG.integers(0, 4, Y.shape) / 2
SETTINGS = {
    "defaults": {},
    "sum": {"reduction": "sum"},
    "none": {"reduction": "none"},
    "all classes": {"classes": "all"},
    "one class": {"classes": (2,)},
    "multilabel": {"mode": "multilabel"},
    "weights": {"class_weights": [1.0, 2.0, 4.0], "pixel_weights": WEIGHTS},
}


def close(one, other):
    """Sums of some ten terms."""
    np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("options", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("with_targets", [True, False])
def test_given_maps_take_the_place_of_distances(backend, options, with_targets):
    y = np.moveaxis(np.eye(3, dtype=int)[Y], -1, 1)  # what is in them changes nothing
    given = backend.array(y) if with_targets else None
    value = boundary_loss(
        backend.array(Z), given, distance_maps=backend.array(PHI), **backend.options(options)
    )
    close(backend.numpy(value), reference(Z, y, distance_maps=PHI, **options))


@pytest.mark.parametrize("with_targets", [True, False])
@pytest.mark.parametrize("shape", [(2, 4, 2), (2, 1, 4, 2)])
def test_binary(backend, shape, with_targets):
    """With or without a class axis; by default the one channel counts."""
    z, phi, y = Z[:, 0].reshape(shape), PHI[:, 0].reshape(shape), Y.reshape(shape) % 2
    given = backend.array(y) if with_targets else None
    value = boundary_loss(backend.array(z), given, mode="binary", distance_maps=backend.array(phi))
    close(backend.numpy(value), np.mean(phi / (1 + np.exp(-z))))


def test_maps_lie_as_predictions_do(backend):
    first, last = (np.moveaxis(array, 1, -1) for array in (Z, PHI))
    value = boundary_loss(backend.array(first), backend.array(Y), axis=-1, distance_maps=backend.array(last))
    close(backend.numpy(value), reference(Z, Y, distance_maps=PHI))


@pytest.mark.parametrize("classes", ["present", (2, 0)])
@pytest.mark.parametrize("class_weights", ["balanced", None])
def test_targets_say_what_is_ignored_present_and_rare(backend, classes, class_weights):
    """A map may hold anything where a pixel is ignored."""
    y = Y.copy()
    y[0, 0], y[y == 2] = 255, 255  # no class 2
    phi = np.where((y == 255)[:, None], np.nan, PHI)
    options = {"ignore_index": 255, "classes": classes, "class_weights": class_weights}
    z = backend.array(Z)
    value = boundary_loss(z, backend.array(y), distance_maps=backend.array(phi), **options)
    close(backend.numpy(value), reference(Z, y, distance_maps=PHI, **options))
    slope = backend.numpy(
        grad(boundary_loss)(z, backend.array(y), distance_maps=backend.array(phi), **options)
    )
    assert np.all(np.isfinite(slope))


def test_no_gradient_through_the_maps(backend):
    """p_c (phi_c - sum_k phi_k p_k) / (pixels, classes) for the scores, nothing for the maps."""

    def loss(z, phi):
        return boundary_loss(z, None, distance_maps=phi, classes="all")

    slopes = grad(loss, (0, 1))(backend.array(Z), backend.array(PHI))
    e = np.exp(Z)
    p = e / e.sum(1, keepdims=True)
    close(backend.numpy(slopes[0]), p * (PHI - (PHI * p).sum(1, keepdims=True)) / Z.size)
    np.testing.assert_array_equal(backend.numpy(slopes[1]), np.zeros_like(PHI))


def test_maps_of_integers(backend):
    phi = np.round(PHI).astype(np.int32)
    value = boundary_loss(backend.array(Z), backend.array(Y), distance_maps=backend.array(phi))
    close(backend.numpy(value), reference(Z, Y, distance_maps=phi))


@pytest.mark.parametrize("of", [boundary_loss, dice_boundary_loss])
def test_what_maps_are_refused(backend, of):
    z, y = backend.array(Z), backend.array(Y)
    with pytest.raises(TypeError, match=r"`distance_maps` must be real; got .*complex128"):
        of(z, y, distance_maps=backend.array(PHI + 0j))
    with pytest.raises(ValueError, match=r"`distance_maps` .* \(2, 3, 4, 2\); got \(2, 3, 2, 4\)"):
        of(z, y, distance_maps=backend.array(np.moveaxis(PHI, 2, 3)))
    with pytest.raises(ValueError, match=r"`spacing` has no meaning where `distance_maps`.*; got 2\.0"):
        of(z, y, distance_maps=backend.array(PHI), spacing=2.0)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"distance_maps": None}, "to compute the distances; or pass `distance_maps`"),
        ({"ignore_index": 255}, "for `ignore_index`; or pass `pixel_weights`"),
        ({"class_weights": "balanced"}, 'for class_weights="balanced"'),
        ({"classes": "present"}, 'for classes="present"'),
    ],
)
def test_what_needs_targets(backend, options, why):
    options = {"distance_maps": backend.array(PHI), **options}
    with pytest.raises(ValueError, match=re.escape(f"`targets` are needed {why}; got None.")):
        boundary_loss(backend.array(Z), None, **options)


def test_dice_boundary_loss_passes_its_maps_on(backend):
    """alpha x generalized Dice + (1 - alpha) x boundary."""
    z, y = backend.array(Z), backend.array(Y)
    dice, both = (
        backend.numpy(dice_boundary_loss(z, y, distance_maps=backend.array(PHI), alpha=alpha))
        for alpha in (1.0, 0.25)
    )
    close(both, 0.25 * dice + 0.75 * reference(Z, Y, distance_maps=PHI))


def test_sums_may_be_shared_by_devices(backend):
    """Doubled sums are those of twice the images: the same mean, twice the sum."""
    z, y = backend.array(Z), backend.array(Y)
    for options in ({}, {"class_weights": "balanced"}, {"classes": "present"}):
        one, two = (
            backend.numpy(
                boundary_loss(z, y, all_reduce=lambda part: 2 * part, reduction=reduction, **options)
            )
            for reduction in ("mean", "sum")
        )
        close(one, reference(Z, Y, **options))
        close(two, 2 * reference(Z, Y, reduction="sum", **options))

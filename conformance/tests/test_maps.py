"""Distance maps and U-Net weights: every library against loops, and every way to compute them."""

import sys
from contextlib import contextmanager

import numpy as np
import pytest

from agnoloss import maps
from conformance.references import maps as references

SPACES = {1: (11,), 2: (5, 6), 3: (3, 4, 3)}
CLASSES = 3
SHARPEST = 1e-12


@pytest.fixture(params=SPACES, ids="{}-D".format)
def axes(request):
    return request.param


@pytest.fixture(params=["unit", "one step", "a step an axis"])
def spacing(request, axes):
    steps = np.random.default_rng(axes).uniform(0.25, 4, axes).tolist()
    return {"unit": None, "one step": 2.5, "a step an axis": steps}[request.param]


def label_maps(axes, classes=CLASSES):
    """Images (6, *S): sparse, dense, with a class in one cell, empty, full of 1, without background."""
    rng, space = np.random.default_rng(axes), SPACES[axes]
    images = rng.integers(0, classes, (6, *space))
    images[0] *= rng.random(space) < 0.25
    images[2] = 0
    images[2].flat[-1] = 2
    images[3], images[4] = 0, 1
    images[5] = 1 + images[5] % 2
    return images


@contextmanager
def doubles(backend):
    """Let the library's default floating dtype be float64."""
    if backend.name != "torch":
        yield  # JAX's is, with the 64-bit numbers that the fixture turns on
        return
    before = backend.xp.get_default_dtype()
    backend.xp.set_default_dtype(backend.xp.float64)
    try:
        yield
    finally:
        backend.xp.set_default_dtype(before)


def check(backend, result, like, expected, tolerance=SHARPEST):
    assert backend.owns(result)
    assert backend.device(result) == backend.device(like)
    assert tuple(result.shape) == expected.shape
    np.testing.assert_allclose(backend.numpy(result), expected, rtol=tolerance, atol=tolerance)


def test_signed_distances_are_those_of_all_pairs(backend, axes, spacing):
    labels = label_maps(axes)
    array = backend.array(labels)
    with doubles(backend):
        result = maps.signed_distance_map(array, CLASSES, spacing)
    assert backend.dtype(result) == "float64"
    check(backend, result, array, references.signed_distance_map(labels, CLASSES, spacing))


def test_weights_are_those_of_all_pairs(backend, axes, spacing):
    instances = label_maps(axes, classes=5) * 37 - 74  # any numbers but 0 are instances, negative ones too
    array = backend.array(instances)
    options = {"spacing": spacing, "balance": (0.5, 2.0)}
    with doubles(backend):
        result = maps.unet_weight_map(array, 7.0, 3.0, **options)
    assert backend.dtype(result) == "float64"
    check(backend, result, array, references.unet_weight_map(instances, 7.0, 3.0, **options))


def test_default_dtype_is_the_librarys(backend):
    labels = backend.array(label_maps(2))
    default = "float32" if backend.name == "torch" else "float64"
    assert backend.dtype(maps.signed_distance_map(labels, CLASSES)) == default
    assert backend.dtype(maps.unet_weight_map(labels)) == default


@pytest.mark.parametrize("dtype", ["uint8", "int32", "bool"])
def test_every_integer_dtype_means_the_same(backend, dtype):
    labels = (label_maps(2) != 0).astype(dtype)
    array = backend.array(labels)
    with doubles(backend):
        signed, weights = maps.signed_distance_map(array, 2), maps.unet_weight_map(array)
    check(backend, signed, array, references.signed_distance_map(labels.astype(int), 2))
    check(backend, weights, array, references.unet_weight_map(labels.astype(int)))


@pytest.mark.parametrize("space", [(2500,), (64, 300)], ids=["a long row", "many rows"])
@pytest.mark.parametrize("scipy", [True, False], ids=["scipy", "no scipy"])
def test_large_maps_are_computed_in_pieces(backend, space, scipy, monkeypatch):
    """More pairs of cells, in a row or in all, than any library looks at together."""
    if not scipy:
        if backend.name != "numpy":
            pytest.skip("NumPy alone asks for SciPy")
        monkeypatch.setitem(sys.modules, "scipy.ndimage", None)
    rng, steps = np.random.default_rng(0), (0.75, 2.5)[: len(space)]
    places = rng.choice(np.prod(space), size=3, replace=False)
    labels = np.zeros(space, int)
    labels.flat[places] = 1, 5, 2
    grid, cells = np.indices(space), np.unravel_index(places, space)
    away = [
        np.sqrt(sum((step * (axis - at)) ** 2 for step, axis, at in zip(steps, grid, cell, strict=True)))
        for cell in zip(*cells, strict=True)
    ]
    near, far, _ = np.sort(away, axis=0)
    array = backend.array(labels[None])
    with doubles(backend):
        signed = maps.signed_distance_map(array, 2, steps)
        weights = maps.unet_weight_map(array, sigma=500.0, spacing=steps)
    np.testing.assert_allclose(backend.numpy(signed)[0, 1], away[0], rtol=SHARPEST)
    expected = np.where(labels == 0, 10 * np.exp(-(((near + far) / 500) ** 2) / 2), 0.0) + 1
    np.testing.assert_allclose(backend.numpy(weights)[0], expected, rtol=SHARPEST)


def test_compiled_maps_are_the_same(backend):
    if backend.name not in ("jax", "torch"):
        pytest.skip(f"{backend.name} compiles nothing")
    labels, spacing = label_maps(2), (0.75, 2.5)
    array = backend.array(labels)

    def both(array):
        return maps.signed_distance_map(array, CLASSES, spacing), maps.unet_weight_map(array, spacing=spacing)

    if backend.name == "jax":
        compiled = backend.xp.jit(both)
    else:
        compiled = backend.xp.compile(both, fullgraph=True, backend="eager")
    with doubles(backend):
        both(array)  # dynamo cannot import the backend's module
        signed, weights = compiled(array)
    check(backend, signed, array, references.signed_distance_map(labels, CLASSES, spacing))
    check(backend, weights, array, references.unet_weight_map(labels, spacing=spacing))


def test_mapped_maps_are_the_same(backend, axes):
    if backend.name not in ("jax", "torch"):
        pytest.skip(f"{backend.name} has no vmap")
    labels = label_maps(axes)
    array = backend.array(labels)
    vmap = backend.xp.vmap

    with doubles(backend):
        signed = vmap(lambda image: maps.signed_distance_map(image[None], CLASSES)[0])(array)
        weights = vmap(lambda image: maps.unet_weight_map(image[None])[0])(array)
    check(backend, signed, array, references.signed_distance_map(labels, CLASSES))
    check(backend, weights, array, references.unet_weight_map(labels))


def test_labels_of_no_class_are_outside_all(backend):
    labels = label_maps(2)
    labels[0, :2, :3], labels[1, 0] = 255, -1
    array = backend.array(labels)
    with doubles(backend):
        result = maps.signed_distance_map(array, CLASSES)
    check(backend, result, array, references.signed_distance_map(labels, CLASSES))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((np.zeros((1, 3)), 2), {}, TypeError, "`labels` must be integer or bool; got"),
        ((np.zeros(3, int), 2), {}, ValueError, r"`labels` must have shape \(N, \*S\)"),
        ((np.zeros((1, 3), int), 2.0), {}, TypeError, "`num_classes` must be an int; got 2.0"),
        ((np.zeros((1, 3), int), 0), {}, ValueError, "`num_classes` must be at least 1; got 0"),
        ((np.zeros((1, 3), int), 2), {"spacing": [1, 2]}, ValueError, "`spacing` must have length 1"),
        ((np.zeros((1, 3), int), 2), {"spacing": 0}, ValueError, "`spacing` must be positive"),
        ((np.zeros((1, 3), int), 2), {"spacing": "1"}, TypeError, "`spacing` must be a number"),
    ],
)
def test_errors_of_signed_distances(backend, arguments, options, error, message):
    labels, num_classes = arguments
    with pytest.raises(error, match=message):
        maps.signed_distance_map(backend.array(labels), num_classes, **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sigma": 0.0}, ValueError, "`sigma` must be positive"),
        ({"w0": -1.0}, ValueError, "`w0` must be"),
        ({"balance": 1.0}, ValueError, "`balance` must be a pair"),
        ({"balance": (1.0, -1.0)}, ValueError, "`balance` must be"),
    ],
)
def test_errors_of_weights(backend, options, error, message):
    with pytest.raises(error, match=message):
        maps.unet_weight_map(backend.array(np.zeros((1, 3), int)), **options)


def test_numpy_does_without_scipy(backend, monkeypatch):
    if backend.name != "numpy":
        pytest.skip("NumPy alone asks for SciPy")
    monkeypatch.setitem(sys.modules, "scipy.ndimage", None)
    labels = label_maps(2)
    check(
        backend,
        maps.signed_distance_map(labels, CLASSES),
        labels,
        references.signed_distance_map(labels, CLASSES),
    )
    check(backend, maps.unet_weight_map(labels), labels, references.unet_weight_map(labels))

"""Large inputs, which NumPy's rules cut into pieces of an image or of several, for threads to share.

Expected are the rules of the standard, whole, in float64, on array-api-strict.
"""

import os
import signal
import threading
from functools import cache

import array_api_strict as xp
import numpy as np
import pytest

import agnoloss
from agnoloss import value_and_grad

IGNORED = 255


@cache
def inputs(case):
    """Scores, targets, pixel weights (an empty array for none), and words; in float32."""
    rng = np.random.default_rng(len(case))
    mode, shape, far, fraction = {
        "images": ("multiclass", (25, 5, 60, 60), 1.0, 0.0),
        "one image": ("multiclass", (1, 5, 300, 301), 1.0, 0.0),
        "ignored": ("multiclass", (1, 5, 301, 300), 1.0, 0.1),
        "far": ("multiclass", (1, 5, 300, 300), 1e4, 0.1),
        "far, all count": ("multiclass", (3, 5, 170, 170), 1e4, 0.0),
        "binary": ("binary", (2, 300, 700), 1.0, 0.0),
        "binary, ignored": ("binary", (1, 700, 601), 1e4, 0.1),
        "multilabel": ("multilabel", (5, 2, 250, 250), 1.0, 0.1),
    }[case]
    z = (far * rng.normal(size=shape)).astype("float32")
    without = (shape[0], *shape[2:]) if mode == "multiclass" else shape
    y = rng.integers(0, shape[1] if mode == "multiclass" else 2, without).astype("uint8")
    words = {"mode": mode}
    if fraction:
        words["ignore_index"] = IGNORED
        y[rng.random(y.shape) < fraction] = IGNORED
        here = np.broadcast_to(
            np.expand_dims(y == IGNORED, 1) if mode == "multiclass" else y == IGNORED, shape
        )
        z[here] = rng.choice(np.asarray([np.nan, np.inf, -np.inf, 1e38], "float32"), np.sum(here))
    weights = rng.integers(0, 4, (shape[0], *shape[1 if mode == "binary" else 2 :])).astype("float32")
    if case in ("ignored", "far, all count"):
        weights = weights[:0]
    return z, y, weights, words


LOSSES = {
    "cross entropy": (agnoloss.cross_entropy_loss, {}),
    "balanced": (agnoloss.cross_entropy_loss, {"class_weights": (0.5, 1.0, 0.0, 2.0, 1.0)}),
    "smoothed": (agnoloss.dice_cross_entropy_loss, {"label_smoothing": 0.1}),
    "Dice": (agnoloss.dice_loss, {}),
    "squared Dice": (agnoloss.dice_loss, {"squared": True, "per_image": True}),
    "focal": (agnoloss.focal_loss, {"gamma": 1.5}),
    "Dice and entropy": (agnoloss.dice_cross_entropy_loss, {"squared": True}),
    "Lovász": (agnoloss.lovasz_softmax_loss, {}),
    "Lovász by image": (agnoloss.lovasz_softmax_loss, {"per_image": True}),
    "Lovász hinge": (agnoloss.lovasz_hinge_loss, {}),
}
BOTH = ("cross entropy", "smoothed", "squared Dice", "Dice", "focal")
CASES = {
    "images": ("balanced", *BOTH, "Dice and entropy", "Lovász", "Lovász by image"),
    "one image": ("cross entropy", "squared Dice"),
    "ignored": ("cross entropy", "Dice and entropy", "smoothed", "focal", "Lovász"),
    "far": ("cross entropy", "balanced", "smoothed", "Dice", "Lovász"),
    "far, all count": ("cross entropy", "Dice and entropy"),
    "binary": (*BOTH, "Lovász hinge"),
    "binary, ignored": (*BOTH, "Lovász hinge"),
    "multilabel": ("cross entropy", "squared Dice", "Dice and entropy", "Lovász"),
}
BITS = (("images", "squared Dice"), ("far", "smoothed"), ("ignored", "Lovász"), ("binary", "Dice"))


def call(case, name, change=lambda array: array, **words):
    """Value and gradients: by scores and, but for Lovász, by the weights that there are."""
    z, y, weights, given = inputs(case)
    z, y, weights = change(z), change(y), change(weights)
    loss, options = LOSSES[name]
    words = given | options | words
    if not weights.shape[0]:
        return value_and_grad(loss)(z, y, **words)
    if "Lovász" in name:
        return value_and_grad(loss)(z, y, pixel_weights=weights, **words)
    value, gradients = value_and_grad(lambda z, u: loss(z, y, pixel_weights=u, **words), (0, 1))(z, weights)
    return value, *gradients


def check(found, expected, tolerance):
    for array, other in zip(found, expected, strict=True):
        other = np.asarray(other)
        scale = np.max(np.abs(other), initial=1e-30)
        np.testing.assert_allclose(array, other, rtol=0, atol=tolerance * scale)


def wide(array):
    return array.astype("float64") if array.dtype == "float32" else array


@pytest.mark.parametrize(("case", "name"), [(c, n) for c, names in CASES.items() for n in names])
def test_pieces_add_up(case, name):
    expected = [np.asarray(array) for array in call(case, name, lambda array: xp.asarray(wide(array)))]
    assert all(np.all(np.isfinite(array)) for array in expected)
    check(call(case, name, wide), expected, 1e-11)
    # in float32 errors that are nearly equal change places
    check(call(case, name), expected, 1e-2 if "Lovász" in name else 2e-5)


@pytest.mark.parametrize("name", ["cross entropy", "smoothed", "squared Dice", "Lovász"])
@pytest.mark.parametrize("case", ["images", "far"])
def test_layouts(case, name):
    """The class axis last in memory, and gaps between the numbers, which run backwards."""

    def last(array):
        array = wide(array)
        return (
            np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1) if array.ndim == 4 else array
        )

    def gaps(array):
        there = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        there[..., ::-2] = array
        return wide(there)[..., ::-2]

    expected = call(case, name, wide)
    check(call(case, name, last), expected, 1e-13)
    check(call(case, name, gaps), expected, 1e-13)


def same_bits(found, expected):
    return all(
        np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize(("case", "name"), BITS)
def test_the_number_of_threads_changes_no_bit(case, name, monkeypatch):
    found = []
    for count in ("1", "2", "3"):
        monkeypatch.setenv("AGNOLOSS_NUM_THREADS", count)
        found.append(call(case, name))
    assert same_bits(found[1], found[0])
    assert same_bits(found[2], found[0])


def test_calls_from_several_threads(monkeypatch):
    monkeypatch.setenv("AGNOLOSS_NUM_THREADS", "2")
    expected = {given: call(*given) for given in BITS}
    equal = []

    def work(first):
        for given in (*BITS[first:], *BITS[:first]):
            equal.append(same_bits(call(*given), expected[given]))

    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert equal == [True] * (3 * len(BITS))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_after_threads(monkeypatch):
    """Which leaves the threads behind."""
    monkeypatch.setenv("AGNOLOSS_NUM_THREADS", "2")
    expected = call("images", "Dice")
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # ends a wait for threads that are not there
        try:
            os._exit(0 if same_bits(call("images", "Dice"), expected) else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0

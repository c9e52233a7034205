"""Large inputs, cut into pieces for threads to share, against the rules of the standard on whole arrays."""

import os
import signal
import threading
from functools import cache

import array_api_strict as xp
import numpy as np
import pytest

import agnoloss
from agnoloss import value_and_grad

LOSSES = {
    "cross entropy": (agnoloss.cross_entropy_loss, {}),
    "balanced": (agnoloss.cross_entropy_loss, {"class_weights": (0.5, 1.0, 0.0, 2.0, 1.0)}),
    "smoothed": (agnoloss.dice_cross_entropy_loss, {"label_smoothing": 0.1}),
    "smoothed entropy": (agnoloss.cross_entropy_loss, {"label_smoothing": 0.1}),
    "Dice": (agnoloss.dice_loss, {}),
    "squared Dice": (agnoloss.dice_loss, {"squared": True, "per_image": True}),
    "hardest": (agnoloss.top_k_cross_entropy_loss, {"k": 0.1}),
    "focal": (agnoloss.focal_loss, {"gamma": 1.5}),
    "Dice and entropy": (agnoloss.dice_cross_entropy_loss, {"squared": True}),
    "Lovász": (agnoloss.lovasz_softmax_loss, {}),
    "Lovász by image": (agnoloss.lovasz_softmax_loss, {"per_image": True}),
    "Lovász hinge": (agnoloss.lovasz_hinge_loss, {}),
}
BOTH = ("cross entropy", "smoothed", "squared Dice", "Dice", "focal")
SOME = ("cross entropy", "smoothed", "Dice and entropy", "Lovász")
CASES = {
    "images": ("multiclass", (25, 5, 60, 60), (*BOTH, "balanced", "Lovász", "Lovász by image")),
    "one image": ("multiclass", (1, 2, 500, 550), (*BOTH, "smoothed entropy", "hardest")),
    "ignored": ("multiclass", (1, 5, 301, 300), (*SOME, "focal")),
    "ignored, far": ("multiclass", (1, 5, 300, 300), (*SOME, "balanced")),
    "far": ("multiclass", (3, 5, 170, 170), SOME[:3]),
    "binary": ("binary", (2, 300, 700), (*BOTH, "Lovász hinge")),
    "binary ignored, far": ("binary", (1, 700, 601), (*BOTH, "Lovász hinge")),
    "multilabel ignored": ("multilabel", (5, 2, 250, 250), (*SOME, "hardest")),
}
BITS = (("images", "squared Dice"), ("ignored, far", "smoothed"), ("ignored", "Lovász"), ("binary", "Dice"))


@cache
def inputs(case):
    """Scores, targets, pixel weights (an empty array for none), and words; in float32."""
    rng = np.random.default_rng(len(case))
    mode, shape, _ = CASES[case]
    z = rng.normal(size=shape, scale=1e4 if "far" in case else 1.0).astype("float32")
    without = (shape[0], *shape[2:]) if mode == "multiclass" else shape
    y = rng.integers(0, shape[1] if mode == "multiclass" else 2, without).astype("uint8")
    words = {"mode": mode, "ignore_index": 255 if "ignored" in case else None}
    if "ignored" in case:
        y[rng.random(y.shape) < 0.1] = 255
        here = np.broadcast_to((y[:, None] if mode == "multiclass" else y) == 255, shape)
        z[here] = rng.choice(np.asarray([np.nan, np.inf, -np.inf, 1e38], "float32"), np.sum(here))
    weights = rng.integers(0, 4, (shape[0], *shape[1 if mode == "binary" else 2 :])).astype("float32")
    return z, y, weights[:0] if case in ("one image", "ignored", "far") else weights, words


def call(case, name, change=lambda array: array):
    """Value and gradients, by scores; in float64 by the weights that there are too, but for Lovász."""
    *arrays, words = inputs(case)
    z, y, weights = map(change, arrays)
    loss, words = LOSSES[name][0], words | LOSSES[name][1]
    if 0 in weights.shape:
        return value_and_grad(loss)(z, y, **words)
    if "Lovász" in name or z.dtype == "float32":
        return value_and_grad(loss)(z, y, pixel_weights=weights, **words)
    value, gradients = value_and_grad(lambda z, u: loss(z, y, pixel_weights=u, **words), (0, 1))(z, weights)
    return value, *gradients


def check(found, expected, tolerance):
    for array, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(array, other, rtol=0, atol=tolerance * np.max(np.abs(other)))


def wide(array):
    return array.astype("float64") if array.dtype == "float32" else array


@pytest.mark.parametrize(("case", "name"), [(c, n) for c, (*_, names) in CASES.items() for n in names])
def test_pieces_add_up(case, name):
    expected = [np.asarray(array) for array in call(case, name, lambda array: xp.asarray(wide(array)))]
    assert all(np.all(np.isfinite(array)) for array in expected)
    check(call(case, name, wide), expected, 1e-11)
    # in float32 errors that are nearly equal change places
    check(call(case, name), expected[:2], 1e-2 if "Lovász" in name else 2e-5)


@pytest.mark.parametrize("name", ["cross entropy", "smoothed", "squared Dice", "Lovász"])
@pytest.mark.parametrize("case", ["images", "ignored, far"])
def test_layouts(case, name):
    """The class axis last in memory, and gaps between numbers that run backwards."""

    def last(array):
        array = np.ascontiguousarray(np.moveaxis(wide(array), 1, -1)) if array.ndim == 4 else array
        return np.moveaxis(array, -1, 1) if array.ndim == 4 else wide(array)

    def gaps(array):
        return np.repeat(wide(array)[..., ::-1], 2, axis=-1)[..., ::-2]

    expected = call(case, name, wide)
    check(call(case, name, last), expected, 1e-13)
    check(call(case, name, gaps), expected, 1e-13)


def bits(case, name):
    return [np.asarray(array).tobytes() for array in call(case, name)]


@pytest.mark.parametrize(("case", "name"), BITS)
def test_the_number_of_threads_changes_no_bit(case, name, monkeypatch):
    found = []
    for count in ("1", "2", "3"):
        monkeypatch.setenv("AGNOLOSS_NUM_THREADS", count)
        found.append(bits(case, name))
    assert found[0] == found[1] == found[2]


def test_calls_from_several_threads(monkeypatch):
    monkeypatch.setenv("AGNOLOSS_NUM_THREADS", "2")
    expected, equal = [bits(*given) for given in BITS], []

    def work(first):
        for i in (*range(first, len(BITS)), *range(first)):
            equal.append(bits(*BITS[i]) == expected[i])

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
    expected = bits("images", "Dice")
    if (child := os.fork()) == 0:
        try:
            signal.alarm(60)  # ends a wait for threads that are not there
            os._exit(bits("images", "Dice") != expected)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0

"""Losses of small inputs are programs: the same numbers, checks and errors as without."""

from collections import namedtuple
from collections.abc import Sequence

import numpy as np
import pytest

import agnoloss
from agnoloss import remembered
from conformance.tests.losses import LOSSES, MODES, takes

CASES = [(name, mode) for name, loss in LOSSES.items() for mode in MODES[loss]]
cases = pytest.mark.parametrize(("name", "mode"), CASES)


@pytest.fixture(autouse=True)
def nothing_met(monkeypatch):
    monkeypatch.setattr(remembered, "_met", {})


def inputs(mode, seed, ignored=True):
    rng = np.random.default_rng(seed)
    shape = (2, 1 if mode == "binary" else 3, 6, 5)
    scores = rng.normal(size=shape)
    if mode == "multilabel":
        return scores, rng.integers(0, 2, shape)
    labels = rng.integers(0, 3 if mode == "multiclass" else 2, (2, 6, 5))
    if ignored:
        labels[rng.random(labels.shape) < 0.2] = 255
    return scores, labels


def by_the_tape(loss, *args, **options):
    """Value and gradient without a program."""
    return agnoloss.value_and_grad(loss.__wrapped__)(*args, **options)


def options_of(loss, mode, seed):
    rng = np.random.default_rng(seed)
    options = {
        "mode": mode,
        "ignore_index": 255,
        "pixel_weights": rng.integers(0, 3, (2, 6, 5)).astype(float),
    }
    if takes(loss, "class_weights"):
        options["class_weights"] = [1.0] if mode == "binary" else [1.0, 2.0, 0.5]
    return {name: value for name, value in options.items() if takes(loss, name)}


@cases
@pytest.mark.parametrize("weighted", [False, True])
def test_every_call_gives_what_the_loss_gives(name, mode, weighted):
    loss = LOSSES[name]
    function = agnoloss.value_and_grad(loss)
    calls = []
    for seed in range(4):
        options = options_of(loss, mode, seed) if weighted else {"mode": mode, "ignore_index": 255}
        arrays = inputs(mode, seed)
        calls.append((arrays, options, by_the_tape(loss, *arrays, **options)))
    for arrays, options, expected in calls:
        value, gradient = function(*arrays, **options)
        np.testing.assert_allclose(value, expected[0], rtol=1e-12)
        np.testing.assert_allclose(gradient, expected[1], rtol=1e-11, atol=1e-16)
        assert (value.dtype, gradient.dtype, gradient.shape) == (
            expected[0].dtype, expected[1].dtype, expected[1].shape
        )  # fmt: skip
        np.testing.assert_allclose(loss(*arrays, **options), expected[0], rtol=1e-12)


@pytest.mark.parametrize(
    ("loss", "mode"),
    [
        (agnoloss.cross_entropy_loss, "multiclass"), (agnoloss.cross_entropy_loss, "binary"),
        (agnoloss.focal_loss, "multiclass"), (agnoloss.dice_loss, "multiclass"),
        (agnoloss.dice_loss, "multilabel"), (agnoloss.dice_cross_entropy_loss, "multiclass"),
    ],
)  # fmt: skip
def test_frequent_losses_have_programs(loss, mode):
    for seed in range(3):
        agnoloss.value_and_grad(loss)(*inputs(mode, seed), mode=mode, ignore_index=255)
        loss(*inputs(mode, seed), mode=mode, ignore_index=255)
    assert [bool(program) for program in remembered._met.values()] == [True, True]


def test_the_first_call_gives_the_digits_of_the_others():
    function = agnoloss.value_and_grad(agnoloss.dice_loss)
    (value, gradient), again = (function(*inputs("multiclass", 0), ignore_index=255) for _ in range(2))
    assert value == again[0]
    np.testing.assert_array_equal(gradient, again[1])


def test_what_is_wrong_is_still_said():
    loss = agnoloss.value_and_grad(agnoloss.cross_entropy_loss)
    for seed in range(3):
        loss(*inputs("multiclass", seed, ignored=False))
    scores, labels = inputs("multiclass", 3, ignored=False)
    labels[0, 0, 0] = 3
    with pytest.raises(ValueError, match="`targets` must hold labels from 0 to 2; got 3"):
        loss(scores, labels)
    weights = np.ones((2, 6, 5))
    for _ in range(3):
        loss(*inputs("multiclass", 3, ignored=False), pixel_weights=weights)
    with pytest.raises(ValueError, match="`pixel_weights` must not be negative; got -1"):
        loss(*inputs("multiclass", 3, ignored=False), pixel_weights=-weights)
    for _ in range(3):
        loss(np.full((1, 3, 4), 0.5), np.ones((1, 4), int), from_logits=False)
    with pytest.raises(ValueError, match=r"`predictions` must be probabilities.*got -0\.5"):
        loss(np.full((1, 3, 4), -0.5), np.ones((1, 4), int), from_logits=False)


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf, 1e4])
@pytest.mark.parametrize("loss", [agnoloss.cross_entropy_loss, agnoloss.focal_loss, agnoloss.dice_loss])
def test_ignored_scores_leave_no_trace(loss, score):
    function = agnoloss.value_and_grad(loss)
    scores, labels = inputs("multiclass", 0)
    for _ in range(3):
        value, gradient = function(scores, labels, ignore_index=255)
    strange = np.where((labels == 255)[:, None], score, scores)
    for found, expected in zip(function(strange, labels, ignore_index=255), (value, gradient), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("score", [1e4, 50.0])
def test_far_scores_of_pixels_that_count_stay_exact(score):
    function = agnoloss.value_and_grad(agnoloss.cross_entropy_loss)
    scores, labels = inputs("multiclass", 0)
    for factor in (1.0, 1.0, score):
        found = function(scores * factor, labels, ignore_index=255)
    expected = by_the_tape(agnoloss.cross_entropy_loss, scores * score, labels, ignore_index=255)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("options", [{"reduction": "none"}, {"all_reduce": np.negative}])
def test_some_calls_are_not_remembered(options):
    for _ in range(3):
        agnoloss.cross_entropy_loss(*inputs("multiclass", 0), ignore_index=255, **options)
    assert not remembered._met


def test_a_function_that_reduces_is_called_each_time():
    seen = []
    for seed in range(3):
        agnoloss.cross_entropy_loss(
            *inputs("multiclass", seed), ignore_index=255, all_reduce=lambda x: seen.append(x) or x
        )
    assert len(seen) == 6


def test_large_inputs_are_not_remembered():
    for _ in range(2):
        agnoloss.dice_loss(np.zeros((1, 4, 40_000)), np.zeros((1, 40_000), int))
    assert not remembered._met


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
@pytest.mark.parametrize("loss", [agnoloss.cross_entropy_loss, agnoloss.dice_loss, agnoloss.focal_loss])
def test_layouts_in_memory(loss, axis):
    """Of the class axis in any place, and of arrays in any order."""
    function = agnoloss.value_and_grad(loss)
    scores, labels = inputs("multiclass", 0)
    value, gradient = by_the_tape(loss, scores, labels, ignore_index=255)
    turned = np.moveaxis(scores, 1, axis)
    packed = np.zeros(scores.shape, [("z", "f8"), ("other", "i2")])
    packed["z"] = scores
    for given, at in (
        (turned, axis), (np.ascontiguousarray(turned), axis), (np.asfortranarray(turned), axis),
        (np.flip(np.flip(turned, 2).copy(), 2), axis), (packed["z"], 1),
    ):  # fmt: skip
        found = function(given, labels, ignore_index=255, axis=at)
        np.testing.assert_allclose(found[0], value, rtol=1e-12)
        expected = np.moveaxis(gradient, 1, at)
        np.testing.assert_allclose(found[1], expected, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("score", [np.nan, np.inf])
@pytest.mark.parametrize("size", [6, 200])
@pytest.mark.parametrize("loss", [agnoloss.cross_entropy_loss, agnoloss.conservative_loss])
def test_dense_targets_hide_ignored_scores(loss, size, score):
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(1, 3, size, size)), rng.integers(0, 3, (1, size, size))
    targets, weights = np.moveaxis(np.eye(3)[labels], -1, 1), np.ones((1, size, size))
    weights[:, :2] = 0
    plain = agnoloss.value_and_grad(loss)(scores, targets, pixel_weights=weights)
    scores[:, :, :2] = score
    for found, expected in zip(
        agnoloss.value_and_grad(loss)(scores, targets, pixel_weights=weights), plain, strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("size", [4, 200])
def test_labels_of_the_other_byte_order_are_looked_at(size):
    labels = np.zeros((1, size, size), ">i2")
    labels[0, 0, 0] = 256
    with pytest.raises(ValueError, match="got 256"):
        agnoloss.cross_entropy_loss(np.zeros((1, 3, size, size)), labels)


def test_options_that_may_change_are_read_each_time():
    class Weights(Sequence):
        def __init__(self, *values):
            self.values = list(values)

        def __len__(self):
            return len(self.values)

        def __getitem__(self, i):
            return self.values[i]

    scores, labels = inputs("multiclass", 0, ignored=False)
    weights, named = Weights(1.0, 2.0, 3.0), namedtuple("Named", "a b c")
    for values in ([1.0, 2.0, 3.0], [3.0, 1.0, 1.0]):
        weights.values = values
        expected = agnoloss.cross_entropy_loss(scores, labels, class_weights=values)
        for given in (weights, named(*values)):
            assert agnoloss.cross_entropy_loss(scores, labels, class_weights=given) == pytest.approx(expected)
    found = agnoloss.cross_entropy_loss(scores, labels, ignore_index=(i for i in [2]))
    assert found == agnoloss.cross_entropy_loss(scores, labels, ignore_index=[2])


def test_a_call_that_fails_does_not_spoil_later_ones():
    scores, labels = inputs("multiclass", 0, ignored=False)
    with pytest.raises(ValueError, match="got 9"):
        agnoloss.cross_entropy_loss(scores, labels + 9 * (labels == labels.max()) - 2 * (labels == 2))
    agnoloss.cross_entropy_loss(scores, labels)
    assert [bool(program) for program in remembered._met.values()] == [True]

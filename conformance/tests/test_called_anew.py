"""Nothing of a call is left for the next: a loss is Python code, and what it reads may have changed.

Small and large inputs, for whatever takes another road by size; losses of this package and users' own.
"""

import functools
import itertools

import numpy as np
import pytest

import agnoloss
from agnoloss import boundary_f1_loss, cross_entropy_loss, dice_loss, focal_loss
from agnoloss.compat import array_namespace

from ..suite.differentiation import gradients
from .losses import MULTICLASS, WITHOUT_NEIGHBOURS, takes
from .test_input_values import LOOKING_IS_FREE

SHAPES = {"small": (1, 3, 4, 4), "large": (2, 4, 256, 256)}

schedule = {"dice": 0.0}


@pytest.fixture(params=SHAPES)
def arrays(request, backend):
    """Scores and labels, all classes among them."""
    images, classes, *space = SHAPES[request.param]
    rng = np.random.default_rng(7)
    labels = rng.permuted(np.resize(np.arange(classes), images * np.prod(space))).reshape(images, *space)
    return backend.array(rng.normal(size=(images, classes, *space))), backend.array(labels)


def called(backend, loss, arrays, **options):
    """The value, then value and gradient by every call there is for them: NumPy arrays."""
    value = loss(*arrays, **options)
    found = [value]
    for _, number, gradient in gradients(loss, backend, *arrays, options, value):
        found += [number, gradient]
    return [backend.numpy(array) for array in found]


def mixed(share, one, other):
    """Expected of ``share * one + (1 - share) * other``, values and gradients."""
    return [share * a + (1 - share) * b for a, b in zip(one, other, strict=True)]


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-18)  # sums in another order


def scheduled(predictions, targets):
    share = schedule["dice"]
    return share * dice_loss(predictions, targets) + (1 - share) * cross_entropy_loss(predictions, targets)


@functools.wraps(dice_loss)
def scheduled_by_words(predictions, targets, **options):
    """As a loss of this package is written: its words, its name."""
    smooth = 1.0 + schedule["dice"]
    return dice_loss(predictions, targets, **options, smooth=smooth)


def test_a_loss_follows_a_global(backend, arrays, monkeypatch):
    dice, entropy = (called(backend, loss, arrays) for loss in (dice_loss, cross_entropy_loss))
    for share in (0.25, 0.75, 0.0, 0.25):
        monkeypatch.setitem(schedule, "dice", share)
        assert_same(called(backend, scheduled, arrays), mixed(share, dice, entropy))


def test_a_loss_under_anothers_name_follows_a_global(backend, arrays, monkeypatch):
    for share in (0.25, 0.75, 0.0, 0.25):
        monkeypatch.setitem(schedule, "dice", share)
        expected = called(backend, dice_loss, arrays, smooth=1.0 + share)
        assert_same(called(backend, scheduled_by_words, arrays), expected)


def test_a_loss_draws_anew_at_each_call(backend, arrays):
    rng, drawn = np.random.default_rng(3), []

    def randomly_weighted(predictions, targets):
        drawn.append(rng.uniform(1, 2))
        return drawn[-1] * focal_loss(predictions, targets)

    value, gradient = map(backend.numpy, agnoloss.value_and_grad(focal_loss)(*arrays))
    for _ in range(3):
        found = called(backend, randomly_weighted, arrays)
        calls = (len(found) + 1) // 2
        factors = drawn[-calls:]
        assert_same(found[:1], [factors[0] * value])
        for factor, number, slope in zip(factors[1:], found[1::2], found[2::2], strict=True):
            assert_same([number, slope], [factor * value, factor * gradient])
    assert len(set(drawn)) == len(drawn) == 3 * calls


def test_a_constant_of_a_module_counts_from_when_it_changes(backend, arrays, monkeypatch):
    before = called(backend, boundary_f1_loss, arrays)
    with monkeypatch.context() as patch:
        patch.setattr("agnoloss.losses.boundary.EPS", 0.5)
        there = called(backend, boundary_f1_loss, arrays)
        other = tuple(array[..., 1:] for array in arrays)  # a shape not seen before
        fresh = called(backend, boundary_f1_loss, other)
    assert there[0] - before[0] > 1e-7
    assert_same(there[1::2], there[:1] * len(there[1::2]))
    assert np.max(np.abs(there[2] - before[2])) > 1e-4 * np.max(np.abs(before[2]))
    assert fresh[0] > called(backend, boundary_f1_loss, other)[0]
    assert_same(called(backend, boundary_f1_loss, arrays), before)


def test_options_changed_in_place_count(backend, arrays):
    classes = arrays[0].shape[1]
    weights = [1.0] * classes
    assert_same(
        called(backend, cross_entropy_loss, arrays, class_weights=weights),
        called(backend, cross_entropy_loss, arrays),
    )
    weights[0] = 5.0
    found = called(backend, cross_entropy_loss, arrays, class_weights=weights)
    assert_same(found, called(backend, cross_entropy_loss, arrays, class_weights=tuple(weights)))
    assert abs(found[0] - called(backend, cross_entropy_loss, arrays)[0]) > 1e-6


def test_every_call_runs_the_loss_once(backend, arrays):
    """What it does besides, as a ``print``, it does at every call."""
    ran = itertools.count()

    def counted(predictions, targets):
        next(ran)
        return dice_loss(predictions, targets)

    function = agnoloss.value_and_grad(counted)
    for _ in range(3):
        counted(*arrays)
        function(*arrays)
    assert next(ran) == 6


def test_a_loss_closes_over_an_array(backend, arrays):
    """Another at each call."""
    for seed in range(2):
        weights = backend.array(np.random.default_rng(seed).uniform(1, 2, arrays[1].shape))

        def weighted(predictions, targets, weights=weights):
            each = cross_entropy_loss(predictions, targets, reduction="none")
            return array_namespace(each).mean(each * weights)

        scale = backend.numpy(weights).mean()
        expected = called(backend, cross_entropy_loss, arrays, pixel_weights=weights)
        assert_same(called(backend, weighted, arrays), [scale * x for x in expected])


def test_a_loss_branches_on_its_targets(backend, arrays):
    """The branch of this call, whatever the last one took."""
    if backend.name not in LOOKING_IS_FREE:
        pytest.skip(f"{backend.name}: a value is not looked at")

    def cautious(predictions, targets):
        xp = array_namespace(targets)
        if bool(xp.any(targets == 0)):
            return dice_loss(predictions, targets)
        return cross_entropy_loss(predictions, targets)

    predictions, targets = arrays
    without = targets + array_namespace(targets).astype(targets == 0, targets.dtype)
    for labels, loss in ((targets, dice_loss), (without, cross_entropy_loss), (targets, dice_loss)):
        given = predictions, labels
        assert_same(called(backend, cautious, given), called(backend, loss, given))


WEIGHTED = sorted(
    name for name, loss in MULTICLASS.items() if takes(loss, "class_weights") and name in WITHOUT_NEIGHBOURS
)  # those with neighbours take seconds, for their maps


@pytest.mark.parametrize(
    "name", sorted(name for name in WEIGHTED if takes(MULTICLASS[name], "class_weights"))
)
def test_weights_in_an_array_leave_the_value_the_same_to_the_last_digit(backend, arrays, name):
    loss, (predictions, targets) = MULTICLASS[name], arrays
    rng, classes = np.random.default_rng(5), predictions.shape[1]
    for _ in range(50 if targets.shape[0] == 1 else 3):
        weights = backend.array(rng.uniform(0.5, 2, classes))
        value = backend.numpy(loss(predictions, targets, class_weights=weights))
        both = agnoloss.value_and_grad(loss)(predictions, targets, class_weights=weights)
        np.testing.assert_array_equal(backend.numpy(both[0]), value)

"""What is left out is as if it were not there: a term with the factor 0, a channel with nothing valid."""

import math

import numpy as np
import pytest

from agnoloss import (
    balanced_cross_entropy_loss,
    combo_loss,
    cost_sensitive_cross_entropy_loss,
    cross_entropy_loss,
    dice_cross_entropy_loss,
    dice_loss,
    exponential_logarithmic_loss,
    focal_loss,
    focal_modulation,
    iou,
    lovasz_hinge_loss,
    top_k_cross_entropy_loss,
    value_and_grad,
)

from ..laws.all_laws import BY_NAME, breaches, excused
from ..suite.registry import ENTRIES
from .losses import LOSSES, MODES, takes

INF = math.inf
RNG = np.random.default_rng(21)

# The law's own file asks NumPy and array-api-strict.
LEFT_OUT = [BY_NAME[name] for name in ("factor of zero", "empty channel")]


@pytest.mark.parametrize("law", LEFT_OUT, ids=lambda law: law.name)
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_as_if_it_were_not_there(backend, entry, law):
    found = [str(breach) for breach in breaches(law, entry, backend) if not excused(entry, breach)]
    assert not found, "\n".join(found)


# --- a factor of 0 ----------------------------------------------------------------------------


def evaluate(backend, loss, z, y, **options):
    value, gradient = value_and_grad(loss)(backend.array(z), backend.array(y), **options)
    return backend.numpy(value), backend.numpy(gradient)


@pytest.mark.parametrize("dense", [False, True])
def test_a_class_of_weight_0_that_is_ruled_out(backend, dense):
    """The second pixel alone: -log of e^2 / (e^1 + e^0 + e^2), and its softmax less the label's 1."""
    z, y = np.asarray([[0.3, -INF, 0.5], [1.0, 0.0, 2.0]]), np.asarray([1, 2])
    value, gradient = evaluate(
        backend, cross_entropy_loss, z, np.eye(3)[y] if dense else y, class_weights=[1, 0, 1]
    )
    total = math.exp(1) + math.exp(0) + math.exp(2)
    assert value == pytest.approx(math.log(total) - 2, rel=1e-14)
    expected = [[0, 0, 0], [math.exp(1) / total, 1 / total, math.exp(2) / total - 1]]
    np.testing.assert_allclose(gradient, expected, rtol=1e-13, atol=1e-16)


Y = np.asarray([[1, 0, 1, 0, 1, 0]])
MISSED, FALSE = (
    np.asarray([[-INF, 0.5, 1.5, -2.0, -0.5, 1.0]]),
    np.asarray([[-0.5, INF, 1.5, -2.0, 2.5, 1.0]]),
)
LABELS = np.asarray([[0, 1, 2, 1, 0]])
SCORES = np.asarray(
    [[[-INF, 0.5, 1.0, -1.0, 2.0], [0.25, 1.5, -0.5, 2.5, 0.0], [0.75, -1.5, 0.5, 0.125, 1.0]]]
)
TWO_SIDED = [
    (MISSED, cross_entropy_loss, {"pos_weight": 0.0}),
    (MISSED, cross_entropy_loss, {"pos_weight": [0.0]}),
    (FALSE, balanced_cross_entropy_loss, {"beta": 1.0}),
    (MISSED, balanced_cross_entropy_loss, {"beta": 0.0}),
    (FALSE, focal_loss, {"alpha": 1.0}),
    (MISSED, focal_loss, {"alpha": 0.0}),
    (MISSED, focal_loss, {"alpha": [0.0], "gamma": 0.5}),
    (MISSED, dice_cross_entropy_loss, {"pos_weight": 0.0}),
    (FALSE, combo_loss, {"beta": 1.0}),
    (MISSED, combo_loss, {"beta": 0.0}),
    (FALSE, combo_loss, {"alpha": 0.0}),
    (MISSED, dice_cross_entropy_loss, {"cross_entropy_weight": 0.0}),
    (MISSED, exponential_logarithmic_loss, {"cross_entropy_weight": 0.0}),
]
MULTICLASS = [
    (SCORES, focal_loss, {"alpha": [0.0, 1.0, 2.0]}),
    (SCORES, cost_sensitive_cross_entropy_loss, {"cost_matrix": [[0, 0, 0], [1, 2, 1], [3, 1, 1]]}),
    (SCORES, top_k_cross_entropy_loss, {"class_weights": [0, 1, 2], "k": 0.75}),
    (SCORES, cross_entropy_loss, {"class_weights": [0, 1, 2], "label_smoothing": 0.0}),
    (SCORES, dice_cross_entropy_loss, {"cross_entropy_weight": 0.0}),
    (SCORES, combo_loss, {"alpha": 0.0}),
    (SCORES, combo_loss, {"beta": 0.0}),
    (SCORES, exponential_logarithmic_loss, {"cross_entropy_weight": 0.0}),
    (SCORES, exponential_logarithmic_loss, {"class_weights": [0, 1, 2]}),
]
FACTORS = [(mode, *case) for mode in ("binary", "multilabel") for case in TWO_SIDED]
FACTORS += [("multiclass", *case) for case in MULTICLASS]


def same_as_far(backend, mode, z, y, loss, **options):
    """Where p is 0 all the same, and its logarithm finite."""
    z, y = (x[:, None] if mode == "multilabel" else x for x in (z, y))
    value, gradient = evaluate(backend, loss, z, y, mode=mode, **options)
    expected = evaluate(backend, loss, np.clip(z, -1e4, 1e4), y, mode=mode, **options)
    assert np.isfinite(value)
    np.testing.assert_allclose(value, expected[0], rtol=1e-14)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-13, atol=1e-17)


@pytest.mark.parametrize(
    ("mode", "z", "loss", "options"), FACTORS, ids=[f"{m} {f.__name__} {o}" for m, _, f, o in FACTORS]
)
@pytest.mark.parametrize("dense", [False, True])
def test_a_factor_of_0_leaves_its_term_out(backend, mode, z, loss, options, dense):
    y = LABELS if mode == "multiclass" else Y.astype(float if dense else int)
    if mode == "multiclass" and dense:
        y = np.moveaxis(np.eye(3)[y], -1, 1)
    same_as_far(backend, mode, z, y, loss, **options)


@pytest.mark.parametrize("kind", [int, float])
@pytest.mark.parametrize("y", [0, 1])
def test_a_batch_of_one_side_weighs_nothing(backend, kind, y):
    """beta is 1 without positives: nothing is left but (1 - beta) times what may be infinite."""
    z, weights = np.asarray([[INF, -1.0, 0.5]]), backend.array(np.asarray([[0.1, 0.7, 0.3]]))
    targets = np.full(z.shape, y, kind)
    for options in ({}, {"pixel_weights": weights}):
        value, gradient = evaluate(backend, balanced_cross_entropy_loss, z * (1 - 2 * y), targets, **options)
        assert value == 0
        np.testing.assert_array_equal(gradient, np.zeros(z.shape))


def test_infinite_errors_of_no_weight(backend):
    """All of J has fallen with the first, the foreground: the second adds 0 times its error."""
    z, y = np.asarray([[-3.0, INF, 0.5]]), np.asarray([[1, 0, 0]])
    assert evaluate(backend, lovasz_hinge_loss, z, y)[0] == INF
    z, y = np.asarray([[-INF, INF]]), np.asarray([[1, 0]])
    value, gradient = evaluate(backend, lovasz_hinge_loss, z, y)
    assert value == INF
    assert np.all(np.isfinite(gradient))


# --- infinite losses have finite slopes -------------------------------------------------------

OF_LOGARITHMS = {
    cross_entropy_loss: {},
    balanced_cross_entropy_loss: {},
    focal_loss: {},
    top_k_cross_entropy_loss: {"k": 0.5},
    dice_cross_entropy_loss: {},
    combo_loss: {},
    exponential_logarithmic_loss: {},
    cost_sensitive_cross_entropy_loss: {"cost_matrix": [[1, 2, 3], [4, 5, 6], [7, 8, 9]]},
}
SLOPES = [
    (mode, loss, options | more)
    for loss, options in OF_LOGARITHMS.items()
    for mode in MODES.get(loss, ("multiclass",))
    for more in ([{"gamma": g} for g in (0, 0.5, 1, 2, 2.5, 3)] if loss is focal_loss else [{}])
]
slopes = pytest.mark.parametrize(
    ("mode", "loss", "options"), SLOPES, ids=[f"{m} {f.__name__} {o}" for m, f, o in SLOPES]
)


@slopes
@pytest.mark.parametrize("dense", [False, True])
def test_the_slope_of_an_infinite_loss(backend, mode, loss, options, dense):
    """d log p is 1 - p of the score and -p of the others: that of a score of -1e4, where p is 0 as well."""
    z, y = (SCORES, LABELS) if mode == "multiclass" else (MISSED, Y.astype(float if dense else int))
    if mode == "multiclass" and dense:
        y = np.moveaxis(np.eye(3)[y], -1, 1)
    if mode == "multilabel":
        z, y = z[:, None], y[:, None]
    value, gradient = evaluate(backend, loss, z, y, mode=mode, **options)
    assert value == INF
    expected = evaluate(backend, loss, np.clip(z, -1e4, 1e4), y, mode=mode, **options)[1]
    assert np.all(np.isfinite(gradient))
    # x^0.3 of exponential logarithmic loss is steeper at 1e4 than at infinity
    np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-4 if "log" in loss.__name__ else 1e-16)


@pytest.mark.filterwarnings("ignore:overflow encountered")  # of array-api-strict, which is NumPy below
@slopes
def test_the_slope_at_the_largest_scores(backend, mode, loss, options):
    """float32 ends at 3.4e38."""
    z, y = np.asarray([[[3e38, -1.0], [-3e38, 2.0]]], np.float32), np.asarray([[1, 0]])
    if mode == "binary":
        z, y = np.asarray([[-3e38, 1.0]], np.float32), np.asarray([[1, 0]])
    elif mode == "multilabel":
        z, y = np.asarray([[[-3e38, 1.0]]], np.float32), np.asarray([[[1, 0]]])
    elif "cost_matrix" in options:
        options = {"cost_matrix": [[1, 2], [3, 4]]}
    value, gradient = evaluate(backend, loss, z, y, mode=mode, **options)
    assert value > 1e10
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 3.0])
def test_the_slope_of_focal_modulation(backend, gamma):
    """(1 - e^-x)^gamma x is x where e^-x is 0."""
    for x, dtype in ((INF, np.float64), (1e4, np.float64), (3e38, np.float32)):
        value, slope = value_and_grad(lambda ce: focal_modulation(ce, gamma))(
            backend.array(np.asarray(x, dtype))
        )
        assert backend.numpy(value) == np.asarray(x, dtype)
        assert backend.numpy(slope) == 1


# --- a channel with nothing valid -------------------------------------------------------------

Z3 = RNG.normal(size=(3, 2, 4, 4))
Y3 = RNG.integers(0, 2, Z3.shape)


def test_a_channel_that_nobody_annotated(backend):
    """The other one by itself, 1 - (2 TP + 1) / (P + T + 1)."""
    y = Y3.copy()
    y[:, 1] = -1
    p = 1 / (1 + np.exp(-Z3[:, 0]))
    t = Y3[:, 0]
    expected = 1 - (2 * np.sum(p * t) + 1) / (np.sum(p) + np.sum(t) + 1)
    value = dice_loss(backend.array(Z3), backend.array(y), mode="multilabel", ignore_index=-1)
    assert backend.numpy(value) == pytest.approx(expected, rel=1e-13)
    both = np.sum((p > 0.5) & (t == 1)) / np.sum((p > 0.5) | (t == 1))
    given = {"mode": "multilabel", "ignore_index": -1}
    for per_image in (False, True):
        value = iou(backend.array(Z3), backend.array(y), per_image=per_image, absent=0.75, **given)
        each = [
            np.sum((a > 0.5) & (b == 1)) / np.sum((a > 0.5) | (b == 1)) for a, b in zip(p, t, strict=True)
        ]
        assert backend.numpy(value) == pytest.approx(np.mean(each) if per_image else both, rel=1e-13)


PER_IMAGE = {
    name: loss
    for name, loss in LOSSES.items()
    if "multilabel" in MODES[loss] and (takes(loss, "per_image") or loss.__name__ == "boundary_f1_loss")
}


@pytest.mark.parametrize("loss", PER_IMAGE.values(), ids=PER_IMAGE)
@pytest.mark.parametrize("class_weights", [None, (0.5, 2.0)])
def test_a_channel_of_one_image(backend, loss, class_weights):
    """The mean of images each by itself, of which one has another channel only."""
    y = Y3.copy()
    y[1, 0] = -1
    options = {"mode": "multilabel", "ignore_index": -1}
    if takes(loss, "per_image") and loss.__name__ != "dice_boundary_loss":
        options["per_image"] = True
    if loss.__name__ in ("dice_cross_entropy_loss", "exponential_logarithmic_loss"):
        options["cross_entropy_weight"] = 0.0
    if loss.__name__ == "combo_loss":
        options["alpha"] = 0.0
    if loss.__name__ == "dice_boundary_loss":
        return  # its border term pools all images
    value, gradient = evaluate(backend, loss, Z3, y, **options, class_weights=class_weights)
    alone = [
        value_and_grad(loss)(Z3[n : n + 1, kept], y[n : n + 1, kept], **options, class_weights=w)
        for n, kept, w in (
            (0, slice(None), class_weights),
            (1, slice(1, None), None),
            (2, slice(None), class_weights),
        )
    ]
    assert value == pytest.approx(np.mean([v for v, _ in alone]), rel=1e-12)
    expected = np.zeros_like(Z3)
    expected[[0]], expected[1:2, 1:], expected[[2]] = (g / 3 for _, g in alone)
    np.testing.assert_allclose(gradient, expected, rtol=1e-11, atol=1e-16)


def test_a_channel_that_is_empty_counts(backend):
    """Annotated, and nothing in it: its Dice is 1 / (P + 1)."""
    y = Y3.copy()
    y[:, 1] = 0
    p, t = 1 / (1 + np.exp(-Z3)), y
    scores = [(2 * np.sum(p[:, c] * t[:, c]) + 1) / (np.sum(p[:, c]) + np.sum(t[:, c]) + 1) for c in (0, 1)]
    value = dice_loss(backend.array(Z3), backend.array(y), mode="multilabel", ignore_index=-1)
    assert backend.numpy(value) == pytest.approx(1 - np.mean(scores), rel=1e-13)

"""Values a loss refuses: numbers and arrays of options, labels and probabilities out of range."""

import math
import re

import numpy as np
import pytest

import agnoloss
from agnoloss import (
    balanced_cross_entropy_loss,
    cross_entropy_loss,
    dice_cross_entropy_loss,
    dice_loss,
    focal_loss,
    focal_modulation,
    jaccard_loss,
    lovasz_softmax_loss,
    tversky_loss,
)

from .losses import MODES, MULTICLASS, MULTILABEL, REDUCTIONS, takes

LOOKING_IS_FREE = ("numpy", "torch", "jax")  # host memory, nothing traced

RNG = np.random.default_rng(8)
Z = RNG.normal(size=(2, 3, 4))
Y = RNG.integers(0, 3, (2, 4))
B = RNG.integers(0, 2, (2, 3, 4))

losses = pytest.mark.parametrize("loss", MULTILABEL.values(), ids=MULTILABEL)
multiclass_losses = pytest.mark.parametrize("loss", MULTICLASS.values(), ids=MULTICLASS)


def refused(kind, *words):
    return pytest.raises(kind, match="(?s)" + "".join(f"(?=.*{re.escape(word)})" for word in words))


def refused_or_nan(backend, call, *words):
    """ValueError where looking costs nothing, NaN elsewhere: never silently a number."""
    if backend.name in LOOKING_IS_FREE:
        with refused(ValueError, *words):
            call()
    else:
        assert np.all(np.isnan(backend.numpy(call())))


# Weights


@losses
@pytest.mark.parametrize("shape", [(2, 3), (2, 4, 3), (2, 1, 4), (4,), (), (1, 4), (2, 1)], ids=str)
def test_pixel_weights_of_a_wrong_shape(backend, loss, shape):
    weights = backend.array(np.ones(shape))
    with refused(ValueError, "`pixel_weights`", "(2, 4)", "(2, 3, 4)", f"got {shape}"):
        loss(backend.array(Z), backend.array(B), mode="multilabel", pixel_weights=weights)


@losses
def test_negative_pixel_weights(backend, loss):
    weights = np.ones((2, 4))
    weights[1, 2] = -0.5
    if backend.name not in LOOKING_IS_FREE:
        return  # a weight is the caller's word: nothing is promised where looking costs
    with refused(ValueError, "`pixel_weights`", "negative", "-0.5"):
        loss(backend.array(Z), backend.array(B), mode="multilabel", pixel_weights=backend.array(weights))


PER_CLASS = [
    *((loss, "class_weights", {}) for loss in MULTILABEL.values()),
    (cross_entropy_loss, "pos_weight", {}),
    (dice_cross_entropy_loss, "pos_weight", {}),
    (focal_loss, "alpha", {}),
    (balanced_cross_entropy_loss, "beta", {}),
]
per_class = pytest.mark.parametrize(
    ("loss", "name", "options"), PER_CLASS, ids=[f"{loss.__name__}-{name}" for loss, name, _ in PER_CLASS]
)


@per_class
@pytest.mark.parametrize("count", [0, 1, 2, 4])
@pytest.mark.parametrize("kind", [list, tuple, np.asarray])
def test_one_number_for_each_class(backend, loss, name, options, count, kind):
    value = kind([0.5] * count)
    value = backend.array(value) if kind is np.asarray else value
    with refused(ValueError, f"`{name}`", "length 3", f"({count},)"):
        loss(backend.array(Z), backend.array(B), mode="multilabel", **{name: value})


@per_class
def test_one_number_for_each_class_is_no_matrix(backend, loss, name, options):
    with refused(ValueError, f"`{name}`", "length 3", "(3, 1)"):
        loss(backend.array(Z), backend.array(B), mode="multilabel", **{name: backend.array(np.ones((3, 1)))})


@per_class
@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ([0.5, -0.5, 1.0], ValueError),
        ([0.5, math.nan, 1.0], ValueError),
        ([0.5, math.inf, 1.0], ValueError),
        ([0.5, "1", 1.0], TypeError),
        ([0.5, None, 1.0], TypeError),
        ({0: 0.5, 1: 0.5, 2: 0.5}, TypeError),
        (..., TypeError),
        (1j, TypeError),
    ],
    ids=str,
)
def test_numbers_that_are_no_weights(backend, loss, name, options, value, kind):
    with refused(kind, f"`{name}`"):
        loss(backend.array(Z), backend.array(B), mode="multilabel", **{name: value})


@per_class
def test_complex_numbers_are_no_weights(backend, loss, name, options):
    with refused(TypeError, f"`{name}`", "complex"):
        loss(
            backend.array(Z),
            backend.array(B),
            mode="multilabel",
            **{name: backend.array(np.ones(3, complex))},
        )


@losses
def test_class_weights_are_no_single_number(backend, loss):
    with refused(TypeError, "`class_weights`", "sequence of 3", "2.0"):
        loss(backend.array(Z), backend.array(B), mode="multilabel", class_weights=2.0)


# Numbers, words and indices of single losses

REGION = [dice_loss, jaccard_loss, tversky_loss, dice_cross_entropy_loss]
WRONG = [
    *((loss, {"smooth": -1.0}, ValueError, ["at least 0", "-1.0"]) for loss in REGION),
    *((loss, {"smooth": (0.0, -1.0)}, ValueError, ["at least 0", "-1.0"]) for loss in REGION),
    *((loss, {"smooth": math.nan}, ValueError, ["at least 0", "nan"]) for loss in REGION),
    *((loss, {"smooth": (1, 2, 3)}, ValueError, ["pair", "(1, 2, 3)"]) for loss in REGION),
    *((loss, {"smooth": "1"}, TypeError, ["number", "'1'"]) for loss in REGION),
    *((loss, {"smooth": None}, TypeError, ["number", "None"]) for loss in REGION),
    *((loss, {"average": "weighted"}, ValueError, ['"macro" or "micro"', "'weighted'"]) for loss in REGION),
    *((loss, {"per_image": 1}, TypeError, ["True or False", "1"]) for loss in [*REGION, lovasz_softmax_loss]),
    *((loss, {"squared": 2}, TypeError, ["True or False", "2"]) for loss in REGION if loss != tversky_loss),
    (agnoloss.lovasz_hinge_loss, {"per_image": "no"}, TypeError, ["True or False", "'no'"]),
    (tversky_loss, {"alpha": -0.1}, ValueError, ["at least 0", "-0.1"]),
    (tversky_loss, {"beta": -0.1}, ValueError, ["at least 0", "-0.1"]),
    (tversky_loss, {"alpha": [0.3, 0.3, 0.3]}, TypeError, ["number", "[0.3"]),
    (focal_loss, {"gamma": -0.5}, ValueError, ["at least 0", "-0.5"]),
    (focal_loss, {"gamma": math.nan}, ValueError, ["at least 0", "nan"]),
    (focal_loss, {"gamma": "2"}, TypeError, ["number", "'2'"]),
    (focal_loss, {"gamma": True}, TypeError, ["number", "True"]),
    (focal_loss, {"alpha": 1.5}, ValueError, ["from 0.0 to 1.0", "1.5"]),
    (focal_loss, {"alpha": [0.5, 0.5, 1.5]}, ValueError, ["from 0.0 to 1.0", "1.5"]),
    (balanced_cross_entropy_loss, {"beta": 1.5}, ValueError, ["from 0.0 to 1.0", "1.5"]),
    (balanced_cross_entropy_loss, {"beta": "auto"}, TypeError, ["number", "'auto'"]),
    *(
        (loss, {"label_smoothing": wrong}, ValueError, ["from 0.0 to 1.0", str(wrong)])
        for loss in (cross_entropy_loss, dice_cross_entropy_loss)
        for wrong in (-0.1, 1.1, math.nan)
    ),
    (dice_cross_entropy_loss, {"dice_weight": "1"}, TypeError, ["number", "'1'"]),
    (dice_cross_entropy_loss, {"cross_entropy_weight": None}, TypeError, ["number", "None"]),
    *(
        (loss, {"classes": wrong}, kind, words)
        for loss in [*REGION, lovasz_softmax_loss]
        for wrong, kind, words in [
            ("foreground", ValueError, ['"all" or "present"', "'foreground'"]),
            ([0, 3], ValueError, ["from 0 to 2", "[0, 3]"]),
            ([-1], ValueError, ["from 0 to 2", "[-1]"]),
            ([1, 1], ValueError, ["different", "[1, 1]"]),
            ((), ValueError, ["at least one", "()"]),
            ([1.0], TypeError, ["indices", "[1.0]"]),
            ([False, True], TypeError, ["indices", "[False, True]"]),
            (1, TypeError, ["indices", "got 1"]),
            (None, TypeError, ["indices", "None"]),
        ]
    ),
]


@pytest.mark.parametrize(
    ("loss", "options", "kind", "words"), WRONG, ids=[f"{w[0].__name__}-{w[1]}" for w in WRONG]
)
def test_wrong_options(backend, loss, options, kind, words):
    (name,) = options
    with refused(kind, f"`{name}`", *words):
        loss(backend.array(Z), backend.array(B), mode="multilabel", **options)


@pytest.mark.parametrize("alpha", [0.25, 1, np.float32(0.25)])
def test_one_alpha_for_all_classes_only_rescales(backend, alpha):
    with pytest.raises((TypeError, ValueError), match=r"`alpha` must .* 3 .*0\.25|`alpha` must .* 3 .*got 1"):
        focal_loss(backend.array(Z), backend.array(Y), alpha=alpha)


@pytest.mark.parametrize("loss", [cross_entropy_loss, dice_cross_entropy_loss])
def test_no_positives_in_multiclass(backend, loss):
    with refused(ValueError, "`pos_weight`", "binary and multilabel", "`class_weights`", "2.0"):
        loss(backend.array(Z), backend.array(Y), pos_weight=2.0)


@pytest.mark.parametrize("loss", REGION)
def test_sums_of_one_image_are_not_added_over_devices(backend, loss):
    with refused(ValueError, "`all_reduce`", "per_image"):
        loss(backend.array(Z), backend.array(Y), per_image=True, all_reduce=lambda sums: sums)


def test_focal_modulation(backend):
    with refused(TypeError, "`cross_entropy`", "floating", "int64"):
        focal_modulation(backend.array(np.asarray([1, 2])))
    with refused(TypeError, "`cross_entropy`", "array", "list"):
        focal_modulation([0.5])
    with refused(ValueError, "`gamma`", "at least 0", "-1.0"):
        focal_modulation(backend.array(np.asarray([0.5])), -1.0)


# Labels, dense targets and probabilities out of range


@multiclass_losses
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    ("label", "dtype"), [(3, np.int64), (-1, np.int32), (255, np.uint8), (-100, np.int16)]
)
def test_a_label_out_of_range(backend, loss, label, dtype, reduction):
    y = Y.astype(dtype)
    y[1, 2] = label
    reduction = reduction if reduction in REDUCTIONS[loss] else "mean"

    def call(**options):
        return loss(backend.array(Z), backend.array(y), **options)

    if reduction == "none" and backend.name not in LOOKING_IS_FREE:
        assert np.any(np.isnan(backend.numpy(call(reduction="none"))))
        return
    refused_or_nan(
        backend, lambda: call(reduction=reduction), "`targets`", "labels from 0 to 2", f"got {label}"
    )
    assert math.isfinite(float(backend.numpy(call(ignore_index=label))))
    refused_or_nan(backend, lambda: call(ignore_index=77), "from 0 to 2 or (77,)", f"got {label}")
    weights = np.ones(y.shape)
    weights[1, 2] = 0  # left out as if ignored
    assert math.isfinite(float(backend.numpy(call(pixel_weights=backend.array(weights)))))


@losses
@pytest.mark.parametrize("mode", ["binary", "multilabel"])
@pytest.mark.parametrize("value", [2, -1, 1.5])
def test_a_target_out_of_range(backend, loss, mode, value):
    y = B.astype(np.asarray(value).dtype)
    y[1, 2, 0] = value
    z, y = backend.array(Z), backend.array(y)
    refused_or_nan(backend, lambda: loss(z, y, mode=mode), "`targets`", "from 0 to 1", f"got {value}")


@pytest.mark.parametrize(
    ("loss", "mode", "value"),
    [
        (loss, mode, value)
        for loss, modes in MODES.items()
        for mode, value in [("multilabel", 1.5), ("binary", -0.5), ("multiclass", -0.5)]
        if takes(loss, "from_logits") and mode in modes
    ],
)
def test_scores_in_place_of_probabilities(backend, loss, mode, value):
    p, y = np.full((2, 3, 4), 0.5), (Y if mode == "multiclass" else B)
    p[1, 2, 0] = value

    def call():
        return loss(backend.array(p), backend.array(y), mode=mode, from_logits=False)

    refused_or_nan(backend, call, "`predictions`", "probabilities", f"got {value}", "from_logits=True")

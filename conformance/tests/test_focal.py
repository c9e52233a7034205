"""Focal loss with the options of cross entropy, which it is at gamma = 0."""

import math

import numpy as np
import pytest

from agnoloss import cross_entropy_loss, focal_loss, value_and_grad

from .test_input_values import refused

RNG = np.random.default_rng(13)
Z, Y = RNG.normal(size=(2, 3, 4)), RNG.integers(0, 3, (2, 4))
ONE_HOT = np.moveaxis(np.eye(3, dtype=int)[Y], -1, 1)
SOFT = RNG.dirichlet([1.0] * 3, (2, 4)).transpose(0, 2, 1)

TARGETS = {
    "multiclass": (Y, SOFT),
    "multilabel": (ONE_HOT, RNG.uniform(size=Z.shape)),
    "binary": (ONE_HOT, RNG.uniform(size=Z.shape)),
}
OPTIONS = (
    {"label_smoothing": 0.2},
    {"label_smoothing": 0.2, "class_weights": "balanced", "reduction": "sum"},
    {"label_smoothing": 1.0, "pixel_weights": RNG.uniform(size=(2, 4))},
    {"pos_weight": 2.5},
    {"pos_weight": [0.5, 1.0, 2.0], "label_smoothing": 0.2, "from_logits": False},
)
CASES = [
    (mode, kind, options)
    for mode in TARGETS
    for kind in (0, 1)
    for options in OPTIONS
    if not (mode == "multiclass" and "pos_weight" in options)
]


def options_of(backend, mode, options):
    options = dict(options)
    if "pixel_weights" in options:
        weights = np.repeat(options["pixel_weights"][:, None], 3, 1)
        options["pixel_weights"] = backend.array(weights if mode == "binary" else weights[:, 0])
    if mode == "binary" and isinstance(options.get("pos_weight"), list):
        options["pos_weight"] = options["pos_weight"][:1]
    return {"mode": mode} | options


@pytest.mark.parametrize(("mode", "kind", "options"), CASES)
def test_gamma_zero_is_cross_entropy(backend, mode, kind, options):
    options = options_of(backend, mode, options)
    p = Z if options.get("from_logits", True) else 1 / (1 + np.exp(-Z))
    z, y = backend.array(p), backend.array(TARGETS[mode][kind])
    focal = value_and_grad(focal_loss)(z, y, gamma=0.0, **options)
    entropy = value_and_grad(cross_entropy_loss)(z, y, **options)
    for one, other in zip(focal, entropy, strict=True):
        np.testing.assert_allclose(backend.numpy(one), backend.numpy(other), rtol=1e-13, atol=1e-16)


def test_smoothing_by_hand(backend):
    p, y = backend.array(np.asarray([[0.7, 0.2, 0.1]])), backend.array(np.asarray([0]))
    value = backend.numpy(focal_loss(p, y, from_logits=False, gamma=2.0, label_smoothing=0.3))
    terms = [0.8 * 0.3**2 * math.log(0.7), 0.1 * 0.8**2 * math.log(0.2), 0.1 * 0.9**2 * math.log(0.1)]
    np.testing.assert_allclose(value, -sum(terms), rtol=1e-14)
    p, y = backend.array(np.asarray([0.7])), backend.array(np.asarray([1]))
    options = {"mode": "binary", "from_logits": False, "gamma": 1.0, "alpha": 0.25}
    value = backend.numpy(focal_loss(p, y, label_smoothing=0.2, pos_weight=3.0, **options))
    expected = -3 * 0.25 * 0.9 * 0.3 * math.log(0.7) - 0.75 * 0.1 * 0.7 * math.log(0.3)
    np.testing.assert_allclose(value, expected, rtol=1e-14)


def test_positives_have_no_weight_among_many_classes(backend):
    with refused(ValueError, "`pos_weight`", "binary and multilabel", "`class_weights`", "2.0"):
        focal_loss(backend.array(Z), backend.array(Y), pos_weight=2.0)


def test_what_is_out_of_range(backend):
    z, y = backend.array(Z), backend.array(ONE_HOT)
    for smoothing in (-0.1, 1.5):
        with refused(ValueError, "`label_smoothing`", "from 0.0 to 1.0", str(smoothing)):
            focal_loss(z, y, mode="multilabel", label_smoothing=smoothing)
    with refused(ValueError, "`pos_weight`", "at least 0", "-1.0"):
        focal_loss(z, y, mode="multilabel", pos_weight=-1.0)

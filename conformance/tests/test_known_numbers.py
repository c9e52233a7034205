"""Two values known from outside, on every library, from probabilities and from logits."""

import numpy as np
import pytest

from agnoloss import cross_entropy_loss

BINARY = np.asarray([0.23646617, 0.97911987, 0.69052516, 0.50211481, 0.39236193])
BINARY_TARGETS = np.asarray([1, 1, 0, 1, 1])
MULTICLASS = np.asarray(
    [
        [0.44738859, 0.50149158, 0.99165305],
        [0.66047294, 0.55890212, 0.49924387],
        [0.2049042, 0.99509507, 0.47469392],
        [0.84587505, 0.37910283, 0.42233321],
        [0.17514246, 0.20649966, 0.64933319],
    ]
)
MULTICLASS_TARGETS = np.asarray([1, 0, 2, 1, 1])


@pytest.mark.parametrize("from_logits", [False, True])
def test_binary_cross_entropy(backend, from_logits):
    given = np.log(BINARY) - np.log1p(-BINARY) if from_logits else BINARY
    predictions, targets = backend.array(given), backend.array(BINARY_TARGETS)
    value = cross_entropy_loss(predictions, targets, mode="binary", from_logits=from_logits)
    assert float(backend.numpy(value)) == pytest.approx(0.8520853731070185, rel=1e-15)


@pytest.mark.parametrize("from_logits", [False, True])
def test_multiclass_cross_entropy(backend, from_logits):
    given = np.log(MULTICLASS) if from_logits else MULTICLASS
    predictions, targets = backend.array(given), backend.array(MULTICLASS_TARGETS)
    value = cross_entropy_loss(predictions, targets, axis=-1, from_logits=from_logits)
    assert float(backend.numpy(value)) == pytest.approx(1.3294440631054194, rel=1e-15)

"""Gradients by what is not the predictions: pixel weights, dense targets; numbers from differences."""

import numpy as np
import pytest

from agnoloss import cross_entropy_loss, grad, lovasz_hinge_loss, lovasz_softmax_loss

from ..laws.all_laws import BY_NAME, breaches, excused
from ..suite.registry import ENTRIES
from .test_gradient_calls import differences

# The laws' own file asks NumPy and array-api-strict alone.
OF_ARGUMENTS = [BY_NAME[name] for name in ("gradient of weights", "gradient of targets")]
LOVASZ = [lovasz_softmax_loss, lovasz_hinge_loss]

RNG = np.random.default_rng(23)
P = RNG.uniform(0.125, 0.875, (2, 6))
Y = RNG.integers(0, 2, (2, 6))


@pytest.mark.parametrize("law", OF_ARGUMENTS, ids=lambda law: law.name)
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_it_is_the_difference(backend, entry, law):
    found = [str(breach) for breach in breaches(law, entry, backend) if not excused(entry, breach)]
    assert not found, "\n".join(found)


def test_a_target_of_0_by_hand(backend):
    """d(-sum y log p)/dy is -log p there too, over two pixels."""
    z, y = np.log(np.asarray([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])), np.eye(3)[[0, 2]]
    gradient = grad(cross_entropy_loss, 1)(backend.array(z), backend.array(y))
    # of the mean: the sum of y is its divisor, so that (log p - loss) / 2 is left
    loss = -(np.log(0.5) + np.log(0.8)) / 2
    np.testing.assert_allclose(backend.numpy(gradient), (-z - loss) / 2, rtol=1e-12)


@pytest.mark.parametrize("loss", LOVASZ, ids=lambda loss: loss.__name__)
def test_weights_that_are_the_predictions(backend, loss):
    """Both gradients add up."""

    def call(p):
        return loss(p, Y if isinstance(p, np.ndarray) else backend.array(Y), mode="binary", pixel_weights=p)

    expected = differences(call, P)
    if backend.name == "torch":
        leaf = backend.array(P).requires_grad_()
        call(leaf).backward()
        np.testing.assert_allclose(backend.numpy(leaf.grad), expected, atol=1e-8)

    def of_tracked(p):
        return loss(p, backend.array(Y), mode="binary", pixel_weights=p)

    np.testing.assert_allclose(backend.numpy(grad(of_tracked)(backend.array(P))), expected, atol=1e-8)


@pytest.mark.parametrize("loss", LOVASZ, ids=lambda loss: loss.__name__)
@pytest.mark.parametrize("per_image", [False, True])
def test_weights_and_predictions_together(backend, loss, per_image):
    """One call for both is each by itself; a weight of 0 has no gradient."""
    weights = RNG.uniform(0.5, 2, P.shape)
    weights[1, 2] = 0

    def call(z, u, y):
        return loss(z, y, mode="binary", pixel_weights=u, per_image=per_image)

    arrays = [backend.array(x) for x in (P, weights, Y)]
    both = [backend.numpy(g) for g in grad(call, (0, 1))(*arrays)]
    expected = differences(lambda z: call(z, weights, Y), P)
    np.testing.assert_allclose(both[0], expected, atol=1e-8)
    np.testing.assert_allclose(backend.numpy(grad(call)(*arrays)), both[0], rtol=1e-12, atol=1e-16)
    positive = weights > 0
    steps = differences(lambda u: call(P, np.where(positive, u, 0), Y), weights)
    np.testing.assert_allclose(both[1], steps, atol=1e-8)
    assert both[1][1, 2] == 0

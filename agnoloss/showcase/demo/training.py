"""A small network and plain gradient descent: no line of it knows the library it runs on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from ... import cross_entropy_loss, dice_loss, lovasz_hinge_loss, value_and_grad
from ...compat import array_namespace
from .libraries import Library
from .scene import Scene

HIDDEN = 8  #: Width of the hidden layer.
MOMENTUM = 0.9  #: How much of the last step goes into the next.


class Lesson(NamedTuple):
    """A loss and the step width that suits its gradient."""

    loss: Callable[..., Any]
    rate: float

    @property
    def name(self) -> str:
        """Return the name under which the package exports the loss."""
        return self.loss.__name__


LESSONS = (
    Lesson(cross_entropy_loss, 0.5),
    Lesson(dice_loss, 2.0),
    Lesson(lovasz_hinge_loss, 0.1),
)


class Weights(NamedTuple):
    """What the network learns.

    Attributes
    ----------
    hidden : array, shape (F, HIDDEN)
        From the features to the hidden layer.
    output : array, shape (HIDDEN, 1)
        From there to the score.
    bias : array, shape (1,)
        Added to every score.
    """

    hidden: Any
    output: Any
    bias: Any


class Run(NamedTuple):
    """What came out of one loss on one library.

    Attributes
    ----------
    library, loss : str
        Who computed what.
    curve : tuple of float
        The loss on the seen pixels before every step, and after the last.
    iou : float
        Intersection over union on the half that the model never saw.
    seconds : float
        Time of the training, compilation included.
    weights : Weights
        What was learnt, as arrays of the library.
    """

    library: str
    loss: str
    curve: tuple[float, ...]
    iou: float
    seconds: float
    weights: Weights


def scores(hidden: Any, output: Any, bias: Any, features: Any) -> Any:
    """Give each pixel a raw score: tanh(features @ hidden) @ output + bias.

    Parameters
    ----------
    hidden, output, bias : array
        As in `Weights`.
    features : array, shape (N, H, W, F)
        Features per pixel.

    Returns
    -------
    array, shape (N, H, W)
        Positive where the network sees a coin.
    """
    xp = array_namespace(hidden, features)
    pixels = xp.reshape(features, (-1, features.shape[-1]))
    return xp.reshape(xp.tanh(pixels @ hidden) @ output + bias, features.shape[:-1])


def starting_weights(num_features: int) -> Weights:
    """Draw the weights that every library starts from, as NumPy arrays."""
    import numpy as np

    draw = np.random.default_rng(seed=0).normal
    return Weights(
        draw(size=(num_features, HIDDEN)) / num_features**0.5,
        draw(size=(HIDDEN, 1)) / HIDDEN**0.5,
        np.zeros(1),
    )


def train(lesson: Lesson, library: Library, scene: Scene, steps: int, report: Callable[..., None]) -> Run:
    """Teach the network what a coin is, by full-batch gradient descent with momentum.

    Parameters
    ----------
    lesson : Lesson
        The loss to minimise and its step width.
    library : Library
        The library to compute with.
    scene : Scene
        The photograph.
    steps : int
        How many steps.
    report : callable
        Called after each step with the loss before it, as ``value=``.

    Returns
    -------
    Run
        Curve, score, time and weights.
    """

    def objective(hidden: Any, output: Any, bias: Any, features: Any, targets: Any) -> Any:
        predictions = scores(hidden, output, bias, features)
        return lesson.loss(predictions, targets, mode="binary")

    def to_library(array: Any) -> Any:
        return library.arrays.asarray(array.copy())  # torch wants contiguous, writable arrays

    with library.double_precision():
        features, targets = map(to_library, scene.seen())
        weights = Weights(*map(to_library, starting_weights(features.shape[-1])))
        momenta = tuple(0.0 * weight for weight in weights)
        loss_and_gradients = value_and_grad(objective, argnums=(0, 1, 2))

        curve = []
        start = time.perf_counter()
        for _ in range(steps):
            value, gradients = loss_and_gradients(*weights, features, targets)
            momenta = tuple(MOMENTUM * m + g for m, g in zip(momenta, gradients, strict=True))
            weights = Weights(*(w - lesson.rate * m for w, m in zip(weights, momenta, strict=True)))
            curve.append(float(value))
            report(value=curve[-1])
        seconds = time.perf_counter() - start
        curve.append(float(objective(*weights, features, targets)))

        features, targets = map(to_library, scene.unseen())
        overlap = intersection_over_union(scores(*weights, features), targets)
    return Run(library.name, lesson.name, tuple(curve), overlap, seconds, weights)


def intersection_over_union(predictions: Any, targets: Any) -> float:
    """Compare the pixels with a positive score with those of label 1.

    Parameters
    ----------
    predictions : array
        Raw scores.
    targets : array, same shape
        Labels 0 and 1.

    Returns
    -------
    float
        Pixels in both over pixels in either; 1 where there are none.
    """
    xp = array_namespace(predictions, targets)
    found, there = predictions > 0, targets == 1
    # The standard adds up numbers, not truth values.
    both = int(xp.sum(xp.astype(found & there, xp.int64)))
    either = int(xp.sum(xp.astype(found | there, xp.int64)))
    return both / either if either else 1.0

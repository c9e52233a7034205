"""How losses are differentiated here: by the calls that users make, of the loss itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

import agnoloss
from agnoloss.compat import array_namespace

from .floats import numpy_dtype
from .library import Library

Loss = Callable[..., Any]


def gradients(
    loss: Loss, library: Library, predictions: Any, targets: Any, options: Mapping[str, Any], value: Any
) -> Iterator[tuple[str, Any, Any]]:
    """Differentiate a loss by every call there is for it.

    Parameters
    ----------
    loss : callable
        Of predictions and targets.
    library : Library
        An active library.
    predictions, targets : array
        The library's.
    options : mapping
        Keyword arguments.
    value : array
        What the loss gives for them.

    Yields
    ------
    call : str
        Its name.
    number, gradient : array
        What was differentiated, see `one_number`, and its gradient.
    """
    weights = cotangent(tuple(value.shape)).astype(numpy_dtype(library.dtype(value)))
    number = one_number(loss, library.array(weights))
    yield "value_and_grad", *agnoloss.value_and_grad(number)(predictions, targets, **options)
    if library.name == "torch":
        leaf = predictions.detach().requires_grad_()
        result = number(leaf, targets, **options)
        result.backward()
        yield "backward", result.detach(), leaf.grad


def one_number(loss: Loss, weights: Any) -> Loss:
    """The loss itself if it gives one number, as weights of shape () say; otherwise its weighted sum."""
    if tuple(weights.shape) == ():
        return loss

    def number(predictions: Any, targets: Any, **options: Any) -> Any:
        value = loss(predictions, targets, **options)
        return array_namespace(value).sum(value * weights)

    return number


def cotangent(shape: tuple[int, ...]) -> np.ndarray:
    """Weights with which values of a shape are summed up: quarters from 1/4 to 2, exact everywhere."""
    count = int(np.prod(shape, dtype=int))
    eighths = np.random.default_rng(count).permutation(count) % 8 + 1
    return (eighths / 4 if shape else np.ones(1)).reshape(shape)

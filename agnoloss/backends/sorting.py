"""Sums over pixels in the order of their errors, in the array API standard alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..array import Array
from .closed_forms import Pullback

if TYPE_CHECKING:
    from .base import Backend


def sorted_sums(
    backend: Backend, scores: Array, foreground: Array, valid: Array | None, weights: Array | None,
    link: str, weigh: Callable[..., Array], per_image: bool,
) -> tuple[dict[str, Array], Pullback]:  # fmt: skip
    """See `Backend.sorted_sums`."""
    xp = backend.xp
    images, classes, count = scores.shape
    if foreground.ndim == 2:
        numbers = xp.reshape(backend.arange(classes, foreground), (1, -1, 1))
        foreground = xp.expand_dims(foreground, axis=1) == numbers
    if valid is not None:
        scores = xp.where(valid, scores, 0.0)
    errors, slopes = errors_and_slopes(backend, scores, foreground, link)
    if valid is not None:  # an ignored pixel sorts last
        errors = xp.where(valid, errors, 0.0)

    def rows(values: Array) -> Array:
        if per_image:
            return xp.reshape(values, (images * classes, count))
        return xp.reshape(xp.permute_dims(values, (1, 0, 2)), (classes, images * count))

    def unrow(values: Array) -> Array:
        if per_image:
            return xp.reshape(values, (images, classes, count))
        return xp.permute_dims(xp.reshape(values, (classes, images, count)), (1, 0, 2))

    sides = tuple(map(rows, amounts(xp, foreground, valid, weights)))
    true = xp.sum(sides[0], axis=-1, keepdims=True)

    def of_sorted(backend: Backend, dtype: Any, *sorted_sides: Array) -> Array:
        return weigh(backend, dtype, *sorted_sides, true, true)

    g = backend.descending(backend.stop_gradient(rows(errors)), sides, of_sorted)
    g = xp.where(rows(errors) == 0, 0.0, g)
    shape = (images, classes) if per_image else (classes,)
    e = xp.where((g == 0) & xp.isinf(rows(errors)), 0.0, rows(errors))  # of no weight, it is none
    sums = xp.reshape(xp.sum(e * g, axis=-1), shape)
    outputs = {"sums": sums, "true": xp.astype(xp.reshape(true, shape), scores.dtype)}

    def pullback(given: Mapping[str, Array], of_weights: bool) -> tuple[Array, Array | None]:
        of_rows = xp.reshape(given["sums"], (*shape, 1) if per_image else (1, *shape, 1))
        gradient = slopes(unrow(g) * of_rows)
        return gradient if valid is None else xp.where(valid, gradient, 0.0), None

    return outputs, pullback


def errors_and_slopes(
    backend: Backend, scores: Array, foreground: Array, link: str
) -> tuple[Array, Callable[[Array], Array]]:
    """Errors (N, C, P), and what turns a gradient of them into one of the scores."""
    xp = backend.xp
    y = xp.astype(foreground, scores.dtype)
    if link == "hinge":
        signs = 2 * y - 1
        errors = 1 - scores * signs
        positive = errors > 0
        return xp.where(errors < 0, 0.0, errors), lambda g: xp.where(positive, -g * signs, 0.0)
    if link == "softmax":
        p = xp.exp(backend.log_softmax(scores))

        def back(g: Array) -> Array:
            s = (1 - 2 * y) * g
            return p * (s - xp.sum(p * s, axis=1, keepdims=True))

        return y + (1 - 2 * y) * p, back
    if link == "sigmoid":
        p, q = xp.exp(backend.log_sigmoid(scores)), xp.exp(backend.log_sigmoid(-scores))
        return xp.where(foreground, q, p), lambda g: (1 - 2 * y) * p * q * g
    return xp.where(foreground, 1 - scores, scores), lambda g: (1 - 2 * y) * g


def amounts(xp: Any, foreground: Array, valid: Array | None, weights: Array | None) -> tuple[Array, Array]:
    """Weight of each pixel on the side of the class and on the other; integers where all are 1."""
    background = ~foreground
    if valid is not None:
        foreground, background = foreground & valid, background & valid
    if weights is None:
        return xp.astype(foreground, xp.int32), xp.astype(background, xp.int32)
    return xp.where(foreground, weights, 0.0), xp.where(background, weights, 0.0)

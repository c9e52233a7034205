"""Sums over pixels in the order of their errors, as the Lovász extension takes them, and their gradient.

Row by row: a row holds the pixels of one class, of all images or of one. Beside the gradient's own
array, which holds errors first and then their weights, a row is all that lies in memory. A pixel
without error has weight 0 wherever it comes in the order: no gradient at the kink.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .backends.base import Array, Backend
from .block import Block
from .once import once
from .passes import Passes
from .pixels import Pixels

TRUE, FALSE = 1, 2
"""Sides of a pixel: of the class, or not. An ignored pixel is on neither side, 0."""


class SortedSums(Passes):
    """sum_i e_i g_i of each row, with g made of the sides of the pixels sorted by falling error e.

    Parameters
    ----------
    pixels : Pixels
        As of `Passes`.
    errors, weigh, per_image, matters
        As `Pixels.sum_sorted` takes them.
    """

    def __init__(
        self,
        pixels: Pixels,
        errors: Callable[[Block], Array],
        weigh: Callable[..., Array],
        per_image: bool,
        matters: Callable[[int, float], bool],
    ) -> None:
        super().__init__(pixels)
        self.errors, self.weigh, self.per_image, self.matters = errors, weigh, per_image, matters
        self._weights: Array = None  # of the errors, until the gradient takes their place
        images, classes, _ = self.shape
        self.rows = (images, classes) if per_image else (classes,)

    @once
    def _derivatives(self) -> Any:
        """Of the errors."""
        return self.pixels.backend.recorder(self.pixels, (partial(_alone, errors=self.errors),))

    def composed(self, pixels: Pixels) -> list[Array]:
        """The same of all pixels at once, from operations that can be differentiated twice."""
        return list(composed(pixels, self.errors, self.weigh, self.per_image))

    def vector(self) -> Array:
        """The sums, and the weight of each class in the targets, in one array."""
        images, classes, places = self.shape
        self._weights = self.empty(images, classes, places)
        sides = self.pixels.backend.empty((images, classes, places), self.xp.int8, self.pixels.targets)
        self.each(lambda where: self._look(where, sides), self.slices)
        groups = [slice(n, n + 1) for n in range(images)] if self.per_image else [slice(None)]
        rows = [(group, c) for group in groups for c in range(classes)]
        sums = self.each(lambda row: self._sort(row, sides), rows)
        losses, true = zip(*sums, strict=True)
        return self.pixels.constant([*losses, *true])

    def split(self, xp: Any, vector: Array) -> list[Array]:
        """Take `vector` apart into sums and weights in the targets, with functions of any library."""
        half = vector.shape[0] // 2
        return [xp.reshape(part, self.rows) for part in (vector[:half], vector[half:])]

    def gradient(self, vector: Array) -> Array:
        """Gradient (N, C, P) of the scores, given that of `vector`."""
        if self._weights is None:
            self.vector()
        place, of_sums = self._weights, self.split(self.xp, vector)[0]
        self.each(lambda where: self._backward(where, place, of_sums), self.slices)
        self._weights = None  # overwritten: another gradient sorts again
        return place

    def _look(self, where: tuple[slice, slice], sides: Array) -> None:
        """Leave errors and sides of a block."""
        images, places = where
        block, xp = self.block(where), self.xp
        errors = self.errors(block)
        if block.valid is not None:
            errors = xp.where(block.class_axis(block.valid), errors, 0.0)
        self._weights[images, :, places] = errors
        sides[images, :, places] = sides_of(block)

    def _sort(self, row: tuple[slice, int], sides: Array) -> tuple[float, float]:
        """The sum of a row and its weight in the targets; leave the weights of its errors."""
        pixels, xp, (images, c) = self.pixels, self.xp, row
        place = self._weights[images, c, :]
        errors, side = xp.reshape(place, (-1,)), xp.reshape(sides[images, c, :], (-1,))
        weight = None
        if pixels.pixel_weights is not None:
            weight = xp.reshape(xp.astype(pixels.pixel_weights[images, :], pixels.dtype), (-1,))

        def total(values: Array) -> float:
            return float(xp.sum(values, dtype=xp.int64 if weight is None else xp.float64))

        true = total(amounts(xp, side, weight)[0])
        if not self.matters(c, true):
            place[...] = 0.0
            return 0.0, true
        weights = xp.zeros_like(errors)
        loss, intersection, union = 0.0, true, true
        for at, falling, its_side in pixels.backend.by_falling(errors, side):
            foreground, background = amounts(xp, its_side, None if weight is None else weight[at])
            part = self.weigh(pixels.backend, pixels.dtype, foreground, background, intersection, union)
            weights[at] = part
            loss += float(xp.sum(falling * part))
            intersection, union = intersection - total(foreground), union + total(background)
        place[...] = xp.reshape(weights, place.shape)
        return loss, true

    def _backward(self, where: tuple[slice, slice], place: Array, of_sums: Array) -> None:
        images, places = where
        here = (images, slice(None), places)
        of_row = of_sums[images, :, None] if self.per_image else of_sums[None, :, None]
        given = [place[here] * of_row]
        (place[here],) = self._derivatives.gradients(self.block(where), ("scores",), given)


def _alone(block: Block, errors: Callable[[Block], Array]) -> tuple[Array]:
    return (errors(block),)


def composed(
    pixels: Pixels, errors_of: Callable[[Block], Array], weigh: Callable[..., Array], per_image: bool
) -> tuple[Array, Array]:
    """The sums and the weights in the targets, by operations on whole arrays."""
    xp, block = pixels.xp, pixels.whole
    errors = errors_of(block)
    images, classes, count = errors.shape
    if block.valid is not None:  # an ignored pixel sorts last
        errors = xp.where(block.class_axis(block.valid), errors, 0.0)
    payload = [sides_of(block)]
    if pixels.pixel_weights is not None:
        payload.append(xp.broadcast_to(block.class_axis(block.weights), errors.shape))

    def rows(values: Array) -> Array:
        if per_image:
            return xp.reshape(values, (images * classes, count))
        return xp.reshape(xp.permute_dims(values, (1, 0, 2)), (classes, images * count))

    errors, payload = rows(errors), [rows(part) for part in payload]
    total = xp.sum(amounts(xp, *payload)[0], axis=-1, keepdims=True)
    weights = pixels.backend.in_descending_order(
        errors, tuple(payload), partial(_weights, weigh=weigh, intersection=total, union=total)
    )
    weights = xp.where(errors == 0, 0.0, weights)
    shape = (images, classes) if per_image else (classes,)
    sums = xp.reshape(xp.sum(errors * weights, axis=-1), shape)
    return sums, xp.astype(xp.reshape(total, shape), pixels.dtype)


def _weights(
    backend: Backend, dtype: Any, *sorted_payload: Array, weigh: Any, intersection: Array, union: Array
) -> Array:
    foreground, background = amounts(backend.xp, *sorted_payload)
    return weigh(backend, dtype, foreground, background, intersection, union)


def sides_of(block: Block) -> Array:
    """Side of each pixel and class, (n, C, p)."""
    side = FALSE - block.xp.astype(block.is_class, block.xp.int8)
    return side if block.valid is None else block.xp.where(block.class_axis(block.valid), side, 0)


def amounts(xp: Any, side: Array, weight: Array | None = None) -> tuple[Array, Array]:
    """Weight of each pixel on the side of the class and on the other; integers where all are 1."""
    true, false = side == TRUE, side == FALSE
    if weight is None:
        return xp.astype(true, xp.int32), xp.astype(false, xp.int32)
    return xp.where(true, weight, 0.0), xp.where(false, weight, 0.0)

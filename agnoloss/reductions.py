"""From losses per pixel or per class to one number: weighted means in which nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from . import checks
from .backends.base import Array
from .block import Block
from .elementary import divide
from .pixels import Pixels

Terms = Callable[[Block], tuple[Array, Array | None]]
"""A loss for each pixel or element and its share in the mean's divisor, None for 1, before pixel weights."""


def pixel_sums(block: Block, terms: Terms) -> tuple[Array, Array]:
    """Statistic of a pixel loss: weighted sums (n,) of the loss and of its share."""
    loss, share = terms(block)
    total = block.total(loss)
    if share is None:
        return total, block.total_weight(loss.shape, total)
    return total, block.total(block.xp.broadcast_to(share, loss.shape))


def over_pixels(pixels: Pixels, terms: Terms, whole: bool = False) -> Array:
    """Reduce a loss per pixel: sum_i u_i l_i / sum_i u_i share_i, the sum alone, or every pixel.

    Parameters
    ----------
    pixels : Pixels
        The input.
    terms : callable
        The loss and its share for each pixel of a block.
    whole : bool
        Whether a pixel's terms depend on all others, so that they need the whole input at once.
    """
    if pixels.reduction == "none":
        loss, _ = terms(pixels.whole)
        return pixels.restore(pixels.trusted(pixels.whole.weighted(loss)))
    ((total, share),) = pixels.sum(partial(pixel_sums, terms=terms), whole=whole)
    return total if pixels.reduction == "sum" else divide(pixels.xp, total, share)


class Classes:
    """The classes a loss is about: their choice, weights, and the mean over them.

    Parameters
    ----------
    pixels : Pixels
        The input.
    classes : str or sequence of ints
        As the losses take it.
    average : str
        As the region losses take it.
    per_image : bool
        As the losses take it.
    """

    def __init__(self, pixels: Pixels, classes: Any, per_image: bool, average: str = "macro") -> None:
        checks.choice("average", average, ("macro", "micro"))
        checks.flag("per_image", per_image)
        if per_image and pixels.all_reduce is not None:
            raise ValueError(
                "`all_reduce` adds sums over devices, but per_image=True keeps one for each image; "
                "average the losses of the devices instead."
            )
        self.pixels, self.xp, self.per_image = pixels, pixels.xp, per_image
        self.micro = average == "micro"
        self.classes = checks.class_indices(classes, pixels.num_classes)

    def weights(self, true: Array) -> Array:
        """Weight of each class, 0 if not chosen; `true` is its weight in the targets."""
        xp = self.xp
        if self.classes == "present":
            # not equal to zero rather than above it: NaN counts as present and stays visible
            weights = xp.where(true != 0, xp.ones_like(true), 0.0)
        elif self.classes == "all":
            weights = xp.ones_like(true)
        else:
            chosen = [float(c in self.classes) for c in range(self.pixels.num_classes)]
            weights = xp.broadcast_to(self.pixels.constant(chosen), true.shape)
        if self.pixels.class_weights is not None:
            weights = weights * self.pixels.class_weights
        return weights

    def matters(self, index: int, true: float) -> bool:
        """Whether the class of an index is chosen, given its weight in the targets."""
        if self.classes == "present":
            return true != 0
        return self.classes == "all" or index in self.classes

    def pool(self, sums: Any) -> Any:
        """Micro average: add up the counts of the chosen classes (a class axis of 1 stays)."""
        if not self.micro:
            return sums
        weights = self.weights(sums.true)
        return type(sums)(*(self.xp.sum(weights * s, axis=-1, keepdims=True) for s in sums))

    def reduce(self, losses: Array, true: Array) -> Array:
        """Reduce losses (C,) or (N, C): the weighted mean over classes, then the mean over images."""
        xp, reduction = self.xp, self.pixels.reduction
        if self.micro:
            return self.reduce_pooled(losses)
        weights = self.weights(true)
        weighted = weights * losses
        if reduction == "none":
            return weighted
        if reduction == "sum":
            return xp.sum(weighted)
        return self._over_images(divide(xp, xp.sum(weighted, axis=-1), xp.sum(weights, axis=-1)))

    def reduce_pooled(self, losses: Array) -> Array:
        """Reduce losses of all classes together, (1,) or (N, 1)."""
        losses = self.xp.squeeze(losses, axis=-1)
        if self.pixels.reduction == "none":
            return losses
        return self.xp.sum(losses) if self.pixels.reduction == "sum" else self._over_images(losses)

    def _over_images(self, losses: Array) -> Array:
        """Mean over images; an image with no class left has loss 0 and counts."""
        return self.xp.sum(losses) / max(losses.shape[0], 1) if self.per_image else losses

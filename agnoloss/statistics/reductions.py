"""From losses per pixel or per class to one number: weighted means in which nothing is lost."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..array import Array
from ..batch import Batch, checks
from .probabilities import Probabilities
from .safe_math import divide, scaled

Terms = Callable[..., tuple[Array, Array | None]]
"""``terms(probabilities, *options)``: a loss for each pixel or element, and its share in the mean's divisor,
None for 1, before pixel weights."""


def over_pixels(
    batch: Batch, terms: Terms, *options: Any, whole: bool = False, probabilities: Probabilities | None = None
) -> Array:
    """Reduce a loss per pixel: sum_i u_i l_i / sum_i u_i share_i, also of each image; the sum; or all.

    `whole` says that a pixel's terms depend on all others, so that they need the whole input at once.
    """
    p = probabilities or Probabilities(batch)
    if batch.reduction == "none":
        loss, _ = terms(p, *options)
        return batch.unflatten(batch.nan_if_invalid(batch.weighted(loss)))
    total, share = _pixel_sums(p, terms, options, whole)
    return total if batch.reduction == "sum" else divide(batch.xp, total, share)


def _pixel_sums(p: Probabilities, terms: Terms, options: tuple[Any, ...], whole: bool) -> tuple[Array, Array]:
    """Weighted sums over pixels, of devices too, of a loss and of its share."""
    batch = p.batch
    if whole or batch.by_image or (batch.multiclass and not p.of_labels):
        sums = _sums(p, terms, options)
    else:
        values = p.target_log_probs if p.of_labels else batch.float32_scores

        def of_chunk(
            values: Array, scores: Array, targets: Array, weights: Array, classes: Array, *options: Any
        ) -> tuple[Array, Array]:
            part = batch.chunk(scores if p.of_labels else values, targets, weights, classes)
            return _sums(p.of_pixels(part, values) if p.of_labels else Probabilities(part), terms, options)

        scores = batch.backend.stop_gradient(batch.predictions) if p.of_labels else None
        beside = (scores, batch.given_targets, batch.pixel_weights)
        sums = batch.backend.in_chunks(
            of_chunk, values, beside, (batch.class_weights, *options), lambda: _sums(p, terms, options)
        )
    total, share = (batch.nan_if_invalid(x) for x in sums)
    return (total, share) if batch.all_reduce is None else (batch.all_reduce(total), batch.all_reduce(share))


def _sums(p: Probabilities, terms: Terms, options: tuple[Any, ...]) -> tuple[Array, Array]:
    loss, share = terms(p, *options)
    batch, xp, first = p.batch, p.xp, int(p.batch.by_image)
    axes = tuple(range(first, loss.ndim))
    total = xp.sum(batch.weighted(loss), axis=axes)
    if share is not None:
        share = batch.weighted(xp.broadcast_to(share, loss.shape))
    elif batch.weights is None:
        # sizes stay symbolic in torch.export
        return total, xp.zeros_like(total) + math.prod(loss.shape[first:])
    else:
        alike = batch.multiclass or batch.num_classes == 1
        share = batch.weights if alike else xp.broadcast_to(batch.weights, loss.shape)
    return total, xp.sum(share, axis=axes)


class Classes:
    """The classes a loss is about: their choice, weights, and the mean over them; options as losses have.

    `entropy` says that another term of the loss takes the `class_weights` of binary mode.
    """

    def __init__(
        self, batch: Batch, classes: Any, per_image: bool, average: str = "macro", entropy: bool = False
    ) -> None:
        if batch.mode == "binary" and batch.given_class_weights is not None and not entropy:
            raise ValueError(
                "`class_weights` weigh 0 and 1 in binary mode, but this loss has one class there, the "
                "foreground. Pass them, or `pos_weight`, to a loss of pixels, such as cross entropy; or two "
                f'channels with mode="multiclass". Got {batch.given_class_weights!r}.'
            )
        checks.choice("average", average, ("macro", "micro"))
        checks.flag("per_image", per_image)
        if per_image:
            batch.keep_sums("per_image=True")
        self.batch, self.xp, self.per_image = batch, batch.xp, per_image or batch.by_image
        self.micro = average == "micro"
        self.classes = checks.class_indices(classes, batch.num_classes)

    def weights(self, true: Array) -> Array:
        """Weight of each class, 0 if not chosen; `true` is its weight in the targets."""
        xp = self.xp
        if self.classes == "present":
            # not equal to zero rather than above it: NaN counts as present and stays visible
            weights = xp.where(true != 0, xp.ones_like(true), 0.0)
        elif self.classes == "all":
            weights = xp.ones_like(true)
        else:
            chosen = [float(c in self.classes) for c in range(self.batch.num_classes)]
            weights = xp.broadcast_to(self.batch.constant(chosen), true.shape)
        if self.batch.mode != "binary" and self.batch.class_weights is not None:
            weights = weights * xp.broadcast_to(self.batch.class_weights, true.shape)
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

    def reduce(self, losses: Array, true: Array, size: Array | None) -> Array:
        """Reduce losses (C,) or (N, C): the mean over classes, but those of `size` 0, then over images."""
        xp, reduction = self.xp, self.batch.reduction
        if self.micro:
            return self.reduce_pooled(losses)
        weights = self.weights(true)
        if reduction == "none":
            return scaled(xp, weights, losses)
        if size is not None and self.batch.valid is not None:
            weights, losses = (xp.where(size == 0, 0.0, part) for part in (weights, losses))
        weighted = scaled(xp, weights, losses)
        if reduction == "sum":
            return xp.sum(weighted)
        return self._over_images(divide(xp, xp.sum(weighted, axis=-1), xp.sum(weights, axis=-1)))

    def reduce_pooled(self, losses: Array) -> Array:
        """Reduce losses of all classes together, (1,) or (N, 1)."""
        losses = self.xp.squeeze(losses, axis=-1)
        if self.batch.reduction == "none":
            return losses
        return self.xp.sum(losses) if self.batch.reduction == "sum" else self._over_images(losses)

    def _over_images(self, losses: Array) -> Array:
        """Mean over images; an image with no class left has loss 0 and counts."""
        if not self.per_image or self.batch.by_image:
            return losses
        return self.xp.sum(losses) / max(losses.shape[0], 1)

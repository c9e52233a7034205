"""Pixels as grids, for losses that look at neighbours: an ignored pixel is outside every class."""

from __future__ import annotations

from ..array import Array
from ..batch import Batch


def need_axes(batch: Batch) -> None:
    """Refuse inputs without spatial axes, in which no pixel has a neighbour (ValueError)."""
    if not batch.spatial:
        raise ValueError(
            "`predictions` must have one spatial axis or more for a loss that looks at neighbours, as "
            f'(N, C, H, W), or (N, H, W) with mode="binary"; got none.{batch.layout.note}'
        )


def spatial(batch: Batch, values: Array) -> Array:
    """Values (N, C, P) as (N, C, *S), 0 where they do not count."""
    if batch.valid is not None:
        values = batch.xp.where(batch.class_axis(batch.valid), values, 0.0)
    return batch.xp.reshape(values, (*values.shape[:2], *batch.spatial))


def spatial_weights(batch: Batch) -> Array | None:
    """Weight of each pixel, (N, 1, *S) or (N, C, *S), 0 where it does not count; None if all are 1."""
    if batch.weights is None:
        return None
    weights = batch.class_axis(batch.weights)
    return batch.xp.reshape(weights, (*weights.shape[:2], *batch.spatial))


def class_masks(batch: Batch) -> Array:
    """Which pixels are in each class, (N, C, *S), bool."""
    inside = batch.one_hot
    if batch.valid is not None:
        inside = inside & batch.class_axis(batch.valid)
    return batch.xp.reshape(inside, (*inside.shape[:2], *batch.spatial))


def sum_spatial(batch: Batch, values: Array, weights: Array | None) -> Array:
    """Weighted sum over the pixels of each image: (N, C, *S) to (N, C)."""
    if weights is not None:
        values = values * weights
    return batch.xp.sum(values, axis=tuple(range(2, values.ndim)))

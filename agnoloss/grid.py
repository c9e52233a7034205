"""Pixels as grids, for losses that look at neighbours: an ignored pixel is outside every class."""

from __future__ import annotations

from .backends.base import Array
from .pixels import Pixels


def need_axes(pixels: Pixels) -> None:
    """Refuse inputs without spatial axes, in which no pixel has a neighbour (ValueError)."""
    if not pixels.spatial:
        raise ValueError(
            "`predictions` must have one spatial axis or more for a loss that looks at neighbours, as "
            '(N, C, H, W), or (N, H, W) with mode="binary"; got none.'
        )


def cells(pixels: Pixels, values: Array) -> Array:
    """Values (N, C, P) as (N, C, *S), 0 where they do not count."""
    block, xp = pixels.whole, pixels.xp
    if block.valid is not None:
        values = xp.where(block.class_axis(block.valid), values, 0.0)
    return xp.reshape(values, (*values.shape[:2], *pixels.spatial))


def cell_weights(pixels: Pixels) -> Array | None:
    """Weight of each cell, (N, 1, *S) or (N, C, *S), exactly 0 where it does not count; None if all are 1."""
    block = pixels.whole
    if block.weights is None:
        return None
    weights = block.class_axis(block.weights)
    return pixels.xp.reshape(weights, (*weights.shape[:2], *pixels.spatial))


def members(pixels: Pixels) -> Array:
    """Which cells are in each class, (N, C, *S), bool."""
    block, inside = pixels.whole, pixels.whole.is_class
    if block.valid is not None:
        inside = inside & block.class_axis(block.valid)
    return pixels.xp.reshape(inside, (*inside.shape[:2], *pixels.spatial))


def sum_cells(pixels: Pixels, values: Array, weights: Array | None) -> Array:
    """Weighted sum over the cells of each image: (N, C, *S) to (N, C)."""
    if weights is not None:
        values = values * weights
    return pixels.xp.sum(values, axis=tuple(range(2, values.ndim)))

"""Active contour loss: short smooth borders around the right regions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from .. import checks
from ..backends.base import Array
from ..block import Block
from ..docstrings import documented
from ..elementary import divide
from ..grid import cell_weights, cells, need_axes, sum_cells
from ..pixels import Pixels
from ..reductions import Classes
from ..remembered import remembered


@remembered
@documented
def active_contour_loss(
    predictions: Array,
    targets: Array,
    /,
    *,
    mode: str = "multiclass",
    from_logits: bool = True,
    axis: int = 1,
    ignore_index: int | Sequence[int] | None = None,
    pixel_weights: Array | None = None,
    class_weights: Sequence[float] | Array | str | None = None,
    classes: str | Sequence[int] = "all",
    per_image: bool = False,
    weight: float = 10.0,
    eps: float = 1e-8,
    reduction: str = "mean",
    all_reduce: Callable[[Array], Array] | None = None,
) -> Array:
    """Make regions right and their borders short: the Chan-Vese energy of the predicted probabilities.

    For each class, with means weighted by u::

        weight length + mean(p (y - 1)^2) + mean((1 - p) y^2)
        length = mean over the interior of sqrt(sum_a d_a^2 + eps),
        d_a = p[i + 2] - p[i + 1] along axis a, at i = 0 .. size - 3, at index i along the other axes

    Parameters
    ----------
    {common}
    {classes}
    {per_image}
    weight : float, default 10
        Weight of the length of the border against the two regions; not negative.
    eps : float, default 1e-8
        Added below the root, which has no derivative at 0; positive.
    {class_reduction}
    {all_reduce}

    {outcome}

    Notes
    -----
    The alignment of the differences is the published code's: each is taken a pixel further along its own
    axis than along the others. An ignored pixel is outside every class; a difference has the weight of
    the pixel ``i + 1`` in the interior. Where an axis has fewer than three pixels there is no interior,
    and the length is 0. The length keeps the minimum away from the target: see `weight`.

    References
    ----------
    .. [1] X. Chen et al., "Learning Active Contour Models for Medical Image Segmentation", CVPR 2019,
       equations 5 to 7.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import active_contour_loss
    >>> p, y = np.asarray([[0.0, 0.0, 1.0, 1.0]]), np.asarray([[0, 1, 1, 1]])
    >>> print(f"{active_contour_loss(p, y, mode='binary', from_logits=False, weight=1):.3f}")  # 1/2 + 1/4
    0.750
    """
    pixels = Pixels(
        predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
        ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
        reduction=reduction, all_reduce=all_reduce,
    )  # fmt: skip
    need_axes(pixels)
    weight = checks.weight("weight", weight)
    if checks.number("eps", eps, 0.0) == 0:
        raise ValueError("`eps` must be above 0; got 0.")
    chosen = Classes(pixels, classes, per_image)
    xp = pixels.xp
    energies = partial(_energies, pixels=pixels, eps=eps)
    ((length, interior, region, size, true),) = pixels.sum(energies, per_image=per_image, whole=True)
    # weight length + mean(p (y - 1)^2 + (1 - p) y^2)
    losses = weight * divide(xp, length, interior) + divide(xp, region, size)
    return chosen.reduce(losses, true)


class Energies(NamedTuple):
    """Weighted sums over pixels for each image and class, and what they are divided by, (N, C)."""

    length: Array
    interior: Array
    region: Array
    size: Array
    true: Array


def _energies(block: Block, pixels: Pixels, eps: float) -> Energies:
    """Statistic of the whole input."""
    xp = pixels.xp
    p, y, u = cells(pixels, block.probs), block.targets, cell_weights(pixels)
    axes = range(len(pixels.spatial))

    def interior(values: Array, starts: Sequence[int]) -> Array:
        """``size - 2`` cells along each axis, from some start on."""
        key = [slice(None), slice(None)]
        for start, n in zip(starts, pixels.spatial, strict=True):
            key.append(slice(start, start + n - 2) if n > 2 else slice(0, 0))
        return values[tuple(key)]

    # sqrt(sum_a (p[i + 2] - p[i + 1])^2 + eps)
    squares: Array = eps
    for axis in axes:
        ahead, here = ([step * (a == axis) for a in axes] for step in (2, 1))
        difference = interior(p, ahead) - interior(p, here)
        squares = squares + difference * difference
    rise = xp.sqrt(squares)
    inner = None if u is None else interior(u, [1 for _ in axes])
    return Energies(
        length=sum_cells(pixels, rise, inner),
        interior=sum_cells(pixels, xp.ones_like(rise), inner),
        # p (y - 1)^2 + (1 - p) y^2
        region=block.sum_pixels(block.probs * (y - 1) ** 2 + block.complements * y**2),
        size=block.sizes(),
        true=block.target_counts,
    )

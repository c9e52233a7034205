"""Active contour loss: short smooth borders around the right regions."""

from __future__ import annotations

from collections.abc import Sequence

from .. import words
from ..array import Array
from ..batch import Batch
from ..docstrings import documented
from ..statistics.probabilities import Probabilities
from ..statistics.reductions import Classes
from ..statistics.safe_math import divide
from ..statistics.spatial import need_axes, spatial, spatial_weights, sum_spatial


@documented
def active_contour_loss(
    predictions: Array, targets: Array, *, mode: words.Mode = "multiclass", from_logits: bool = True,
    axis: int = 1, ignore_index: words.IgnoreIndex = None, pixel_weights: Array | None = None,
    class_weights: words.ClassWeights = None, classes: words.ClassChoice = "all", per_image: bool = False,
    weight: words.Number = 10.0, eps: words.Number = 1e-08, reduction: words.Reduction = "mean",
    all_reduce: words.AllReduce = None,
) -> Array:  # fmt: skip
    """Make regions right and their borders short: the Chan-Vese energy of the predicted probabilities.

    For each class, with means weighted by u::

        weight length + mean(p (y - 1)^2) + mean((1 - p) y^2)
        length = mean over the interior of sqrt(sum_a d_a^2 + eps),
        d_a = p[i + 2] - p[i + 1] along axis a, at i = 0 .. size - 3, at index i along the other axes

    Words shared by all losses: see `agnoloss.losses`.

    Parameters
    ----------
    weight : float, default 10
        Weight of the length of the border against the two regions; not negative.
    eps : float, default 1e-8
        Added below the root, which has no derivative at 0; positive.

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
    batch = Batch(predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
                  ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
                  reduction=reduction, all_reduce=all_reduce, numbers=(weight, eps))  # fmt: skip
    need_axes(batch)
    weight = batch.number("weight", weight, 0.0)
    eps = batch.number("eps", eps, 0.0, above=True)
    chosen = Classes(batch, classes, per_image)
    xp, p, y = batch.xp, Probabilities(batch), batch.targets
    length, interior = _lengths(batch, spatial(batch, p.probs), eps)
    region = batch.sum_pixels(p.probs * (y - 1) ** 2 + p.complements * y**2)
    sums = (length, interior, region, batch.sizes, batch.target_sums)
    length, interior, region, size, true = (batch.add_up(part, per_image) for part in sums)
    # weight length + mean(p (y - 1)^2 + (1 - p) y^2)
    return chosen.reduce(weight * divide(xp, length, interior) + divide(xp, region, size), true, size)


def _lengths(batch: Batch, p: Array, eps: Array) -> tuple[Array, Array]:
    """Sums over the interior of sqrt(sum_a (p[i + 2] - p[i + 1])^2 + eps), and of 1, (N, C) each."""
    xp, axes, u = batch.xp, range(len(batch.spatial)), spatial_weights(batch)

    def interior(values: Array, starts: Sequence[int]) -> Array:
        """``size - 2`` pixels along each axis, from some start on."""
        key = [slice(None), slice(None)]
        for start, n in zip(starts, batch.spatial, strict=True):
            key.append(slice(start, start + n - 2) if n > 2 else slice(0, 0))
        return values[tuple(key)]

    squares: Array = eps
    for axis in axes:
        ahead, here = ([step * (a == axis) for a in axes] for step in (2, 1))
        difference = interior(p, ahead) - interior(p, here)
        squares = squares + difference * difference
    rise = xp.sqrt(squares)
    inner = None if u is None else interior(u, [1 for _ in axes])
    return sum_spatial(batch, rise, inner), sum_spatial(batch, xp.ones_like(rise), inner)

"""Generalized Dice and boundary loss together, as the boundary loss is meant to be used."""

from __future__ import annotations

from collections.abc import Sequence

from .. import words
from ..array import Array
from ..batch import Batch, checks
from ..docstrings import documented
from ..statistics.class_sums import class_sums
from ..statistics.reductions import Classes
from .boundary import signed_overlap
from .region_variants import WEIGHTINGS, generalized_dice


@documented
def dice_boundary_loss(
    predictions: Array, targets: Array, *, mode: words.Mode = "multiclass", from_logits: bool = True,
    axis: int = 1, ignore_index: words.IgnoreIndex = None, pixel_weights: Array | None = None,
    class_weights: words.ClassWeights = None, classes: words.ClassChoice | None = None,
    per_image: bool = False, alpha: words.Number = 0.5, weighting: str = "square", smooth: words.Smooth = 0.0,
    distance_maps: Array | None = None, spacing: float | Sequence[float] | None = None,
    reduction: words.Reduction = "mean", all_reduce: words.AllReduce = None,
) -> Array:  # fmt: skip
    """Find an object by its overlap, then pull its border into place.

    ::

        alpha generalized_dice_loss + (1 - alpha) boundary_loss

    `per_image` is an option of the Dice term.
    Words shared by all losses: see `agnoloss.losses`.

    Parameters
    ----------
    classes : {"all", "present"} or sequence of ints, optional
        Classes of both terms. By default all classes in Dice, and all but class 0 in the boundary
        term in multiclass mode.
    alpha : float, default 0.5
        Weight of Dice, from 0 to 1. It is lowered as training goes on, from 1 to 0.01 say.
    weighting : {"square", "simple", "uniform"}, default "square"
        Class weights of Dice, see `generalized_dice_loss`.
    smooth : float or (float, float), default 0
        Added to numerator and denominator of Dice; a pair sets them apart.
    distance_maps : array, optional
        Signed distances of the shape of `predictions`, see `boundary_loss`.
    spacing : float or sequence of floats, default 1
        Step of the grid, the same or one along each spatial axis.
    reduction : {"mean", "sum", "per_image"}, default "mean"
        Reduction of both terms.

    References
    ----------
    .. [1] H. Kervadec et al., "Boundary loss for highly unbalanced segmentation", MIDL 2019, equation 6.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import dice_boundary_loss
    >>> p, y = np.asarray([[0.5, 0.5, 1.0, 1.0, 0.0]]), np.asarray([[0, 0, 1, 1, 1]])
    >>> loss = dice_boundary_loss(p, y, mode="binary", from_logits=False)
    >>> print(f"{loss:.4f}")  # (1 - 4 / 6) / 2 + 0.1 / 2
    0.2167
    """
    batch = Batch(predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
                  ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
                  reduction=reduction, all_reduce=all_reduce, compound=True,
                  numbers=(alpha, smooth))  # fmt: skip
    alpha = batch.number("alpha", alpha, 0.0, 1.0)
    checks.choice("weighting", weighting, WEIGHTINGS)
    chosen = Classes(batch, "all" if classes is None else classes, per_image)
    sums = class_sums(batch, per_image)
    score = generalized_dice(batch.xp, sums, weighting, smooth, chosen.weights(sums.true))
    overlap, border = chosen.reduce_pooled(1 - score), signed_overlap(batch, classes, distance_maps, spacing)
    return alpha * overlap + (1 - alpha) * border

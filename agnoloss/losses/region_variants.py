"""Overlap, reshaped: focal Tversky, log-cosh Dice, generalized Dice."""

from __future__ import annotations

from typing import Any

from .. import words
from ..array import Array
from ..batch import Batch, checks
from ..docstrings import documented
from ..statistics.class_sums import ClassSums, class_sums
from ..statistics.reductions import Classes
from ..statistics.safe_math import log_cosh, power, ratio
from .region import dice, tversky

WEIGHTINGS = ("square", "simple", "uniform")
"""How generalized Dice weighs classes: by the square of their size, by it, not at all."""


@documented
def focal_tversky_loss(
    predictions: Array, targets: Array, *, mode: words.Mode = "multiclass", from_logits: bool = True,
    axis: int = 1, ignore_index: words.IgnoreIndex = None, pixel_weights: Array | None = None,
    class_weights: words.ClassWeights = None, classes: words.ClassChoice = "all", per_image: bool = False,
    average: words.Average = "macro", gamma: words.Number = 4 / 3, alpha: words.Number = 0.3,
    beta: words.Number = 0.7, smooth: words.Smooth = 1.0, reduction: words.Reduction = "mean",
    all_reduce: words.AllReduce = None,
) -> Array:  # fmt: skip
    """Tversky under a root: it keeps pulling as the overlap becomes good, where Tversky lets go.

    For each class, with TI_c the Tversky index of `tversky_loss`::

        (1 - TI_c)^(1 / gamma)

    Words shared by all losses: see `agnoloss.losses`.

    Parameters
    ----------
    gamma : float, default 4/3
        Root of the complement, above 0; 1 is Tversky.
    alpha : float, default 0.3
        Weight of the false positives, not negative.
    beta : float, default 0.7
        Weight of the false negatives, not negative.

    Notes
    -----
    The gradient is 0 where TI_c = 1.

    References
    ----------
    .. [1] N. Abraham and N. M. Khan, "A Novel Focal Tversky Loss Function with Improved Attention
       U-Net for Lesion Segmentation", ISBI 2019, equation 4 (whose alpha weighs misses).

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import focal_tversky_loss
    >>> p, y = np.asarray([[0.5, 0.5, 1.0]]), np.asarray([[1, 0, 1]])
    >>> print(f"{focal_tversky_loss(p, y, mode='binary', from_logits=False, smooth=0):.4f}")
    0.3536
    """
    batch = Batch(predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
                  ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
                  reduction=reduction, all_reduce=all_reduce,
                  numbers=(gamma, alpha, beta, smooth))  # fmt: skip
    alpha, beta = batch.number("alpha", alpha, 0.0), batch.number("beta", beta, 0.0)
    gamma = batch.number("gamma", gamma, 0.0, above=True)
    chosen = Classes(batch, classes, per_image, average)
    sums = class_sums(batch, per_image)
    index = tversky(chosen.pool(sums), alpha, beta, smooth)
    # (1 - TI_c)^(1 / gamma)
    return chosen.reduce(power(batch.xp, 1 - index, 1 / gamma), sums.true, sums.size)


@documented
def log_cosh_dice_loss(
    predictions: Array, targets: Array, *, mode: words.Mode = "multiclass", from_logits: bool = True,
    axis: int = 1, ignore_index: words.IgnoreIndex = None, pixel_weights: Array | None = None,
    class_weights: words.ClassWeights = None, classes: words.ClassChoice = "all", per_image: bool = False,
    average: words.Average = "macro", smooth: words.Smooth = 1.0, squared: bool = False,
    reduction: words.Reduction = "mean", all_reduce: words.AllReduce = None,
) -> Array:  # fmt: skip
    """Dice with gradients that fade as the overlap becomes perfect.

    For each class, with Dice_c the score of `dice_loss`::

        log cosh(1 - Dice_c)

    Words shared by all losses: see `agnoloss.losses`.

    Parameters
    ----------
    squared : bool, default False
        Squares in the denominator, as V-Net has them.

    References
    ----------
    .. [1] S. Jadon, "A survey of loss functions for semantic segmentation", CIBCB 2020, equation 16.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import log_cosh_dice_loss
    >>> p, y = np.asarray([[0.5, 0.5, 1.0]]), np.asarray([[1, 0, 1]])
    >>> print(f"{log_cosh_dice_loss(p, y, mode='binary', from_logits=False, smooth=0):.4f}")
    0.0309
    """
    batch = Batch(predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
                  ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
                  reduction=reduction, all_reduce=all_reduce, numbers=(smooth,))  # fmt: skip
    chosen = Classes(batch, classes, per_image, average)
    sums = class_sums(batch, per_image, checks.flag("squared", squared))
    # log cosh (1 - Dice_c)
    rest = 1 - dice(chosen.pool(sums), smooth)
    return chosen.reduce(log_cosh(batch.xp, rest), sums.true, sums.size)


@documented
def generalized_dice_loss(
    predictions: Array, targets: Array, *, mode: words.Mode = "multiclass", from_logits: bool = True,
    axis: int = 1, ignore_index: words.IgnoreIndex = None, pixel_weights: Array | None = None,
    class_weights: words.ClassWeights = None, classes: words.ClassChoice = "all", per_image: bool = False,
    weighting: str = "square", smooth: words.Smooth = 0.0, reduction: words.Reduction = "mean",
    all_reduce: words.AllReduce = None,
) -> Array:  # fmt: skip
    """One Dice over all classes in which rare classes weigh as much as large ones.

    ::

        1 - (2 sum_c w_c TP_c + s) / (sum_c w_c (P_c + T_c) + s),   w_c = 1 / T_c^2

    Words shared by all losses: see `agnoloss.losses`.

    Parameters
    ----------
    weighting : {"square", "simple", "uniform"}, default "square"
        w_c = 1 / T_c^2, 1 / T_c or 1; an absent class gets 0. `class_weights` multiply it.
    reduction : {"mean", "sum", "none", "per_image"}, default "mean"
        Mean or sum over images if `per_image`, or every image's loss, ``(N,)``, as with "per_image" in
        any case. Without `per_image` the loss is one number otherwise.

    References
    ----------
    .. [1] C. H. Sudre et al., "Generalised Dice Overlap as a Deep Learning Loss Function for Highly
       Unbalanced Segmentations", DLMIA 2017, section 2.1.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import generalized_dice_loss
    >>> p, y = np.asarray([[0.5, 0.5], [0.0, 1.0], [0.0, 1.0]]), np.asarray([0, 1, 1])
    >>> print(f"{generalized_dice_loss(p, y, from_logits=False):.4f}")  # 1 - 2 (0.5 + 2 / 4) / 2.625
    0.2381
    """
    batch = Batch(predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
                  ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
                  reduction=reduction, all_reduce=all_reduce, numbers=(smooth,))  # fmt: skip
    checks.choice("weighting", weighting, WEIGHTINGS)
    chosen = Classes(batch, classes, per_image)
    sums = class_sums(batch, per_image)
    score = generalized_dice(batch.xp, sums, weighting, smooth, chosen.weights(sums.true))
    return chosen.reduce_pooled(1 - score)


def generalized_dice(
    xp: Any, sums: ClassSums, weighting: str, smooth: words.Smooth, weights: Array = 1.0
) -> Array:
    """(2 sum_c w_c TP_c + s) / (sum_c w_c (P_c + T_c) + s), keeping a class axis of length 1."""
    true = xp.where(sums.true == 0, 1.0, sums.true)
    # w_c = 1 / T_c^2, 1 / T_c or 1; of an absent class 0
    size = {"square": true * true, "simple": true, "uniform": xp.ones_like(true)}[weighting]
    w = xp.where(sums.true == 0, 0.0, 1.0 / size) * weights
    tp, p, t, _ = (xp.sum(w * part, axis=-1, keepdims=True) for part in sums)
    valid = xp.sum(sums.size, axis=-1, keepdims=True)
    return ratio(2 * tp, p + t, smooth, valid)

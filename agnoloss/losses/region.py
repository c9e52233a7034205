"""Losses of overlap: Dice, Jaccard, Tversky. One minus a ratio of confusion counts."""

from __future__ import annotations

from .. import words
from ..array import Array
from ..batch import Batch, checks
from ..docstrings import documented
from ..statistics.class_sums import ClassSums, class_sums
from ..statistics.reductions import Classes
from ..statistics.safe_math import ratio


def dice(sums: ClassSums, smooth: words.Smooth) -> Array:
    """(2 TP + s) / (P + T + s)."""
    tp, p, t, size = sums
    return ratio(2 * tp, p + t, smooth, size)


def jaccard(sums: ClassSums, smooth: words.Smooth) -> Array:
    """(TP + s) / (P + T - TP + s)."""
    tp, p, t, size = sums
    return ratio(tp, p + t - tp, smooth, size)


def tversky(sums: ClassSums, alpha: Array, beta: Array, smooth: words.Smooth) -> Array:
    """(TP + s) / (TP + alpha FP + beta FN + s)."""
    tp, p, t, size = sums
    fp, fn = p - tp, t - tp
    return ratio(tp, tp + alpha * fp + beta * fn, smooth, size)


@documented
def dice_loss(
    predictions: Array, targets: Array, *, mode: words.Mode = "multiclass", from_logits: bool = True,
    axis: int = 1, ignore_index: words.IgnoreIndex = None, pixel_weights: Array | None = None,
    class_weights: words.ClassWeights = None, classes: words.ClassChoice = "all", per_image: bool = False,
    average: words.Average = "macro", smooth: words.Smooth = 1.0, squared: bool = False,
    reduction: words.Reduction = "mean", all_reduce: words.AllReduce = None,
) -> Array:  # fmt: skip
    """Make prediction and target overlap, however small the object: 1 - F1 of soft counts.

    For each class, with s the smoothing and sums over pixels i::

        1 - (2 TP + s) / (P + T + s),   TP = sum u min(p, y),  P = sum u p,   T = sum u y
        squared:                        TP = sum u p y,        P = sum u p^2, T = sum u y^2

    Words shared by all losses: see `agnoloss.losses`.

    Parameters
    ----------
    squared : bool, default False
        Squares in the denominator, as V-Net has them.

    Notes
    -----
    min(p, y) is p y for hard labels and makes the loss 0 at p = y for soft ones [2]_.

    References
    ----------
    .. [1] F. Milletari, N. Navab and S.-A. Ahmadi, "V-Net: Fully Convolutional Neural Networks for
       Volumetric Medical Image Segmentation", 3DV 2016, section 3 (squared).
    .. [2] Z. Wang et al., "Dice Semimetric Losses: Optimizing the Dice Score with Soft Labels",
       MICCAI 2023, equation 6.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import dice_loss
    >>> p, y = np.asarray([[0.5, 0.5, 1.0]]), np.asarray([[1, 0, 1]])
    >>> print(f"{dice_loss(p, y, mode='binary', from_logits=False, smooth=0):.4f}")  # 1 - 3 / 4
    0.2500
    """
    batch = Batch(predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
                  ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
                  reduction=reduction, all_reduce=all_reduce, numbers=(smooth,))  # fmt: skip
    chosen = Classes(batch, classes, per_image, average)
    sums = class_sums(batch, per_image, checks.flag("squared", squared))
    return chosen.reduce(1 - dice(chosen.pool(sums), smooth), sums.true, sums.size)


@documented
def jaccard_loss(
    predictions: Array, targets: Array, *, mode: words.Mode = "multiclass", from_logits: bool = True,
    axis: int = 1, ignore_index: words.IgnoreIndex = None, pixel_weights: Array | None = None,
    class_weights: words.ClassWeights = None, classes: words.ClassChoice = "all", per_image: bool = False,
    average: words.Average = "macro", smooth: words.Smooth = 1.0, squared: bool = False,
    reduction: words.Reduction = "mean", all_reduce: words.AllReduce = None,
) -> Array:  # fmt: skip
    """Make intersection over union large: 1 - IoU of soft counts.

    For each class, with s the smoothing and sums over pixels i::

        1 - (TP + s) / (P + T - TP + s),   TP = sum u min(p, y),  P = sum u p,   T = sum u y
        squared:                           TP = sum u p y,        P = sum u p^2, T = sum u y^2

    Words shared by all losses: see `agnoloss.losses`.

    Parameters
    ----------
    squared : bool, default False
        Squares in the denominator.

    References
    ----------
    .. [1] M. A. Rahman and Y. Wang, "Optimizing Intersection-Over-Union in Deep Neural Networks for
       Image Segmentation", ISVC 2016, equations 3 to 5.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import jaccard_loss
    >>> p, y = np.asarray([[0.5, 0.5, 1.0]]), np.asarray([[1, 0, 1]])
    >>> print(f"{jaccard_loss(p, y, mode='binary', from_logits=False, smooth=0):.4f}")
    0.4000
    """
    batch = Batch(predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
                  ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
                  reduction=reduction, all_reduce=all_reduce, numbers=(smooth,))  # fmt: skip
    chosen = Classes(batch, classes, per_image, average)
    sums = class_sums(batch, per_image, checks.flag("squared", squared))
    return chosen.reduce(1 - jaccard(chosen.pool(sums), smooth), sums.true, sums.size)


@documented
def tversky_loss(
    predictions: Array, targets: Array, *, mode: words.Mode = "multiclass", from_logits: bool = True,
    axis: int = 1, ignore_index: words.IgnoreIndex = None, pixel_weights: Array | None = None,
    class_weights: words.ClassWeights = None, classes: words.ClassChoice = "all", per_image: bool = False,
    average: words.Average = "macro", alpha: words.Number = 0.3, beta: words.Number = 0.7,
    smooth: words.Smooth = 1.0, reduction: words.Reduction = "mean", all_reduce: words.AllReduce = None,
) -> Array:  # fmt: skip
    """Trade false positives against misses: with beta > alpha, missing an object costs more.

    For each class, with s the smoothing and sums over pixels i::

        1 - (TP + s) / (TP + alpha FP + beta FN + s),   TP = sum u min(p, y),
        FP = sum u p - TP,   FN = sum u y - TP

    Words shared by all losses: see `agnoloss.losses`.

    Parameters
    ----------
    alpha : float, default 0.3
        Weight of the false positives, not negative.
    beta : float, default 0.7
        Weight of the false negatives, not negative.

    Notes
    -----
    alpha = beta = 1/2 with smoothing s is Dice with 2 s; alpha = beta = 1 is Jaccard.

    References
    ----------
    .. [1] S. S. M. Salehi, D. Erdogmus and A. Gholipour, "Tversky Loss Function for Image
       Segmentation Using 3D Fully Convolutional Deep Networks", MLMI 2017, equation 4.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import tversky_loss
    >>> p, y = np.asarray([[0.5, 0.5, 1.0]]), np.asarray([[1, 0, 1]])
    >>> print(f"{tversky_loss(p, y, mode='binary', from_logits=False, smooth=0):.4f}")
    0.2500
    """
    batch = Batch(predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
                  ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
                  reduction=reduction, all_reduce=all_reduce, numbers=(alpha, beta, smooth))  # fmt: skip
    alpha, beta = batch.number("alpha", alpha, 0.0), batch.number("beta", beta, 0.0)
    chosen = Classes(batch, classes, per_image, average)
    sums = class_sums(batch, per_image)
    return chosen.reduce(1 - tversky(chosen.pool(sums), alpha, beta, smooth), sums.true, sums.size)

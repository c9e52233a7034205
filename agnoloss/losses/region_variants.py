"""Overlap, reshaped: focal Tversky, log-cosh Dice, generalized Dice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .. import checks
from ..backends.base import Array
from ..counts import ClassSums, class_sums, dice, squared_class_sums, tversky
from ..docstrings import documented
from ..elementary import log_cosh, power, ratio
from ..pixels import Pixels
from ..reductions import Classes
from ..remembered import remembered


@remembered
@documented
def focal_tversky_loss(
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
    average: str = "macro",
    gamma: float = 4 / 3,
    alpha: float = 0.3,
    beta: float = 0.7,
    smooth: float | tuple[float, float] = 1.0,
    reduction: str = "mean",
    all_reduce: Callable[[Array], Array] | None = None,
) -> Array:
    """Tversky under a root: it keeps pulling as the overlap becomes good, where Tversky lets go.

    For each class, with TI_c the Tversky index of `tversky_loss`::

        (1 - TI_c)^(1 / gamma)

    Parameters
    ----------
    {common}
    {pooling}
    gamma : float, default 4/3
        Root of the complement, above 0; 1 is Tversky.
    alpha : float, default 0.3
        Weight of the false positives, not negative.
    beta : float, default 0.7
        Weight of the false negatives, not negative.
    {smooth}
    {class_reduction}
    {all_reduce}

    {outcome}

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
    pixels = Pixels(
        predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
        ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
        reduction=reduction, all_reduce=all_reduce,
    )  # fmt: skip
    alpha, beta = checks.number("alpha", alpha, 0.0), checks.number("beta", beta, 0.0)
    if checks.number("gamma", gamma, 0.0) == 0:
        raise ValueError("`gamma` must be above 0; got 0.")
    chosen = Classes(pixels, classes, per_image, average)
    (counts,) = pixels.sum(class_sums, per_image=per_image)
    index = tversky(pixels.xp, chosen.pool(counts), alpha, beta, smooth)
    return chosen.reduce(power(pixels.xp, 1 - index, 1 / gamma), counts.true)


@remembered
@documented
def log_cosh_dice_loss(
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
    average: str = "macro",
    smooth: float | tuple[float, float] = 1.0,
    squared: bool = False,
    reduction: str = "mean",
    all_reduce: Callable[[Array], Array] | None = None,
) -> Array:
    """Dice with gradients that fade as the overlap becomes perfect.

    For each class, with Dice_c the score of `dice_loss`::

        log cosh(1 - Dice_c)

    Parameters
    ----------
    {common}
    {pooling}
    {smooth}
    squared : bool, default False
        Squares in the denominator, as V-Net has them.
    {class_reduction}
    {all_reduce}

    {outcome}

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
    pixels = Pixels(
        predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
        ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
        reduction=reduction, all_reduce=all_reduce,
    )  # fmt: skip
    checks.flag("squared", squared)
    chosen = Classes(pixels, classes, per_image, average)
    (counts,) = pixels.sum(squared_class_sums if squared else class_sums, per_image=per_image)
    score = dice(pixels.xp, chosen.pool(counts), smooth)
    return chosen.reduce(log_cosh(pixels.xp, 1 - score), counts.true)


@remembered
@documented
def generalized_dice_loss(
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
    weighting: str = "square",
    smooth: float | tuple[float, float] = 0.0,
    reduction: str = "mean",
    all_reduce: Callable[[Array], Array] | None = None,
) -> Array:
    """One Dice over all classes in which rare classes weigh as much as large ones.

    ::

        1 - (2 sum_c w_c TP_c + s) / (sum_c w_c (P_c + T_c) + s),   w_c = 1 / T_c^2

    Parameters
    ----------
    {common}
    {classes}
    {per_image}
    weighting : {"square", "simple", "uniform"}, default "square"
        w_c = 1 / T_c^2, 1 / T_c or 1; an absent class gets 0. `class_weights` multiply it.
    smooth : float or (float, float), default 0
        Added to numerator and denominator; a pair sets them apart. 0 / 0 scores 1 (loss 0).
    reduction : {"mean", "sum", "none"}, default "mean"
        Mean or sum over images if `per_image`, or every image's loss, ``(N,)``. Without
        `per_image` the loss is one number in any case.
    {all_reduce}

    {outcome}

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
    pixels = Pixels(
        predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
        ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
        reduction=reduction, all_reduce=all_reduce,
    )  # fmt: skip
    checks.choice("weighting", weighting, ("square", "simple", "uniform"))
    chosen = Classes(pixels, classes, per_image)
    (counts,) = pixels.sum(class_sums, per_image=per_image)
    return chosen.reduce_pooled(1 - generalized_dice(chosen, counts, weighting, smooth))


def generalized_dice(
    chosen: Classes, counts: ClassSums, weighting: str, smooth: float | tuple[float, float]
) -> Array:
    """(2 sum_c w_c TP_c + s) / (sum_c w_c (P_c + T_c) + s), keeping a class axis of length 1."""
    xp = chosen.xp
    true = xp.where(counts.true == 0, 1.0, counts.true)
    size = {"square": true * true, "simple": true, "uniform": xp.ones_like(true)}[weighting]
    w = xp.where(counts.true == 0, 0.0, 1.0 / size)
    weights = chosen.weights(counts.true)
    tp, predicted, true, _ = (xp.sum(weights * w * part, axis=-1, keepdims=True) for part in counts)
    valid = xp.sum(counts.size, axis=-1, keepdims=True)
    return ratio(xp, 2 * tp, predicted + true, smooth, valid)

"""Losses of overlap: Dice, Jaccard, Tversky. One minus a ratio of confusion counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .. import checks
from ..backends.base import Array
from ..counts import class_sums, dice, jaccard, squared_class_sums, tversky
from ..docstrings import documented
from ..pixels import Pixels
from ..reductions import Classes
from ..remembered import remembered


@remembered
@documented
def dice_loss(
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
    """Make prediction and target overlap, however small the object: 1 - F1 of soft counts.

    For each class, with s the smoothing and sums over pixels i::

        1 - (2 TP + s) / (P + T + s),   TP = sum u min(p, y),  P = sum u p,   T = sum u y
        squared:                        TP = sum u p y,        P = sum u p^2, T = sum u y^2

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
    pixels = Pixels(
        predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
        ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
        reduction=reduction, all_reduce=all_reduce,
    )  # fmt: skip
    checks.flag("squared", squared)
    chosen = Classes(pixels, classes, per_image, average)
    (counts,) = pixels.sum(squared_class_sums if squared else class_sums, per_image=per_image)
    return chosen.reduce(1 - dice(pixels.xp, chosen.pool(counts), smooth), counts.true)


@remembered
@documented
def jaccard_loss(
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
    """Make intersection over union large: 1 - IoU of soft counts.

    For each class, with s the smoothing and sums over pixels i::

        1 - (TP + s) / (P + T - TP + s),   TP = sum u min(p, y),  P = sum u p,   T = sum u y
        squared:                           TP = sum u p y,        P = sum u p^2, T = sum u y^2

    Parameters
    ----------
    {common}
    {pooling}
    {smooth}
    squared : bool, default False
        Squares in the denominator.
    {class_reduction}
    {all_reduce}

    {outcome}

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
    pixels = Pixels(
        predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
        ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
        reduction=reduction, all_reduce=all_reduce,
    )  # fmt: skip
    checks.flag("squared", squared)
    chosen = Classes(pixels, classes, per_image, average)
    (counts,) = pixels.sum(squared_class_sums if squared else class_sums, per_image=per_image)
    return chosen.reduce(1 - jaccard(pixels.xp, chosen.pool(counts), smooth), counts.true)


@remembered
@documented
def tversky_loss(
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
    alpha: float = 0.3,
    beta: float = 0.7,
    smooth: float | tuple[float, float] = 1.0,
    reduction: str = "mean",
    all_reduce: Callable[[Array], Array] | None = None,
) -> Array:
    """Trade false positives against misses: with beta > alpha, missing an object costs more.

    For each class, with s the smoothing and sums over pixels i::

        1 - (TP + s) / (TP + alpha FP + beta FN + s),   TP = sum u min(p, y),
        FP = sum u p - TP,   FN = sum u y - TP

    Parameters
    ----------
    {common}
    {pooling}
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
    pixels = Pixels(
        predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
        ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
        reduction=reduction, all_reduce=all_reduce,
    )  # fmt: skip
    alpha, beta = checks.number("alpha", alpha, 0.0), checks.number("beta", beta, 0.0)
    chosen = Classes(pixels, classes, per_image, average)
    (counts,) = pixels.sum(class_sums, per_image=per_image)
    index = tversky(pixels.xp, chosen.pool(counts), alpha, beta, smooth)
    return chosen.reduce(1 - index, counts.true)

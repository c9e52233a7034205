"""Sums of two losses, in one pass over the pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from .. import checks
from ..backends.base import Array
from ..counts import class_sums, squared_class_sums
from ..docstrings import documented
from ..elementary import divide
from ..pixels import Pixels
from ..reductions import Classes, pixel_sums
from .cross_entropy import cross_entropy_terms
from .region import dice


@documented
def dice_cross_entropy_loss(
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
    dice_weight: float = 1.0,
    cross_entropy_weight: float = 1.0,
    smooth: float | tuple[float, float] = 1.0,
    squared: bool = False,
    pos_weight: float | Sequence[float] | Array | None = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    all_reduce: Callable[[Array], Array] | None = None,
) -> Array:
    """Add Dice, for small objects, and cross entropy, for steady gradients: CE-Dice, BCE-Dice.

    ::

        dice_weight dice_loss + cross_entropy_weight cross_entropy_loss

    Parameters
    ----------
    {common}
    {classes}
        Of the Dice term, as the next four.
    {per_image}
    {average}
    {smooth}
    squared : bool, default False
        Squares in the denominator, as V-Net has them.
    dice_weight, cross_entropy_weight : float, default 1
        Weights of the two terms.
    pos_weight : float, or sequence or array of length C, optional
        Weight of the positive term of cross entropy, binary and multilabel.
    label_smoothing : float, default 0
        Label smoothing of cross entropy, from 0 to 1.
    reduction : {"mean", "sum"}, default "mean"
        Reduction of both terms.
    {all_reduce}

    {outcome}

    References
    ----------
    .. [1] F. Isensee et al., "nnU-Net: a self-configuring method for deep learning-based biomedical
       image segmentation", Nature Methods 18, 2021, section "Training".

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import cross_entropy_loss, dice_cross_entropy_loss, dice_loss
    >>> z, y = np.asarray([[0.5, -1.0, 2.0]]), np.asarray([[1, 0, 1]])
    >>> both = dice_cross_entropy_loss(z, y, mode="binary")
    >>> print(f"{both - dice_loss(z, y, mode='binary'):.4f}")
    0.3048
    >>> print(f"{cross_entropy_loss(z, y, mode='binary'):.4f}")
    0.3048
    """
    pixels = Pixels(
        predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
        ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
        reduction=reduction, all_reduce=all_reduce, reductions=("mean", "sum"),
    )  # fmt: skip
    dice_weight = checks.number("dice_weight", dice_weight)
    cross_entropy_weight = checks.number("cross_entropy_weight", cross_entropy_weight)
    checks.flag("squared", squared)
    chosen = Classes(pixels, classes, per_image, average)
    terms = cross_entropy_terms(pixels, pos_weight, label_smoothing)
    xp = pixels.xp
    counts, (total, share) = pixels.sum(
        squared_class_sums if squared else class_sums,
        partial(pixel_sums, terms=terms),
        per_image=per_image,
    )
    total, share = xp.sum(total), xp.sum(share)
    cross_entropy = total if reduction == "sum" else divide(xp, total, share)
    overlap = chosen.reduce(1 - dice(xp, chosen.pool(counts), smooth), counts.true)
    return dice_weight * overlap + cross_entropy_weight * cross_entropy

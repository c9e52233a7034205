"""Sums of two losses, in one pass over the pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from .. import checks
from ..backends.base import Array
from ..block import LOWEST_PROBABILITY, Block
from ..counts import class_sums, dice, squared_class_sums
from ..docstrings import documented
from ..elementary import divide, power
from ..pixels import Pixels
from ..reductions import Classes, pixel_sums
from ..remembered import remembered
from .cross_entropy import cross_entropy_terms


@remembered
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


@remembered
@documented
def combo_loss(
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
    alpha: float = 0.5,
    beta: float = 0.5,
    smooth: float | tuple[float, float] = 1.0,
    reduction: str = "mean",
    all_reduce: Callable[[Array], Array] | None = None,
) -> Array:
    """Balance overlap against cross entropy, and in it misses against false alarms.

    With the mean of CE over elements, one for each pixel and class, in every mode::

        alpha CE + (1 - alpha) (1 - Dice),   CE = -(beta y log p + (1 - beta) (1 - y) log(1 - p))

    Parameters
    ----------
    {common}
    {pooling}
    alpha : float, default 0.5
        Weight of cross entropy, from 0 to 1.
    beta : float, default 0.5
        Weight of the positives in cross entropy, from 0 to 1; above 1/2, misses cost more.
    {smooth}
    reduction : {"mean", "sum"}, default "mean"
        Reduction of both terms.
    {all_reduce}

    {outcome}

    Notes
    -----
    The paper subtracts Dice: its value is this one minus (1 - alpha).

    References
    ----------
    .. [1] S. A. Taghanaki et al., "Combo loss: Handling input and output imbalance in multi-organ
       segmentation", Computerized Medical Imaging and Graphics 75, 2019, equation 3.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import combo_loss
    >>> p, y = np.asarray([[0.5, 0.5]]), np.asarray([[1, 0]])
    >>> print(f"{combo_loss(p, y, mode='binary', from_logits=False, smooth=0):.4f}")  # ln(2)/4 + 1/4
    0.4233
    """
    pixels = Pixels(
        predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
        ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
        reduction=reduction, all_reduce=all_reduce, reductions=("mean", "sum"),
    )  # fmt: skip
    alpha, beta = checks.number("alpha", alpha, 0.0, 1.0), checks.number("beta", beta, 0.0, 1.0)
    xp, chosen = pixels.xp, Classes(pixels, classes, per_image, average)
    counts, (total, share) = pixels.sum(class_sums, partial(_element_sums, beta=beta), per_image=per_image)
    cross_entropy = xp.sum(total)
    if reduction == "mean":
        cross_entropy = divide(xp, cross_entropy, xp.sum(share))
    overlap = chosen.reduce(1 - dice(xp, chosen.pool(counts), smooth), counts.true)
    return alpha * cross_entropy + (1 - alpha) * overlap


def _element_sums(block: Block, beta: float) -> tuple[Array, Array]:
    # -(beta y log p + (1 - beta) (1 - y) log(1 - p)) of every pixel and class
    xp, y = block.xp, block.targets
    true = block.shared_log_probs
    false = xp.where(y == 1, 0.0, block.log_complements)  # 0 log 0 is 0 here, too
    loss, share = block.per_element(-(beta * y * true + (1 - beta) * (1 - y) * false))
    shares = block.sizes() if share is None else block.sum_pixels(share)
    return xp.sum(block.sum_pixels(loss), axis=1), xp.sum(shares, axis=1)


@remembered
@documented
def exponential_logarithmic_loss(
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
    dice_weight: float = 0.8,
    cross_entropy_weight: float = 0.2,
    gamma_dice: float = 0.3,
    gamma_cross_entropy: float = 0.3,
    smooth: float | tuple[float, float] = 1.0,
    reduction: str = "mean",
    all_reduce: Callable[[Array], Array] | None = None,
) -> Array:
    """Keep very small structures in sight: logarithms of Dice and of probabilities, to a power.

    With the mean over classes c of Dice, and the plain mean over the pixels i that count::

        dice_weight mean_c (-ln Dice_c)^gamma_dice
            + cross_entropy_weight mean_i w_(y_i) (-ln p_(y_i))^gamma_cross_entropy,
        w_c = sqrt(sum_k T_k / T_c), or class_weights

    In binary and multilabel mode each channel has two classes, y and 1 - y.

    Parameters
    ----------
    {common}
    {pooling}
    dice_weight, cross_entropy_weight : float, defaults 0.8 and 0.2
        Weights of the two terms.
    gamma_dice, gamma_cross_entropy : float, default 0.3
        Exponents, at least 0; below 1 the loss also keeps improving what is nearly right.
    {smooth}
    reduction : {"mean", "sum"}, default "mean"
        Reduction of both terms.
    {all_reduce}

    {outcome}

    Notes
    -----
    Gradients are finite where p is 1 and where Dice is 1. The least Dice in the logarithm is 1e-7.

    References
    ----------
    .. [1] K. C. L. Wong, M. Moradi, H. Tang and T. Syeda-Mahmood, "3D Segmentation with Exponential
       Logarithmic Loss for Highly Unbalanced Object Sizes", MICCAI 2018, equations 1 to 3.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import exponential_logarithmic_loss
    >>> p, y = np.asarray([[0.8, 0.2], [0.2, 0.8]]), np.asarray([0, 1])
    >>> loss = exponential_logarithmic_loss(
    ...     p, y, from_logits=False, smooth=0, gamma_dice=1, gamma_cross_entropy=1
    ... )
    >>> print(f"{loss:.4f}")  # (0.8 + 0.2 sqrt 2) (-ln 0.8)
    0.2416
    """
    pixels = Pixels(
        predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
        ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
        reduction=reduction, all_reduce=all_reduce, reductions=("mean", "sum"),
    )  # fmt: skip
    dice_weight = checks.number("dice_weight", dice_weight)
    cross_entropy_weight = checks.number("cross_entropy_weight", cross_entropy_weight)
    gamma_dice = checks.number("gamma_dice", gamma_dice, 0.0)
    gamma = checks.number("gamma_cross_entropy", gamma_cross_entropy, 0.0)
    xp, chosen = pixels.xp, Classes(pixels, classes, per_image, average)
    counts, parts = pixels.sum(class_sums, partial(_log_powers, gamma=gamma), per_image=per_image)
    sums, true, false, size = (xp.sum(x, axis=0) if per_image else x for x in parts)
    # mean_i w_(y_i) (-ln p_(y_i))^gamma, as a sum over classes: sides (2, C) of y and 1 - y
    sides = xp.stack([true, false], axis=0)
    cross_entropy = xp.sum(_rarity(pixels, sides) * sums)
    if reduction == "mean":
        cross_entropy = divide(xp, cross_entropy, size)
    score = dice(xp, chosen.pool(counts), smooth)
    logs = -xp.log(xp.where(score < LOWEST_PROBABILITY, LOWEST_PROBABILITY, score))
    overlap = chosen.reduce(power(xp, logs, gamma_dice), counts.true)
    return dice_weight * overlap + cross_entropy_weight * cross_entropy


def _log_powers(block: Block, gamma: float) -> tuple[Array, Array, Array, Array]:
    """Sums of (-ln p)^gamma over the pixels of each side and class (n, 2, C), and their weights."""
    xp, true = block.xp, block.target_counts
    sizes = block.sizes()
    if block.multiclass:
        if block.labels is not None:
            logs = block.sum_labels(power(xp, -block.target_log_probs, gamma))
        else:
            logs = block.sum_pixels(_shared_power(xp, block.targets, block.log_probs, gamma))
        nothing = xp.zeros_like(true)
        return xp.stack([logs, nothing], axis=1), true, nothing, sizes[:, 0]
    y = block.targets
    positive = block.sum_pixels(_shared_power(xp, y, block.log_probs, gamma))
    negative = block.sum_pixels(_shared_power(xp, 1 - y, block.log_complements, gamma))
    false = block.sum_pixels(1 - y)
    return xp.stack([positive, negative], axis=1), true, false, xp.sum(sizes, axis=1)


def _shared_power(xp: Any, y: Array, log_p: Array, gamma: float) -> Array:
    """y (-ln p)^gamma, 0 where y is 0 and the log infinite."""
    return y * power(xp, xp.where(y == 0, 0.0, -log_p), gamma)


def _rarity(pixels: Pixels, counts: Array) -> Array:
    """w_c = sqrt(sum_k T_k / T_c), counts (2, C) of y and 1 - y; an absent class has no sum to weigh."""
    xp = pixels.xp
    if pixels.class_weights is not None:
        return pixels.class_weights
    total = xp.sum(counts) if pixels.mode == "multiclass" else xp.sum(counts, axis=0)
    # the root has no slope at 0, which is the total of nothing
    return xp.sqrt(xp.where(counts == 0, 1.0, total / xp.where(counts == 0, 1.0, counts)))

"""Sums of two losses, in one pass over the pixels."""

from __future__ import annotations

from .. import words
from ..array import Array
from ..batch import Batch, checks
from ..docstrings import documented
from ..statistics.class_sums import class_sums
from ..statistics.probabilities import LOWEST_PROBABILITY, Probabilities, Side, shared
from ..statistics.reductions import Classes, over_pixels
from ..statistics.safe_math import power, scaled
from .cross_entropy import balanced_terms, cross_entropy_terms
from .region import dice


@documented
def dice_cross_entropy_loss(
    predictions: Array, targets: Array, *, mode: words.Mode = "multiclass", from_logits: bool = True,
    axis: int = 1, ignore_index: words.IgnoreIndex = None, pixel_weights: Array | None = None,
    class_weights: words.ClassWeights = None, classes: words.ClassChoice = "all", per_image: bool = False,
    average: words.Average = "macro", dice_weight: words.Number = 1.0,
    cross_entropy_weight: words.Number = 1.0, smooth: words.Smooth = 1.0, squared: bool = False,
    pos_weight: words.PerClass | None = None, label_smoothing: words.Number = 0.0,
    reduction: words.Reduction = "mean", all_reduce: words.AllReduce = None,
) -> Array:  # fmt: skip
    """Add Dice, for small objects, and cross entropy, for steady gradients: CE-Dice, BCE-Dice.

    ::

        dice_weight dice_loss + cross_entropy_weight cross_entropy_loss

    `classes`, `per_image`, `average`, `smooth` and `squared` are options of the Dice term, `class_weights` of
    binary mode one of cross entropy.
    Words shared by all losses: see `agnoloss.losses`.

    Parameters
    ----------
    dice_weight, cross_entropy_weight : float, default 1
        Weights of the two terms.
    squared : bool, default False
        Squares in the denominator, as V-Net has them.
    pos_weight : float, or sequence or array of length C, optional
        Weight of the positive term of cross entropy, binary and multilabel.
    label_smoothing : float, default 0
        Label smoothing of cross entropy, from 0 to 1.
    reduction : {"mean", "sum", "per_image"}, default "mean"
        Reduction of both terms.

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
    batch = Batch(predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
                  ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
                  reduction=reduction, all_reduce=all_reduce, compound=True,
                  numbers=(dice_weight, cross_entropy_weight, smooth, pos_weight,
                           label_smoothing))  # fmt: skip
    dice_weight = batch.number("dice_weight", dice_weight)
    cross_entropy_weight = batch.number("cross_entropy_weight", cross_entropy_weight)
    chosen = Classes(batch, classes, per_image, average, entropy=True)
    terms, *numbers = cross_entropy_terms(batch, pos_weight, label_smoothing)
    p = Probabilities(batch, "log_p", "tp", "p2" if checks.flag("squared", squared) else "p")
    sums = class_sums(batch, per_image, squared, p)
    overlap = chosen.reduce(1 - dice(chosen.pool(sums), smooth), sums.true, sums.size)
    entropy = over_pixels(batch, terms, *numbers, whole=numbers[0] is not None, probabilities=p)
    return dice_weight * overlap + scaled(batch.xp, cross_entropy_weight, entropy)


@documented
def combo_loss(
    predictions: Array, targets: Array, *, mode: words.Mode = "multiclass", from_logits: bool = True,
    axis: int = 1, ignore_index: words.IgnoreIndex = None, pixel_weights: Array | None = None,
    class_weights: words.ClassWeights = None, classes: words.ClassChoice = "all", per_image: bool = False,
    average: words.Average = "macro", alpha: words.Number = 0.5, beta: words.Number = 0.5,
    smooth: words.Smooth = 1.0, reduction: words.Reduction = "mean", all_reduce: words.AllReduce = None,
) -> Array:  # fmt: skip
    """Balance overlap against cross entropy, and in it misses against false alarms.

    With the mean of CE over elements, one for each pixel and class, in every mode::

        alpha CE + (1 - alpha) (1 - Dice),   CE = -(beta y log p + (1 - beta) (1 - y) log(1 - p))

    Words shared by all losses: see `agnoloss.losses`.

    Parameters
    ----------
    alpha : float, default 0.5
        Weight of cross entropy, from 0 to 1.
    beta : float, default 0.5
        Weight of the positives in cross entropy, from 0 to 1; above 1/2, misses cost more.
    reduction : {"mean", "sum", "per_image"}, default "mean"
        Reduction of both terms.

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
    batch = Batch(predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
                  ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
                  reduction=reduction, all_reduce=all_reduce, compound=True,
                  numbers=(alpha, beta, smooth))  # fmt: skip
    alpha, beta = batch.number("alpha", alpha, 0.0, 1.0), batch.number("beta", beta, 0.0, 1.0)
    chosen, p = Classes(batch, classes, per_image, average, entropy=True), Probabilities(batch)
    sums = class_sums(batch, per_image, probabilities=p)
    overlap = chosen.reduce(1 - dice(chosen.pool(sums), smooth), sums.true, sums.size)
    entropy = over_pixels(batch, _element_terms, beta, whole=batch.multiclass, probabilities=p)
    return scaled(batch.xp, alpha, entropy) + (1 - alpha) * overlap


def _element_terms(p: Probabilities, beta: Array) -> tuple[Array, Array | None]:
    # -w_c (beta y log p + (1 - beta) (1 - y) log(1 - p)) of every pixel and class
    batch, xp, y = p.batch, p.xp, p.batch.targets
    if not batch.multiclass:
        return balanced_terms(p, beta)
    true, false = y * shared(xp, y, p.log_probs), (1 - y) * shared(xp, 1 - y, p.log_complements)
    w = batch.constant([1.0] * batch.num_classes) if batch.class_weights is None else batch.class_weights
    loss = scaled(xp, -batch.column(w), scaled(xp, beta, true) + scaled(xp, 1 - beta, false))
    return xp.sum(loss, axis=1), xp.sum(w, axis=-1, keepdims=True)


@documented
def exponential_logarithmic_loss(
    predictions: Array, targets: Array, *, mode: words.Mode = "multiclass", from_logits: bool = True,
    axis: int = 1, ignore_index: words.IgnoreIndex = None, pixel_weights: Array | None = None,
    class_weights: words.ClassWeights = None, classes: words.ClassChoice = "all", per_image: bool = False,
    average: words.Average = "macro", dice_weight: words.Number = 0.8,
    cross_entropy_weight: words.Number = 0.2, gamma_dice: words.Number = 0.3,
    gamma_cross_entropy: words.Number = 0.3, smooth: words.Smooth = 1.0, reduction: words.Reduction = "mean",
    all_reduce: words.AllReduce = None,
) -> Array:  # fmt: skip
    """Keep very small structures in sight: logarithms of Dice and of probabilities, to a power.

    With the mean over classes c of Dice, and the plain mean over the pixels i that count::

        dice_weight mean_c (-ln Dice_c)^gamma_dice
            + cross_entropy_weight mean_i w_(y_i) (-ln p_(y_i))^gamma_cross_entropy,
        w_c = sqrt(sum_k T_k / T_c), or class_weights

    In binary and multilabel mode each channel has two classes, y and 1 - y.

    Words shared by all losses: see `agnoloss.losses`.

    Parameters
    ----------
    dice_weight, cross_entropy_weight : float, defaults 0.8 and 0.2
        Weights of the two terms.
    gamma_dice, gamma_cross_entropy : float, default 0.3
        Exponents, at least 0; below 1 the loss also keeps improving what is nearly right.
    reduction : {"mean", "sum", "per_image"}, default "mean"
        Reduction of both terms.

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
    batch = Batch(predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
                  ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
                  reduction=reduction, all_reduce=all_reduce, compound=True,
                  numbers=(dice_weight, cross_entropy_weight, gamma_dice, gamma_cross_entropy,
                           smooth))  # fmt: skip
    dice_weight = batch.number("dice_weight", dice_weight)
    cross_entropy_weight = batch.number("cross_entropy_weight", cross_entropy_weight)
    gamma_dice = batch.number("gamma_dice", gamma_dice, 0.0)
    gamma = batch.number("gamma_cross_entropy", gamma_cross_entropy, 0.0)
    xp, chosen = batch.xp, Classes(batch, classes, per_image, average, entropy=True)
    p = Probabilities(batch, "log_p", "tp", "p")
    sums = class_sums(batch, per_image, probabilities=p)
    # mean_c (-ln Dice_c)^gamma_dice
    score = dice(chosen.pool(sums), smooth)
    logs = -xp.log(xp.where(score < LOWEST_PROBABILITY, LOWEST_PROBABILITY, score))
    overlap = chosen.reduce(power(xp, logs, gamma_dice), sums.true, sums.size)
    # mean_i w_(y_i) (-ln p_(y_i))^gamma
    entropy = over_pixels(batch, _log_power_terms, gamma, *_rarity(p), probabilities=p)
    return dice_weight * overlap + scaled(xp, cross_entropy_weight, entropy)


def _log_power_terms(p: Probabilities, gamma: Array, w: Array, w_false: Array) -> tuple[Array, None]:
    def log_power(side: Side) -> Array:
        return power(p.xp, -side.log_p, gamma)

    if p.batch.multiclass:
        return p.over_targets(log_power, w), None
    return p.over_sides(log_power, w, w_false), None


def _rarity(p: Probabilities) -> tuple[Array, Array]:
    """w_c = sqrt(sum_k T_k / T_c) of y and of 1 - y; an absent class has nothing to weigh."""
    batch, xp = p.batch, p.xp
    if batch.class_weights is not None:
        return p.side_weights
    true = batch.add_up(batch.target_sums)
    false = true if batch.multiclass else batch.add_up(batch.sum_pixels(1 - batch.targets))
    total = xp.sum(true, axis=-1, keepdims=True) if batch.multiclass else true + false
    # the root has no slope at 0, which is the total of nothing
    roots = (xp.sqrt(xp.where(t == 0, 1.0, total / xp.where(t == 0, 1.0, t))) for t in (true, false))
    return next(roots), next(roots)

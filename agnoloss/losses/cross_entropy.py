"""Cross entropy, plain and balanced: what each pixel's prediction costs in information."""

from __future__ import annotations

from typing import Any

from .. import words
from ..array import Array
from ..batch import Batch
from ..docstrings import documented
from ..statistics.probabilities import Probabilities
from ..statistics.reductions import Terms, over_pixels
from ..statistics.safe_math import divide, scaled


@documented
def cross_entropy_loss(
    predictions: Array, targets: Array, *, mode: words.Mode = "multiclass", from_logits: bool = True,
    axis: int = 1, ignore_index: words.IgnoreIndex = None, pixel_weights: Array | None = None,
    class_weights: words.ClassWeights = None, pos_weight: words.PerClass | None = None,
    label_smoothing: words.Number = 0.0, reduction: words.Reduction = "mean",
    all_reduce: words.AllReduce = None,
) -> Array:  # fmt: skip
    """Make the probability of each pixel's true class large: the default of classification.

    Multiclass, with e the label smoothing, w_c class weights and u_i pixel weights::

        l_i = -sum_c w_c q_ic log p_ic,   q = (1 - e) y + e / C
        mean = sum_i u_i l_i / sum_i u_i sum_c w_c y_ic

    Binary and multilabel, each element by itself::

        l = -(w_1 pos_weight q log p + w_0 (1 - q) log(1 - p)),   q = y (1 - e) + e / 2
        mean = sum u l / sum u (w_1 y + w_0 (1 - y))

    where w_1 and w_0 are the class weights of 1 and 0 in binary mode, in multilabel mode both the channel's.

    Words shared by all losses: see `agnoloss.losses`.

    Parameters
    ----------
    pos_weight : float, or sequence or array of length C, optional
        Weight of the positive term, binary and multilabel; not in the divisor of the mean.
    label_smoothing : float, default 0
        How much of each target is spread over all classes, from 0 to 1.

    Notes
    -----
    Exact for scores as large as 1e4: the logarithm is taken of scores, not of probabilities.

    References
    ----------
    .. [1] C. M. Bishop, "Pattern Recognition and Machine Learning", Springer, 2006, equations
       4.90 and 4.108.
    .. [2] C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR
       2016, section 7 (label smoothing).

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import cross_entropy_loss
    >>> probabilities = np.asarray([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]])
    >>> loss = cross_entropy_loss(probabilities, np.asarray([0, 2]), from_logits=False)
    >>> print(f"{loss:.4f}")  # (-ln 0.7 - ln 0.1) / 2
    1.3296
    """
    batch = Batch(predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
                  ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
                  reduction=reduction, all_reduce=all_reduce,
                  numbers=(pos_weight, label_smoothing))  # fmt: skip
    terms, *numbers = cross_entropy_terms(batch, pos_weight, label_smoothing)
    return over_pixels(batch, terms, *numbers, whole=numbers[0] is not None)


def cross_entropy_terms(batch: Batch, pos_weight: Any, label_smoothing: Any) -> tuple[Terms, Any, Any]:
    """Check the options of cross entropy; its terms, and the numbers that these take."""
    terms = multiclass_terms if batch.multiclass else binary_terms
    return terms, smoothing(batch, label_smoothing), weight_of_positives(batch, pos_weight)


def smoothing(batch: Batch, label_smoothing: Any) -> Array | None:
    """Check `label_smoothing`: None if there is none."""
    e = batch.number("label_smoothing", label_smoothing, 0.0, 1.0)
    return None if isinstance(e, float) and e == 0 else e


def weight_of_positives(batch: Batch, pos_weight: Any) -> Array:
    """Check `pos_weight`: a number or (C,), 1.0 if it is None."""
    if pos_weight is None:
        return 1.0
    if batch.multiclass:
        raise ValueError(
            "`pos_weight` has a meaning in binary and multilabel mode only; use "
            f"`class_weights`. Got {pos_weight!r}."
        )
    return batch.per_class("pos_weight", pos_weight, scalar=True)


def multiclass_terms(p: Probabilities, e: Array | None = None, _: float = 1.0) -> tuple[Array, Array | None]:
    """Loss and share of each pixel, multiclass."""
    # -sum_c w_c q_c log p_c,  q = (1 - e) y + e / C
    w = p.batch.class_weights
    mixed = None if e is None else p.mixed_log_probs(w)  # first: the rule gives log p along with it
    loss = -p.over_targets(lambda side: side.log_p, w)
    if e is not None:
        loss = scaled(p.xp, 1 - e, loss) - scaled(p.xp, e / p.batch.num_classes, mixed)
    return loss, p.target_share(w)


def binary_terms(p: Probabilities, e: Array = None, pos_weight: Array = 1.0) -> tuple[Array, Array | None]:
    """Loss and share of each element, binary and multilabel."""
    # -(w_1 pos_weight y log p + w_0 (1 - y) log(1 - p))
    w_1, w_0 = p.side_weights
    return -p.over_sides(lambda side: side.log_p, pos_weight * w_1, w_0, smoothing=e), p.side_share()


@documented
def balanced_cross_entropy_loss(
    predictions: Array, targets: Array, *, mode: words.Mode = "binary", from_logits: bool = True,
    axis: int = 1, ignore_index: words.IgnoreIndex = None, pixel_weights: Array | None = None,
    class_weights: words.ClassWeights = None, beta: words.PerClass | None = None,
    reduction: words.Reduction = "mean", all_reduce: words.AllReduce = None,
) -> Array:  # fmt: skip
    """Weigh few positives against many negatives, as for edges that cover 1 % of an image.

    ::

        l = -(w_1 beta y log p + w_0 (1 - beta) (1 - y) log(1 - p)),   beta = 1 - mean(y) by default
        mean = sum u l / sum u (w_1 y + w_0 (1 - y))

    Words shared by all losses: see `agnoloss.losses`.

    Parameters
    ----------
    beta : float, or sequence or array of length C, optional
        Weight of the positives, from 0 to 1. By default the fraction of negatives among the
        elements of the batch that count, for each channel.

    References
    ----------
    .. [1] S. Xie and Z. Tu, "Holistically-Nested Edge Detection", ICCV 2015, equation 2.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import balanced_cross_entropy_loss
    >>> edges = np.asarray([[1, 0, 0, 0]])
    >>> print(f"{balanced_cross_entropy_loss(np.zeros((1, 4)), edges):.4f}")  # 3/8 ln 2
    0.2599
    """
    batch = Batch(predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
                  ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
                  reduction=reduction, all_reduce=all_reduce, modes=("binary", "multilabel"),
                  numbers=(beta,))  # fmt: skip
    if beta is None:
        # by sums of both sides: exactly 0 or 1 where all are alike
        negatives = batch.add_up(batch.sum_pixels(1 - batch.targets))
        beta = divide(batch.xp, negatives, negatives + batch.add_up(batch.target_sums))
    else:
        beta = batch.per_class("beta", beta, scalar=True, high=1.0)
    return over_pixels(batch, balanced_terms, beta)


def balanced_terms(p: Probabilities, beta: Array) -> tuple[Array, Array | None]:
    """Loss and share of each element, its positives weighed by beta, binary and multilabel."""
    # -(w_1 beta y log p + w_0 (1 - beta) (1 - y) log(1 - p))
    w_1, w_0 = p.side_weights
    return -p.over_sides(lambda side: side.log_p, beta * w_1, (1 - beta) * w_0), p.side_share()

"""Cross entropy, plain and balanced: what each pixel's prediction costs in information."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

from .. import checks
from ..backends.base import Array
from ..block import Block
from ..docstrings import documented
from ..elementary import divide
from ..pixels import Pixels
from ..reductions import over_pixels


@documented
def cross_entropy_loss(
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
    pos_weight: float | Sequence[float] | Array | None = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    all_reduce: Callable[[Array], Array] | None = None,
) -> Array:
    """Make the probability of each pixel's true class large: the default of classification.

    Multiclass, with e the label smoothing, w_c class weights and u_i pixel weights::

        l_i = -sum_c w_c q_ic log p_ic,   q = (1 - e) y + e / C
        mean = sum_i u_i l_i / sum_i u_i sum_c w_c y_ic

    Binary and multilabel, each element by itself::

        l = -(pos_weight y log p + (1 - y) log(1 - p)),   y smoothed to y (1 - e) + e / 2
        mean = sum u w l / sum u w

    Parameters
    ----------
    {common}
    pos_weight : float, or sequence or array of length C, optional
        Weight of the positive term, binary and multilabel; not in the divisor of the mean.
    label_smoothing : float, default 0
        How much of each target is spread over all classes, from 0 to 1.
    {pixel_reduction}
    {all_reduce}

    {outcome}

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
    pixels = Pixels(
        predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
        ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
        reduction=reduction, all_reduce=all_reduce,
    )  # fmt: skip
    return over_pixels(pixels, cross_entropy_terms(pixels, pos_weight, label_smoothing))


def cross_entropy_terms(
    pixels: Pixels, pos_weight: float | Sequence[float] | Array | None, label_smoothing: float
) -> Callable[[Block], tuple[Array, Array]]:
    """Check the options of cross entropy; its loss and share for each pixel of a block."""
    e = checks.number("label_smoothing", label_smoothing, 0.0, 1.0)
    if pixels.mode == "multiclass":
        if pos_weight is not None:
            raise ValueError(
                "`pos_weight` has a meaning in binary and multilabel mode only; use "
                f"`class_weights`. Got {pos_weight!r}."
            )
        return partial(_multiclass, e=e)
    positive = 1.0
    if pos_weight is not None:
        positive = pixels.per_class("pos_weight", pos_weight, scalar=True)
    return partial(_binary, e=e, pos_weight=positive)


def _multiclass(block: Block, e: float = 0.0) -> tuple[Array, Array]:
    # -sum_c w_c q_c log p_c,  q = (1 - e) y + e / C
    w = block.pixels.class_weights
    loss = -(1 - e) * block.over_targets(lambda log_p, _: log_p, w)
    if e:
        log_p = block.log_probs if w is None else block.log_probs * block.column(w)
        loss = loss - e / block.num_classes * block.xp.sum(log_p, axis=1)
    return loss, block.over_targets(None, w)


def _binary(block: Block, e: float = 0.0, pos_weight: Array = 1.0) -> tuple[Array, Array]:
    # -(pos_weight y log p + (1 - y) log(1 - p))
    y = block.targets * (1 - e) + e / 2 if e else block.targets
    positive = block.per_channel(pos_weight) * y
    return block.per_element(-(positive * block.log_probs + (1 - y) * block.log_complements))


@documented
def balanced_cross_entropy_loss(
    predictions: Array,
    targets: Array,
    /,
    *,
    mode: str = "binary",
    from_logits: bool = True,
    axis: int = 1,
    ignore_index: int | Sequence[int] | None = None,
    pixel_weights: Array | None = None,
    class_weights: Sequence[float] | Array | str | None = None,
    beta: float | Sequence[float] | Array | None = None,
    reduction: str = "mean",
    all_reduce: Callable[[Array], Array] | None = None,
) -> Array:
    """Weigh few positives against many negatives, as for edges that cover 1 % of an image.

    ::

        l = -(beta y log p + (1 - beta) (1 - y) log(1 - p)),   beta = 1 - mean(y) by default
        mean = sum u w l / sum u w

    Parameters
    ----------
    {binary_common}
    beta : float, or sequence or array of length C, optional
        Weight of the positives, from 0 to 1. By default the fraction of negatives among the
        elements of the batch that count, for each channel.
    {pixel_reduction}
    {all_reduce}

    {outcome}

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
    pixels = Pixels(
        predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
        ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
        reduction=reduction, all_reduce=all_reduce, modes=("binary", "multilabel"),
    )  # fmt: skip
    if beta is None:
        ((true, size),) = pixels.sum(lambda block: (block.target_counts(), block.sizes()))
        beta = 1 - divide(pixels.xp, true, size)
    else:
        beta = pixels.per_class("beta", beta, scalar=True, high=1.0)
    return over_pixels(pixels, partial(_balanced, beta=beta))


def _balanced(block: Block, beta: Array) -> tuple[Array, Array]:
    # -(beta y log p + (1 - beta) (1 - y) log(1 - p))
    y, beta = block.targets, block.per_channel(beta)
    positive, negative = beta * y, (1 - beta) * (1 - y)
    return block.per_element(-(positive * block.log_probs + negative * block.log_complements))


@documented
def cost_sensitive_cross_entropy_loss(
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
    cost_matrix: Sequence[Sequence[float]] | Array,
    reduction: str = "mean",
    all_reduce: Callable[[Array], Array] | None = None,
) -> Array:
    """Make some confusions dearer than others: a pedestrian taken for road, for example.

    With the predicted class k_i = argmax_c p_ic, through which no gradient flows::

        l_i = -sum_c w_c y_ic cost[c, k_i] log p_ic
        mean = sum_i u_i l_i / sum_i u_i sum_c w_c y_ic

    Parameters
    ----------
    {multiclass_common}
    cost_matrix : nested sequence or array, ``(C, C)``
        What a pixel of class (row) costs where the prediction is class (column), not negative.
    {pixel_reduction}
    {all_reduce}

    {outcome}

    Notes
    -----
    The diagonal weighs pixels that are right already; 0 there leaves them no gradient.

    References
    ----------
    .. [1] C. Elkan, "The Foundations of Cost-Sensitive Learning", IJCAI 2001, section 1.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import cost_sensitive_cross_entropy_loss
    >>> p, y = np.asarray([[0.2, 0.8], [0.2, 0.8]]), np.asarray([0, 1])
    >>> costs = [[1, 5], [1, 1]]  # class 0 taken for class 1 costs 5
    >>> loss = cost_sensitive_cross_entropy_loss(p, y, from_logits=False, cost_matrix=costs)
    >>> print(f"{loss:.4f}")  # (-5 ln 0.2 - ln 0.8) / 2
    4.1352
    """
    pixels = Pixels(
        predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
        ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
        reduction=reduction, all_reduce=all_reduce, modes=("multiclass",),
    )  # fmt: skip
    costs = pixels.per_class("cost_matrix", cost_matrix, axes=2)
    return over_pixels(pixels, partial(_cost_sensitive, costs=costs))


def _cost_sensitive(block: Block, costs: Array) -> tuple[Array, Array]:
    # -sum_c w_c y_c cost[c, k] log p_c,  k = argmax_c p_c
    w = block.pixels.class_weights
    predicted = block.backend.labels(block.xp.argmax(block.scores, axis=1))
    rows = [block.backend.lookup(costs[c, :], predicted) for c in range(block.num_classes)]
    cost = block.xp.stack(rows, axis=1)
    return -block.over_targets(lambda log_p, _: log_p, w, cost), block.over_targets(None, w)


@documented
def top_k_cross_entropy_loss(
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
    k: float = 0.1,
    reduction: str = "mean",
) -> Array:
    """Learn from the hardest pixels of the batch alone: online hard example mining.

    The mean of cross entropy over the max(1, ceil(k n)) pixels (elements in multilabel mode) that
    cost most, of the n that count.

    Parameters
    ----------
    {common}
    k : float, default 0.1
        Fraction of the pixels to keep, above 0 and up to 1.
    {pixel_reduction}

    {outcome}

    Notes
    -----
    Pixels are ranked by their unweighted cross entropy; between equals the choice is free.

    References
    ----------
    .. [1] Z. Wu, C. Shen and A. van den Hengel, "Bridging Category-level and Instance-level Semantic
       Image Segmentation", arXiv:1605.06885, 2016, section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import top_k_cross_entropy_loss
    >>> p, y = np.asarray([[0.9, 0.1], [0.5, 0.5]]), np.asarray([0, 0])
    >>> print(f"{top_k_cross_entropy_loss(p, y, from_logits=False, k=0.5):.4f}")  # -ln 0.5
    0.6931
    """
    pixels = Pixels(
        predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
        ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
        reduction=reduction,
    )  # fmt: skip
    k = checks.number("k", k, 0.0, 1.0)
    if k == 0:
        raise ValueError("`k` must be above 0; got 0.")
    return over_pixels(pixels, partial(_hardest, k=Fraction(k).limit_denominator(10_000)), whole=True)


def _hardest(block: Block, k: Fraction) -> tuple[Array, Array]:
    xp, terms = block.xp, _multiclass if block.multiclass else _binary
    loss, share = terms(block)
    # Ranked by the unweighted loss; what does not count comes last, below every loss.
    hardness = block.unweighted(loss)
    counts = xp.ones_like(hardness) == 1
    if block.valid is not None:
        counts = xp.broadcast_to(block.valid, hardness.shape)
        hardness = xp.where(counts, hardness, -1.0)
    # NaN would sort to no certain place: it counts as hardest, so that it stays visible.
    hardness = xp.where(hardness != hardness, math.inf, hardness)
    kept = block.backend.in_descending_order(
        xp.reshape(hardness, (1, -1)),
        (xp.reshape(xp.astype(counts, xp.int32), (1, -1)),),
        partial(_first, k=k, dtype=block.pixels.dtype),
    )
    kept = xp.reshape(kept, hardness.shape) != 0
    return xp.where(kept, loss, 0.0), xp.where(kept, share, 0.0)


def _first(xp: Any, counts: Array, k: Fraction, dtype: Any) -> Array:
    """1 for the first max(1, ceil(k n)) of the n that count, in integers that cannot overflow."""
    a, b = k.numerator, k.denominator
    n = xp.sum(counts, axis=-1, keepdims=True)
    size = a * (n // b) + (a * (n % b) + b - 1) // b
    first = (xp.cumulative_sum(counts, axis=-1) <= xp.where(size < 1, 1, size)) & (counts > 0)
    return xp.astype(first, dtype)


@documented
def conservative_loss(
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
    lam: float = 5.0,
    base: float = math.e,
    eps: float = 1e-6,
    reduction: str = "mean",
    all_reduce: Callable[[Array], Array] | None = None,
) -> Array:
    """Reward neither certainty nor error, so that features carry over to another domain.

    With p_t the probability of the true class, clipped to [eps, 1 - eps], and a the base::

        l = lam (1 + log_a p_t)^2 log_a(-log_a p_t)

    Parameters
    ----------
    {multiclass_common}
    lam : float, default 5
        Factor of the loss.
    base : float, default e
        Base a of the logarithms, above 1.
    eps : float, default 1e-6
        Probabilities nearer to 0 or 1 than this count as this, with gradient 0.
    {pixel_reduction}
    {all_reduce}

    {outcome}

    References
    ----------
    .. [1] X. Zhu et al., "Penalizing Top Performers: Conservative Loss for Semantic Segmentation
       Adaptation", ECCV 2018, equation 4.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import conservative_loss
    >>> p, y = np.asarray([[0.1, 0.9]]), np.asarray([0])
    >>> print(f"{conservative_loss(p, y, from_logits=False):.4f}")
    7.0760
    """
    pixels = Pixels(
        predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
        ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
        reduction=reduction, all_reduce=all_reduce, modes=("multiclass",),
    )  # fmt: skip
    lam, eps = checks.number("lam", lam, 0.0), checks.number("eps", eps, 0.0, 0.5)
    if not (checks.number("base", base, 1.0) > 1 and eps > 0):
        raise ValueError(f"`base` must be above 1 and `eps` above 0; got {base} and {eps}.")
    return over_pixels(pixels, partial(_conservative, lam=lam, unit=math.log(base), eps=eps))


def _conservative(block: Block, lam: float, unit: float, eps: float) -> tuple[Array, Array]:
    xp, w = block.xp, block.pixels.class_weights
    low, high = math.log(eps), math.log1p(-eps)

    def term(log_p: Array, complement: Array) -> Array:
        # lam (1 + log_a p)^2 log_a(-log_a p)
        clipped = xp.where(log_p < low, low, xp.where(complement < eps, high, log_p)) / unit
        return lam * (1 + clipped) ** 2 * xp.log(-clipped) / unit

    return block.over_targets(term, w), block.over_targets(None, w)

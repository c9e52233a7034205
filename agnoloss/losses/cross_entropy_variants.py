"""Cross entropy that looks at some pixels more than at others, and the conservative loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from typing import Any

from .. import words
from ..array import Array
from ..backends import Backend
from ..batch import Batch, checks
from ..docstrings import documented
from ..statistics.probabilities import Probabilities, Side
from ..statistics.reductions import over_pixels
from .cross_entropy import binary_terms, multiclass_terms


@documented
def cost_sensitive_cross_entropy_loss(
    predictions: Array, targets: Array, *, mode: words.Mode = "multiclass", from_logits: bool = True,
    axis: int = 1, ignore_index: words.IgnoreIndex = None, pixel_weights: Array | None = None,
    class_weights: words.ClassWeights = None, cost_matrix: Sequence[Sequence[float]] | Array,
    reduction: words.Reduction = "mean", all_reduce: words.AllReduce = None,
) -> Array:  # fmt: skip
    """Make some confusions dearer than others: a pedestrian taken for road, for example.

    With the predicted class k_i = argmax_c p_ic, through which no gradient flows::

        l_i = -sum_c w_c y_ic cost[c, k_i] log p_ic
        mean = sum_i u_i l_i / sum_i u_i sum_c w_c y_ic

    Words shared by all losses: see `agnoloss.losses`.

    Parameters
    ----------
    mode : {"multiclass"}, default "multiclass"
        Softmax over `axis`; this loss has no other mode.
    cost_matrix : nested sequence or array, ``(C, C)``
        What a pixel of class (row) costs where the prediction is class (column), not negative.

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
    batch = Batch(predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
                  ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
                  reduction=reduction, all_reduce=all_reduce, modes=("multiclass",),
                  numbers=(cost_matrix,))  # fmt: skip
    return over_pixels(batch, _cost_terms, batch.per_class("cost_matrix", cost_matrix, axes=2))


def _cost_terms(p: Probabilities, costs: Array) -> tuple[Array, Array | None]:
    # -sum_c w_c y_c cost[c, k] log p_c,  k = argmax_c p_c
    batch, w = p.batch, p.batch.class_weights
    rows = [batch.backend.gather(costs[c, :], p.argmax) for c in range(batch.num_classes)]
    return -p.over_targets(lambda side: side.log_p, w, p.xp.stack(rows, axis=1)), p.target_share(w)


@documented
def top_k_cross_entropy_loss(
    predictions: Array, targets: Array, *, mode: words.Mode = "multiclass", from_logits: bool = True,
    axis: int = 1, ignore_index: words.IgnoreIndex = None, pixel_weights: Array | None = None,
    class_weights: words.ClassWeights = None, k: float = 0.1, reduction: words.Reduction = "mean",
) -> Array:  # fmt: skip
    """Learn from the hardest pixels of the batch alone: online hard example mining.

    The mean of cross entropy over the max(1, ceil(k n)) pixels (elements in multilabel mode) that
    cost most, of the n that count.

    Words shared by all losses: see `agnoloss.losses`.

    Parameters
    ----------
    k : float, default 0.1
        Fraction of the pixels to keep, above 0 and up to 1.

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
    batch = Batch(predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
                  ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
                  reduction=reduction)  # fmt: skip
    k = checks.number("k", k, 0.0, 1.0, above=True)
    return over_pixels(batch, _hardest_terms, Fraction(k).limit_denominator(10_000), whole=True)


def _hardest_terms(p: Probabilities, k: Fraction) -> tuple[Array, Array]:
    xp, batch = p.xp, p.batch
    if batch.multiclass:
        loss, share = multiclass_terms(p)
        hardness = -p.over_targets(lambda side: side.log_p)
    else:
        loss, share = binary_terms(p)
        hardness = -p.over_sides(lambda side: side.log_p)
    counts = xp.ones_like(hardness) == 1
    if batch.valid is not None:
        counts = xp.broadcast_to(batch.valid, hardness.shape)
    # NaN comes first, so that it stays visible.
    hardness = xp.where(hardness != hardness, math.inf, hardness)
    shape = (loss.shape[0], math.prod(loss.shape[1:])) if batch.by_image else (1, -1)
    row, counts = (xp.reshape(x, shape) for x in (hardness, xp.astype(counts, xp.int32)))
    kept = batch.backend.descending(row, (counts,), partial(_first, k=k))
    kept = xp.reshape(kept, hardness.shape) != 0
    share = xp.ones_like(loss) if share is None else share
    return xp.where(kept, loss, 0.0), xp.where(kept, share, 0.0)


def _first(backend: Backend, dtype: Any, counts: Array, k: Fraction) -> Array:
    """1 for the first max(1, ceil(k n)) of the n of a row that count, in integers that cannot overflow."""
    xp, a, b = backend.xp, k.numerator, k.denominator
    n = xp.sum(counts, axis=-1, keepdims=True)
    size = a * (n // b) + (a * (n % b) + b - 1) // b
    return xp.astype(backend.cumulative_sum(counts) <= xp.where(size < 1, 1, size), dtype)


@documented
def conservative_loss(
    predictions: Array, targets: Array, *, mode: words.Mode = "multiclass", from_logits: bool = True,
    axis: int = 1, ignore_index: words.IgnoreIndex = None, pixel_weights: Array | None = None,
    class_weights: words.ClassWeights = None, lam: words.Number = 5.0, base: words.Number = math.e,
    eps: words.Number = 1e-06, reduction: words.Reduction = "mean", all_reduce: words.AllReduce = None,
) -> Array:  # fmt: skip
    """Pull on certain pixels unlike cross entropy, so that features carry over to another domain.

    With p_t the probability of the true class, clipped to [eps, 1 - eps], and a the base::

        l = lam (1 + log_a p_t)^2 log_a(-log_a p_t)

    Words shared by all losses: see `agnoloss.losses`.

    Parameters
    ----------
    mode : {"multiclass"}, default "multiclass"
        Softmax over `axis`; this loss has no other mode.
    lam : float, default 5
        Factor of the loss.
    base : float, default e
        Base a of the logarithms, above 1.
    eps : float, default 1e-6
        Probabilities nearer to 0 or 1 than this count as this, with gradient 0.

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
    7.0756
    """
    batch = Batch(predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
                  ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
                  reduction=reduction, all_reduce=all_reduce, modes=("multiclass",),
                  numbers=(lam, base, eps))  # fmt: skip
    lam = batch.number("lam", lam, 0.0)
    base, eps = batch.number("base", base, 1.0, above=True), batch.number("eps", eps, 0.0, 0.5, above=True)
    return over_pixels(batch, _conservative_terms, lam, base, eps)


def _conservative_terms(p: Probabilities, lam: Array, base: Array, eps: Array) -> tuple[Array, Array | None]:
    xp, w = p.xp, p.batch.class_weights
    base, eps = (p.batch.constant(x) if isinstance(x, float) else x for x in (base, eps))
    unit, low, high = xp.log(base), xp.log(eps), xp.log1p(-eps)

    def term(side: Side) -> Array:
        # lam (1 + log_a p)^2 log_a(-log_a p)
        log_p = side.log_p
        clipped = xp.where(log_p < low, low, xp.where(log_p > high, high, log_p)) / unit
        return lam * (1 + clipped) ** 2 * xp.log(-clipped) / unit

    return p.over_targets(term, w), p.target_share(w)

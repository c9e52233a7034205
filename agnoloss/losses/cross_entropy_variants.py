"""Cross entropy that looks at some pixels more than at others, and the conservative loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

from .. import checks
from ..backends.base import Array, Backend
from ..block import Block
from ..docstrings import documented
from ..pixels import Pixels
from ..reductions import over_pixels
from ..remembered import remembered
from ..setting import Side
from .cross_entropy import binary_terms, multiclass_terms


@remembered
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


def _cost_sensitive(block: Block, costs: Array) -> tuple[Array, Array | None]:
    # -sum_c w_c y_c cost[c, k] log p_c,  k = argmax_c p_c
    w = block.setting.class_weights
    rows = [block.backend.lookup(costs[c, :], block.likeliest) for c in range(block.num_classes)]
    cost = block.xp.stack(rows, axis=1)
    return -block.over_targets(lambda side: side.log_p, w, cost), block.target_share(w)


@remembered
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
    xp = block.xp
    if block.multiclass:
        loss, share = multiclass_terms(block, e=0.0)
        hardness = -block.over_targets(lambda side: side.log_p)
    else:
        loss, share = binary_terms(block, e=0.0, pos_weight=1.0)
        hardness = -block.over_sides(lambda side: side.log_p)
    counts = xp.ones_like(hardness) == 1
    if block.valid is not None:
        counts = xp.broadcast_to(block.valid, hardness.shape)
    # NaN comes first, so that it stays visible.
    hardness = xp.where(hardness != hardness, math.inf, hardness)
    kept = block.backend.in_descending_order(
        xp.reshape(hardness, (1, -1)),
        (xp.reshape(xp.astype(counts, xp.int32), (1, -1)),),
        partial(_first, k=k),
    )
    kept = xp.reshape(kept, hardness.shape) != 0
    share = xp.ones_like(loss) if share is None else share
    return xp.where(kept, loss, 0.0), xp.where(kept, share, 0.0)


def _first(backend: Backend, dtype: Any, counts: Array, k: Fraction) -> Array:
    """1 as far as the first max(1, ceil(k n)) of the n that count, in integers that cannot overflow."""
    xp, a, b = backend.xp, k.numerator, k.denominator
    n = xp.sum(counts)
    size = a * (n // b) + (a * (n % b) + b - 1) // b
    return xp.astype(backend.cumulative_sum(counts) <= xp.where(size < 1, 1, size), dtype)


@remembered
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
    """Pull on certain pixels unlike cross entropy, so that features carry over to another domain.

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
    7.0756
    """
    pixels = Pixels(
        predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
        ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
        reduction=reduction, all_reduce=all_reduce, modes=("multiclass",),
    )  # fmt: skip
    lam, eps = checks.number("lam", lam, 0.0), checks.number("eps", eps, 0.0, 0.5)
    if not (checks.number("base", base) > 1 and eps > 0):
        raise ValueError(f"`base` must be above 1 and `eps` above 0; got {base} and {eps}.")
    return over_pixels(pixels, partial(_conservative, lam=lam, unit=math.log(base), eps=eps))


def _conservative(block: Block, lam: float, unit: float, eps: float) -> tuple[Array, Array | None]:
    xp, w = block.xp, block.setting.class_weights
    low, high = math.log(eps), math.log1p(-eps)

    def term(side: Side) -> Array:
        # lam (1 + log_a p)^2 log_a(-log_a p)
        log_p = side.log_p
        clipped = xp.where(log_p < low, low, xp.where(log_p > high, high, log_p)) / unit
        return lam * (1 + clipped) ** 2 * xp.log(-clipped) / unit

    return block.over_targets(term, w), block.target_share(w)

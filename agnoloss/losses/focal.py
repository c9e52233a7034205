"""Focal loss: cross entropy that lets go of the pixels it already has right."""

from __future__ import annotations

from numbers import Real
from typing import Any

from .. import words
from ..array import Array
from ..backends import is_array, resolve_backend
from ..batch import Batch
from ..batch.options import number
from ..docstrings import documented
from ..statistics.probabilities import Probabilities, Side
from ..statistics.reductions import over_pixels
from ..statistics.safe_math import power
from .cross_entropy import smoothing, weight_of_positives


@documented
def focal_loss(
    predictions: Array, targets: Array, *, mode: words.Mode = "multiclass", from_logits: bool = True,
    axis: int = 1, ignore_index: words.IgnoreIndex = None, pixel_weights: Array | None = None,
    class_weights: words.ClassWeights = None, gamma: words.Number = 2.0, alpha: words.PerClass | None = None,
    pos_weight: words.PerClass | None = None, label_smoothing: words.Number = 0.0,
    reduction: words.Reduction = "mean", all_reduce: words.AllReduce = None,
) -> Array:  # fmt: skip
    """Learn from the few hard pixels where easy ones, such as background, are many.

    Multiclass, and binary or multilabel::

        l_i = -sum_c w_c alpha_c q_ic (1 - p_ic)^gamma log p_ic
        l = -(w_1 pos_weight alpha q (1 - p)^gamma log p + w_0 (1 - alpha) (1 - q) p^gamma log(1 - p))

    with the targets y smoothed to q as in `cross_entropy_loss`. The mean divides by pixels and class
    weights as there, not by alpha or `pos_weight`.

    Words shared by all losses: see `agnoloss.losses`.

    Parameters
    ----------
    gamma : float, default 2
        Exponent, at least 0; 0 is cross entropy.
    alpha : float, or sequence or array of length C, optional
        Binary and multilabel: weight of the positives, from 0 to 1, 1 - alpha that of the
        negatives; a number or one for each channel. Multiclass: one weight for each class.
    pos_weight : float, or sequence or array of length C, optional
        Weight of the positive term, binary and multilabel; not in the divisor of the mean.
    label_smoothing : float, default 0
        How much of each target is spread over all classes, from 0 to 1.

    Notes
    -----
    Value and gradient are finite for every gamma and every finite score.

    References
    ----------
    .. [1] T.-Y. Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, equation 5.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import focal_loss
    >>> p, y = np.asarray([[0.9, 0.1]]), np.asarray([0])
    >>> print(f"{focal_loss(p, y, from_logits=False):.6f}")  # -0.1^2 ln 0.9
    0.001054
    """
    batch = Batch(predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
                  ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
                  reduction=reduction, all_reduce=all_reduce,
                  numbers=(gamma, alpha, pos_weight, label_smoothing))  # fmt: skip
    gamma = batch.number("gamma", gamma, 0.0)
    e, positive = smoothing(batch, label_smoothing), weight_of_positives(batch, pos_weight)
    return over_pixels(batch, _terms, gamma, _alpha(batch, alpha), positive, e, whole=e is not None)


def _terms(
    p: Probabilities, gamma: Array, alpha: Array | None, pos_weight: Array, e: Array | None
) -> tuple[Array, Array | None]:
    def focal(side: Side) -> Array:
        plain = isinstance(gamma, float) and gamma == 0
        return -side.log_p if plain else _focused(p.xp, side.log_p, side.complement, gamma)

    if p.batch.multiclass:
        w = p.batch.class_weights
        return p.over_targets(focal, alpha, w, smoothing=e), p.target_share(w)
    w_1, w_0 = p.side_weights
    if alpha is not None:
        w_1, w_0 = alpha * w_1, (1 - alpha) * w_0
    return p.over_sides(focal, pos_weight * w_1, w_0, smoothing=e), p.side_share()


def _focused(xp: Any, log_p: Array, complement: Array, gamma: Array) -> Array:
    # -(1 - p)^gamma log p; where p is 0 in every dtype, so is the part of the slope that has the factor p
    far = log_p < -1000.0
    return xp.where(far, -log_p, -power(xp, complement, gamma) * xp.where(far, -1.0, log_p))


def _alpha(batch: Batch, alpha: Any) -> Array | None:
    if alpha is None:
        return None
    if not batch.multiclass:
        return batch.per_class("alpha", alpha, scalar=True, high=1.0)
    if isinstance(alpha, Real) or (is_array(alpha) and not alpha.ndim):
        raise ValueError(
            f"`alpha` must have one number for each of {batch.num_classes} classes in multiclass "
            f"mode, where one number would only rescale the loss; got {alpha}."
        )
    return batch.per_class("alpha", alpha)


def focal_modulation(cross_entropy: Array, gamma: words.Number = 2.0) -> Array:
    """Focus a cross entropy that is already weighted or averaged: (1 - exp(-ce))^gamma ce.

    For code that modulates the mean of a batch instead of each pixel, which is another loss than
    `focal_loss`.

    Parameters
    ----------
    cross_entropy : array, real floating
        Cross entropy of any shape, not negative.
    gamma : float, default 2
        Exponent, at least 0.

    Returns
    -------
    array
        Of the shape of `cross_entropy`.

    Raises
    ------
    TypeError
        If `cross_entropy` is no real floating array.
    ValueError
        If `gamma` is negative.

    References
    ----------
    .. [1] T.-Y. Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, equation 4, with
       p_t = exp(-ce).

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import focal_modulation
    >>> print(f"{focal_modulation(np.asarray(0.5), 2.0):.4f}")
    0.0774
    """
    cross_entropy, backend = resolve_backend(cross_entropy, gamma, name="cross_entropy")
    kind = backend.kind(cross_entropy)
    if kind not in ("floating", "half"):
        raise TypeError(f"`cross_entropy` must be real floating; got {cross_entropy.dtype}.")
    ce = backend.xp.astype(cross_entropy, backend.xp.float32) if kind == "half" else cross_entropy
    gamma = number(backend, ce.dtype, "gamma", gamma, 0.0, beside=ce)
    return _focused(backend.xp, -ce, -backend.xp.expm1(-ce), gamma)

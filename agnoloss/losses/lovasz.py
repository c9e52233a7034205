"""Lovász losses: the convex surrogate of the Jaccard index, by one sort of the errors."""

from __future__ import annotations

from typing import Any

from .. import words
from ..array import Array
from ..backends import Backend
from ..batch import Batch
from ..docstrings import documented
from ..statistics.lovasz import lovasz_extension
from ..statistics.reductions import Classes


@documented
def lovasz_softmax_loss(
    predictions: Array, targets: Array, *, mode: words.Mode = "multiclass", from_logits: bool = True,
    axis: int = 1, ignore_index: words.IgnoreIndex = None, pixel_weights: Array | None = None,
    class_weights: words.ClassWeights = None, classes: words.ClassChoice = "present", per_image: bool = False,
    reduction: words.Reduction = "mean",
) -> Array:  # fmt: skip
    """Optimise the Jaccard index (IoU) itself, extended to probabilities.

    For each class, with the errors sorted so that they fall::

        e_i = |y_i - p_i|,   loss = sum_i e_i (J_i - J_(i-1)),
        J_i = 1 - intersection / union if the i pixels of largest error are wrong

    Words shared by all losses: see `agnoloss.losses`.

    Notes
    -----
    Soft targets count as foreground above 1/2. Pixel weights weigh intersection and union. Between
    equal errors the order is free: the value is the same, the gradient one of the subgradients. A
    pixel without error has gradient 0.

    References
    ----------
    .. [1] M. Berman, A. Rannen Triki and M. B. Blaschko, "The Lovász-Softmax Loss: A Tractable
       Surrogate for the Optimization of the Intersection-Over-Union Measure in Neural Networks",
       CVPR 2018, equations 8 and 11.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import lovasz_softmax_loss
    >>> p, y = np.asarray([[0.5, 0.4, 1.0]]), np.asarray([[1, 0, 1]])
    >>> print(f"{lovasz_softmax_loss(p, y, mode='binary', from_logits=False):.4f}")
    0.3167
    """
    batch = Batch(predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
                  ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
                  reduction=reduction)  # fmt: skip
    chosen = Classes(batch, classes, per_image)
    return chosen.reduce(*lovasz_extension(batch, "distance", jaccard_differences, chosen))


@documented
def lovasz_hinge_loss(
    predictions: Array, targets: Array, *, mode: words.Mode = "binary", axis: int = 1,
    ignore_index: words.IgnoreIndex = None, pixel_weights: Array | None = None,
    class_weights: words.ClassWeights = None, per_image: bool = True, reduction: words.Reduction = "mean",
) -> Array:  # fmt: skip
    """Optimise the Jaccard index (IoU) of the foreground, extended by the hinge of raw scores.

    For each channel, with the errors sorted so that they fall::

        e_i = max(0, 1 - z_i (2 y_i - 1)),   loss = sum_i e_i (J_i - J_(i-1)),
        J_i = 1 - intersection / union if the i pixels of largest error are wrong

    Words shared by all losses: see `agnoloss.losses`.

    Notes
    -----
    Takes raw scores z only. Soft targets count as foreground above 1/2. A pixel without error,
    z (2 y - 1) >= 1, has gradient 0.

    References
    ----------
    .. [1] M. Berman, A. Rannen Triki and M. B. Blaschko, "The Lovász-Softmax Loss: A Tractable
       Surrogate for the Optimization of the Intersection-Over-Union Measure in Neural Networks",
       CVPR 2018, equations 8 and 12.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import lovasz_hinge_loss
    >>> scores, y = np.asarray([[2.0, 0.5, -3.0]]), np.asarray([[1, 1, 0]])
    >>> print(lovasz_hinge_loss(scores, y))
    0.25
    """
    batch = Batch(predictions, targets, mode=mode, from_logits=True, axis=axis,
                  ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
                  reduction=reduction, modes=("binary", "multilabel"))  # fmt: skip
    chosen = Classes(batch, "all", per_image)
    return chosen.reduce(*lovasz_extension(batch, "hinge", jaccard_differences, chosen))


def jaccard_differences(
    backend: Backend, dtype: Any, foreground: Array, background: Array, intersection: Array, union: Array
) -> Array:
    """J_i - J_(i-1) along the sorted pixels of each row, without taking differences.

    A foreground pixel of weight w takes w out of the intersection I: the index falls by w / U. A
    background pixel adds w to the union U: it falls by I / U_before - I / U = I w / (U_before U).
    Subtracting neighbouring values of J would lose their digits.

    Foreground and background, (R, P) or (P,), are the weight of each pixel on its own side, 0 on the
    other: integers where all weights are 1, so that the sums are exact. Intersection and union, numbers
    or (R, 1), are those before the first of these pixels.
    """
    xp = backend.xp
    intersection = intersection - backend.cumulative_sum(foreground)
    union = union + backend.cumulative_sum(background)
    before = union - xp.astype(background, union.dtype)
    intersection, union, before, foreground, background = (
        xp.astype(part, dtype) for part in (intersection, union, before, foreground, background)
    )
    # With no foreground at all, the first background pixel already makes the index 0: it falls by w / U.
    empty = before == 0
    fall = xp.where(empty, background, intersection * background / xp.where(empty, 1.0, before))
    return (foreground + fall) / xp.where(union == 0, 1.0, union)

"""Lovász losses: the convex surrogate of the Jaccard index, by one sort of the errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..backends.base import Array, Backend
from ..docstrings import documented
from ..pixels import Pixels
from ..reductions import Classes


@documented
def lovasz_softmax_loss(
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
    classes: str | Sequence[int] = "present",
    per_image: bool = False,
    reduction: str = "mean",
) -> Array:
    """Optimise the Jaccard index (IoU) itself, extended to probabilities.

    For each class, with the errors sorted so that they fall::

        e_i = |y_i - p_i|,   loss = sum_i e_i (J_i - J_(i-1)),
        J_i = 1 - intersection / union if the i pixels of largest error are wrong

    Parameters
    ----------
    {common}
    {present_classes}
    {per_image}
    {class_reduction}

    {outcome}

    Notes
    -----
    Soft targets count as foreground above 1/2. Pixel weights weigh intersection and union. Between
    equal errors the order is free: the value is the same, the gradient one of the subgradients.

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
    pixels = Pixels(
        predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
        ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
        reduction=reduction,
    )  # fmt: skip
    chosen = Classes(pixels, classes, per_image)
    block = pixels.whole
    # |y - p|
    errors = pixels.xp.where(block.is_class, block.complements, block.probs)
    return _over_sorted(pixels, errors, chosen)


@documented
def lovasz_hinge_loss(
    predictions: Array,
    targets: Array,
    /,
    *,
    mode: str = "binary",
    axis: int = 1,
    ignore_index: int | Sequence[int] | None = None,
    pixel_weights: Array | None = None,
    class_weights: Sequence[float] | Array | str | None = None,
    per_image: bool = True,
    reduction: str = "mean",
) -> Array:
    """Optimise the Jaccard index (IoU) of the foreground, extended by the hinge of raw scores.

    For each channel, with the errors sorted so that they fall::

        e_i = max(0, 1 - z_i (2 y_i - 1)),   loss = sum_i e_i (J_i - J_(i-1)),
        J_i = 1 - intersection / union if the i pixels of largest error are wrong

    Parameters
    ----------
    {binary_scores}
    {each_image}
    {class_reduction}

    {outcome}

    Notes
    -----
    Takes raw scores z only. Soft targets count as foreground above 1/2.

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
    pixels = Pixels(
        predictions, targets, mode=mode, from_logits=True, axis=axis,
        ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
        reduction=reduction, modes=("binary", "multilabel"),
    )  # fmt: skip
    chosen = Classes(pixels, "all", per_image)
    block, xp = pixels.whole, pixels.xp
    # max(0, 1 - z (2 y - 1))
    errors = 1 - xp.where(block.is_class, block.scores, -block.scores)
    return _over_sorted(pixels, xp.where(errors < 0, 0.0, errors), chosen)


def _over_sorted(pixels: Pixels, errors: Array, chosen: Classes) -> Array:
    """sum_i e_i (J_i - J_(i-1)) for each class, and the mean over classes."""
    xp, block = pixels.xp, pixels.whole
    images, classes, count = errors.shape
    true = block.is_class
    false = ~true
    if block.valid is not None:  # an ignored pixel sorts last and adds to neither side
        valid = block.class_axis(block.valid)
        errors = xp.where(valid, errors, 0.0)
        true, false = true & valid, false & valid

    def rows(values: Array) -> Array:
        if chosen.per_image:
            return xp.reshape(values, (images * classes, count))
        return xp.reshape(xp.permute_dims(values, (1, 0, 2)), (classes, images * count))

    foreground, background = (rows(block.amounts(side)) for side in (true, false))
    differences = pixels.backend.in_descending_order(
        rows(errors), (foreground, background), jaccard_differences
    )
    shape = (images, classes) if chosen.per_image else (classes,)
    losses = xp.reshape(xp.sum(rows(errors) * differences, axis=-1), shape)
    totals = xp.astype(xp.reshape(xp.sum(foreground, axis=-1), shape), pixels.dtype)
    return chosen.reduce(pixels.trusted(losses), totals)


def jaccard_differences(backend: Backend, dtype: Any, foreground: Array, background: Array) -> Array:
    """J_i - J_(i-1) along the sorted pixels of each row, without taking differences.

    A foreground pixel of weight w takes w out of the intersection I: the index falls by w / U. A
    background pixel adds w to the union U: it falls by I / U_before - I / U = I w / (U_before U).
    Subtracting neighbouring values of J would lose their digits.

    Parameters
    ----------
    backend : Backend
        Of the arrays.
    dtype : dtype
        Of the result.
    foreground, background : array, (R, P) or (P,)
        Weight of each pixel on its own side, 0 on the other; integers where all weights are 1, so
        that the sums are exact.
    """
    xp = backend.xp
    total = xp.sum(foreground, axis=-1, keepdims=True)
    intersection = total - backend.cumulative_sum(foreground)
    added = backend.cumulative_sum(background)
    union, before = total + added, total + (added - background)
    intersection, union, before, foreground, background = (
        xp.astype(part, dtype) for part in (intersection, union, before, foreground, background)
    )
    union = xp.where(union == 0, 1.0, union)
    # With no foreground at all, the first background pixel already makes the index 0.
    first = xp.where(background == 0, background, 1.0)
    of_background = xp.where(
        before == 0, first, intersection * background / (xp.where(before == 0, 1.0, before) * union)
    )
    return foreground / union + of_background

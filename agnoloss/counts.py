"""Sums over pixels for each class, soft and hard, and the scores that are ratios of them."""

from __future__ import annotations

from typing import Any, NamedTuple

from .backends.base import Array
from .block import Block
from .elementary import ratio


class ClassSums(NamedTuple):
    """Sums over pixels for each class, ``(C,)`` or ``(N, C)``.

    tp : sum u min(p, y); tells how much of the prediction is right.
    predicted : sum u p, which is tp + fp.
    true : sum u y, which is tp + fn.
    size : sum u, the weight of all that counts.
    """

    tp: Array
    predicted: Array
    true: Array
    size: Array


def class_sums(block: Block) -> ClassSums:
    """Sums of a block for each image and class, with TP = sum u min(p, y) (Wang et al. 2023)."""
    if block.multiclass and block.labels is not None:
        tp = block.sum_labels(block.target_probs)  # min(p, y) is p y for labels
    elif block.hard:
        tp = block.sum_pixels(block.probs * block.targets)
    else:
        tp = block.sum_pixels(_smaller(block.xp, block.probs, block.targets))
    return ClassSums(tp, block.prob_sums, block.target_counts, block.sizes())


def squared_class_sums(block: Block) -> ClassSums:
    """Sums with squares, TP = sum u p y, P = sum u p^2, T = sum u y^2 (V-Net)."""
    predicted = block.sum_pixels(block.probs * block.probs)
    if block.multiclass and block.labels is not None:
        tp, true = block.sum_labels(block.target_probs), block.target_counts
    else:
        tp = block.sum_pixels(block.probs * block.targets)
        true = block.sum_pixels(block.targets * block.targets)
    return ClassSums(tp, predicted, true, block.sizes())


def _smaller(xp: Any, p: Array, y: Array) -> Array:
    """min(p, y), with derivative y where p = y: that of p y, so that 0 and 1 are exact labels."""
    p_cut = xp.where(p < y, p, y)  # at a tie the line below takes over
    return xp.where(p == y, y * (p - y) + y, p_cut)


def hard_class_sums(block: Block) -> ClassSums:
    """Sums in which each pixel's prediction is one class, or p > 1/2 in binary and multilabel."""
    xp = block.xp
    predicted = block.predicts if block.multiclass else block.probs > 0.5
    # a NaN must not become a decision
    p = xp.astype(predicted, block.dtype) + 0.0 * block.probs
    tp = block.sum_pixels(_smaller(xp, p, block.targets))
    return ClassSums(tp, block.sum_pixels(p), block.target_counts, block.sizes())


# --- scores -----------------------------------------------------------------------------------


def dice(xp: Any, sums: ClassSums, smooth: float | tuple[float, float]) -> Array:
    """(2 TP + s) / (P + T + s)."""
    tp, predicted, true, size = sums
    return ratio(xp, 2 * tp, predicted + true, smooth, size)


def jaccard(xp: Any, sums: ClassSums, smooth: float | tuple[float, float]) -> Array:
    """(TP + s) / (P + T - TP + s)."""
    tp, predicted, true, size = sums
    return ratio(xp, tp, predicted + true - tp, smooth, size)


def tversky(
    xp: Any, sums: ClassSums, alpha: float, beta: float, smooth: float | tuple[float, float]
) -> Array:
    """(TP + s) / (TP + alpha FP + beta FN + s)."""
    tp, predicted, true, size = sums
    fp, fn = predicted - tp, true - tp
    return ratio(xp, tp, tp + alpha * fp + beta * fn, smooth, size)

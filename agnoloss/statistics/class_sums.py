"""Sums over pixels for each class, soft and hard."""

from __future__ import annotations

import math
from typing import NamedTuple

from ..array import Array
from ..backends.closed_forms import smaller
from ..batch import Batch
from .probabilities import Probabilities


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


def class_sums(
    batch: Batch, per_image: bool = False, squared: bool = False, probabilities: Probabilities | None = None
) -> ClassSums:
    """Sums of a batch, or of each image, with TP = sum u min(p, y) (Wang et al. 2023).

    Squared: TP = sum u p y, P = sum u p^2, T = sum u y^2 (V-Net).
    """
    p = probabilities or Probabilities(batch)
    if batch.multiclass or not batch.from_logits:
        sums = _of_probabilities(p, squared)
    else:
        targets = batch.given_targets if batch.dense and batch.integer_targets else batch.targets
        given = batch.float32_scores, targets, batch.valid, batch.given_weights
        wanted = ("py", "p2", "y2", "u") if squared else ("tp", "p", "y", "u")
        found, _ = batch.backend.sigmoid_sums(*given, wanted)
        sums = ClassSums(*(found[name] for name in wanted))
    return ClassSums(*(batch.add_up(part, per_image) for part in sums))


def _of_probabilities(p: Probabilities, squared: bool) -> ClassSums:
    """Sums of each image, by the softmax's rule where targets are labels."""
    batch = p.batch
    if p.of_labels:  # min(p, y) is p y for labels
        tp, predicted, true = p.of_rule("tp", "p2" if squared else "p", "y")
        size = batch.xp.sum(true, axis=1, keepdims=True)  # what counts is of one class each
        return ClassSums(tp, predicted, true, size + batch.xp.zeros_like(true))
    true = batch.target_sums
    if squared:
        tp, predicted = p.probs * batch.targets, p.probs * p.probs
        true = batch.sum_pixels(batch.targets * batch.targets)
    else:
        tp = p.probs * batch.targets if batch.integer_targets else smaller(p.xp, p.probs, batch.targets)
        predicted = p.probs
    return ClassSums(batch.sum_pixels(tp), batch.sum_pixels(predicted), true, batch.sizes)


UNKNOWN = -(2**30)
"""NaN among whole numbers: what is counted where a prediction is no decision, or a target no class."""


def hard_class_sums(batch: Batch, per_image: bool = False) -> ClassSums:
    """Sums in which each pixel's prediction is one class, or p > 1/2 in binary and multilabel mode.

    All but sizes are whole numbers, unless targets are floating or there are pixel weights.
    """
    xp, probabilities = batch.xp, Probabilities(batch)
    whole = batch.integer_targets and batch.pixel_weights is None
    kind, nan = (xp.int32, UNKNOWN) if whole else (batch.dtype, math.nan)
    p, undecided = (xp.astype(x, kind) for x in (probabilities.decisions, probabilities.undecided))
    y = xp.astype(batch.one_hot, kind) if whole else batch.targets
    terms = [p * y, p, y, undecided]
    if batch.valid is not None:
        u = batch.class_axis(xp.astype(batch.valid, kind) if whole else batch.weights)
        terms = [term * u for term in terms]
    sums = [*(xp.sum(term, axis=2) for term in terms), batch.sizes]
    *sums, undecided, size = (batch.add_up(part, per_image) for part in sums)
    unknown = (undecided != 0) | (size != size)
    tp, predicted, true = (xp.where(unknown, nan, part) for part in sums)
    return ClassSums(tp, predicted, true, size)

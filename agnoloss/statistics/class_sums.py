"""Sums over pixels for each class, soft and hard."""

from __future__ import annotations

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
    batch: Batch,
    per_image: bool = False,
    squared: bool = False,
    probabilities: Probabilities | None = None,
) -> ClassSums:
    """Sums of a batch, with TP = sum u min(p, y) (Wang et al. 2023).

    Parameters
    ----------
    batch : Batch
        The input.
    per_image : bool
        Keep the sums of each image.
    squared : bool
        TP = sum u p y, P = sum u p^2, T = sum u y^2 (V-Net).
    probabilities : Probabilities, optional
        Of the batch, where a loss makes more of them.
    """
    p = probabilities or Probabilities(batch)
    tp, predicted = _products(p) if squared else _overlap(p)
    soft = squared and not (batch.integer_targets or (batch.multiclass and batch.labels is not None))
    true = batch.sum_pixels(batch.targets * batch.targets) if soft else batch.target_sums
    return _all_images(batch, per_image, tp, predicted, true)


def _all_images(batch: Batch, per_image: bool, tp: Array, predicted: Array, true: Array) -> ClassSums:
    return ClassSums(*(batch.add_up(sums, per_image) for sums in (tp, predicted, true, batch.sizes)))


def _overlap(p: Probabilities) -> tuple[Array, Array]:
    """sum u min(p, y) and sum u p of each image."""
    batch = p.batch
    if p.of_labels:  # min(p, y) is p y for labels
        return p.of_rule("tp"), p.of_rule("p")
    if not batch.multiclass and batch.from_logits:
        return _of_sigmoid(batch, "tp", "p")
    overlap = p.probs * batch.targets if batch.integer_targets else smaller(p.xp, p.probs, batch.targets)
    return batch.sum_pixels(overlap), batch.sum_pixels(p.probs)


def _products(p: Probabilities) -> tuple[Array, Array]:
    """sum u p y and sum u p^2 of each image."""
    batch = p.batch
    if p.of_labels:
        return p.of_rule("tp"), p.of_rule("p2")
    if not batch.multiclass and batch.from_logits:
        return _of_sigmoid(batch, "py", "p2")
    return batch.sum_pixels(p.probs * batch.targets), batch.sum_pixels(p.probs * p.probs)


def _of_sigmoid(batch: Batch, *wanted: str) -> tuple[Array, Array]:
    targets = batch.given_targets if batch.dense and batch.integer_targets else batch.targets
    given = batch.float32_scores, targets, batch.valid, batch.given_weights
    found = batch.backend.sigmoid_sums(*given, wanted)[0]
    first, second = (found[name] for name in wanted)
    return first, second


def hard_class_sums(batch: Batch, per_image: bool = False) -> ClassSums:
    """Sums in which each pixel's prediction is one class, or p > 1/2 in binary and multilabel."""
    xp, probabilities = batch.xp, Probabilities(batch)
    # a NaN must not become a decision
    p = xp.astype(probabilities.decisions, batch.dtype) + 0.0 * probabilities.probs
    tp = batch.sum_pixels(smaller(xp, p, batch.targets))
    return _all_images(batch, per_image, tp, batch.sum_pixels(p), batch.target_sums)

"""Checks that look at values, where that costs nothing; elsewhere what is wrong becomes NaN."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..array import Array
from ..backends import backend_of
from . import checks

if TYPE_CHECKING:
    from .batch import Batch


def check_kind(batch: Batch, targets: Array, kind: str) -> None:
    """Refuse targets whose dtype has no meaning (TypeError), and labels to ignore among dense ones."""
    if kind == "other":
        raise TypeError(f"`targets` must be integer, bool or real floating; got {targets.dtype}.")
    if kind != "integer" and not batch.dense:
        raise TypeError(
            f"`targets` without a class axis are labels and must be integer or bool; got {targets.dtype}."
        )
    if batch.dense and batch.multiclass and batch.ignored:
        raise ValueError(
            "`ignore_index` has no meaning for dense multiclass targets; got "
            f"{batch.ignored}. Pass `pixel_weights` with 0 where a pixel is to be ignored."
        )


def comparable(batch: Batch, targets: Array) -> Array:
    """Targets that can be compared with numbers: integers, or of the dtype of sums."""
    if not batch.integer_targets:
        return targets if targets.dtype == batch.dtype else batch.xp.astype(targets, batch.dtype)
    return batch.xp.astype(targets, batch.xp.int8) if targets.dtype == batch.xp.bool else targets


def real(batch: Batch, name: str, array: Array) -> Array:
    """An array of real numbers, of the batch's library (TypeError)."""
    array = batch.backend.convert(array, backend_of(array, name), name)
    if batch.backend.kind(array) == "other":
        raise TypeError(f"`{name}` must be real; got {array.dtype}.")
    return array


def counted_targets(batch: Batch, fill: int) -> Array:
    """Targets as given, with a harmless value where they do not count."""
    if batch.counted is None:
        return batch.given_targets
    return batch.xp.where(batch.counted, batch.given_targets, fill)


def _outside(batch: Batch) -> Array:
    """Where a target that counts is out of range."""
    targets = batch.given_targets
    outside = (targets < 0) | (targets > batch.highest)
    return outside if batch.counted is None else outside & batch.counted


def label_guard(batch: Batch, outliers: list[float] | None) -> Array | None:
    """Look for targets and probabilities out of range where that costs nothing; all else is checked.

    `outliers` are what `Backend.outliers` found in all targets. Where values cannot be looked at, an
    array () to multiply with: 1, or NaN if a target is out of range.
    """
    xp, backend, high = batch.xp, batch.backend, batch.highest
    if not batch.from_logits:
        _check_probabilities(batch)
    if outliers is None:
        return xp.where(xp.any(_outside(batch)), math.nan, batch.constant(1.0))
    if not outliers:
        return None
    if batch.pixel_weights is not None or outliers[0] != outliers[0]:  # weights of 0, or NaN
        if not backend.outliers(_outside(batch), 0, 0):
            return None
        outliers = backend.outliers(counted_targets(batch, fill=0), 0, high) or outliers
    worst = outliers[0] if outliers[0] < 0 else outliers[1]
    what = "labels" if not batch.dense or batch.mode == "binary" else "values"
    raise ValueError(
        f"`targets` must hold {what} from 0 to {high}"
        f"{f' or {batch.ignored}' if batch.ignored else ''}; got {worst}."
    )


def _check_probabilities(batch: Batch) -> None:
    low, high = -checks.PROBABILITY_SLACK, math.inf if batch.multiclass else 1 + checks.PROBABILITY_SLACK
    if not batch.backend.outliers(batch.predictions, low, high):
        return
    found = batch.backend.outliers(batch.scores, low, high)
    if found and (found[0] < low or found[1] > high):
        worst = found[0] if found[0] < low else found[1]
        raise ValueError(
            "`predictions` must be probabilities, from 0 to 1, with from_logits=False; got "
            f"{worst}. For raw scores, leave from_logits=True."
        )


def pixel_weights(batch: Batch, weights: Array | None, shape: tuple[int, ...]) -> Array | None:
    """Weights as (N, P), checked."""
    if weights is None:
        return None
    weights = real(batch, "pixel_weights", weights)
    outliers = batch.backend.outliers(weights, 0, math.inf)
    if outliers and outliers[0] < 0:
        raise ValueError(f"`pixel_weights` must not be negative; got {outliers[0]}.")
    expected = (batch.predictions.shape[0], *batch.spatial)
    if tuple(weights.shape) not in (expected, *([tuple(shape)] if batch.mode == "binary" else [])):
        raise ValueError(
            f"`pixel_weights` must have shape {expected} for predictions of shape "
            f"{tuple(shape)}; got {tuple(weights.shape)}."
        )
    return batch.xp.reshape(weights, (batch.predictions.shape[0], batch.predictions.shape[2]))

"""Checks that look at values, where that costs nothing; elsewhere what is wrong becomes NaN."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..array import Array
from ..backends import Backend, backend_of
from ..backends.base import dtype_name
from . import checks, debugging, hints
from .layout import same

if TYPE_CHECKING:
    from .batch import Batch


def check_kind(batch: Batch, targets: Array, owner: Backend) -> str:
    """Kind of the targets. Refuses one without a meaning (TypeError), and labels to ignore of dense ones."""
    kind = owner.kind(targets)
    if kind == "other":
        raise TypeError(f"`targets` must be integer, bool or real floating; got {targets.dtype}.")
    if kind != "integer" and not batch.dense:
        how = owner.as_labels.format(library=owner.library, name="targets")
        raise TypeError(
            "`targets` without a class axis are labels and must be integer or bool; got "
            f"{targets.dtype}. Convert them first, for example with {how}."
        )
    if batch.dense and batch.multiclass and batch.ignored:
        raise ValueError(
            "`ignore_index` has no meaning for dense multiclass targets; got "
            f"{batch.ignored}. Pass `pixel_weights` with 0 where a pixel is to be ignored."
        )
    return kind


def comparable(batch: Batch, targets: Array) -> Array:
    """Targets that can be compared with numbers: integers, or of the dtype of sums."""
    if not batch.integer_targets:
        return targets if targets.dtype == batch.dtype else batch.xp.astype(targets, batch.dtype)
    return batch.xp.astype(targets, batch.xp.int8) if dtype_name(targets.dtype) == "bool" else targets


def real(backend: Backend, name: str, array: Array, beside: Array | None = None) -> Array:
    """An array of real numbers, of a library (TypeError), on the device of another."""
    array = backend.convert(array, backend_of(array, name), name, beside)
    if backend.kind(array) == "other":
        raise TypeError(f"`{name}` must be real; got {array.dtype}.")
    return array


def counted_targets(batch: Batch, fill: int) -> Array:
    """Targets as given, with a harmless value where they do not count."""
    if batch.counted is None:
        return batch.given_targets
    return batch.xp.where(batch.counted, batch.given_targets, fill)


PROBABILITIES = (
    "`predictions` must be probabilities, from 0 to 1, with from_logits=False; got {}. For raw scores, "
    "leave from_logits=True."
)
WEIGHTS = "`pixel_weights` must not be negative; got {}."

TOTAL_SLACK = 1e-2
"""How far above 1 the targets of a pixel may add up: rounding of bfloat16, interpolated as well."""


def _totals(batch: Batch, targets: Array) -> tuple[Array, float]:
    """Sums (N, 1, P) over the classes of dense multiclass targets, and the largest there may be."""
    return batch.xp.sum(targets, axis=1, keepdims=True), 1 if batch.integer_targets else 1 + TOTAL_SLACK


def _range(batch: Batch) -> str:
    what = "labels" if not batch.dense or batch.mode == "binary" else "values"
    ignored = f" or {batch.ignored}" if batch.ignored else ""
    return f"`targets` must hold {what} from 0 to {batch.highest}{ignored}; got {{}}."


def _one_class(batch: Batch) -> str:
    return (
        "`targets` of the shape of `predictions` must sum to 1 at most over the classes of a pixel, along "
        f'axis={batch.layout.axis}; got {{}}. Pass mode="multilabel" if classes overlap, mode="binary" if '
        "this is a mask of one class, or the `axis` along which the classes lie."
    )


def _complaint(batch: Batch, targets: Array, outliers: list[float] | None) -> str | None:
    """What is wrong with targets, given what `Backend.outliers` found; None if they cannot be looked at."""
    if outliers:
        worst = outliers[0] if outliers[0] < 0 else outliers[1]
        return _range(batch).format(worst) + hints.of_label(worst, batch)
    if outliers is not None and batch.multiclass and batch.dense:
        totals, most = _totals(batch, targets)
        outliers = batch.backend.outliers(totals, 0, most)
        if outliers:
            return _one_class(batch).format(outliers[1])
    return None if outliers is None else ""


def label_guard(batch: Batch, outliers: list[float] | None) -> Array | None:
    """Look for targets and probabilities out of range where that costs nothing; all else is checked.

    `outliers` are what `Backend.outliers` found in all targets. Where values cannot be looked at, an
    array to multiply with, () or of images: 1, or NaN if a target is out of range.
    """
    xp, targets, guard = batch.xp, batch.given_targets, None
    if not (batch.from_logits or batch.decided):
        _check_probabilities(batch)
    complaint = _complaint(batch, targets, outliers)
    if complaint and batch.pixel_weights is not None:  # where a weight is 0 anything may be
        counted = counted_targets(batch, fill=0)
        complaint = _complaint(batch, counted, batch.backend.outliers(counted, 0, batch.highest))
    if complaint:
        raise ValueError(complaint)
    if complaint is None:
        outside = ~((targets >= 0) & (targets <= batch.highest))  # NaN is
        if batch.multiclass and batch.dense:
            totals, most = _totals(batch, targets)
            outside = outside | (totals > most)
        if batch.counted is not None:
            outside = outside & batch.counted
        axes = tuple(range(1, outside.ndim)) if batch.by_image else None
        guard = xp.where(xp.any(outside, axis=axes), math.nan, batch.constant(1.0))
        _look_at_targets(batch)
    for looked in batch.looks:
        guard = looked if guard is None else guard * looked
    return guard


def _look(batch: Batch, array: Array, low: float, high: float, message: str) -> None:
    """For debugging, look at what costs something to look at."""
    looked = batch.backend.look(array, low, high, message) if debugging.ACTIVE else None
    if looked is not None:
        batch.looks.append(looked)


def _look_at_targets(batch: Batch) -> None:
    counted = counted_targets(batch, fill=0)
    _look(batch, counted, 0, batch.highest, _range(batch))
    if batch.multiclass and batch.dense:
        totals, most = _totals(batch, counted)
        _look(batch, totals, 0, most, _one_class(batch))


def _check_probabilities(batch: Batch) -> None:
    low, high = -checks.PROBABILITY_SLACK, math.inf if batch.multiclass else 1 + checks.PROBABILITY_SLACK
    found = batch.backend.outliers(batch.predictions, low, high)
    if found is None:
        _look(batch, batch.scores, low, high, PROBABILITIES)
    found = found and batch.backend.outliers(batch.scores, low, high)
    if found and (found[0] < low or found[1] > high):
        raise ValueError(PROBABILITIES.format(found[0] if found[0] < low else found[1]))


def pixel_weights(batch: Batch, weights: Array | None) -> Array | None:
    """Weights (N, P), or (N, 1, P) or (N, C, P) in binary and multilabel mode, checked."""
    if weights is None:
        return None
    weights = real(batch.backend, "pixel_weights", weights, batch.predictions)
    outliers = batch.backend.outliers(weights, 0, math.inf)
    if outliers is None:
        _look(batch, weights, 0, math.inf, WEIGHTS)
    elif outliers and outliers[0] < 0:
        raise ValueError(WEIGHTS.format(outliers[0]))
    shape, (images, _, pixels) = tuple(weights.shape), batch.predictions.shape
    xp, expected = batch.xp, [(images, *batch.spatial), (images,)]
    if not batch.multiclass:
        expected.append(batch.layout.shape)
    if not any(same(shape, fitting) for fitting in expected):
        shapes = " or ".join(map(str, dict.fromkeys(expected)))
        raise ValueError(
            f"`pixel_weights` must have shape {shapes} for predictions of shape {batch.layout.shape}; "
            f"got {shape}."
        )
    if not batch.multiclass and same(shape, batch.layout.shape):
        return batch.layout.flatten(xp, weights)
    weights = xp.broadcast_to(
        xp.reshape(weights, (images, pixels if len(shape) > 1 else 1)), (images, pixels)
    )
    return weights if batch.multiclass else xp.expand_dims(weights, axis=1)

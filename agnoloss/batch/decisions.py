"""Predictions that are decisions already: label maps, and masks and one-hot maps of 0 and 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..array import Array
from ..backends import Backend
from ..backends.base import dtype_name
from . import checks
from .layout import shapes_of_targets

if TYPE_CHECKING:
    from .batch import Batch


def as_masks(
    backend: Backend, given: Array, targets: tuple[int, ...], mode: str, num_classes: int | None, axis: int
) -> tuple[Array, Array | None]:
    """Integers 0 and 1 of the shape of scores; and labels if it is a label map, beside targets of a shape."""
    xp, shape = backend.xp, tuple(given.shape)
    if mode != "multiclass" or dtype_name(given.dtype) == "bool":  # which is no label map
        return (xp.astype(given, xp.int8) if dtype_name(given.dtype) == "bool" else given), None
    length = shape[axis] if -len(shape) <= checks.integer("axis", axis) < len(shape) else 0
    if length > 1 and num_classes in (None, length):
        fitting = shapes_of_targets(shape, axis % len(shape))
        # of the targets' shape a label map would be as well, if nobody says how many classes there are
        if targets in fitting[num_classes is None :]:
            return given, None
    if not -len(shape) - 1 <= axis <= len(shape):
        return given, None  # which the layout refuses
    if num_classes is None:
        raise ValueError("`num_classes` must be given where `predictions` are label maps; got None.")
    labels = backend.class_indices(given)
    if length != 1 or len(targets) > len(shape):
        labels = xp.expand_dims(labels, axis=axis)
    along = [1 for _ in labels.shape]
    along[axis] = num_classes
    return xp.astype(labels == xp.reshape(backend.arange(num_classes, labels), tuple(along)), xp.int8), labels


def undecided(batch: Batch) -> Array:
    """Where integers are no decision: elements (N, C, P) not 0 or 1, pixels (N, 1, P) not of one class."""
    xp, given = batch.xp, batch.predictions
    outside = (given < 0) | (given > 1)
    if not batch.multiclass:
        return outside
    return xp.sum(xp.where(outside, 2, given), axis=1, keepdims=True) != 1


def check(batch: Batch, labels: Array | None) -> None:
    """Refuse what is no decision, where looking costs nothing (ValueError)."""
    xp, wrong = batch.xp, undecided(batch)
    if batch.valid is not None:
        wrong = wrong & batch.class_axis(batch.valid)
    if not batch.backend.outliers(wrong, 0, 0):
        return
    what = "1 for one class of each pixel and 0 for the others. Masks of one class need "
    what += 'mode="binary", label maps of that shape a class axis of length 1'
    if labels is not None or not batch.multiclass:
        given, highest = (batch.predictions, 1) if labels is None else (labels, batch.num_classes - 1)
        found = batch.backend.outliers(xp.where(wrong, xp.reshape(given, wrong.shape), 0), 0, highest)
        low, high = found or (0, 0)
        what = f"labels from 0 to {highest}; got {low if low < 0 else high}"
    raise ValueError(f"`predictions` must hold {what}.")

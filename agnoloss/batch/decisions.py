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
    backend: Backend, given: Array, shape: tuple[int, ...], mode: str, num_classes: int | None, axis: int
) -> tuple[Array, Array | None]:
    """Integers 0 and 1 of the shape of scores, and labels if a label map was given; `shape` is of targets."""
    xp, is_bool = backend.xp, dtype_name(given.dtype) == "bool"
    if is_bool:
        given = xp.astype(given, xp.int8)
    if mode != "multiclass" or _is_one_hot(tuple(given.shape), shape, num_classes, axis, is_bool):
        return given, None
    if is_bool:
        raise TypeError(
            f"`predictions` of bool are no label map; got shape {tuple(given.shape)}. Pass "
            'mode="binary" for masks of one class; masks of all classes have a class axis.'
        )
    if num_classes is None:
        raise ValueError("`num_classes` must be given where `predictions` are label maps; got None.")
    labels, ndim = backend.class_indices(given), given.ndim
    if not (-ndim <= axis < ndim and given.shape[axis] == 1 and len(shape) <= ndim):
        labels = xp.expand_dims(labels, axis=axis)
    along = [1 for _ in labels.shape]
    along[axis] = num_classes
    return xp.astype(labels == xp.reshape(backend.arange(num_classes, labels), tuple(along)), xp.int8), labels


def _is_one_hot(
    given: tuple[int, ...], shape: tuple[int, ...], num_classes: int | None, axis: int, is_bool: bool
) -> bool:
    """Whether integers have a class axis, by the targets' shape and, where that is theirs, `num_classes`."""
    if not -len(given) - 1 <= checks.integer("axis", axis) <= len(given):
        raise ValueError(f"`axis` must be a place for classes in `predictions` {given}; got {axis}.")
    if axis in (len(given), -len(given) - 1) or given[axis] == 1 or num_classes not in (None, given[axis]):
        return False
    fitting = shapes_of_targets(given, axis % len(given))
    return shape in fitting[num_classes is None and not is_bool :]


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
    if labels is None:
        what = "0 and 1 where they are decisions, in multiclass mode 1 for one class of each pixel: label "
        what += 'maps of that shape need a class axis of length 1, masks of one class mode="binary"'
    else:
        highest = batch.num_classes - 1
        labels = xp.where(wrong, xp.reshape(labels, wrong.shape), 0)
        low, high = batch.backend.outliers(labels, 0, highest) or (0, 0)
        what = f"labels from 0 to {highest}; got {low if low < 0 else high}"
    raise ValueError(f"`predictions` must hold {what}.")

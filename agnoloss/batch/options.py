"""Options that come as one number for each class."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any

from ..array import Array
from ..backends import backend_of, is_array
from . import checks, values

if TYPE_CHECKING:
    from .batch import Batch


def per_class(
    batch: Batch, name: str, value: Any, scalar: bool = False, high: float = math.inf, axes: int = 1,
    classes: int | None = None,
) -> Array:  # fmt: skip
    """Turn an option into an array (C,), (C, C) with two axes, or a number where `scalar` allows one.

    C is the length of the class axis unless `classes` says how many there are.

    TypeError if it is none of these or of another library than the predictions; ValueError if its shape
    does not fit the number of classes, or a number is negative, above `high` or not finite.
    """
    classes = classes or batch.num_classes
    if is_array(value):
        owner = backend_of(value, name)
        if owner is not batch.backend and owner.library == "numpy":
            value = value.tolist()  # a NumPy array of one number per class is as good as a list
        else:
            value = values.real(batch, name, value)
            checks.per_class_shape(name, value.shape, classes, scalar, axes)
            for outlier in batch.backend.outliers(value, 0.0, min(high, LARGEST)) or ():
                checks.weight(name, outlier, high)
            return batch.xp.astype(value, batch.dtype)
    if isinstance(value, Real) and scalar:
        return checks.weight(name, value, high)
    return batch.constant(checks.nested_numbers(name, value, classes, scalar, axes, high))


LARGEST = 1.7976931348623157e308
"""The largest finite float64: above it is infinity."""


def class_weights(batch: Batch, value: Any) -> Array | None:
    """Weights of the classes, of y = 0 and y = 1 in binary mode; from the targets if "balanced"."""
    if value is None:
        return None
    xp, binary = batch.xp, batch.mode == "binary"
    classes = 2 if binary else batch.num_classes
    if not isinstance(value, str):
        return per_class(batch, "class_weights", value, classes=classes)
    checks.choice("class_weights", value, ("balanced",))
    count = batch.add_up(batch.target_sums)
    if binary:
        count = xp.concat([batch.add_up(batch.sum_pixels(1 - batch.targets)), count], axis=-1)
    # total / (C x count); an absent class gets 0
    share = xp.sum(count, axis=-1, keepdims=True) / (classes * xp.where(count == 0, 1.0, count))
    return xp.where(count == 0, 0.0, share)

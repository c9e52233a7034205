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
    batch: Batch, name: str, value: Any, scalar: bool = False, high: float = math.inf, axes: int = 1
) -> Array:
    """Turn an option into an array (C,), (C, C) with two axes, or a number where `scalar` allows one.

    TypeError if it is none of these or of another library than the predictions; ValueError if its shape
    does not fit the number of classes, or a number is negative, above `high` or not finite.
    """
    if is_array(value):
        owner = backend_of(value, name)
        if owner is not batch.backend and owner.library == "numpy":
            value = value.tolist()  # a NumPy array of one number per class is as good as a list
        else:
            value = values.real(batch, name, value)
            checks.per_class_shape(name, value.shape, batch.num_classes, scalar, axes)
            for outlier in batch.backend.outliers(value, 0.0, min(high, LARGEST)) or ():
                checks.weight(name, outlier, high)
            return batch.xp.astype(value, batch.dtype)
    if isinstance(value, Real) and scalar:
        return checks.weight(name, value, high)
    return batch.constant(checks.nested_numbers(name, value, batch.num_classes, scalar, axes, high))


LARGEST = 1.7976931348623157e308
"""The largest finite float64: above it is infinity."""


def class_weights(batch: Batch, value: Any) -> Array | None:
    """Weights of the classes (C,), made from the targets if "balanced" is asked for."""
    if value is None:
        return None
    if not isinstance(value, str):
        return per_class(batch, "class_weights", value)
    checks.choice("class_weights", value, ("balanced",))
    xp, count = batch.xp, batch.add_up(batch.target_sums)
    # total / (C x count); an absent class gets 0
    share = xp.sum(count) / (batch.num_classes * xp.where(count == 0, 1.0, count))
    return xp.where(count == 0, 0.0, share)

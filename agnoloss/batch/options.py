"""Options that are numbers, or one number for each class: Python's, or arrays."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any

from ..array import Array
from ..backends import Backend, backend_of, is_array
from . import checks, values

if TYPE_CHECKING:
    from .batch import Batch


LARGEST = 1.7976931348623157e308
"""The largest finite float64: above it is infinity."""


def number(
    backend: Backend, dtype: Any, name: str, value: Any, low: float = -math.inf, high: float = math.inf,
    above: bool = False, beside: Array | None = None,
) -> Array:  # fmt: skip
    """Check an option that is one number in a range: a Python number, or an array () of the library.

    Arrays stay what they are, traced or differentiated, and are NaN out of range where they cannot be looked
    at; those of NumPy are numbers in every library. TypeError, ValueError as of `checks.number`.
    """
    if isinstance(value, float) or not is_array(value):
        return checks.number(name, value, low, high, above)
    if tuple(value.shape) != ():
        raise ValueError(
            f"`{name}` must be a number, or an array of shape (); got shape {tuple(value.shape)}."
        )
    owner = backend_of(value, name)
    if owner.library == "numpy" and owner.level < 0:
        return checks.number(name, value.item(), low, high, above)
    value = values.real(backend, name, value, beside)
    return _in_range(backend, dtype, name, value, low, high, above)


def _in_range(
    backend: Backend, dtype: Any, name: str, value: Array, low: float, high: float, above: bool = False
) -> Array:
    """Numbers in a dtype: ValueError if one is out of range, or NaN where that cannot be looked at."""
    least = math.nextafter(low, math.inf) if above else max(low, -LARGEST)
    xp, found = backend.xp, backend.outliers(value, least, min(high, LARGEST))
    for outlier in found or ():
        checks.number(name, outlier, low, high, above)
    value = value if value.dtype == dtype else xp.astype(value, dtype)
    if found is not None:
        return value
    inside = ((value > low) if above else (value >= low)) & (value <= high) & xp.isfinite(value)
    return xp.where(inside, value, math.nan)


def per_class(
    batch: Batch, name: str, value: Any, scalar: bool = False, high: float = math.inf, axes: int = 1,
    classes: int | None = None,
) -> Array:  # fmt: skip
    """Turn an option into an array (C,), (C, C) with two axes, or a number where `scalar` allows one.

    C is the length of the class axis unless `classes` says how many there are.

    TypeError if it is none of these or of another library than the predictions; ValueError if its shape
    does not fit the number of classes, or a number is negative, above `high` or not finite.
    """
    xp, classes = batch.xp, classes or batch.num_classes
    if is_array(value):
        owner = backend_of(value, name)
        if owner is not batch.backend and owner.library == "numpy" and owner.level < 0:
            value = value.tolist()  # a NumPy array of one number per class is as good as a list
        else:
            value = values.real(batch.backend, name, value, batch.predictions)
            checks.per_class_shape(name, value.shape, classes, scalar, axes)
            return _in_range(batch.backend, batch.dtype, name, value, 0.0, high)
    if isinstance(value, Real) and scalar:
        return checks.weight(name, value, high)
    numbers = [
        batch.number(name, part, 0.0, high)
        for part in checks.nested_numbers(name, value, classes, scalar, axes)
    ]
    if all(isinstance(part, float) for part in numbers):
        made = batch.constant(numbers)
    else:
        made = xp.stack([batch.constant(part) if isinstance(part, float) else part for part in numbers])
    return xp.reshape(made, (classes,) * axes) if axes > 1 else made


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

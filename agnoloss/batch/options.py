"""Options that come as one number for each class."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

from ..array import Array
from ..backends import backend_of, is_array
from . import checks

if TYPE_CHECKING:
    from .batch import Batch


def per_class(batch: Batch, name: str, value: Any, scalar: bool, high: float, axes: int) -> Array:
    """Turn an option into an array (C,), or into a number where `scalar` allows one.

    Parameters
    ----------
    batch : Batch
        Of the arrays' library and number of classes.
    name : str
        Name of the option, for errors.
    value : number, sequence or array
        What the user gave.
    scalar : bool
        Whether one number may stand for all classes.
    high : float
        Largest number that has a meaning.
    axes : int
        1, or 2 for an array (C, C).

    Raises
    ------
    TypeError
        If it is no number, sequence of numbers or array of the predictions' library.
    ValueError
        If its shape does not fit the number of classes, or a number is negative, above `high` or not
        finite.
    """
    if is_array(value):
        owner = backend_of(value, name)
        if owner is not batch.backend and owner.library == "numpy":
            value = value.tolist()  # a NumPy array of one number per class is as good as a list
        else:
            value = batch.backend.convert(value, owner, name)
            if batch.backend.kind(value) == "other":
                raise TypeError(f"`{name}` must be real; got {value.dtype}.")
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
        return per_class(batch, "class_weights", value, False, float("inf"), 1)
    checks.choice("class_weights", value, ("balanced",))
    xp, count = batch.xp, batch.add_up(batch.target_sums)
    # total / (C x count); an absent class gets 0
    share = xp.sum(count) / (batch.num_classes * xp.where(count == 0, 1.0, count))
    return xp.where(count == 0, 0.0, share)

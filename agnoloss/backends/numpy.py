"""NumPy: what it does better than the standard's functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..compat import namespace
from .base import Array, Backend


class NumPy(Backend):
    """Backend of ``numpy.ndarray``."""

    def check_type(self, array: Array, name: str) -> None:
        """Refuse masked arrays and matrices: their operators mean something else."""
        if isinstance(array, (np.ma.MaskedArray, np.matrix)):
            raise TypeError(
                f"`{name}` must be a numpy.ndarray; got {type(array).__name__}. Convert it with "
                "numpy.asarray, and pass masks through `ignore_index` or `pixel_weights`."
            )

    def extremes(self, array: Array) -> tuple[float, float] | None:
        """Look: the values lie in host memory."""
        return (array.min().item(), array.max().item()) if array.size else (0, 0)

    def class_sums(self, values: Array, labels: Array, classes: int) -> Array:
        """Sum by one ``bincount``, in float64: one pass instead of one for each class."""
        images = values.shape[0]
        rows = np.arange(images)[:, None] * classes
        flat = np.bincount((labels + rows).ravel(), weights=values.ravel(), minlength=images * classes)
        return flat.reshape(images, classes).astype(values.dtype, copy=False)

    def in_descending_order(self, errors: Any, payload: Any, function: Any) -> Any:
        """Put back by ``put_along_axis``: a scatter instead of a second sort."""
        order = np.argsort(-errors, axis=-1)
        values = function(self.xp, *(np.take_along_axis(part, order, axis=-1) for part in payload))
        restored = np.empty_like(values)
        np.put_along_axis(restored, order, values, axis=-1)
        return restored


BACKEND = NumPy(namespace("numpy"), "numpy")

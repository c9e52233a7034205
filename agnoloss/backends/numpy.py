"""NumPy: what it does better than the standard's functions."""

from __future__ import annotations

from functools import reduce
from importlib import import_module
from typing import Any

import numpy as np

from ..compat import namespace
from . import neighbours
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

    def log_softmax(self, logits: Array) -> Array:
        """In place where possible: allocation costs as much as the arithmetic."""
        with np.errstate(invalid="ignore"):  # NaN and infinite scores give NaN without a warning
            shifted = logits - logits.max(axis=1, keepdims=True)
        sums = np.exp(shifted).sum(axis=1, keepdims=True)
        shifted -= np.log(sums, out=sums)
        return shifted

    def softmax(self, logits: Array) -> Array:
        """In place where possible, and without a logarithm."""
        with np.errstate(invalid="ignore"):
            probs = logits - logits.max(axis=1, keepdims=True)
        np.exp(probs, out=probs)
        probs /= probs.sum(axis=1, keepdims=True)
        return probs

    def log_sigmoid(self, logits: Array) -> Array:
        """min(z, 0) - log(1 + exp(-abs(z))): where costs 4 times as much as minimum."""
        tail = np.abs(logits)
        np.negative(tail, out=tail)
        np.log1p(np.exp(tail, out=tail), out=tail)
        return np.subtract(np.minimum(logits, 0.0), tail, out=tail)

    def sigmoid(self, logits: Array) -> Array:
        """By one exponential, whose overflow is the right limit."""
        probs = np.negative(logits)
        with np.errstate(over="ignore"):
            np.exp(probs, out=probs)
        probs += 1.0
        return np.reciprocal(probs, out=probs)

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

    def distance_transform(self, mask: Array, spacing: tuple[float, ...], dtype: Any) -> Array:
        """SciPy's, if it can be imported: one pass over the cells, 15 times faster at 256 x 256."""
        try:
            from scipy.ndimage import distance_transform_edt
        except ImportError:
            return super().distance_transform(mask, spacing, dtype)
        distances = np.full(mask.shape, np.inf, dtype=dtype)
        for distance, image in zip(distances, mask, strict=True):
            if image.any():
                distance[...] = distance_transform_edt(~image, sampling=spacing)
        return distances

    def nearest_two_distances(
        self, labels: Array, spacing: tuple[float, ...], dtype: Any
    ) -> tuple[Array, Array]:
        """By SciPy's transforms, if it can be imported: 10 times faster with 60 labels at 256 x 256."""
        try:
            import_module("scipy.ndimage")
        except ImportError:
            return super().nearest_two_distances(labels, spacing, dtype)
        return neighbours.nearest_two_by_bits(self, labels, spacing, dtype)

    def max_along(self, values: Array, axis: int, size: int) -> Array:
        """Without derivatives, ``maximum`` will do: 3 times faster than two comparisons and a choice."""
        windows = neighbours.pad(np, values, axis, size // 2, -np.inf)
        length = values.shape[axis]
        return reduce(np.maximum, (neighbours.part(windows, axis, s, length) for s in range(size)))


BACKEND = NumPy(namespace("numpy"), "numpy")

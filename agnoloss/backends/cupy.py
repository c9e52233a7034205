"""CuPy: what it does better than the standard's functions."""

from __future__ import annotations

from functools import partial
from typing import Any

import cupy

from ..array import Array
from ..compat import namespace
from . import distances
from .base import Backend


class CuPy(Backend):
    """Backend of ``cupy.ndarray``."""

    as_near = "cupy.asarray({name}), inside `with predictions.device:`"

    chunk = 2**24
    """64 MiB in float32: kernels of a millisecond, in memory that stays small beside the gradient."""

    def class_indices(self, labels: Array, classes: int | None = None) -> Array:
        """By CuPy's own clip: the wrapper of array_api_compat waits for the device."""
        labels = super().class_indices(labels)
        return labels if classes is None else labels.clip(0, classes - 1)

    def class_sums(self, values: Array, labels: Array, classes: int) -> Array:
        """Of many classes by additions in no fixed order: one kernel instead of two for each class."""
        if classes < 256:
            return super().class_sums(values, labels, classes)
        sums = cupy.zeros((values.shape[0], classes), values.dtype)
        cupy.add.at(sums, (cupy.arange(values.shape[0])[:, None], labels), values)
        return sums

    def distance_transform(self, mask: Array, spacing: tuple[float, ...], dtype: Any) -> Array:
        """CuPy's parallel banding in 2-D and 3-D: a few kernels for each image instead of all pairs."""
        if len(spacing) not in (2, 3) or 0 in mask.shape:
            return distances.distance_transform(self, mask, spacing, dtype, _over_rows)
        from cupyx.scipy.ndimage import distance_transform_edt

        double = dtype == cupy.float64
        found = [distance_transform_edt(~image, sampling=spacing, float64_distances=double) for image in mask]
        # without a True cell the distances mean nothing; to look would wait for the device
        some = cupy.any(mask, axis=tuple(range(1, mask.ndim)), keepdims=True)
        return cupy.where(some, cupy.stack(found), cupy.inf).astype(dtype, copy=False)

    def nearest_two_distances(self, labels: Array, spacing: Any, dtype: Any) -> tuple[Array, Array]:
        """By CuPy's transforms. Waits for the device once, to number the labels."""
        if len(spacing) not in (2, 3) or 0 in labels.shape:
            return distances.nearest_two_distances(self, labels, spacing, dtype, _over_rows)
        return distances.nearest_two_by_bits(self, labels, spacing, dtype)


# 2**24 pairs, 128 MiB in float64: fewer launches of kernels.
_over_rows = partial(distances.in_parts, limit=2**24)

BACKEND = CuPy(namespace("cupy"), "cupy")

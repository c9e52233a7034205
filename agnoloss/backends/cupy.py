"""CuPy: what it does better than the standard's functions."""

from __future__ import annotations

from typing import Any

import cupy

from ..compat import namespace
from . import neighbours
from .base import Array, Backend


class CuPy(Backend):
    """Backend of ``cupy.ndarray``."""

    writes = True
    block_elements = 2**24
    """64 MiB in float32: kernels of a millisecond, in memory that stays small beside the gradient."""

    panel_pixels = 2**22

    def in_range(self, labels: Array, classes: int) -> Array:
        """By CuPy's own clip: the wrapper of array_api_compat waits for the device."""
        return labels.clip(0, classes - 1)

    def over_rows(self, function: neighbours.OfRows, rows: tuple[Array, ...]) -> tuple[Array, ...]:
        """2**24 pairs, 128 MiB in float64: fewer launches of kernels."""
        return neighbours.over_rows(self, function, rows, 2**24)

    def distance_transform(self, mask: Array, spacing: tuple[float, ...], dtype: Any) -> Array:
        """CuPy's parallel banding in 2-D and 3-D: a few kernels for each image instead of all pairs."""
        if len(spacing) not in (2, 3) or 0 in mask.shape:
            return super().distance_transform(mask, spacing, dtype)
        from cupyx.scipy.ndimage import distance_transform_edt

        double = dtype == cupy.float64
        distances = [
            distance_transform_edt(~image, sampling=spacing, float64_distances=double) for image in mask
        ]
        # without a True cell the distances mean nothing; to look would wait for the device
        some = cupy.any(mask, axis=tuple(range(1, mask.ndim)), keepdims=True)
        return cupy.where(some, cupy.stack(distances), cupy.inf).astype(dtype, copy=False)

    def nearest_two_distances(
        self, labels: Array, spacing: tuple[float, ...], dtype: Any
    ) -> tuple[Array, Array]:
        """By CuPy's transforms. Waits for the device once, to number the labels."""
        if len(spacing) not in (2, 3) or 0 in labels.shape:
            return super().nearest_two_distances(labels, spacing, dtype)
        return neighbours.nearest_two_by_bits(self, labels, spacing, dtype)


BACKEND = CuPy(namespace("cupy"), "cupy")

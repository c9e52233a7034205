"""Libraries that follow the standard in part, and what they fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .expected import Expected
from .floats import numpy_dtype
from .library import Library

GATHERING = (
    "*cross_entropy_loss",
    "*dice*",
    "*tversky_loss",
    "combo_loss",
    "conservative_loss",
    "exponential_logarithmic_loss",
    "focal_loss",
    "jaccard_loss",
)
"""Losses that take the score of each pixel's label out of all its scores."""


class NDonnx(Library):
    """ndonnx: arrays that become ONNX graphs, computed at once by onnxruntime."""

    name, title, module = "ndonnx", "ndonnx", "ndonnx"
    refuses = {"bfloat16": "it has no such dtype"}
    expected = (
        Expected(
            "its take_along_axis takes int64 indices alone, and narrower labels become int32",
            raises="'indices' must be of data type 'int64'",
            losses=GATHERING,
            cases=(
                "multiclass: *targets=uint8*",
                "multiclass: *targets=int32*",
                "multiclass: *targets=bool*",
            ),
        ),
    )

    def numpy(self, array: Any) -> np.ndarray:
        """What the graph up to here computes."""
        return array.unwrap_numpy()

    def owns(self, array: Any) -> bool:
        """Whether it is ndonnx's."""
        return type(array) is self.xp.Array

    def device(self, array: Any) -> Any:
        """All lie on one, which is another object at each look."""
        return type(array.device)


class Dask(Library):
    """Dask: arrays in chunks, computed when they are read."""

    name, title, module = "dask", "Dask", "dask.array"
    expected = (
        Expected(
            "it has no take_along_axis, which takes the scores of labels",
            raises="has no attribute 'take_along_axis'",
            losses=GATHERING,
            cases=("multiclass: *",),
            unless=("*targets=one-hot*", "*targets=soft*"),
        ),
        Expected(
            "it has no take_along_axis, which sorts one array by another",
            raises="has no attribute 'take_along_axis'",
            losses=("lovasz_*", "top_k_cross_entropy_loss"),
        ),
    )

    @contextmanager
    def active(self) -> Iterator[Any]:
        """Compute in this thread: others are of no use to small arrays."""
        from dask import config

        with config.set(scheduler="synchronous"):
            yield self.load()

    def array(self, values: np.ndarray) -> Any:
        """In two chunks along the first axis."""
        chunks = ((values.shape[0] + 1) // 2, *values.shape[1:]) if values.ndim else ()
        return self.xp.from_array(values, chunks=chunks)

    def numpy(self, array: Any) -> np.ndarray:
        """Computed now."""
        return np.asarray(array.compute())

    def owns(self, array: Any) -> bool:
        """Whether it is Dask's."""
        return type(array) is self.xp.Array

    def device(self, array: Any) -> Any:
        """NumPy computes its chunks."""
        return "cpu"

    def version(self) -> str:
        """Of the package, for its arrays have none."""
        import dask

        return f"Dask {dask.__version__}"


class MLX(Library):
    """MLX, on the CPU, which alone has float64."""

    name, title, module = "mlx", "MLX", "mlx.core"
    refuses = {"float64": "its exp and log have no more than float32's digits, and its GPUs no float64"}
    expected = (
        Expected(
            "its argsort has no `descending`",
            raises="argsort(): incompatible function arguments",
            losses=("lovasz_*", "top_k_cross_entropy_loss"),
        ),
    )

    @contextmanager
    def active(self) -> Iterator[Any]:
        """Compute on the CPU."""
        xp = self.load()
        with xp.stream(xp.cpu):
            yield xp

    def array(self, values: np.ndarray) -> Any:
        """With its dtype said, for float64 would become float32."""
        name = values.dtype.name
        if name == "bfloat16":
            values = values.astype(np.float32)
        return self.xp.array(values, dtype=getattr(self.xp, {"bool": "bool_"}.get(name, name)))

    def numpy(self, array: Any) -> np.ndarray:
        """By way of float32 where NumPy has no such dtype by itself."""
        if array.dtype == self.xp.bfloat16:
            return np.asarray(array.astype(self.xp.float32)).astype(numpy_dtype("bfloat16"))
        return np.asarray(array)

    def owns(self, array: Any) -> bool:
        """Whether it is MLX's."""
        return type(array) is self.xp.array

    def device(self, array: Any) -> Any:
        """Arrays lie where any device finds them."""
        return "shared memory"

"""Floating dtypes by name, bfloat16 among them, which NumPy has from ml_dtypes."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

DTYPES = ("float16", "bfloat16", "float32", "float64")
"""Of predictions, on the command line."""

IN_TURN = ("float16", "float32", "float64")
"""What cases take turns in where no dtype is asked for: those that need nothing but NumPy."""

HALVES = ("float16", "bfloat16")
"""Computed in float32."""


class MissingDtype(ImportError):
    """A dtype that was asked for needs a package that is not installed."""


@cache
def numpy_dtype(name: str) -> np.dtype:
    """NumPy's dtype of a name.

    Raises
    ------
    MissingDtype
        For bfloat16 without ml_dtypes.
    """
    if name != "bfloat16":
        return np.dtype(name)
    try:
        import ml_dtypes
    except ModuleNotFoundError as error:
        raise MissingDtype(
            "bfloat16 needs ml_dtypes, which gives it to NumPy: pip install ml_dtypes"
        ) from error
    return np.dtype(ml_dtypes.bfloat16)


@cache
def limits(name: str) -> Any:
    """``finfo`` of a dtype."""
    if name != "bfloat16":
        return np.finfo(name)
    import ml_dtypes

    return ml_dtypes.finfo(ml_dtypes.bfloat16)

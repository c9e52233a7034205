"""A made-up run, to look at the page with: ``python -m conformance.tests.page_sample out/ [--failing]``."""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from ..suite.agreement import Result
from ..suite.page import About, Column, write
from ..suite.registry import ENTRIES

COLUMNS = (
    Column("numpy", "NumPy", "NumPy 2.4.0"),
    Column("torch", "PyTorch", "PyTorch 2.13.0+cpu"),
    Column("jax", "JAX", "JAX 0.10.2", {"top_k_cross_entropy_loss": "made up: it cannot sort"}),
    Column("cupy", "CuPy", "CuPy on emulated CUDA, 14.2.0, device 2 of 2"),
    Column(
        "strict",
        "array-api-strict",
        "array-api-strict 2.6",
        {"float16": "the standard has no half precision"},
    ),
)
DTYPES = ("float16", "float32", "float64")
CASES = ("defaults", "ignore_index=(255, 1)", "targets=soft, per_image=True, class_weights=per class")


def sample(failing: bool = False) -> tuple[list[Result], About]:
    """Results of every loss of the registry, some of which fail as expected, and the run they came from.

    Parameters
    ----------
    failing : bool
        Whether some disagree: numbers off, NaN, an exception whose text is not to be trusted.
    """
    random = np.random.default_rng(0)
    results = []
    for entry in ENTRIES:
        for column in COLUMNS:
            for dtype in DTYPES:
                if entry.name in column.refuses or dtype in column.refuses:
                    continue
                for mode in entry.modes:
                    for case in CASES:
                        value, gradient = (28 * random.beta(1.2, 6, 2)).tolist()
                        names = (entry.name, f"{mode}: {case}", column.name, dtype)
                        known = entry.name == "lovasz_hinge_loss" and column.name == "strict"
                        fault = {"fault": "raised", "expected": "made up: it cannot sort"} if known else {}
                        results.append(Result(*names, value, gradient, 28.0, 28.0, **fault))
    if failing:
        names = ("multiclass: from_logits=False", "torch", "float32")
        results += [
            Result("dice_loss", *names, 2.1, 3.7e9, 28.0, 28.0),
            Result("dice_loss", "multiclass: per_image=True", "cupy", "float16", 36.4, 1.0, 28.0, 28.0),
            Result("focal_loss", *names, float("inf"), 0.5, 28.0, 28.0),
            Result("cross_entropy_loss", *names, fault="raised ValueError: <script>alert('&')</script>"),
        ]
    made = datetime(2026, 1, 31, 12, 30, tzinfo=timezone.utc)
    command = "python -m conformance --backend numpy,torch,jax,cupy,strict --loss '*'"
    return results, About(COLUMNS, DTYPES, command, made, 187.4, "Python 3.13.1 on Linux x86_64")


if __name__ == "__main__":
    print(write(Path(sys.argv[1]), *sample("--failing" in sys.argv)))

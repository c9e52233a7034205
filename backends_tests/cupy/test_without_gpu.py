"""What a CPU can say about CuPy: are the functions there, with these parameters, and does nothing wait.

The losses run on NumPy arrays in CuPy's place, with a namespace that notes every call. Whether CuPy's
functions compute what is expected is for the conformance suite to say, on a GPU or on emulated CUDA.
"""

import inspect
from functools import cache

import array_api_compat.cupy as compat_cupy
import array_api_compat.numpy as compat_numpy
import numpy as np
import pytest

import agnoloss
from agnoloss.backends.cupy import BACKEND as CUPY
from conformance.suite.cases import cases_of
from conformance.suite.registry import ENTRIES

# Their distances are the work of cupyx.scipy, which takes nothing that stands for an array.
MEASURES_DISTANCES = ("boundary_loss", "dice_boundary_loss")


class Noting:
    """NumPy's namespace, with a note of every function called and how.

    A note is ``(name, number of positional arguments, names of keyword arguments)``.
    """

    def __init__(self):
        self.calls = set()
        self.constants = set()

    def __getattr__(self, name):
        plain = getattr(compat_numpy, name)
        if not callable(plain) or isinstance(plain, type):
            self.constants.add(name)
            return plain

        def function(*args, **kwargs):
            self.calls.add((name, len(args), tuple(sorted(kwargs))))
            return plain(*args, **kwargs)

        return function


class Array(np.ndarray):
    """What stands for a CuPy array; waiting for the device is an error."""

    def _wait(self, *_):
        raise AssertionError("a loss asked for a value, which on a GPU waits for the device")

    __bool__ = __float__ = __int__ = __index__ = __complex__ = __len__ = __iter__ = _wait
    tolist = item = tobytes = _wait
    device = "cpu"


@cache
def noted():
    """Run every case of every loss, value and gradient, with CuPy's hooks on a noting namespace."""
    noting = Noting()
    backend = type(CUPY)(noting, "cupy")
    known = agnoloss.backends._BY_TYPE
    known[Array] = backend
    try:
        for entry in ENTRIES:
            if entry.name in MEASURES_DISTANCES:
                continue
            for case in cases_of(entry):
                options = {
                    key: value.view(Array) if isinstance(value, np.ndarray) else value
                    for key, value in case.options.items()
                }
                arrays = case.predictions.view(Array), case.targets.view(Array)
                entry.function(*arrays, **options)
                if options.get("reduction") not in ("none", "per_image"):
                    agnoloss.value_and_grad(entry.function)(*arrays, **options)
    finally:
        del known[Array]
    return noting


def test_every_function_exists_with_these_parameters():
    for name, positional, keywords in sorted(noted().calls):
        function = getattr(compat_cupy, name, None)
        assert function is not None, f"CuPy has no {name}"
        nin = getattr(function, "nin", None)
        if nin is not None:  # a ufunc has no signature
            assert positional == nin, f"{name} takes {nin} arrays; {positional} are passed"
            assert set(keywords) <= {"out", "dtype", "casting"}, f"{name} is passed {keywords}"
            continue
        signature = inspect.signature(function)
        try:
            signature.bind(*[None] * positional, **dict.fromkeys(keywords))
        except TypeError as error:
            pytest.fail(f"{name}{signature} with {positional} arrays and {keywords}: {error}")


def test_every_constant_and_dtype_exists():
    for name in sorted(noted().constants):
        assert hasattr(compat_cupy, name), f"CuPy has no {name}"


def test_functions_were_noted():
    """An empty list would pass every test above."""
    names = {name for name, _, _ in noted().calls}
    assert {"where", "sum", "exp", "log1p", "take_along_axis", "argsort", "permute_dims"} <= names

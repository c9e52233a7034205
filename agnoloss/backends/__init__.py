"""Which backend owns an array: a dictionary by exact type, filled as types are met."""

from __future__ import annotations

from typing import Any

from ..compat import array_namespace
from .base import Backend

__all__ = ["Backend", "backend_of", "is_array", "register", "resolve_backend"]

# Root of the module that defines an array type -> the backend file that knows the library.
_LIBRARIES = {"numpy": "numpy", "torch": "torch", "jax": "jax", "jaxlib": "jax", "cupy": "cupy"}

_BY_TYPE: dict[type, Backend] = {}

# Their arrays name no namespace; array_api_compat knows it, and nothing more is known of them here.
_COMPAT_KNOWS = ("dask.array",)

# Answered without a look at their classes, which dynamo cannot trace.
_NO_ARRAYS = frozenset({type(None), bool, int, float, str, tuple, list, dict})


def register(array_type: type, backend: Backend) -> None:
    """Have arrays of a type computed by a backend of your own; see docs/backends.md.

    A library whose arrays have ``__array_namespace__`` needs no registration, unless its backend should
    know more than the standard does, as how to differentiate.

    Parameters
    ----------
    array_type : type
        Exact type of the arrays; register subclasses too.
    backend : Backend
        The hooks, an instance of a subclass of `Backend` or ``Backend(namespace, name)``.

    Raises
    ------
    TypeError
        If the one is no type, or the other no backend.

    Examples
    --------
    >>> import array_api_strict as strict
    >>> from agnoloss.backends import Backend, register
    >>> register(type(strict.asarray(0)), Backend(strict, "array_api_strict"))
    """
    if not isinstance(array_type, type):
        raise TypeError(f"`array_type` must be a type; got {array_type!r}.")
    if not isinstance(backend, Backend):
        raise TypeError(f"`backend` must be an instance of agnoloss.backends.Backend; got {backend!r}.")
    _BY_TYPE[array_type] = backend


def backend_of(array: Any, name: str) -> Backend:
    """Backend that owns an array; `name` is that of the argument, for the TypeError if it is none."""
    return _BY_TYPE.get(type(array)) or _first_met(array, name)


def resolve_backend(predictions: Any, *others: Any, name: str = "predictions") -> tuple[Any, Backend]:
    """Predictions and the backend to compute with: their own, or that of a tape another array is on.

    So weights, targets or numbers, in sequences too, can be differentiated with respect to while
    predictions are constants.
    """
    owner = backend = backend_of(predictions, name)
    for other in others:
        for part in other if isinstance(other, (tuple, list)) else (other,):
            if hasattr(type(part), "_agnoloss_backend") and part._agnoloss_backend.level > backend.level:
                backend = part._agnoloss_backend
    return backend.convert(predictions, owner, name), backend


def is_array(value: Any) -> bool:
    """Whether a value is an array of some library (not a number, list or string)."""
    kind = type(value)
    if kind in _BY_TYPE or hasattr(kind, "_agnoloss_backend"):
        return True
    if kind in _NO_ARRAYS or _is_scalar(kind):
        return False
    return _follows_the_standard(kind) or _library(kind) is not None


def _follows_the_standard(kind: type) -> bool:
    return hasattr(kind, "__array_namespace__") or kind.__module__.startswith(_COMPAT_KNOWS)


def _is_scalar(kind: type) -> bool:
    """Whether it is a scalar type of NumPy, which has a shape and a dtype but is a number."""
    return any(cls.__module__ == "numpy" and cls.__name__ == "generic" for cls in kind.__mro__)


def _library(kind: type) -> str | None:
    for cls in kind.__mro__:
        root = cls.__module__.partition(".")[0]
        # Of these libraries only what has a shape and a dtype is an array: not a dtype, not a module.
        if root in _LIBRARIES and hasattr(cls, "dtype") and hasattr(cls, "shape"):
            return _LIBRARIES[root]
    return None


def _first_met(array: Any, name: str) -> Backend:
    of_tape = getattr(array, "_agnoloss_backend", None)
    if of_tape is not None:
        backend: Backend = of_tape
        return backend
    library = _library(type(array))
    if library is None and not _follows_the_standard(type(array)):
        dense = [
            f" Convert it first by its `{way}()`." for way in ("toarray", "todense") if hasattr(array, way)
        ]
        raise TypeError(
            f"`{name}` must be an array (NumPy, PyTorch, JAX, CuPy or another library that follows "
            f"the array API standard); got {type(array).__name__}.{''.join(dense[:1])}"
        )
    if library is None:
        backend = _generic(array_namespace(array))
    else:
        backend = _load(library)
        backend.convert(array, backend, name)
    if not _is_scalar(type(array)):
        _BY_TYPE[type(array)] = backend
    return backend


def _load(library: str) -> Backend:
    """Import a library's backend, by statements: dynamo traces those, and no import_module."""
    if library == "torch":
        from . import torch as torch_backend

        return torch_backend.BACKEND
    if library == "jax":
        from . import jax as jax_backend

        return jax_backend.BACKEND
    if library == "cupy":
        from . import cupy as cupy_backend

        return cupy_backend.BACKEND
    from . import numpy as numpy_backend

    return numpy_backend.BACKEND


def _generic(xp: Any) -> Backend:
    for known in _BY_TYPE.values():
        if known.xp is xp:
            return known
    return Backend(xp, xp.__name__.partition(".")[0])

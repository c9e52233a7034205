"""Which array libraries are here, and why the others are not."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from . import RequestError

#: What the demo knows: the name people install, and the module with the array functions.
#: NumPy comes first: it always takes part, and the others are compared with it.
KNOWN = {
    "numpy": "numpy",
    "torch": "torch",
    "jax": "jax.numpy",
    "cupy": "cupy",
    "array-api-strict": "array_api_strict",
}


class LibraryUnusableError(RequestError):
    """A library is not installed, cannot be imported or has no device.

    Parameters
    ----------
    name : str
        The library.
    reason : str
        What is wrong with it.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} cannot take part: {reason}")
        self.reason = reason


class Library(NamedTuple):
    """An array library that is ready to compute.

    Attributes
    ----------
    name : str
        As in `KNOWN`.
    version : str
        Its version.
    arrays : module
        The module whose ``asarray`` takes a NumPy array.
    """

    name: str
    version: str
    arrays: Any

    @contextmanager
    def double_precision(self) -> Iterator[None]:
        """Let float64 be float64 inside the ``with`` block.

        Only JAX needs telling; its setting is put back afterwards.
        """
        if self.name != "jax":
            yield
            return
        import jax

        before = jax.config.read("jax_enable_x64")
        jax.config.update("jax_enable_x64", True)
        try:
            yield
        finally:
            jax.config.update("jax_enable_x64", before)


def choose(names: Sequence[str] | None = None) -> tuple[list[Library], dict[str, str]]:
    """Choose who takes part: NumPy, then those asked for, or all that can.

    Parameters
    ----------
    names : sequence of str, optional
        Names in `KNOWN`; by default all.

    Returns
    -------
    used : list of Library
        NumPy first.
    left_out : dict
        The reason for each other name of `KNOWN`.

    Raises
    ------
    LibraryUnusableError
        Where a library that was asked for cannot be used.
    RequestError
        For a name that is not in `KNOWN`.
    """
    if names is not None:
        used = [find_library(name) for name in dict.fromkeys(["numpy", *names])]
        present = {library.name for library in used}
        return used, {name: "not asked for" for name in KNOWN if name not in present}
    used, left_out = [], {}
    for name in KNOWN:
        try:
            used.append(find_library(name))
        except LibraryUnusableError as error:
            left_out[name] = error.reason
    return used, left_out


def find_library(name: str) -> Library:
    """Import a library and make sure that it can compute.

    Parameters
    ----------
    name : str
        One of `KNOWN`.

    Returns
    -------
    Library
        Ready to use.

    Raises
    ------
    LibraryUnusableError
        Where it cannot be used.
    RequestError
        For a name that is not in `KNOWN`.
    """
    if name not in KNOWN:
        raise RequestError(f"`libraries` must be among {', '.join(KNOWN)}; got {name!r}.")
    root = KNOWN[name].partition(".")[0]
    if importlib.util.find_spec(root) is None:
        raise LibraryUnusableError(name, "not installed")
    try:
        arrays = importlib.import_module(KNOWN[name])
    except (ImportError, OSError, RuntimeError) as error:  # OSError: a missing shared library
        raise LibraryUnusableError(name, f"cannot be imported: {_first_line(error)}") from error
    if name == "cupy":
        # Importing it and counting devices is not enough: a driver can be too old for kernels.
        try:
            float(arrays.sum(arrays.ones(3)))
        except (ImportError, OSError, RuntimeError) as error:  # CUDARuntimeError: RuntimeError
            raise LibraryUnusableError(name, f"no usable device: {_first_line(error)}") from error
    version = getattr(importlib.import_module(root), "__version__", "unknown version")
    return Library(name, str(version), arrays)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]

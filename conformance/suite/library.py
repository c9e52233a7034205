"""What the suite needs to know of an array library: how to make an array, how to read one, what it
cannot do and why.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np

from .expected import Expected


class MissingLibrary(ImportError):
    """A library that was asked for is not installed, or finds no device."""


class Library:
    """An array library.

    Attributes
    ----------
    name : str
        As on the command line.
    title : str
        As in the tables.
    module : str
        What to import.
    refuses : dict
        What it cannot do, and is not asked: a dtype or the name of a loss, and why.
    expected : tuple of Expected
        What it fails, and why.
    chosen : str
        Device that was asked for; empty if none was, or it has none to choose.
    """

    name: str
    title: str
    module: str
    refuses: dict[str, str] = {}
    expected: tuple[Expected, ...] = ()
    chosen = ""

    def load(self) -> Any:
        """Import the library.

        Raises
        ------
        MissingLibrary
            If it cannot be used here.
        """
        try:
            self.xp = import_module(self.module)
        except ImportError as error:
            why = f"cannot be imported ({error}). Install it, or leave it out."
            raise MissingLibrary(f"{self.name} was asked for and {why}") from error
        return self.xp

    @property
    def installed(self) -> bool:
        """Whether it can be used here."""
        try:
            self.load()
        except MissingLibrary:
            return False
        return True

    devices = ""
    """What its devices are called; empty where there is none but the host."""

    def find(self, device: str) -> Any:
        """Find a device by name, ready to compute; if there is none, fail as the library does."""
        raise NotImplementedError

    def choose(self, device: str) -> None:
        """Make arrays on a device from now on; empty for the library's usual one. Only where there are some.

        Raises
        ------
        MissingLibrary
            If it has no such device here.
        """
        self.load()
        try:
            self.place = self.find(device) if device else None
        except (AssertionError, LookupError, NotImplementedError, RuntimeError, ValueError) as error:
            why = f"finds no device {device!r} of {self.devices} ({str(error).splitlines()[0]})"
            raise MissingLibrary(f"{self.name} {why}") from error
        self.chosen = device
        self.load()  # which finds the usual one where it must have a name

    @contextmanager
    def active(self) -> Iterator[Any]:
        """Settings under which the suite uses the library; put back afterwards."""
        yield self.load()

    def array(self, values: np.ndarray) -> Any:
        """Make an array with the dtype of a NumPy array."""
        return self.xp.asarray(values)

    def options(self, options: dict[str, Any]) -> dict[str, Any]:
        """Make arrays of what is an array in the keyword arguments of a loss."""
        return {
            key: self.array(value) if isinstance(value, np.ndarray) else value
            for key, value in options.items()
        }

    def numpy(self, array: Any) -> np.ndarray:
        """Read an array back, its dtype kept."""
        return np.asarray(array)

    def owns(self, array: Any) -> bool:
        """Whether an array is the library's own kind, and no other."""
        raise NotImplementedError

    def dtype(self, array: Any) -> str:
        """Name of an array's dtype."""
        return str(array.dtype).rpartition(".")[2]

    def device(self, array: Any) -> Any:
        """Where an array lies."""
        return array.device

    def version(self) -> str:
        """Version, and the device where it says something."""
        return f"{self.title} {self.xp.__version__}{f' on {self.chosen}' if self.chosen else ''}"

"""The array libraries that the suite runs on.

A new library is a subclass of `Library` in `LIBRARIES`. Arrays are put on the least usual device that
the library has, so that code which forgets the device of its input is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from .floats import HALVES, numpy_dtype
from .library import Library, MissingLibrary
from .partial_libraries import MLX, Dask, NDonnx

ORACLE_DIGITS = 50

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = CHECKOUT / ".cache" if (CHECKOUT / "pyproject.toml").is_file() else None
"""Where a checkout keeps what took long to compute; an installed copy keeps nothing."""


class NumPy(Library):
    """NumPy."""

    name, title, module = "numpy", "NumPy", "numpy"

    def array(self, values: np.ndarray) -> Any:
        """Read-only: a loss that writes into its input is found out."""
        array = np.array(values)
        array.flags.writeable = False
        return array

    def owns(self, array: Any) -> bool:
        """Whether it is an array or, as NumPy's sums are, one of its scalars."""
        return type(array) in (np.ndarray, np.float32, np.float64)


class Torch(Library):
    """PyTorch, on the CPU unless told otherwise."""

    name, title, module = "torch", "PyTorch", "torch"
    devices = "cpu, cuda, cuda:1, mps, ..."
    place = None

    def find(self, device: str) -> Any:
        """Where a number can be put and read back: not on "meta"."""
        place = self.xp.device(device)
        self.xp.ones(1, device=place).cpu()
        return place

    @property
    def refuses(self) -> dict[str, str]:
        """Depends on where it computes."""
        return {"float64": "Apple's GPUs have none"} if "mps" in str(self.place) else {}

    def array(self, values: np.ndarray) -> Any:
        """From a copy: tensors cannot be read-only."""
        values = np.array(values)
        if values.dtype.name == "bfloat16":  # which from_numpy does not take
            tensor = self.xp.from_numpy(values.view(np.int16)).view(self.xp.bfloat16)
        else:
            tensor = self.xp.from_numpy(values)
        return tensor.to(self.place)

    def numpy(self, array: Any) -> np.ndarray:
        """Results are detached: anything that still asks for a gradient raises here."""
        if array.dtype == self.xp.bfloat16:
            return array.float().cpu().numpy().astype(numpy_dtype("bfloat16"))
        return array.cpu().numpy()

    def owns(self, array: Any) -> bool:
        """Whether it is a plain tensor."""
        return type(array) is self.xp.Tensor


class Jax(Library):
    """JAX with 64-bit numbers."""

    name, title, module = "jax", "JAX", "jax"
    devices = "cpu, gpu, cuda:1, tpu, ..."
    place = None

    def find(self, device: str) -> Any:
        """One of a platform's, by default the first."""
        platform, _, index = device.partition(":")
        return self.xp.devices(platform)[int(index or 0)]

    def load(self) -> Any:
        """Import JAX, and let it keep what it compiles: that is nearly all of its time here."""
        xp = super().load()
        if CACHE is not None and xp.config.jax_compilation_cache_dir is None:
            xp.config.update("jax_compilation_cache_dir", str(CACHE / "jax"))
            xp.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
            xp.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        return xp

    @contextmanager
    def active(self) -> Iterator[Any]:
        """Turn on what float64 needs."""
        with self.load().enable_x64(True):
            yield self.xp

    def array(self, values: np.ndarray) -> Any:
        """By jax.numpy."""
        return self.xp.numpy.asarray(values, device=self.place)

    def owns(self, array: Any) -> bool:
        """Whether it is concrete: no tracer has leaked."""
        return isinstance(array, self.xp.Array) and not isinstance(array, self.xp.core.Tracer)


class CuPy(Library):
    """CuPy, on the last device unless told otherwise."""

    name, title, module = "cupy", "CuPy", "cupy"
    devices = "cuda (the last), cuda:0, cuda:1, ..."
    place = None

    def load(self) -> Any:
        """Import CuPy and look for a device."""
        xp = super().load()
        try:
            self.count = xp.cuda.runtime.getDeviceCount()
        except xp.cuda.runtime.CUDARuntimeError as error:
            raise MissingLibrary(f"cupy was asked for and finds no device: {error}") from error
        self.place = self.place or self.find("cuda")
        return xp

    def find(self, device: str) -> Any:
        """By its number."""
        platform, _, index = device.partition(":")
        if platform != "cuda":
            raise ValueError("not CUDA's")
        return self.xp.cuda.Device(range(self.count)[int(index or -1)])

    @contextmanager
    def active(self) -> Iterator[Any]:
        """Make the arrays' device the current one, as CuPy requires of whoever computes on it."""
        xp = self.load()
        with self.place:
            yield xp

    def array(self, values: np.ndarray) -> Any:
        """On the last device."""
        with self.place:
            return self.xp.asarray(values)

    def numpy(self, array: Any) -> np.ndarray:
        """By a copy to the host."""
        return self.xp.asnumpy(array)

    def owns(self, array: Any) -> bool:
        """Whether it is CuPy's."""
        return type(array) is self.xp.ndarray

    def version(self) -> str:
        """Say what it ran on: a GPU, or a CPU that runs CUDA's source (cupy-cpuemu)."""
        name = self.xp.cuda.runtime.getDeviceProperties(self.place.id)["name"].decode()
        where = "CuPy on emulated CUDA" if "cpuemu" in name else f"CuPy on {name}"
        return f"{where}, {self.xp.__version__}, device {self.place.id + 1} of {self.count}"


class Strict(Library):
    """array-api-strict: the standard and nothing else, without what needs values for shapes."""

    name, title, module = "strict", "array-api-strict", "array_api_strict"
    refuses = dict.fromkeys(HALVES, "the standard has no half precision")

    @contextmanager
    def active(self) -> Iterator[Any]:
        """Refuse what accelerators and compilers cannot do."""
        xp = self.load()
        with xp.ArrayAPIStrictFlags(boolean_indexing=False, data_dependent_shapes=False):
            yield xp

    def array(self, values: np.ndarray) -> Any:
        """On a device that is not the default one."""
        return self.xp.asarray(np.array(values), device=self.xp.Device("device1"))

    def numpy(self, array: Any) -> np.ndarray:
        """From the device that NumPy may look at."""
        return np.asarray(array.to_device(self.xp.Device("CPU_DEVICE")))

    def owns(self, array: Any) -> bool:
        """Whether it is strict's."""
        return type(array).__module__.startswith("array_api_strict")


class MPArray(Library):
    """mparray: every number with 50 digits, whatever its dtype's name says. The oracle."""

    name, title, module = "mparray", "mparray", "mparray"
    refuses = dict.fromkeys(HALVES, "its sums would be called float32 and have 50 digits all the same")

    @contextmanager
    def active(self) -> Iterator[Any]:
        """Compute with 50 digits, and ten more that are lost on the way."""
        xp = self.load()
        with xp.mp.workdps(ORACLE_DIGITS + 10):
            yield xp

    def array(self, values: np.ndarray) -> Any:
        """With a dtype that it knows, which says nothing of its digits."""
        return self.xp.asarray(values.astype(np.float64) if values.dtype.name == "bfloat16" else values)

    def numpy(self, array: Any) -> np.ndarray:
        """Rounded to float64."""
        exact = array._data
        return np.asarray(exact, dtype=np.float64 if exact.dtype == object else exact.dtype)

    def owns(self, array: Any) -> bool:
        """Whether it is mparray's."""
        return type(array) is self.xp.MPArray

    def version(self) -> str:
        """Say how many digits."""
        return f"mparray {version('mparray')}, {ORACLE_DIGITS} digits"


LIBRARIES: dict[str, Library] = {
    library.name: library
    for library in (NumPy(), Torch(), Jax(), CuPy(), Strict(), MPArray(), NDonnx(), Dask(), MLX())
}

COMPARED = ("numpy", "torch", "jax", "cupy", "strict")
"""What is compared with the oracle unless told otherwise, where installed."""


def requested(names: str) -> list[Library]:
    """Libraries of a comma list, loaded.

    Raises
    ------
    ValueError
        If a name is unknown or none is given.
    MissingLibrary
        If one cannot be used here: what was asked for is never skipped.
    """
    chosen = list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    unknown = [name for name in chosen if name not in LIBRARIES]
    if unknown or not chosen:
        raise ValueError(
            f"Backends are a comma list of {', '.join(LIBRARIES)}; got {', '.join(unknown) or 'none'}."
        )
    for name in chosen:
        LIBRARIES[name].load()
    return [LIBRARIES[name] for name in chosen]

"""Packages from their folders, smp's losses without its encoders, and which packages are there."""

import importlib.metadata
import importlib.util
import sys
from functools import cache
from pathlib import Path

NAMES = (
    "agnoloss", "array-api-compat", "numpy", "torch", "jax", "cupy-cuda12x", "segmentation-models-pytorch",
    "monai", "kornia", "optax", "keras",
)  # fmt: skip


def smp_losses():
    """`segmentation_models_pytorch.losses` alone: the package itself imports encoders and all they need."""
    package = importlib.util.find_spec("segmentation_models_pytorch")
    if package is None:
        raise ModuleNotFoundError("No module named 'segmentation_models_pytorch'")
    return load("smp_losses", Path(package.submodule_search_locations[0]) / "losses")


@cache
def load(name, folder):
    """The package in a folder, imported under a name that may be another one."""
    file = folder / "__init__.py"
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=[str(folder)])
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def versions():
    """The installed ones of `NAMES`."""
    found = {}
    for name in NAMES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found

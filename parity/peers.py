"""The peers, under the names that the page gives them, on 64-bit numbers."""

import importlib.util
import sys
from pathlib import Path

import jax
import keras
import keras.ops
import kornia.losses
import monai.losses
import optax
import torch
import torch.nn.functional

import agnoloss

from . import berman

jax.config.update("jax_enable_x64", True)
keras.config.set_floatx("float64")


def losses_of_smp():
    """`segmentation_models_pytorch.losses` by itself.

    The package's own `__init__` imports every encoder, and with them torchvision, timm and the Hugging
    Face hub; none of the losses needs any of these. So only that folder is imported, under a name of
    its own, and the package is installed without what it depends on.
    """
    (home,) = importlib.util.find_spec("segmentation_models_pytorch").submodule_search_locations
    folder = Path(home) / "losses"
    spec = importlib.util.spec_from_file_location(
        "smp_losses", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


NAMES = {
    **{name: getattr(agnoloss, name) for name in agnoloss.__all__},
    "torch": torch,
    "F": torch.nn.functional,
    "smp": losses_of_smp(),
    "monai": monai.losses,
    "kornia": kornia.losses,
    "berman": berman,
    "jax": jax,
    "jnp": jax.numpy,
    "optax": optax,
    "keras": keras,
    "K": keras.ops,
}

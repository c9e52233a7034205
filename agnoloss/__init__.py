"""Losses for segmentation and classification, written once against the array API standard.

Every loss takes ``(predictions, targets)`` as arrays of NumPy, PyTorch, JAX, CuPy or any other
library that follows the Python array API standard, and computes with that library.
"""

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import maps
from .batch.debugging import debug
from .gradients import grad, value_and_grad
from .losses.boundary import boundary_f1_loss, boundary_loss
from .losses.compound import combo_loss, dice_cross_entropy_loss, exponential_logarithmic_loss
from .losses.contour import active_contour_loss
from .losses.cross_entropy import balanced_cross_entropy_loss, cross_entropy_loss
from .losses.cross_entropy_variants import (
    conservative_loss,
    cost_sensitive_cross_entropy_loss,
    top_k_cross_entropy_loss,
)
from .losses.dice_boundary import dice_boundary_loss
from .losses.focal import focal_loss, focal_modulation
from .losses.lovasz import lovasz_hinge_loss, lovasz_softmax_loss
from .losses.region import dice_loss, jaccard_loss, tversky_loss
from .losses.region_variants import focal_tversky_loss, generalized_dice_loss, log_cosh_dice_loss
from .metrics import Counts, confusion, dice_score, generalized_dice_score, iou, jaccard_score, tversky_score

__version__ = "0.1.0"

__all__ = [
    "Counts", "active_contour_loss", "balanced_cross_entropy_loss", "boundary_f1_loss", "boundary_loss",
    "combo_loss", "confusion", "conservative_loss", "cost_sensitive_cross_entropy_loss",
    "cross_entropy_loss", "debug", "dice_boundary_loss", "dice_cross_entropy_loss", "dice_loss", "dice_score",
    "exponential_logarithmic_loss", "focal_loss", "focal_modulation", "focal_tversky_loss",
    "generalized_dice_loss", "generalized_dice_score", "grad", "iou", "jaccard_loss", "jaccard_score",
    "log_cosh_dice_loss", "lovasz_hinge_loss", "lovasz_softmax_loss", "maps",
    "top_k_cross_entropy_loss", "tversky_loss", "tversky_score", "value_and_grad",
]  # fmt: skip
__dir__ = [*__all__, "__version__"].copy

if TYPE_CHECKING:
    from . import torch as torch
else:

    def __getattr__(name: str) -> Any:
        """Import ``agnoloss.torch`` when it is asked for, since it imports PyTorch."""
        if name == "torch":
            return import_module(".torch", __name__)
        hints = (f"; did you mean {near}?" for near in get_close_matches(name.lower(), __all__, n=1))
        message = f"module {__name__!r} has no attribute {name!r}{''.join(hints)}"
        raise AttributeError(message, name=name, obj=None)  # without `obj` Python adds no guess of its own

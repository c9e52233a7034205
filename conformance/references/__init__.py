"""One float64 loop per loss, written from its formula, sharing nothing with agnoloss.

Each has the public signature of the loss of the same name (without `all_reduce`), takes NumPy
arrays, and returns a Python float or a NumPy float64 array. There are no gradients here: they are
checked against differences of values. Slow by intent; feed it a few hundred pixels.
"""

from ._common import each_image
from .boundary import boundary_f1_loss, boundary_loss
from .compound import (
    combo_loss,
    dice_boundary_loss,
    dice_cross_entropy_loss,
    exponential_logarithmic_loss,
)
from .contour import active_contour_loss
from .counts import (
    Counts,
    confusion,
    dice_score,
    generalized_dice_score,
    iou,
    jaccard_score,
    tversky_score,
)
from .cross_entropy import (
    balanced_cross_entropy_loss,
    conservative_loss,
    cost_sensitive_cross_entropy_loss,
    cross_entropy_loss,
    top_k_cross_entropy_loss,
)
from .focal import focal_loss, focal_modulation
from .lovasz import lovasz_hinge_loss, lovasz_softmax_loss
from .maps import signed_distance_map, unet_weight_map
from .region import (
    dice_loss,
    focal_tversky_loss,
    generalized_dice_loss,
    jaccard_loss,
    log_cosh_dice_loss,
    tversky_loss,
)

__all__ = [
    "Counts",
    "active_contour_loss",
    "balanced_cross_entropy_loss",
    "boundary_f1_loss",
    "boundary_loss",
    "combo_loss",
    "confusion",
    "conservative_loss",
    "cost_sensitive_cross_entropy_loss",
    "cross_entropy_loss",
    "dice_boundary_loss",
    "dice_cross_entropy_loss",
    "dice_loss",
    "dice_score",
    "exponential_logarithmic_loss",
    "focal_loss",
    "focal_modulation",
    "focal_tversky_loss",
    "generalized_dice_loss",
    "generalized_dice_score",
    "iou",
    "jaccard_loss",
    "jaccard_score",
    "log_cosh_dice_loss",
    "lovasz_hinge_loss",
    "lovasz_softmax_loss",
    "signed_distance_map",
    "top_k_cross_entropy_loss",
    "tversky_loss",
    "tversky_score",
    "unet_weight_map",
]

for _name in __all__:
    if _name.endswith("_loss") or _name == "iou":
        globals()[_name] = each_image(globals()[_name])

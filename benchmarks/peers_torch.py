"""The peers on PyTorch: torch itself, smp, MONAI, kornia, and Berman's form of the Lovász losses."""

from . import changing
from .packages import smp_losses
from .peer import Peer
from .workloads import FIXED, GROWING, IGNORED

# --- cross entropy ------------------------------------------------------------------------------


def torch_cross_entropy(workload):
    from torch.nn.functional import cross_entropy

    return lambda z, y: cross_entropy(z, y, ignore_index=IGNORED)


def smp_cross_entropy(workload):
    loss = smp_losses().SoftCrossEntropyLoss(smooth_factor=0.0, ignore_index=IGNORED)
    return lambda z, y: loss(z, y)


def torch_binary_cross_entropy(workload):
    from torch.nn.functional import binary_cross_entropy_with_logits

    return lambda z, y: binary_cross_entropy_with_logits(z, y[:, None].to(z.dtype))


def smp_binary_cross_entropy(workload):
    loss = smp_losses().SoftBCEWithLogitsLoss(ignore_index=IGNORED)
    return lambda z, y: loss(z, y[:, None].to(z.dtype))


# --- focal --------------------------------------------------------------------------------------


def kornia_focal(workload):
    from kornia.losses import focal_loss

    return lambda z, y: focal_loss(z, y, alpha=None, reduction="mean", ignore_index=IGNORED)


def kornia_binary_focal(workload):
    from kornia.losses import binary_focal_loss_with_logits

    return lambda z, y: binary_focal_loss_with_logits(
        z, y[:, None], alpha=None, reduction="mean", ignore_index=IGNORED
    )


def monai_focal(workload):
    from monai.losses import FocalLoss

    several = workload.mode == "multiclass"
    loss = FocalLoss(use_softmax=several, to_onehot_y=several, ignore_index=IGNORED)
    return lambda z, y: loss(z, y[:, None])


def smp_focal(workload):
    loss = smp_losses().FocalLoss(workload.mode, ignore_index=IGNORED)
    return lambda z, y: loss(z, y)


# --- overlap ------------------------------------------------------------------------------------


def monai_region(name, **options):
    """A loss of MONAI on softmax or sigmoid, the batch pooled as agnoloss does."""

    def make(workload):
        import monai.losses

        several = workload.mode == "multiclass"
        activation = {"softmax": True, "to_onehot_y": True} if several else {"sigmoid": True}
        loss = getattr(monai.losses, name)(**activation, **options)
        return lambda z, y: loss(z, y[:, None])

    return make


def smp_region(name, **options):
    def make(workload):
        loss = getattr(smp_losses(), name)(workload.mode, ignore_index=IGNORED, **options)
        # With one channel smp multiplies labels and scores as they come: both need the same shape.
        return lambda z, y: loss(z, y if workload.mode == "multiclass" else y[:, None])

    return make


def kornia_region(name, **options):
    """A loss of kornia, which takes images alone: a volume is folded into one, without a copy."""

    def make(workload):
        import kornia.losses

        loss = getattr(kornia.losses, name)
        if len(workload.shape) == 4:
            return lambda z, y: loss(z, y, **options)
        return lambda z, y: loss(z.flatten(2, -2), y.flatten(1, -2), **options)

    return make


def smp_dice_and_torch_cross_entropy(workload):
    dice, cross_entropy = smp_region("DiceLoss", smooth=0.5)(workload), torch_cross_entropy(workload)
    return lambda z, y: dice(z, y) + cross_entropy(z, y)


def own_dice(workload):
    from agnoloss import dice_loss

    return lambda z, y: dice_loss(z, y, mode=workload.mode, ignore_index=IGNORED)


# --- Lovász -------------------------------------------------------------------------------------


def smp_lovasz_hinge(workload):
    loss = smp_losses().LovaszLoss("binary", per_image=True, ignore_index=IGNORED)
    return lambda z, y: loss(z, y)


def plain_lovasz_softmax(workload):
    from .plain_torch import lovasz_softmax

    return lovasz_softmax


def plain_lovasz_hinge(workload):
    from .plain_torch import lovasz_hinge

    return lovasz_hinge


def by_all_pixels(classes, share_valid):
    """Divided by all pixels, the ignored ones too."""
    return 1 / share_valid


def by_all_elements(classes, share_valid):
    """Divided by pixels and classes."""
    return classes / share_valid


POOLED = {"batch": True, "ignore_index": IGNORED}
SMOOTH = {"smooth_nr": 1.0, "smooth_dr": 1.0}
PRESENT = {"per_image": True, "classes": "present", "smooth": (0, 1e-8)}
MICRO = {"per_image": True, "average": "micro", "smooth": (0, 1e-8)}
TVERSKY = {"alpha": 0.3, "beta": 0.7}


def region(mode):
    """The overlap losses that take both modes."""
    monai_dice = monai_region("DiceLoss", **POOLED, **SMOOTH)
    monai_jaccard = monai_region("DiceLoss", jaccard=True, smooth_nr=2.0, smooth_dr=2.0, **POOLED)
    monai_tversky = monai_region("TverskyLoss", **TVERSKY, **POOLED, **SMOOTH)
    monai_both = monai_region("DiceCELoss", batch=True, **SMOOTH)
    return [
        Peer("dice_loss", "MONAI", monai_dice, mode, workloads=(*FIXED, *GROWING)),
        Peer("dice_loss", "smp", smp_region("DiceLoss", smooth=0.5), mode),
        Peer("jaccard_loss", "MONAI", monai_jaccard, mode),
        Peer("jaccard_loss", "smp", smp_region("JaccardLoss", smooth=1.0), mode),
        Peer("tversky_loss", "MONAI", monai_tversky, mode),
        Peer("tversky_loss", "smp", smp_region("TverskyLoss", smooth=1.0, **TVERSKY), mode),
        Peer("dice_cross_entropy_loss", "MONAI", monai_both, mode, ignores=False),
    ]


PEERS = [
    Peer("cross_entropy_loss", "torch", torch_cross_entropy, workloads=(*FIXED, *GROWING)),
    Peer("cross_entropy_loss", "smp", smp_cross_entropy, scale=by_all_pixels),
    Peer("focal_loss", "kornia", kornia_focal, scale=by_all_elements),
    Peer("focal_loss", "MONAI", monai_focal),
    Peer("focal_loss", "smp", smp_focal, other="one sigmoid per class, no softmax"),
    *region("multiclass"),
    Peer("dice_loss", "kornia micro", kornia_region("dice_loss", ignore_index=IGNORED), options=MICRO),
    Peer(
        "dice_loss",
        "kornia macro",
        kornia_region("dice_loss", average="macro", ignore_index=IGNORED),
        options=PRESENT,
    ),
    Peer(
        "tversky_loss",
        "kornia",
        kornia_region("tversky_loss", ignore_index=IGNORED, **TVERSKY),
        options=PRESENT,
    ),
    Peer(
        "focal_tversky_loss",
        "smp",
        smp_region("TverskyLoss", gamma=0.75, smooth=1.0, **TVERSKY),
        other="a power of the mean over classes, not a mean of powers",
    ),
    Peer(
        "generalized_dice_loss",
        "MONAI",
        monai_region("GeneralizedDiceLoss", batch=True, **SMOOTH),
        options={"smooth": 1.0},
        ignores=False,
    ),
    Peer("dice_cross_entropy_loss", "smp + torch", smp_dice_and_torch_cross_entropy),
    Peer("dice_cross_entropy_loss", "agnoloss dice_loss", own_dice, other="Dice alone"),
    Peer("lovasz_softmax_loss", "smp", smp_region("LovaszLoss")),
    Peer("lovasz_softmax_loss", "Berman's form", plain_lovasz_softmax),
    Peer(
        "lovasz_softmax_loss",
        "kornia",
        kornia_region("lovasz_softmax_loss"),
        options={"per_image": True, "classes": "all"},
        ignores=False,
    ),
    # A volume takes both of them a minute: all in distance transforms.
    Peer(
        "boundary_loss",
        "MONAI",
        monai_region("BoundaryLoss", include_background=False),
        ignores=False,
        workloads=("W1", "W4"),
    ),
    Peer("cross_entropy_loss", "torch", torch_binary_cross_entropy, "binary", ignores=False),
    Peer("cross_entropy_loss", "smp", smp_binary_cross_entropy, "binary", scale=by_all_pixels),
    Peer("focal_loss", "kornia", kornia_binary_focal, "binary", scale=by_all_pixels),
    Peer("focal_loss", "MONAI", monai_focal, "binary"),
    Peer("focal_loss", "smp", smp_focal, "binary"),
    *region("binary"),
    Peer("lovasz_hinge_loss", "smp", smp_lovasz_hinge, "binary"),
    Peer("lovasz_hinge_loss", "kornia", kornia_region("lovasz_hinge_loss"), "binary", ignores=False),
    Peer("lovasz_hinge_loss", "Berman's form", plain_lovasz_hinge, "binary"),
    *changing.PEERS,
]

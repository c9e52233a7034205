"""Losses against overlap: a small and a large object, found in part, exactly, and with too much."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ... import (
    combo_loss,
    cross_entropy_loss,
    dice_cross_entropy_loss,
    dice_loss,
    exponential_logarithmic_loss,
    focal_loss,
    focal_tversky_loss,
    generalized_dice_loss,
    jaccard_loss,
    log_cosh_dice_loss,
    lovasz_hinge_loss,
    lovasz_softmax_loss,
    tversky_loss,
    value_and_grad,
)
from ..style import BLUE, DASHED, FAINT, GREEN, RED, grid, shades, titled

IMAGE = 128 * 128
SMALL, LARGE = 10 * 10, 80 * 80  #: Pixels of the two objects.
SCORE = 12.0  #: Of every pixel, with its sign: the model is certain, also where it is wrong.


def losses_of_size(loss: Callable[..., Any], size: int, ratios: Any, **options: Any) -> Any:
    """Loss if the predicted object has ratio x the size of the true one, around the same centre.

    There are four kinds of pixels; how many there are of each is their pixel weight.
    """
    import numpy as np

    values = []
    for ratio in ratios:
        found = min(ratio, 1.0) * size
        extra = max(ratio - 1.0, 0.0) * size
        counts = np.asarray([[found, size - found, extra, IMAGE - size - extra]])
        scores = SCORE * np.asarray([[1.0, -1.0, 1.0, -1.0]])
        labels = np.asarray([[1, 1, 0, 0]])
        if options.get("mode") != "binary":
            scores = np.stack([np.zeros_like(scores), scores], axis=1)
        values.append(float(loss(scores, labels, pixel_weights=counts, **options)))
    return np.asarray(values)


def size_axis(axes: Any) -> None:
    """Label the horizontal axis, and mark where the prediction is exact."""
    axes.set(xlim=(0, 2), xticks=[0, 1, 2])
    axes.set_xticklabels(["nothing\nfound", "exact", "twice\nthe size"])
    left, _, right = axes.get_xticklabels()
    left.set_ha("left")
    right.set_ha("right")
    axes.axvline(1, color=FAINT, linewidth=1)


class Case(NamedTuple):
    """A loss and how to call it."""

    title: str
    loss: Callable[..., Any]
    remark: str
    options: dict[str, Any]


BINARY: dict[str, Any] = {"mode": "binary"}
REGIONS = (
    Case("Cross entropy", cross_entropy_loss, "hardly sees the small object", BINARY),
    Case("Focal", focal_loss, "the same, where mistakes are certain", BINARY),
    Case("Dice", dice_loss, "the same for both sizes", BINARY),
    Case("Jaccard", jaccard_loss, "steeper near the optimum", BINARY),
    Case("Tversky", tversky_loss, "a miss costs more", BINARY),
    Case("Focal Tversky", focal_tversky_loss, "steep to the very end", BINARY),
    Case("Log-cosh Dice", log_cosh_dice_loss, "flat near the optimum", BINARY),
    Case("Generalized Dice", generalized_dice_loss, "of two classes, which count alike", {}),
    Case("Lovász softmax", lovasz_softmax_loss, "1 − IoU itself", BINARY),
)
COMPOUNDS = (
    Case("Dice + cross entropy", dice_cross_entropy_loss, "the sum of both", BINARY),
    Case("Combo, beta=0.8", combo_loss, "misses cost more", {**BINARY, "beta": 0.8}),
    Case("Exponential logarithmic", exponential_logarithmic_loss, "steepest at the optimum", BINARY),
)


def draw_sizes(points: int, cases: Sequence[Case]) -> Any:
    """Draw each loss for a small and a large object."""
    import numpy as np

    ratios = np.linspace(0, 2, points)
    rows = len(cases) // 3
    figure, table = grid(rows, 3, 2.45 * rows + 0.45)
    for axes, case in zip(table.ravel(), cases, strict=True):
        for size, colour, style in ((LARGE, BLUE, "-"), (SMALL, RED, DASHED)):
            share = f"{100 * size / IMAGE:.1g} %" if size == SMALL else f"{100 * size / IMAGE:.0f} %"
            label = f"{'small' if size == SMALL else 'large'} object, {share} of the image"
            values = losses_of_size(case.loss, size, ratios, **case.options)
            axes.plot(ratios, values, color=colour, linestyle=style, label=label)
        titled(axes, case.title, case.remark)
        axes.set_ylim(0, 1.08 * axes.get_ylim()[1])
        size_axis(axes)
    for axes in table[:-1].ravel():
        axes.tick_params(labelbottom=False)
    for axes in table[:, 0]:
        axes.set_ylabel("loss")
    handles, labels = table[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, fontsize=10)
    return figure


def draw_options(points: int) -> Any:
    """Tversky's alpha and beta, focal Tversky's gamma, and the smoothing of Dice."""
    import numpy as np

    ratios = np.linspace(0, 2, points)
    figure, (panels,) = grid(1, 3, 3.6)
    sweeps: tuple[tuple[tuple[str, str], Any, list[tuple[str, int, dict[str, Any]]]], ...] = (
        (
            ("Tversky", "alpha and beta, for a large object"),
            tversky_loss,
            [(f"{a}, {b}", LARGE, {"alpha": a, "beta": b}) for a, b in ((0.1, 0.9), (0.5, 0.5), (0.9, 0.1))],
        ),
        (
            ("Focal Tversky", "gamma, for a large object"),
            focal_tversky_loss,
            [(f"{g:g}", LARGE, {"gamma": g, "alpha": 0.5, "beta": 0.5}) for g in (0.5, 1.0, 2.0)],
        ),
        (
            ("Dice", "smooth, for an object of 9 pixels"),
            dice_loss,
            [(f"{s:g}", 9, {"smooth": s}) for s in (0.0, 1.0, 10.0, 100.0)],
        ),
    )
    for axes, (title, loss, curves) in zip(panels, sweeps, strict=True):
        for (label, size, options), colour in zip(curves, shades(len(curves)), strict=True):
            values = losses_of_size(loss, size, ratios, mode="binary", **options)
            axes.plot(ratios, values, color=colour, label=label)
        axes.set_ylim(0, 1.05)
        titled(axes, *title)
        axes.legend(loc="upper right")
        size_axis(axes)
    panels[0].set_ylabel("loss")
    return figure


def draw_lovasz(points: int) -> Any:
    """One wrong pixel in objects of several sizes; and all pixels as sure as each other."""
    import numpy as np

    figure, ((hinge, together, pull),) = grid(1, 3, 3.6)

    sizes = (2, 4, 16)
    score = np.linspace(-2, 2, points)
    for size, colour in zip(sizes, shades(len(sizes)), strict=True):
        others = np.asarray([3.0] * (size - 1) + [-3.0] * 20)
        labels = np.asarray([[1] * size + [0] * 20])
        values = [float(lovasz_hinge_loss(np.asarray([[z, *others]]), labels)) for z in score]
        hinge.plot(score, values, color=colour, label=f"object of {size} pixels")
    titled(hinge, "One pixel of an object", "the smaller the object, the more it counts")
    hinge.set(xlabel="its score", ylabel="Lovász hinge loss", ylim=(0, 1.75))
    hinge.legend(loc="upper right")

    p = np.linspace(0.0, 1.0, points)
    counts = np.asarray([[SMALL, IMAGE - SMALL]], dtype=float)
    labels = np.asarray([[1, 0]])
    options = {"mode": "binary", "from_logits": False, "pixel_weights": counts}
    curves = (("Lovász softmax", lovasz_softmax_loss, GREEN, "-"), ("Jaccard", jaccard_loss, RED, DASHED))
    for name, loss, colour, style in curves:
        values, slopes = [], []
        for sure in p:
            value, slope = value_and_grad(loss)(np.asarray([[sure, 1 - sure]]), labels, **options)
            values.append(float(value))
            slopes.append(float(slope[0, 1] - slope[0, 0]))  # along p, against 1 - p
        together.plot(p, values, color=colour, linestyle=style, label=name)
        pull.plot(p, slopes, color=colour, linestyle=style, label=name)
    titled(together, "All pixels equally sure", "an object of 0.6 % of the image")
    together.set(ylabel="loss", ylim=(0, 1.05))
    titled(pull, "How hard they are pulled", "Jaccard: hardly, until they are right")
    pull.set(ylabel="slope of the loss, downwards", ylim=(0, 5))
    together.legend(loc="lower left")
    for axes in (together, pull):
        axes.set(xlabel="probability of the true class", xlim=(0, 1), xticks=[0, 0.5, 1])
        axes.set_xticklabels(["0", "½", "1"])
    return figure


PICTURES: dict[str, Callable[[int], Any]] = {
    "region": lambda points: draw_sizes(points, REGIONS),
    "region_options": draw_options,
    "lovasz": draw_lovasz,
    "compound": lambda points: draw_sizes(points, COMPOUNDS),
}

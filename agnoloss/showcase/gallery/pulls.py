"""Gradients on a photograph: where each loss wants more of the object, and where less."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ... import (
    active_contour_loss,
    balanced_cross_entropy_loss,
    boundary_f1_loss,
    boundary_loss,
    combo_loss,
    conservative_loss,
    cost_sensitive_cross_entropy_loss,
    cross_entropy_loss,
    dice_boundary_loss,
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
    top_k_cross_entropy_loss,
    tversky_loss,
    value_and_grad,
)
from ..style import FAINT, INK, ORANGE, grid, show_image, titled

TRUE, PREDICTED = "#33c7a4", ORANGE


@lru_cache(maxsize=1)
def scene() -> tuple[Any, Any, Any]:
    """Six coins, where they are, and scores of a model that is wrong about most of them.

    Returns
    -------
    photo, mask : array, shape (1, rows, columns)
        Grey values and 0 or 1.
    scores : array, shape (1, rows, columns)
        Raw scores. In reading order the coins are: right, shifted, missed, too large, too small,
        right; and there is a seventh where no coin is.
    """
    import numpy as np
    from scipy import ndimage

    from ..demo.scene import coins

    whole = coins()
    window = (slice(90, 228), slice(10, 186))
    photo, mask = whole.photo[window], whole.mask[window]
    numbers, count = ndimage.label(mask)
    centres = ndimage.center_of_mass(mask, numbers, range(1, count + 1))
    rows = sorted(range(count), key=lambda i: (centres[i][0] > mask.shape[0] / 2, centres[i][1]))
    right, shifted, missed, large, small, last = (numbers == 1 + i for i in rows)
    grown = ndimage.binary_dilation(large, iterations=5)
    shrunk = ndimage.binary_erosion(small, iterations=6)
    found = right | ndimage.shift(shifted, (0, 8), order=0) | grown | shrunk | last
    row, column = np.ogrid[: mask.shape[0], : mask.shape[1]]
    ghost = (row - 70) ** 2 + (column - 122) ** 2 < 9**2
    belief = ndimage.gaussian_filter(found + 1.0 * ghost + 0.25 * missed, 2.0)
    return photo[None], mask[None], 9.0 * (belief[None] - 0.5)


class Panel(NamedTuple):
    """One loss on the scene."""

    title: str
    remark: str
    loss: Callable[..., Any]
    options: dict[str, Any]
    two_classes: bool = False


def pull(panel: Panel) -> Any:
    """Minus the gradient of the loss by the scores, over its largest value."""
    import numpy as np

    _, mask, scores = scene()
    if panel.two_classes:
        both = np.stack([np.zeros_like(scores), scores], axis=1)
        gradient = value_and_grad(panel.loss)(both, mask, **panel.options)[1][:, 1]
    else:
        gradient = value_and_grad(panel.loss)(scores, mask, mode="binary", **panel.options)[1]
    return -gradient[0] / np.quantile(np.abs(gradient), 0.999)


def draw_scene(axes: Any) -> None:
    """Draw the photograph, what is true and what is predicted."""
    from matplotlib.lines import Line2D

    photo, mask, scores = scene()
    show_image(axes, photo[0], cmap="gray", vmin=0, vmax=1.15)
    axes.contour(mask[0], [0.5], colors=TRUE, linewidths=1.6)
    axes.contour(scores[0], [0], colors=PREDICTED, linewidths=1.6)
    titled(axes, "Truth and prediction", "")
    lines = {"true": TRUE, "predicted": PREDICTED}
    axes.legend(
        handles=[Line2D([], [], color=colour, label=name) for name, colour in lines.items()],
        loc="lower left",
        bbox_to_anchor=(0, 1, 1, 0),
        ncols=2,
        borderpad=0.1,
        borderaxespad=0.3,
        fontsize=8.5,
    )


def draw_pulls(panels: Sequence[Panel]) -> Any:
    """Draw the scene, and for each loss where it raises and lowers the scores."""
    columns = 4 if len(panels) == 3 else 3  # no cell stays empty, and the scene is in every picture
    rows = -(-(len(panels) + 1) // columns)
    figure, table = grid(rows, columns, 0.75 + 8.25 * rows / columns)
    cells = list(table.ravel())
    draw_scene(cells.pop(0))
    image = None
    _, mask, _ = scene()
    for axes, panel in zip(cells, panels, strict=True):
        image = show_image(axes, pull(panel), cmap="RdBu", vmin=-1, vmax=1)
        axes.contour(mask[0], [0.5], colors=INK, linewidths=0.6)
        titled(axes, panel.title, panel.remark)
    bar = figure.colorbar(
        image, ax=table, location="bottom", ticks=[-1, 0, 1], aspect=50, shrink=0.7, pad=0.02
    )
    bar.ax.set_xticklabels(
        ["pulls the score down:\nless coin here", "no pull", "pulls it up:\nmore coin here"]
    )
    bar.outline.set_edgecolor(FAINT)
    return figure


COSTS = [[1.0, 1.0], [5.0, 1.0]]  # a coin taken for table costs 5

CROSS_ENTROPIES = (
    Panel("Cross entropy", "every wrong pixel pulls alike", cross_entropy_loss, {}),
    Panel("Balanced", "coins, the rarer class, pull harder", balanced_cross_entropy_loss, {}),
    Panel("Top-k, k=0.05", "the worst 5 % of the pixels pull", top_k_cross_entropy_loss, {"k": 0.05}),
    Panel(
        "Cost-sensitive",
        "a missed pixel costs 5, a false one 1",
        cost_sensitive_cross_entropy_loss,
        {"cost_matrix": COSTS},
        True,
    ),
    Panel("Conservative", "what is right is pulled, too", conservative_loss, {}, True),
)
FOCALS = (
    Panel("gamma=0", "cross entropy: every rim pulls", focal_loss, {"gamma": 0.0}),
    Panel("gamma=2", "what is nearly right is let go", focal_loss, {"gamma": 2.0}),
    Panel("gamma=2, alpha=0.9", "coins pull nine times as hard", focal_loss, {"gamma": 2.0, "alpha": 0.9}),
)
REGIONS = (
    Panel("Cross entropy, to compare", "every wrong pixel pulls alike", cross_entropy_loss, {}),
    Panel("Dice", "pulls where it is unsure", dice_loss, {}),
    Panel("Jaccard", "the same pattern as Dice", jaccard_loss, {}),
    Panel("Tversky", "alpha=0.1, beta=0.9", tversky_loss, {"alpha": 0.1, "beta": 0.9}),
    Panel("Tversky", "alpha=0.9, beta=0.1", tversky_loss, {"alpha": 0.9, "beta": 0.1}),
    Panel("Focal Tversky", "Tversky's pattern, alpha=0.3, beta=0.7", focal_tversky_loss, {}),
    Panel("Log-cosh Dice", "the pattern of Dice, fading with it", log_cosh_dice_loss, {}),
    Panel("Generalized Dice", "table counts as much as coins", generalized_dice_loss, {}, True),
)
LOVASZ = (
    Panel("Jaccard", "pulls where it is unsure", jaccard_loss, {}),
    Panel("Lovász softmax", "nearly the same", lovasz_softmax_loss, {}),
    Panel("Lovász hinge", "certain mistakes pull, too", lovasz_hinge_loss, {}),
)
BORDERS = (
    Panel("Boundary", "far from a coin, it pulls harder", boundary_loss, {}),
    Panel("Boundary F1", "a few pixels along the borders", boundary_f1_loss, {}),
    Panel("Active contour", "unsure pixels, ragged borders", active_contour_loss, {"weight": 1.0}),
)
COMPOUNDS = (
    Panel("Dice + cross entropy", "certain mistakes, and borders", dice_cross_entropy_loss, {}),
    Panel("Combo, beta=0.8", "the same, and misses pull harder", combo_loss, {"beta": 0.8}),
    Panel("Exponential logarithmic", "what is right is pulled, too", exponential_logarithmic_loss, {}),
    Panel("Dice + boundary", "far from a coin, it pulls harder", dice_boundary_loss, {}, True),
    Panel("Dice, to compare", "pulls where it is unsure", dice_loss, {}),
)


def _picture(panels: Sequence[Panel]) -> Callable[[int], Any]:
    return lambda points: draw_pulls(panels)


PICTURES = {
    "gradients_cross_entropy": _picture(CROSS_ENTROPIES),
    "gradients_focal": _picture(FOCALS),
    "gradients_region": _picture(REGIONS),
    "gradients_lovasz": _picture(LOVASZ),
    "gradients_boundary": _picture(BORDERS),
    "gradients_compound": _picture(COMPOUNDS),
}

"""Losses of single pixels: value and gradient against the probability of the true class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import (
    balanced_cross_entropy_loss,
    conservative_loss,
    cost_sensitive_cross_entropy_loss,
    cross_entropy_loss,
    focal_loss,
    value_and_grad,
)
from ..style import BLUE, COLOURS, DASHED, FAINT, GREEN, RED, grid, shades
from .pulls import scene

PROBABILITY = "probability of the true class"
GRADIENT = "gradient with respect to its score"


def curve(loss: Callable[..., Any], z: Any, label: int = 1, **options: Any) -> tuple[Any, Any]:
    """Loss of one pixel at each score z of label 1, and its derivative by the score.

    Binary, or multiclass with two classes: then z is that of the first class, and the other's is 0.
    """
    import numpy as np

    if options.get("mode") == "binary":
        targets = np.full(z.shape, label)
    else:
        z, targets = np.stack([z, np.zeros_like(z)], axis=1), np.zeros(z.shape, dtype=np.int64)
    values = loss(z, targets, reduction="none", **options)
    _, gradient = value_and_grad(loss)(z, targets, reduction="sum", **options)
    return values, gradient if gradient.ndim == 1 else gradient[:, 0]


def scores_and_probabilities(points: int) -> tuple[Any, Any]:
    """Scores and their probabilities from 0 to 1; so many near the ends that each curve leaves its frame."""
    import numpy as np

    p = 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, points + 2)[1:-1])
    end = np.geomspace(10, 600, points)
    z = np.concatenate([-end[::-1], np.log(p) - np.log1p(-p), end])
    return z, 1 / (1 + np.exp(-z))


def probability_axis(axes: Any, label: str = PROBABILITY) -> None:
    """Label the horizontal axis."""
    axes.set(xlim=(0, 1), xticks=[0, 0.25, 0.5, 0.75, 1], xlabel=label)
    axes.set_xticklabels(["0", "¼", "½", "¾", "1"])


def value_and_gradient(points: int, curves: dict[str, tuple[Any, ...]], top: float, bottom: float) -> Any:
    """Two panels: losses and their gradients; each of `curves` is colour, style, loss, options."""
    z, p = scores_and_probabilities(points)
    figure, ((left, right),) = grid(1, 2, 3.6)
    for name, (colour, style, loss, options) in curves.items():
        values, gradient = curve(loss, z, **options)
        left.plot(p, values, color=colour, linestyle=style, label=name)
        right.plot(p, gradient, color=colour, linestyle=style)
    left.set(title="Loss of one pixel", ylim=(0, top), ylabel="loss")
    right.set(title="How hard it pulls", ylim=(bottom, -0.05 * bottom), ylabel=GRADIENT)
    right.axhline(0, color=FAINT, linewidth=1)
    left.legend(loc="upper right")
    for axes in (left, right):
        probability_axis(axes)
    return figure


def draw_cross_entropy(points: int) -> Any:
    """Cross entropy with a heavier positive class and with smoothed labels."""
    binary = {"mode": "binary"}
    curves = {
        "cross entropy": (BLUE, "-", cross_entropy_loss, binary),
        "pos_weight=3": (RED, "-", cross_entropy_loss, binary | {"pos_weight": 3.0}),
        "label_smoothing=0.2": (GREEN, DASHED, cross_entropy_loss, binary | {"label_smoothing": 0.2}),
    }
    return value_and_gradient(points, curves, top=6, bottom=-3.2)


def draw_focal(points: int) -> Any:
    """Focal loss for several gamma."""
    gammas = (0.0, 0.5, 1.0, 2.0, 5.0)
    curves: dict[str, tuple[Any, ...]] = {}
    for gamma, colour in zip(gammas, shades(len(gammas)), strict=True):
        name = f"gamma={gamma:g}" + ", cross entropy" * (gamma == 0)
        curves[name] = (colour, "-", focal_loss, {"mode": "binary", "gamma": gamma})
    return value_and_gradient(points, curves, top=5, bottom=-1.4)


def two_labels(points: int, loss: Callable[..., Any], option: str, values: Any, top: float) -> Any:
    """A column for a pixel of each label: loss and gradient for several values of an option."""
    z, p = scores_and_probabilities(points)
    figure, table = grid(2, 2, 5.6, sharey="row")
    for column, label in zip(table.T, (1, 0), strict=True):
        for value, colour in zip(values, shades(len(values)), strict=True):
            losses, gradient = curve(loss, z, label, mode="binary", **{option: value})
            column[0].plot(p, losses, color=colour, label=f"{option}={value:g}")
            column[1].plot(p, gradient, color=colour)
        for axes in column:
            probability_axis(axes, "")
        column[1].axhline(0, color=FAINT, linewidth=1)
        column[1].set(xlabel="probability of the foreground")
    table[0, 0].set(title="A pixel of the foreground", ylim=(0, top), ylabel="loss")
    table[0, 1].set(title="A pixel of the background")
    table[1, 0].set(ylabel="gradient with respect\nto its score")
    table[0, 0].legend(loc="upper right")
    return figure


def draw_focal_alpha(points: int) -> Any:
    """Focal loss for several alpha."""
    return two_labels(points, focal_loss, "alpha", (0.25, 0.5, 0.75, 0.9), 3.0)


def draw_balanced(points: int) -> Any:
    """Balanced cross entropy for several beta."""
    return two_labels(points, balanced_cross_entropy_loss, "beta", (0.5, 0.75, 0.9, 0.99), 5.0)


def draw_variants(points: int) -> Any:
    """Top-k, cost-sensitive and conservative cross entropy: losses above, gradients below."""
    import numpy as np

    figure, table = grid(2, 3, 5.8)
    draw_hardest(table[:, 0])
    z, p = scores_and_probabilities(points)
    plain = curve(cross_entropy_loss, z)

    matrix = [[1.0, 3.0], [1.0, 1.0]]
    weighed = curve(cost_sensitive_cross_entropy_loss, z, cost_matrix=matrix)
    jump = np.diff(z >= 0, prepend=False)  # a jump is no line
    losses_of_lam = {lam: curve(conservative_loss, z, lam=lam) for lam in (5.0, 2.0)}
    for row in (0, 1):
        costs, conservative = table[row, 1:]
        costs.plot(p, np.where(jump, np.nan, weighed[row]), color=RED, label="a mistake costs 3")
        for (lam, values), colour in zip(losses_of_lam.items(), COLOURS[1:], strict=False):
            conservative.plot(p, values[row], color=colour, label=f"lam={lam:g}")
        for axes in (costs, conservative):
            axes.plot(p, plain[row], color=BLUE, linestyle=DASHED, label="cross entropy")
            axes.axhline(0, color=FAINT, linewidth=1)
            probability_axis(axes, PROBABILITY if row else "")
    table[0, 1].set(title="Cost-sensitive", ylim=(0, 8))
    table[0, 2].set(title="Conservative", ylim=(-15, 15))
    table[1, 1].set(ylim=(-3.2, 0.16))
    table[1, 2].set(ylim=(-15, 0.75))
    for axes in table[0, 1:]:
        axes.legend(loc="upper right")
    return figure


def draw_hardest(column: Any) -> None:
    """The pixels of the photograph, sorted, and those of them that top-k lets pull."""
    import numpy as np

    _, mask, scores = scene()
    right = np.where(mask, scores, -scores).ravel()  # of the true side
    right = np.sort(right)
    losses, gradient = curve(cross_entropy_loss, right, mode="binary")
    share = np.linspace(0, 1, losses.size)
    kept = share <= 0.1
    above, below = column
    above.fill_between(share[kept], losses[kept], color=RED, alpha=0.3, linewidth=0)
    for axes, values in ((above, losses), (below, gradient)):
        axes.plot(share, values, color=BLUE, linestyle=DASHED)
        axes.set(xlim=(0, 1), xticks=[0, 0.25, 0.5, 0.75, 1])
        axes.set_xticklabels(["0 %", "25", "50", "75", "100 %"])
    above.plot(share[kept], losses[kept], color=RED)
    below.plot(share, np.where(kept, gradient, 0.0), color=RED)
    below.axhline(0, color=FAINT, linewidth=1)
    arrow = {"arrowstyle": "->", "color": RED, "shrinkB": 2}
    above.annotate("k=0.1 keeps these", (0.06, 2.2), (0.24, 3.4), color=RED, arrowprops=arrow)
    above.set(title="Top-k", ylim=(0, None), ylabel="loss")
    below.set(ylim=(-1.05, 0.05), xlabel="pixels, the hardest first")
    below.set(ylabel="gradient with respect\nto the score")


PICTURES = {
    "cross_entropy": draw_cross_entropy,
    "balanced_cross_entropy": draw_balanced,
    "cross_entropy_variants": draw_variants,
    "focal": draw_focal,
    "focal_alpha": draw_focal_alpha,
}

"""Losses of single pixels: value and gradient against the probability of the true class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import (
    balanced_cross_entropy_loss,
    conservative_loss,
    cost_sensitive_cross_entropy_loss,
    cross_entropy_loss,
    focal_loss,
    value_and_grad,
)
from .pulls import scene
from .style import BLUE, COLOURS, DASHED, FAINT, GREEN, RED, grid, shades

PROBABILITY = "probability of the true class"
GRADIENT = "gradient with respect to its score"


def curve(loss: Callable[..., Any], p: Any, label: int = 1, **options: Any) -> tuple[Any, Any]:
    """Loss of one pixel at each probability p of label 1, and its derivative by the score.

    Binary, or multiclass with two classes: then p is that of the first class.
    """
    z = np.log(p) - np.log1p(-p)
    if options.get("mode") == "binary":
        targets = np.full(p.shape, label)
    else:
        z, targets = np.stack([z, np.zeros_like(z)], axis=1), np.zeros(p.shape, dtype=np.int64)
    values = loss(z, targets, reduction="none", **options)
    _, gradient = value_and_grad(loss)(z, targets, reduction="sum", **options)
    return values, gradient if gradient.ndim == 1 else gradient[:, 0]


def probabilities(points: int) -> Any:
    """Probabilities between 0 and 1, both left out, and closer to each other near them."""
    return np.clip(0.5 - 0.5 * np.cos(np.linspace(0, np.pi, points)), 1e-4, 1 - 1e-4)


def probability_axis(axes: Any, label: str = PROBABILITY) -> None:
    """Label the horizontal axis."""
    axes.set(xlim=(0, 1), xticks=[0, 0.25, 0.5, 0.75, 1], xlabel=label)
    axes.set_xticklabels(["0", "¼", "½", "¾", "1"])


def value_and_gradient(points: int, curves: dict[str, tuple[Any, ...]], top: float, bottom: float) -> Any:
    """Two panels: losses and their gradients; each of `curves` is colour, style, loss, options."""
    p = probabilities(points)
    figure, ((left, right),) = grid(1, 2, 3.6)
    for name, (colour, style, loss, options) in curves.items():
        values, gradient = curve(loss, p, **options)
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
    """Two panels, a pixel of each label: the loss for several values of an option."""
    p = probabilities(points)
    figure, (panels,) = grid(1, 2, 3.4, sharey=True)
    for axes, label in zip(panels, (1, 0), strict=True):
        for value, colour in zip(values, shades(len(values)), strict=True):
            losses, _ = curve(loss, p, label, mode="binary", **{option: value})
            axes.plot(p, losses, color=colour, label=f"{option}={value:g}")
        probability_axis(axes, "probability of the foreground")
    panels[0].set(title="A pixel of the foreground", ylim=(0, top), ylabel="loss")
    panels[1].set(title="A pixel of the background")
    panels[0].legend(loc="upper right")
    return figure


def draw_focal_alpha(points: int) -> Any:
    """Focal loss for several alpha."""
    return two_labels(points, focal_loss, "alpha", (0.25, 0.5, 0.75, 0.9), 3.0)


def draw_balanced(points: int) -> Any:
    """Balanced cross entropy for several beta."""
    return two_labels(points, balanced_cross_entropy_loss, "beta", (0.5, 0.75, 0.9, 0.99), 5.0)


def draw_variants(points: int) -> Any:
    """Top-k, cost-sensitive and conservative cross entropy."""
    p = probabilities(points)
    figure, ((hardest, costs, conservative),) = grid(1, 3, 3.5)
    plain, _ = curve(cross_entropy_loss, p)

    _, mask, scores = scene()
    losses = np.sort(cross_entropy_loss(scores, mask, mode="binary", reduction="none").ravel())[::-1]
    share = np.linspace(0, 1, losses.size)
    kept = share <= 0.1
    hardest.fill_between(share[kept], losses[kept], color=RED, alpha=0.3, linewidth=0)
    hardest.plot(share, losses, color=BLUE)
    hardest.plot(share[kept], losses[kept], color=RED)
    arrow = {"arrowstyle": "->", "color": RED, "shrinkB": 2}
    hardest.annotate("k=0.1 keeps these", (0.06, 2.2), (0.24, 3.4), color=RED, arrowprops=arrow)
    hardest.set(title="Top-k", xlim=(0, 1), ylim=(0, None), ylabel="cross entropy")
    hardest.set(xlabel="pixels, the hardest first", xticks=[0, 0.25, 0.5, 0.75, 1])
    hardest.set_xticklabels(["0 %", "25", "50", "75", "100 %"])

    matrix = [[1.0, 3.0], [1.0, 1.0]]
    weighed, _ = curve(cost_sensitive_cross_entropy_loss, p, cost_matrix=matrix)
    jump = np.where(np.diff(p >= 0.5, prepend=False), np.nan, weighed)  # a jump is no line
    costs.plot(p, jump, color=RED, label="a mistake costs 3")
    costs.plot(p, plain, color=BLUE, linestyle=DASHED, label="cross entropy")
    costs.set(title="Cost-sensitive", ylim=(0, 8), ylabel="loss")
    costs.legend(loc="upper right")

    for lam, colour in zip((5.0, 2.0), COLOURS[1:], strict=False):
        values, _ = curve(conservative_loss, p, lam=lam)
        conservative.plot(p, values, color=colour, label=f"lam={lam:g}")
    conservative.plot(p, plain, color=BLUE, linestyle=DASHED, label="cross entropy")
    conservative.axhline(0, color=FAINT, linewidth=1)
    conservative.set(title="Conservative", ylim=(-15, 15), ylabel="loss")
    conservative.legend(loc="upper right")
    for axes in (costs, conservative):
        probability_axis(axes)
    return figure


PICTURES = {
    "cross_entropy": draw_cross_entropy,
    "balanced_cross_entropy": draw_balanced,
    "cross_entropy_variants": draw_variants,
    "focal": draw_focal,
    "focal_alpha": draw_focal_alpha,
}

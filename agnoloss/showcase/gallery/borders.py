"""Losses that look at borders, and the maps that go with them."""

from __future__ import annotations

from typing import Any

from ... import active_contour_loss, boundary_f1_loss, boundary_loss, dice_loss
from ...maps import signed_distance_map, unet_weight_map
from ..style import BLUE, DASHED, GREEN, INK, PURPLE, RED, grid, shades, show_image, titled

BINARY: dict[str, Any] = {"mode": "binary", "from_logits": False}


def disc(side: int, row: float, column: float, radius: float) -> Any:
    """Labels of a disc, (side, side)."""
    import numpy as np

    rows, columns = np.ogrid[:side, :side]
    return ((rows - row) ** 2 + (columns - column) ** 2 < radius**2).astype(np.int64)


def draw_distances(points: int) -> Any:
    """Distance map of an object, and what losses say as the prediction is shifted away."""
    import numpy as np

    side, radius = 64, 10
    figure, ((chart, overlap, boundary),) = grid(1, 3, 3.5)

    target = disc(side, 34, 26, 15) | disc(side, 24, 40, 9)
    phi = signed_distance_map(target[None], 2)[0, 1]
    show_image(chart, phi, cmap="RdBu", vmin=-36, vmax=36)
    lines = chart.contour(phi, [-10, -5, 5, 10, 20], colors=INK, linewidths=0.7, linestyles="solid")
    chart.clabel(lines, fontsize=7.5)
    chart.contour(target, [0.5], colors=INK, linewidths=2)
    titled(chart, "Signed distance", "negative inside, in pixels")
    chart.set_anchor("N")

    target = disc(side, 32, 16, radius)[None]
    shifts = np.arange(0, 33, 1 if points > 40 else 8)
    shifted = [disc(side, 32, 16 + shift, radius)[None].astype(np.float64) for shift in shifts]

    def curve(loss: Any, **options: Any) -> list[float]:
        return [float(loss(prediction, target, **BINARY, **options)) for prediction in shifted]

    overlap.plot(shifts, curve(dice_loss), color=BLUE, label="Dice")
    for theta, colour in zip((3, 9), (PURPLE, GREEN), strict=True):
        label = f"boundary F1, theta={theta}"
        overlap.plot(shifts, curve(boundary_f1_loss, theta=theta), color=colour, label=label, ls=DASHED)
    overlap.set(ylim=(0, 1.05), ylabel="loss")
    overlap.legend(loc="lower right")
    titled(overlap, "A disc is shifted", "once they part, nothing changes")
    boundary.plot(shifts, curve(boundary_loss), color=RED, label="boundary")
    boundary.set(ylabel="loss")
    titled(boundary, "Boundary loss", "knows how far off it is")
    for axes in (overlap, boundary):
        axes.set(xlabel="shift in pixels; the radius is 10")
    return figure


def draw_contours(points: int) -> Any:
    """Active contour: what its two terms say of four predictions."""
    import numpy as np

    side = 64
    target = disc(side, 32, 32, 18)
    noise = np.random.default_rng(0).random((side, side))
    ragged = np.where(signed_distance_map(target[None], 2)[0, 1] < 5 * (noise - 0.4), 1, 0)
    specks = target ^ (noise > 0.97)
    predictions = {
        "Exact": target,
        "Shifted": disc(side, 32, 38, 18),
        "Ragged": ragged,
        "Specks": specks,
    }
    figure, (panels,) = grid(1, 4, 2.65)
    for axes, (title, prediction) in zip(panels, predictions.items(), strict=True):
        p = prediction[None].astype(np.float64)
        region = float(active_contour_loss(p, target[None], **BINARY, weight=0.0))
        length = float(active_contour_loss(p, target[None], **BINARY, weight=1.0)) - region
        show_image(axes, prediction, cmap="Greys", vmin=0, vmax=2.2)
        axes.contour(target, [0.5], colors=GREEN, linewidths=1.6)
        axes.set_anchor("S")
        titled(axes, title, f"regions {region:.3f}, length {length:.3f}")
    return figure


def draw_weights(points: int) -> Any:
    """U-Net's weight map of touching cells for two widths."""
    import numpy as np

    side = 96
    cells = np.zeros((side, side), dtype=np.int64)
    for number, (row, column, radius) in enumerate(
        ((30, 30, 20), (34, 70, 17), (68, 52, 17), (76, 14, 10)), start=1
    ):
        cells[disc(side, row, column, radius) == 1] = number
    figure, (panels,) = grid(1, 3, 3.3)
    colours = shades(4)
    picture = np.ones((side, side, 3))
    for number, colour in enumerate(colours, start=1):
        picture[cells == number] = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    show_image(panels[0], picture)
    titled(panels[0], "Cells", "one number each")
    for axes, sigma in zip(panels[1:], (5.0, 10.0), strict=True):
        weights = unet_weight_map(cells[None], sigma=sigma)[0]
        image = show_image(axes, weights, cmap="magma_r", vmin=1, vmax=11)
        axes.contour(cells > 0, [0.5], colors=INK, linewidths=0.8)
        titled(
            axes,
            f"Weights, sigma={sigma:g}",
            {5.0: "large in narrow gaps", 10.0: "the same in wider ones"}[sigma],
        )
    bar = figure.colorbar(image, ax=panels[1:], location="right", aspect=22, ticks=[1, 6, 11])
    bar.outline.set_visible(False)
    return figure


PICTURES = {"boundary": draw_distances, "active_contour": draw_contours, "unet_weights": draw_weights}

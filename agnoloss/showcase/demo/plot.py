"""The picture of the demo: what was there, what was found, how the losses fell."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..style import FAINT, INK
from . import RequestError
from .training import Run, scores

if TYPE_CHECKING:
    from .outcome import Outcome
    from .scene import Scene

# From Okabe and Ito's colours, which the colour-blind tell apart, too.
FOUND, MISSED, WRONG = "#009e73", "#e69f00", "#cc3f80"
LIBRARIES = ("#56b4e9", "#e8743b", "#f5d547", "#5b5bd6", "#22303c")


def check_path(path: Path) -> None:
    """Make sure that a picture can be saved there.

    Parameters
    ----------
    path : path
        Where it is to be saved.

    Raises
    ------
    RequestError
        Where the folder does not exist or the suffix names no format.
    """
    from matplotlib.figure import Figure

    formats = Figure().canvas.get_supported_filetypes()
    if path.suffix.lower().removeprefix(".") not in formats:
        raise RequestError(f"`plot` must end in one of .{', .'.join(sorted(formats))}; got {path}.")
    if not path.parent.is_dir():
        raise RequestError(f"`plot` must lie in a folder that exists; got {path}.")


def save(path: Path, scene: Scene, outcome: Outcome) -> None:
    """Draw photograph, target, a prediction per loss, and the loss curves of all libraries.

    Parameters
    ----------
    path : path
        Where to save it; the suffix says in which format.
    scene : Scene
        The photograph.
    outcome : Outcome
        What was learnt from it.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    # Without pyplot there is no window and no global state: the file's format picks the canvas.
    compare = len(outcome.libraries) > 1
    heights = [0.96, 0.96, 0.75] + [0.45] * compare
    figure = Figure(figsize=(13.4, 3.6 * sum(heights) + 1), dpi=120, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)
    title = "Three losses, one source, every array library" if compare else "Three losses on NumPy"
    figure.suptitle(title, color=INK, size=17, weight="bold")
    rows = figure.subplots(len(heights), 3, height_ratios=heights)

    show_photo(rows[0, 0], "The photograph", scene.photo, scene.middle)
    target = tinted(scene.photo, [(scene.mask == 1, FOUND)])
    show_photo(rows[0, 1], "The target: which pixels are coins", target, scene.middle)
    show_photo(rows[0, 2], "What the network sees of each pixel", mosaic(scene.features))
    for column, (loss, runs) in enumerate(outcome.by_loss.items()):
        show_prediction(rows[1, column], loss, scene, runs[0])
        show_curves(rows[2, column], outcome, runs)
        if compare:
            show_distances(rows[3, column], outcome, runs)
    colours = {"coin, found": FOUND, "coin, missed": MISSED, "table, taken for coin": WRONG}
    legend = rows[1, 1].legend(
        handles=[Patch(color=colour, label=label) for label, colour in colours.items()],
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=3,
        frameon=False,
        labelcolor=INK,
    )
    legend.set_in_layout(False)  # it is wider than its column
    rows[2, 0].set_ylabel("loss", color=INK)
    if compare:
        rows[3, 0].set_ylabel(f"difference\nfrom {outcome.libraries[0].name}", color=INK)
    for axes in rows[-1]:
        axes.set_xlabel("step", color=INK)
    figure.savefig(path)


def show_photo(axes: Any, title: str, image: Any, middle: int | None = None) -> None:
    """Show an image; `middle` is where the seen half ends."""
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(title, color=INK, size=12)
    axes.set_axis_off()
    if middle is not None:
        axes.axvline(middle - 0.5, color="white", linewidth=1.2, linestyle=(0, (5, 4)))


def show_prediction(axes: Any, loss: str, scene: Scene, run: Run) -> None:
    """Show where a network finds coins, on the photograph."""
    found = scores(*run.weights, scene.features[None])[0] > 0
    coin = scene.mask == 1
    image = tinted(scene.photo, [(found & coin, FOUND), (~found & coin, MISSED), (found & ~coin, WRONG)])
    show_photo(axes, f"{loss}: IoU {run.iou:.3f}", image, scene.middle)
    for place, word in ((0.02, "learnt from"), (0.52, "never seen")):
        axes.text(place, 0.02, word, color="white", size=9, transform=axes.transAxes)


def show_curves(axes: Any, outcome: Outcome, runs: list[Run]) -> None:
    """Draw the loss on every library: wide lines below narrow ones, as all lie on one curve."""
    for number, run in enumerate(runs):
        width = 2 + 2.2 * (len(runs) - 1 - number)
        axes.plot(run.curve, label=run.library, color=LIBRARIES[number], linewidth=width)
    axes.set_yscale("log")
    axes.set_title(f"{runs[0].loss} on the seen pixels", color=INK, size=12)
    axes.legend(frameon=False, labelcolor=INK)
    tidy(axes, outcome)


def show_distances(axes: Any, outcome: Outcome, runs: list[Run]) -> None:
    """Draw how far each library is from the first, below the tolerance."""
    floor = 1e-17  # where a logarithmic scale has a place for equal numbers
    for number, run in enumerate(runs[1:], start=1):
        distances = [max(distance, floor) for distance in outcome.distances(run)]
        axes.plot(distances, color=LIBRARIES[number], linewidth=1.6)
    axes.axhline(outcome.tolerance, color=FAINT, linestyle=(0, (4, 3)), linewidth=1.2)
    axes.text(
        *(0.99, outcome.tolerance),
        "tolerance",
        color=FAINT,
        size=9,
        ha="right",
        va="bottom",
        transform=axes.get_yaxis_transform(),
    )
    axes.set_yscale("log")
    axes.set_yticks([floor, *(10.0**power for power in range(-15, 1, 3))], minor=False)
    axes.yaxis.set_major_formatter(lambda y, _: "0" if y == floor else f"{y:.0e}")
    axes.minorticks_off()
    top = max(outcome.tolerance, *(max(outcome.distances(run)) for run in runs))
    axes.set_ylim(floor / 2, 100 * top if math.isfinite(top) else 1.0)
    tidy(axes, outcome)


def tidy(axes: Any, outcome: Outcome) -> None:
    """Leave of a frame what helps to read the curves."""
    axes.set_xlim(0, outcome.steps)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(which="both", colors=FAINT, labelcolor=INK)
    axes.grid(axis="y", color=FAINT, alpha=0.25)


def tinted(photo: Any, layers: list[tuple[Any, str]]) -> Any:
    """Lay a colour over some pixels of a grey photograph; mistakes hide it."""
    import numpy as np
    from matplotlib.colors import to_rgb

    image = np.repeat(0.85 * photo[..., None], 3, axis=-1)
    for where, colour in layers:
        opacity = 0.5 if colour == FOUND else 1.0
        image[where] = (1 - opacity) * image[where] + opacity * np.asarray(to_rgb(colour))
    return image


def mosaic(features: Any) -> Any:
    """Tile the nine features that vary, each as a small image from black to white."""
    import numpy as np

    small = features[::3, ::3, :9]
    low, high = np.quantile(small, (0.01, 0.99), axis=(0, 1))
    tiles = np.clip((small - low) / (high - low), 0.0, 1.0)
    tiles = np.pad(tiles, ((1, 1), (1, 1), (0, 0)), constant_values=1.0)
    rows, columns, _ = tiles.shape
    grid = tiles.reshape(rows, columns, 3, 3).transpose(2, 0, 3, 1)
    return grid.reshape(3 * rows, 3 * columns)

"""One look for all pictures: white ground, few colours, text that is legible at 900 pixels of width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

INK, FAINT = "#22303c", "#8a97a3"
# From Okabe and Ito's colours, which the colour-blind tell apart, too.
BLUE, RED, GREEN, ORANGE, PURPLE = "#0072b2", "#d55e00", "#009e73", "#e69f00", "#b4558f"
COLOURS = (BLUE, RED, GREEN, PURPLE, ORANGE)
DASHED = (0, (4, 2))

WIDTH = 9.0  #: Inches; at 150 dpi it is shown on a page at about two thirds of its size.

STYLE: dict[str, Any] = {
    "figure.facecolor": "white",  # also where the page is dark
    "font.size": 9.5,
    "text.color": INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.xmargin": 0.0,
    "grid.color": FAINT,
    "grid.alpha": 0.25,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 2.0,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.85,  # no grid through the words
    "legend.fancybox": False,
    "legend.fontsize": 9,
    "legend.handlelength": 1.6,
    "legend.labelspacing": 0.3,
    "image.interpolation": "nearest",
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw with matplotlib's defaults and `STYLE`, whatever its user has set."""
    from matplotlib import rc_context, rcParamsDefault

    # the backend is no matter of style, and setting it would import pyplot
    defaults = {name: value for name, value in rcParamsDefault.items() if not name.startswith("backend")}
    with rc_context({**defaults, **STYLE}):
        yield


def grid(rows: int, columns: int, height: float, **options: Any) -> tuple[Any, Any]:
    """Make a figure of full width and its axes, always as a 2-D array."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.09, h_pad=0.08, wspace=0.02, hspace=0.03)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def shades(count: int) -> Sequence[str]:
    """Colours for the values of one option, from dark to light, as the value grows."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colormaps["viridis"](0.85 * i / max(count - 1, 1))) for i in range(count)]


def show_image(axes: Any, image: Any, **options: Any) -> Any:
    """Show an image in a thin frame, without ticks."""
    drawn = axes.imshow(image, **options)
    axes.grid(visible=False)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
    return drawn


def titled(axes: Any, title: str, remark: str) -> None:
    """Put a title above, and below it, smaller, what there is to see."""
    for text, height, style in ((title, 19.5, {"weight": "bold", "size": 10.5}), (remark, 5, {"size": 8.5})):
        axes.annotate(
            text, (0, 1), xytext=(0, height), xycoords="axes fraction", textcoords="offset points", **style
        )


def save(figure: Any, path: Path, dpi: int) -> None:
    """Save as a PNG of 256 colours: a third of the size, and no eye sees the difference."""
    from PIL import Image

    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    image = Image.open(buffer).convert("RGB")
    image = image.quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE)
    image.save(path, optimize=True)

"""The pictures of the documentation: what each loss punishes, and how hard it pulls.

`draw` makes all of them; ``agnoloss gallery DIR`` calls it. The modules: `style` (how they look),
`pixel` (losses of single pixels), `overlap` (losses of regions), `pulls` (gradients on a photograph),
`borders` (boundaries, contours, maps) and `scores` (metrics). They need ``pip install "agnoloss[plot]"``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

from ..demo import MissingExtraError, RequestError

__all__ = ["MissingExtraError", "RequestError", "draw"]


def draw(
    folder: Path, *, dpi: int = 150, points: int = 201, report: Callable[[Path], None] | None = None
) -> list[Path]:
    """Draw every picture of the documentation.

    Parameters
    ----------
    folder : path
        Where to save them, as PNG; it is made if it does not exist.
    dpi : int, default 150
        Pixels per inch; the pictures are 9 inches wide.
    points : int, default 201
        Points along each curve.
    report : callable, optional
        Called with the path of each picture as soon as it is saved.

    Returns
    -------
    list of path
        The pictures, in the order in which they are drawn.

    Raises
    ------
    MissingExtraError
        Where a package of the extra ``plot`` is missing.
    RequestError
        For a `folder` that cannot be made, or `dpi` or `points` out of range.
    """
    needed = ("numpy", "scipy", "skimage", "matplotlib")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(f'The gallery needs {", ".join(missing)}: pip install "agnoloss[plot]"')
    if dpi < 1 or points < 2:
        raise RequestError(f"`dpi` must be 1 or more and `points` 2 or more; got {dpi} and {points}.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"`folder` must be one that can be made; got {folder}: {error}.") from error
    saved = []
    for path in _pictures(folder, dpi, points):
        saved.append(path)
        if report is not None:
            report(path)
    return saved


def _pictures(folder: Path, dpi: int, points: int) -> Iterator[Path]:
    from ..style import save, styled
    from . import borders, overlap, pixel, pulls, scores

    for module in (pixel, overlap, borders, scores, pulls):
        for name, picture in module.PICTURES.items():
            with styled():
                path = folder / f"{name}.png"
                save(picture(points), path, dpi)
            yield path

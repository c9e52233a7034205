"""The demo: three losses minimised on a photograph, by the same lines on every library here.

`run` does all of it; ``agnoloss demo`` calls it. The modules, in reading order: `scene` (photograph,
mask, features), `training` (network, gradient descent), `libraries` (who takes part), `outcome`
(do they agree, the table) and `plot` (the picture). They need ``pip install "agnoloss[demo]"``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from .outcome import Outcome


class MissingExtraError(ImportError):
    """What the extra ``demo`` brings is not installed; the message says how to get it."""


class RequestError(ValueError):
    """What was asked for cannot be done; the message says why."""


def run(
    libraries: Sequence[str] | None = None,
    steps: int = 60,
    plot: Path | None = None,
    console: Console | None = None,
) -> Outcome:
    """Train one small network per library and loss, and show whether the libraries agree.

    Parameters
    ----------
    libraries : sequence of str, optional
        Which of `agnoloss.showcase.demo.libraries.KNOWN` to use; each must be usable. By default all that
        are. NumPy always takes part, for the others are compared with it.
    steps : int
        Steps of gradient descent, 1 or more.
    plot : path, optional
        Where to save a picture of the outcome; the suffix says in which format.
    console : rich.console.Console, optional
        Where to print; by default the standard output.

    Returns
    -------
    Outcome
        The runs, who was left out and why, and whether all agree.

    Raises
    ------
    MissingExtraError
        Where a package of the extra ``demo`` is missing.
    RequestError
        For an unknown or unusable name in `libraries`, `steps` below 1, or a `plot` that cannot
        be written: all before the training starts.
    """
    needed = ["numpy", "scipy", "skimage", "rich"] + ["matplotlib"] * (plot is not None)
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(f'The demo needs {", ".join(missing)}: pip install "agnoloss[demo]"')
    if steps < 1:
        raise RequestError(f"`steps` must be 1 or more; got {steps}.")

    from rich.console import Console

    from .libraries import choose
    from .outcome import Outcome, progress_bar, show
    from .scene import coins
    from .training import LESSONS, train

    if plot is not None:
        from .plot import check_path, save

        check_path(plot)
    console = console or Console()
    used, left_out = choose(libraries)
    scene = coins()
    runs = []
    with progress_bar(console) as progress:
        for library in used:
            bar = progress.add_task(library.name, total=steps * len(LESSONS), loss="", value=0.0)
            for lesson in LESSONS:
                report = partial(progress.update, bar, advance=1, loss=lesson.name)
                runs.append(train(lesson, library, scene, steps, report))
    outcome = Outcome(tuple(runs), tuple(used), left_out, num_pixels=scene.seen()[1].size)
    show(outcome, console)
    if plot is not None:
        save(plot, scene, outcome)
        console.print(f"Picture: {plot}", soft_wrap=True, highlight=False, markup=False)
    return outcome

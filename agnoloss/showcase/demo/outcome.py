"""Do the libraries agree? The answer as numbers, and as a table."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, NamedTuple

from .libraries import Library
from .training import Run

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


class Outcome(NamedTuple):
    """All runs of the demo.

    Attributes
    ----------
    runs : tuple of Run
        One per library and loss.
    libraries : tuple of Library
        Who took part; the others are compared with the first.
    left_out : dict
        The reason for each library that took no part.
    num_pixels : int
        How many pixels a loss adds up.
    """

    runs: tuple[Run, ...]
    libraries: tuple[Library, ...]
    left_out: dict[str, str]
    num_pixels: int

    @property
    def by_loss(self) -> dict[str, list[Run]]:
        """Group the runs by loss, in the order of `libraries`."""
        groups: dict[str, list[Run]] = {}
        for run in self.runs:
            groups.setdefault(run.loss, []).append(run)
        return groups

    @property
    def steps(self) -> int:
        """Count the steps of each training."""
        return len(self.runs[0].curve) - 1

    def distances(self, run: Run) -> list[float]:
        """Measure how far a run is from the same on the first library, at every step.

        Where either is NaN they are infinitely far apart.
        """
        reference = self.by_loss[run.loss][0]
        gaps = [abs(here - there) for here, there in zip(run.curve, reference.curve, strict=True)]
        return [math.inf if math.isnan(gap) else gap for gap in gaps]

    @property
    def biggest_distance(self) -> float:
        """Find the biggest of all `distances`: any step, loss and library."""
        return max(max(self.distances(run)) for run in self.runs)

    @property
    def tolerance(self) -> float:
        """Bound what rounding can do in float64: steps x pixels x epsilon.

        Sums over all pixels, each in its own order, may differ by pixels x epsilon (of numbers
        around 1, as these losses are), and every step may add as much to the weights again.
        """
        return self.steps * self.num_pixels * sys.float_info.epsilon

    @property
    def agree(self) -> bool:
        """Tell whether no two curves are further apart than `tolerance`."""
        return self.biggest_distance <= self.tolerance


def progress_bar(console: Console) -> Progress:
    """Make a live display: one bar per library, with the loss as it falls."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description:<16}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[loss]} {task.fields[value]:.4f}"),
        console=console,
        transient=True,  # the table takes its place
    )


def show(outcome: Outcome, console: Console) -> None:
    """Print the table, who was left out, and whether the libraries agree.

    Parameters
    ----------
    outcome : Outcome
        What to show.
    console : rich.console.Console
        Where.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    first = outcome.libraries[0].name
    table = Table(
        title=f"Which pixels are coins? {outcome.steps} steps of gradient descent per loss",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),  # fits a terminal of 80 columns
    )
    table.add_column("", no_wrap=True)
    compared = f"difference\nfrom {first}"
    for heading in ("loss\nbefore", "loss\nafter", compared, "IoU on\nunseen half", "\nseconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    for loss, runs in outcome.by_loss.items():
        table.add_row(f"[bold]{loss}")
        for run in runs:
            distance = max(outcome.distances(run))
            table.add_row(
                f"  {run.library}",
                f"{run.curve[0]:.4f}",
                f"{run.curve[-1]:.10f}",
                "" if run is runs[0] else f"{distance:.1e}",
                f"{run.iou:.4f}",
                f"{run.seconds:.1f}",
                style="" if distance <= outcome.tolerance else "red",
                end_section=run is runs[-1],
            )
    reasons: dict[str, list[str]] = {}
    for name, reason in outcome.left_out.items():
        reasons.setdefault(reason, []).append(name)
    lines = [f"Left out: {', '.join(names)}: {reason}." for reason, names in reasons.items()]
    table.caption = Text("\n".join(lines), justify="left") if lines else None
    console.print(table)

    versions = ", ".join(f"{library.name} {library.version}" for library in outcome.libraries)
    console.print(f"Took part: {versions}.", highlight=False)
    if len(outcome.libraries) == 1:
        console.print(
            f"With {first} alone there is nothing to compare; torch, jax and array-api-strict are a "
            "pip install away.",
            highlight=False,
        )
        return
    console.print(
        f"Biggest difference from {first} at any step: {outcome.biggest_distance:.1e}.\n"
        f"Tolerance, in float64: {outcome.tolerance:.1e} = {outcome.steps} steps x "
        f"{outcome.num_pixels} pixels x {sys.float_info.epsilon:.1e}.",
        highlight=False,
    )
    if outcome.agree:
        console.print("[bold green]The libraries agree.[/]")
    else:
        console.print("[bold red]The libraries disagree.[/]")

"""What a run found, for a terminal."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from .agreement import Result
from .libraries import LIBRARIES
from .run import Request

LISTED = 20
"""How many disagreements are listed before the rest are only counted."""


@dataclass
class Cell:
    """The worst of one loss on one library."""

    value: float = 0.0
    gradient: float = 0.0
    worst: float = 0.0
    cases: int = 0
    failed: int = 0
    expected: int = 0

    def add(self, result: Result) -> None:
        """Take a result into account."""
        self.cases += 1
        self.failed += result.wrong
        self.expected += bool(result.expected)
        if result.agrees:
            self.value = max(self.value, result.value)
            self.gradient = max(self.gradient, result.gradient)
            self.worst = max(self.worst, result.worst)

    def text(self) -> Text:
        """Errors in ulp, coloured by the part of the tolerance they use."""
        if not self.cases:
            return Text("-", style="dim")
        if self.failed:
            return Text(f"{self.failed} of {self.cases} wrong", style="bold red")
        known = [Text(f"{self.expected} xfail", style="dim")] if self.expected else []
        if self.expected == self.cases:
            return known[0]
        style = "green" if self.worst <= 0.5 else "yellow"
        return Text(" ").join([*known, Text(f"{self.value:.1f} {self.gradient:.1f}", style=style)])


def table(results: Sequence[Result], request: Request) -> Table:
    """Losses by libraries, the worst error of each."""
    cells: dict[tuple[str, str], Cell] = defaultdict(Cell)
    losses = dict.fromkeys(result.loss for result in results)
    for result in results:
        cells[result.loss, result.library].add(result)
    libraries = [*request.libraries]
    libraries += [name for name in LIBRARIES if name not in libraries and any(n == name for _, n in cells)]
    grid = Table(
        title="Worst error in ulp: of the value, of the gradient",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        caption=f"{len(results)} comparisons with 50-digit arithmetic; {', '.join(request.dtypes)}"
        + ("; xfail: expected to fail" if any(result.expected for result in results) else ""),
    )
    grid.add_column("loss", no_wrap=True)
    for name in libraries:
        grid.add_column(name, justify="right", overflow="fold")
    for loss in losses:
        grid.add_row(loss.removesuffix("_loss"), *(cells[loss, name].text() for name in libraries))
    return grid


def versions(results: Sequence[Result], request: Request) -> Text:
    """What the run used, what was left out on purpose, and what was known to fail."""
    libraries = [LIBRARIES[name] for name in request.libraries]
    lines = ["; ".join(library.version() for library in libraries)]
    lines += [
        f"{library.title} leaves out {what}: {why}"
        for library in libraries
        for what, why in request.left_out(library).items()
    ]
    hosts = ", ".join(library.title for library in libraries if not library.devices)
    if request.device and hosts:
        lines.append(f"{hosts}: on the host, having no other device")
    known = Counter((r.library, r.expected) for r in results if r.expected)
    lines += [
        f"{LIBRARIES[name].title} fails {count} as expected: {why}" for (name, why), count in known.items()
    ]
    return Text("\n".join(lines), style="dim")


def disagreements(results: Sequence[Result]) -> RenderableType | None:
    """List what is wrong, worst first, each with the command that repeats it; None if nothing is."""
    wrong = sorted((result for result in results if result.wrong), key=lambda r: -r.worst)
    if not wrong:
        return None
    lines = []
    for result in wrong[:LISTED]:
        lines += [Text(f"\n{result}", style="red"), Text(result.repeat, style="dim")]
    if len(wrong) > LISTED:
        lines.append(Text(f"\nand {len(wrong) - LISTED} more", style="red"))
    return Group(*lines)


def worst(results: Sequence[Result]) -> Result | None:
    """The result that agrees and uses most of its tolerance."""
    return max((r for r in results if r.agrees), key=lambda result: result.worst, default=None)


def show(
    console: Console, results: Sequence[Result], request: Request, seconds: float, unfit: Sequence[str] = ()
) -> bool:
    """Print a run; tell whether everything agrees and each expected failure came.

    Parameters
    ----------
    console : Console
        Where to.
    results : sequence of Result
        What was found.
    request : Request
        What was asked for.
    seconds : float
        How long it took.
    unfit : sequence of str
        Expected failures that nothing in the run fits, see `run.unfit`.
    """
    console.print(table(results, request))
    console.print(versions(results, request))
    for complaint in unfit:
        console.print(complaint, style="bold red", soft_wrap=True, markup=False, highlight=False)
    wrong = disagreements(results)
    if wrong is not None:
        # Commands are there to be copied: no line breaks of our own.
        console.print(wrong, soft_wrap=True)
        count = sum(result.wrong for result in results)
        console.print(f"\n{count} of {len(results)} comparisons disagree; {seconds:.0f} s", style="bold red")
        return False
    extreme = worst(results)
    known = sum(bool(result.expected) for result in results)
    said = f"All agree but {known} that were expected to fail" if known else "All agree"
    console.print(f"{said}, in {seconds:.0f} s. Closest to its limit: {extreme}", style="green")
    return not unfit

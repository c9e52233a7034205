"""``python -m benchmarks``: time and memory of every loss against its peers."""

import sys
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, track
from rich.table import Table

from . import results, tables, targets
from .libraries import LIBRARIES
from .run import GROWTH, Failed, Request, lacking, run
from .workloads import FIXED

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
PARTS = (*FIXED, GROWTH)
QUICK_FOLDER = Path("out") / "benchmarks"


def words(text, allowed, what):
    """A comma list whose words are all allowed."""
    found = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
    if unknown := [word for word in found if word not in allowed]:
        raise typer.BadParameter(
            f"{what} are a comma list of {', '.join(allowed)}; got {', '.join(unknown)}."
        )
    return found


@app.callback(invoke_without_command=True)
def bench(
    context: typer.Context,
    workload: Annotated[str, typer.Option(help=f"Comma list of {', '.join(PARTS)}.")] = ",".join(PARTS),
    library: Annotated[str, typer.Option(help="Comma list of libraries.")] = ",".join(LIBRARIES),
    loss: Annotated[str, typer.Option(help="Loss or pattern, as 'dice*'.")] = "*",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    quick: Annotated[
        bool, typer.Option("--quick", help="Small inputs, few rounds: to see that it runs.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Default: benchmarks/results, or out/benchmarks with --quick."),
    ] = None,
) -> None:
    """Measure every loss against its peers: time in turn, peak memory, and how both grow."""
    if context.invoked_subcommand is not None:
        return
    console = Console()
    folder = out or (QUICK_FOLDER if quick else results.FOLDER)
    libraries = words(library, LIBRARIES, "Libraries")
    names = words(workload, PARTS, "Workloads")
    (device,) = words(device, ("cpu", "cuda"), "Devices")
    if device == "cpu":
        libraries = tuple(name for name in libraries if name != "cupy")
    for name in libraries:
        if why := lacking(name):
            console.print(f"[red]{name} is not measured: {why}[/]")
    requests = [Request(name, names, loss, device, quick) for name in libraries if not lacking(name)]
    failed = []
    bar = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*bar, console=console, transient=True) as progress:
        task = progress.add_task("", total=sum(request.steps for request in requests))
        for request in (request for request in requests if request.steps):

            def tell(word, library=request.library):
                progress.update(task, description=f"{library} {word}", advance=1)

            try:
                for name, about, rows in run(request, tell):
                    results.write(results.path_of(folder, device, request.library, name), about, rows)
                    show(console, f"{request.library} {name}", rows)
            except Failed as error:
                failed.append(request.library)
                console.print(
                    f"{request.library} failed:\n{error}", style="red", markup=False, highlight=False
                )
    summarise(console, folder, device)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def summarise(console, folder, device):
    """Print the targets, from all results there are, and write them and the picture beside these."""
    found = results.read(folder)
    verdicts = targets.verdicts(found, device)
    table = Table("", "", "target", "measured", "", title=f"Targets, {device}")
    for verdict in (verdict for verdict in verdicts if verdict.met is not None):
        sign = "≥" if verdict.at_least else "≤"
        measured = "" if verdict.measured is None else f"{verdict.measured:.3g}"
        style = "green" if verdict.met else "bold red"
        required = f"{sign} {verdict.required:.3g}"
        table.add_row(verdict.target, verdict.what, required, measured, str(verdict), style=style)
    console.print(table)
    outcomes = Counter(verdict.met for verdict in verdicts)
    console.print(f"{outcomes[True]} met, {outcomes[False]} missed, {outcomes[None]} not measured")
    results.write_targets(folder, device, verdicts)
    from .plot import draw

    draw(found, device, folder / f"{device}.png")


@app.command()
def page(
    check: Annotated[bool, typer.Option("--check", help="Exit 1 if one is stale.")] = False,
) -> None:
    """Put the results into docs/performance.md and the whole tables below benchmarks/results."""
    from . import page

    try:
        (page.check if check else page.write)()
    except page.StaleError as error:
        sys.exit(str(error))


@app.command()
def compare(
    other: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="The folder agnoloss of another checkout.")
    ],
    workload: Annotated[str, typer.Option(help=f"Comma list of {', '.join(FIXED)}.")] = ",".join(FIXED),
    library: Annotated[str, typer.Option(help="Comma list of libraries.")] = "numpy,jax,torch",
    loss: Annotated[str, typer.Option(help="Loss or pattern, as 'dice*'.")] = "*",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    compiled: Annotated[bool, typer.Option("--compiled", help="With torch.compile too, on W1.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Small inputs, few rounds.")] = False,
) -> None:
    """Compare this version of agnoloss with another one: new over old, value and gradient."""
    from . import compare

    names = words(workload, FIXED, "Workloads")
    chosen = words(library, LIBRARIES, "Libraries")
    found = list(compare.cases(chosen, names, loss, device, quick, compiled))
    console = Console()
    with_progress = track(found, "", console=console, transient=True)
    for title, group in groupby(with_progress, key=lambda case: case.where):
        console.print(compare.table(title, [compare.compared(case, other, quick) for case in group]))


def show(console, title, rows):
    """Print the table of one library and workload."""
    found = tables.lines(rows)
    passes = [key for key in tables.PASSES if any(key in line.cells for line in found)]
    table = Table("", *(tables.PASSES[key] for key in passes), "", title=title)
    for heading, group in groupby(found, key=lambda line: line.title):
        table.add_section()
        table.add_row(f"[bold]{heading}[/]")
        for line in group:
            cells = [line.cells.get(key) for key in passes]
            style = "bold red" if any(cell and cell.slower for cell in cells) else None
            shown = ("" if cell is None else str(cell) for cell in cells)
            table.add_row(line.name, *shown, "; ".join(line.notes), style=style)
    console.print(table)


if __name__ == "__main__":
    app(prog_name=f"python -m {__package__}")

"""``python -m conformance``: compare every loss on every library with 50-digit arithmetic."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from . import readme as page
from .libraries import COMPARED, DTYPES, LIBRARIES, MissingLibrary, requested
from .registry import matching
from .report import show
from .run import Request, processes, run

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")


@app.callback(invoke_without_command=True)
def compare(
    context: typer.Context,
    backend: Annotated[
        str,
        typer.Option(
            help=f"Comma list of {', '.join(LIBRARIES)}; what is named must be installed. "
            f"By default those installed of {', '.join(COMPARED)}.",
            show_default=False,
        ),
    ] = "",
    loss: Annotated[str, typer.Option(help="Comma list of losses or patterns, as 'dice*'.")] = "*",
    dtype: Annotated[str, typer.Option(help="Comma list of the predictions' dtypes.")] = ",".join(DTYPES),
    case: Annotated[str, typer.Option(help="Only cases with this in their name.")] = "",
    jobs: Annotated[int, typer.Option(min=1, help="Processes to share the work.")] = processes(),
) -> None:
    """Compare every loss on every array library with 50-digit arithmetic.

    Prints the worst errors of values and gradients in units in the last place. The exit code is 1
    where anything disagrees.
    """
    if context.invoked_subcommand is not None:
        return
    try:
        names = backend or ",".join(name for name in COMPARED if LIBRARIES[name].installed)
        libraries = tuple(library.name for library in requested(names))
        LIBRARIES["mparray"].load()  # the oracle
        matching(loss)
        dtypes = tuple(dict.fromkeys(word.strip() for word in dtype.split(",")))
        unknown = [word for word in dtypes if word not in DTYPES]
        if unknown:
            raise ValueError(f"Dtypes are a comma list of {', '.join(DTYPES)}; got {', '.join(unknown)}.")
        request = Request(loss, libraries, dtypes, case)
        size = request.size()
        if not size:
            raise ValueError(f"No case has {case!r} in its name.")
    except (ValueError, MissingLibrary) as error:
        raise typer.BadParameter(str(error)) from error
    console, started = Console(), time.perf_counter()
    bar = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*bar, console=console, transient=True) as progress:
        task = progress.add_task("cases", total=size)
        results = run(request, jobs, lambda count: progress.advance(task, count))
    if not show(console, results, request, time.perf_counter() - started):
        raise typer.Exit(1)




@app.command()
def readme(
    write: Annotated[bool, typer.Option("--write", help="Put the table into README.md.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 if README.md is stale.")] = False,
) -> None:
    """Print, write or check the table of losses and libraries in README.md."""
    try:
        if write:
            page.write()
        elif check:
            page.check()
        else:
            typer.echo(page.table())
    except page.StaleError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    app(prog_name=f"python -m {__package__}")

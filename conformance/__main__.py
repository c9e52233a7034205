"""``python -m conformance``: compare every loss on every library with 50-digit arithmetic."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .laws.check import check_named
from .suite import readme as table
from .suite.agreement import Result
from .suite.floats import DTYPES, IN_TURN, MissingDtype, numpy_dtype
from .suite.libraries import COMPARED, LIBRARIES, requested
from .suite.library import MissingLibrary
from .suite.registry import matching
from .suite.report import show
from .suite.run import Request, processes, run, unfit

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


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
    loss: Annotated[
        str,
        typer.Option(
            help="Comma list of losses or patterns, as 'dice*'; or one of yours: package.module:function."
        ),
    ] = "*",
    dtype: Annotated[
        str,
        typer.Option(
            help=f"Comma list of the predictions' dtypes, each for every case: {', '.join(DTYPES)}. "
            f"Default: each case in one of {', '.join(IN_TURN)}, in turn.",
            show_default=False,
        ),
    ] = "",
    device: Annotated[
        str,
        typer.Option(
            help="Where the libraries compute that have devices to choose from, as cpu, cuda or cuda:1. "
            "Default: where each computes if nothing is said, CuPy on its last device.",
            show_default=False,
        ),
    ] = "",
    case: Annotated[str, typer.Option(help="Only cases with this in their name.")] = "",
    jobs: Annotated[int, typer.Option(min=1, help="Processes to share the work.")] = processes(),
    report: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            help="Folder to write a page (index.html) and its numbers (report.json) into; needs Jinja2.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Compare every loss on every array library with 50-digit arithmetic.

    Prints the worst errors of values and gradients in units in the last place. The exit code is 1
    where anything disagrees.
    """
    if context.invoked_subcommand is not None:
        return
    others = {"dtype": dtype, "case": case, "report": report}
    try:
        names = backend or ",".join(name for name in COMPARED if LIBRARIES[name].installed)
        libraries = tuple(library.name for library in requested(names))
        if ":" in loss:
            for name in (name for name, value in others.items() if value):
                raise ValueError(
                    f"--{name} is for the losses of this package. Leave it out for {loss}: a loss of your "
                    "own is tried in every dtype, and what it breaks is printed."
                )
            _place(Request("*", libraries, (), device=device))
            return _check(Console(), loss, names)
        LIBRARIES["mparray"].load()  # the oracle
        matching(loss)
        dtypes = tuple(dict.fromkeys(word.strip() for word in dtype.split(","))) if dtype else IN_TURN
        unknown = [word for word in dtypes if word not in DTYPES]
        if unknown:
            raise ValueError(f"Dtypes are a comma list of {', '.join(DTYPES)}; got {', '.join(unknown)}.")
        for word in dtypes:
            numpy_dtype(word)
        request = Request(loss, libraries, dtypes, case, bool(dtype or case), device)
        _place(request)
        size = request.size()
        if not size:
            raise ValueError(f"No case has {case!r} in its name.")
        if report is not None:  # before the work, not after it
            write_report = _report_writer(report)
    except (ValueError, MissingDtype, MissingLibrary) as error:
        raise typer.BadParameter(str(error)) from error
    console, started = Console(), time.perf_counter()
    bar = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*bar, console=console, transient=True) as progress:
        task = progress.add_task("cases", total=size)
        results = run(request, jobs, lambda count: progress.advance(task, count))
    seconds = time.perf_counter() - started
    complaints = unfit(request, results)
    agreed = show(console, results, request, seconds, complaints)
    if report is not None:
        page = write_report(results, request, seconds, complaints)
        console.print(f"Report: {page}", soft_wrap=True, highlight=False)
    if not agreed:
        raise typer.Exit(1)


def _place(request: Request) -> None:
    """Put the libraries on the device that was asked for.

    Raises
    ------
    ValueError
        If none of them has devices to choose from.
    MissingLibrary
        If one has, and not this.
    """
    if request.device and not any(LIBRARIES[name].devices for name in request.libraries):
        able = ", ".join(library.name for library in LIBRARIES.values() if library.devices)
        raise ValueError(f"--device is for {able}; {', '.join(request.libraries)} compute on the host alone.")
    request.place()


def _report_writer(folder: Path) -> Callable[[Sequence[Result], Request, float, Sequence[str]], Path]:
    """What will write a report into a folder, if that can be done at all."""
    try:
        from .suite.page import about, write

        folder.mkdir(parents=True, exist_ok=True)
    except ModuleNotFoundError as error:
        raise ValueError(f"--report needs Jinja2: pip install jinja2 ({error})") from error
    except OSError as error:
        raise ValueError(f"--report={folder}: {error.strerror}") from error
    return lambda results, request, seconds, unfit: write(
        folder, results, about(request, results, seconds, unfit)
    )


def _check(console: Console, path: str, backend: str) -> None:
    """Check a loss that is not in the registry against the laws about any loss."""
    try:
        checked = check_named(path, backend)
    except AssertionError as error:
        console.print(str(error), style="red", soft_wrap=True, markup=False, highlight=False)
        raise typer.Exit(1) from None
    for note in (*checked.libraries, *checked.notes):
        console.print(note, style="dim", soft_wrap=True, markup=False, highlight=False)
    console.print(f"{path} obeys {', '.join(checked.laws)}.", style="green", soft_wrap=True)


@app.command()
def readme(
    write: Annotated[bool, typer.Option("--write", help="Put the table into README.md.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 if README.md is stale.")] = False,
) -> None:
    """Print, write or check README's table of losses and libraries."""
    try:
        if write:
            table.write()
        elif check:
            table.check()
        else:
            typer.echo(table.table())
    except table.StaleError as error:
        sys.exit(str(error))


@app.command()
def mutate(
    file: Annotated[
        list[str] | None,
        typer.Option(help="File below agnoloss/, or a pattern; again for more. Default: every formula."),
    ] = None,
    sample: Annotated[int, typer.Option(min=0, help="How many to try, chosen at random; 0 is all.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="How many to try at a time.")] = processes(),
    timeout: Annotated[float, typer.Option(help="Seconds for the tests of one.")] = 300.0,
) -> None:
    """Break formulas of a checkout one by one; list what tests let pass.

    The exit code is 1 where conformance/mutation/survivors.toml lacks a survivor, or holds a stale one.
    """
    from .mutation import mutate as mutation

    try:
        found = mutation.chosen(tuple(file or ()), sample)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    console, survived = Console(), []
    known = mutation.accepted()
    bar = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*bar, console=console, transient=True) as progress:
        task = progress.add_task("mutants", total=len(found))
        for mutant in mutation.survivors(found, jobs, timeout, lambda: progress.advance(task)):
            survived.append(mutant)
            if mutant.name not in known:
                console.print(f"{mutant.name}  [line {mutant.line}]", markup=False, soft_wrap=True)
    unknown = [mutant for mutant in survived if mutant.name not in known]
    stale = mutation.stale(known, found, survived)
    for name in stale:
        console.print(f"stale in survivors.toml: {name}", markup=False, soft_wrap=True)
    caught, fine = len(found) - len(survived), len(survived) - len(unknown)
    console.print(f"{len(found)} mutants, {caught} caught, {fine} accepted, {len(unknown)} survived")
    if unknown or stale:
        raise typer.Exit(1)


if __name__ == "__main__":
    app(prog_name=f"python -m {__package__}")

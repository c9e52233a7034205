"""The command line: ``agnoloss demo``, or ``python -m agnoloss demo``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from . import __version__

if TYPE_CHECKING:
    import typer


def build_app() -> "typer.Typer":
    """Make the command line; typer is imported here, and no array library is.

    Returns
    -------
    typer.Typer
        The application with its subcommands.

    Raises
    ------
    ModuleNotFoundError
        Without typer, which the extra ``demo`` brings.
    """
    import typer

    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )

    def print_version(wanted: bool) -> None:
        if wanted:
            typer.echo(f"agnoloss {__version__}")
            raise typer.Exit

    @app.callback()
    def agnoloss(
        version: Annotated[
            bool,
            typer.Option("--version", callback=print_version, is_eager=True, help="Say which."),
        ] = False,
    ) -> None:
        """Segmentation losses, written once against the array API, for every array library."""

    @app.command()
    def demo(
        libraries: Annotated[
            str | None,
            typer.Option(
                help="Which to compare with NumPy, for example torch,jax; by default all "
                "that are installed of torch, jax, cupy and array-api-strict.",
                show_default=False,
            ),
        ] = None,
        steps: Annotated[int, typer.Option(min=1, help="Steps of gradient descent.")] = 60,
        plot: Annotated[
            Path | None,
            typer.Option(
                help="Save a picture: photograph, target, predictions, loss curves.",
                dir_okay=False,
                show_default=False,
            ),
        ] = None,
    ) -> None:
        """Find coins in a photograph with three losses, on each library.

        A small network learns from the left half, by plain gradient descent, and is judged on the
        right. The exit code is 1 where the libraries disagree.
        """
        from .showcase.demo import MissingExtraError, RequestError, run

        names = libraries.replace(",", " ").split() if libraries is not None else None
        try:
            outcome = run(names, steps, plot)
        except MissingExtraError as error:
            sys.exit(str(error))
        except RequestError as error:
            raise typer.BadParameter(str(error)) from error
        if not outcome.agree:
            raise typer.Exit(1)

    @app.command()
    def gallery(
        folder: Annotated[
            Path,
            typer.Argument(
                metavar="DIR", help="Where to save them; it is made if it is not there.", file_okay=False
            ),
        ],
    ) -> None:
        """Draw what each loss punishes: the pictures of the documentation."""
        from .showcase.gallery import MissingExtraError, RequestError, draw

        try:
            draw(folder, report=typer.echo)
        except MissingExtraError as error:
            sys.exit(str(error))
        except RequestError as error:
            raise typer.BadParameter(str(error)) from error

    return app


def main() -> None:
    """Run the command line, or say what it needs."""
    try:
        app = build_app()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("agnoloss"):
            raise
        sys.exit(f'The command line needs {error.name}: pip install "agnoloss[demo]"')
    app(prog_name="agnoloss")


if __name__ == "__main__":
    main()

"""The table of losses and libraries in README.md, made from the registry."""

from __future__ import annotations

from pathlib import Path

from .libraries import COMPARED, LIBRARIES
from .registry import ENTRIES

README = Path(__file__).resolve().parents[2] / "README.md"
BEGIN, END = "<!-- losses:begin -->", "<!-- losses:end -->"


class StaleError(ValueError):
    """README.md does not hold the table, or holds an old one."""


def table() -> str:
    """Losses by libraries in Markdown, with notes on what a library cannot do."""
    libraries = [LIBRARIES[name] for name in COMPARED]
    notes: dict[str, int] = {}
    rows = [["loss", "modes", *(library.title for library in libraries)]]
    rows.append([":--", ":--", *(":-:" for _ in libraries)])
    for entry in ENTRIES:
        cells = []
        for library in libraries:
            reason = library.refuses.get(entry.name)
            cells.append("✓" if reason is None else f"[{notes.setdefault(reason, len(notes) + 1)}]")
        rows.append([f"`{entry.name}`", ", ".join(entry.modes), *cells])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, *(f"\n[{number}] {reason}" for reason, number in notes.items())])


def write(readme: Path = README) -> None:
    """Put the table between the markers."""
    before, _, after = _parts(readme)
    readme.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")


def check(readme: Path = README) -> None:
    """Look whether the table is the one that the registry gives.

    Raises
    ------
    StaleError
        If it is not, or has no place.
    """
    if _parts(readme)[1].strip() != table():
        raise StaleError(f"{readme.name} is stale: run `python -m conformance readme --write`.")


def _parts(readme: Path) -> tuple[str, str, str]:
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    before, begin, rest = text.partition(BEGIN)
    inside, end, after = rest.partition(END)
    if not (begin and end):
        raise StaleError(f"{readme.name} must hold the markers {BEGIN} and {END}.")
    return before, inside, after

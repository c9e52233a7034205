"""The part of docs/performance.md that is made from the results."""

from itertools import groupby
from pathlib import Path

from . import results, tables, targets

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


class StaleError(ValueError):
    """The page does not hold the tables of the results."""


def text(found):
    """The tables in Markdown: targets, then each library and workload."""
    if not found:
        return "There are no results yet: `python -m benchmarks`."
    parts = []
    for device in dict.fromkeys(key[0] for key in found):
        parts.append(f"### Targets, {device}\n\n{targets_table(targets.verdicts(found, device))}")
        for key, content in found.items():
            if key[0] == device:
                parts.append(
                    f"### {', '.join(key)}\n\n{_about(content['about'])}\n\n{_table(content['rows'])}"
                )
    return "\n\n".join(parts)


def targets_table(verdicts):
    """One row for each number of a target."""
    lines = ["| what | | target | measured | |", "| :-- | :-- | --: | --: | :-- |"]
    for verdict in verdicts:
        sign = "≥" if verdict.at_least else "≤"
        measured = "" if verdict.measured is None else f"{verdict.measured:.3g}"
        outcome = str(verdict) if verdict.met is not False else f"**{verdict}**"
        cells = (verdict.target, verdict.what, f"{sign} {verdict.required:.3g}", measured, outcome)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _about(about):
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    quick = " A quick run: the times are rough." if about["quick"] else ""
    return (
        f"{about['date']}, {about['machine']}, {about['threads']} threads, "
        f"Python {about['python']}, {versions}.{quick}"
    )


def _table(rows):
    found = tables.lines(rows)
    passes = [key for key in tables.PASSES if any(key in line.cells for line in found)]
    heads = ["", *(tables.PASSES[key] for key in passes), "notes"]
    lines = [f"| {' | '.join(heads)} |", f"| {' | '.join(':--' for _ in heads)} |"]
    for title, group in groupby(found, key=lambda line: line.title):
        lines.append(f"| `{title}` |{' |' * (len(passes) + 1)}")
        for line in group:
            cells = [line.cells.get(key) for key in passes]
            shown = ("" if cell is None else f"**{cell}**" if cell.slower else str(cell) for cell in cells)
            lines.append(f"| {' | '.join((line.name, *shown, '; '.join(line.notes)))} |")
    return "\n".join(lines)


def write(page=PAGE, folder=results.FOLDER):
    """Put the tables between the markers."""
    before, _, after = _parts(page)
    page.write_text(f"{before}{BEGIN}\n{text(results.read(folder))}\n{END}{after}", encoding="utf-8")


def check(page=PAGE, folder=results.FOLDER):
    """Look whether the page holds the tables of the results.

    Raises
    ------
    StaleError
        If it does not, or has no place for them.
    """
    if _parts(page)[1].strip() != text(results.read(folder)):
        raise StaleError(f"{page.name} is stale: run `python -m benchmarks page`.")


def _parts(page):
    whole = page.read_text(encoding="utf-8")
    before, begin, rest = whole.partition(BEGIN)
    inside, end, after = rest.partition(END)
    if not (begin and end):
        raise StaleError(f"{page.name} must hold the markers {BEGIN} and {END}.")
    return before, inside, after

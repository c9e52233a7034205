"""What is made from the results: a short table in docs/performance.md, and whole ones beside the results."""

from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from . import results, tables, targets
from .rounds import ratio

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
NOTHING = "There are no results yet: `python -m benchmarks`."


class StaleError(ValueError):
    """A page does not hold what the results say."""


def write(page=PAGE, folder=results.FOLDER):
    """Write the short table between the markers, and the whole ones of each device into files."""
    for path, text in _written(page, folder).items():
        path.write_text(text, encoding="utf-8")


def check(page=PAGE, folder=results.FOLDER):
    """Look whether the pages hold what the results say.

    Raises
    ------
    StaleError
        If one does not, or has no place for it.
    """
    for path, text in _written(page, folder).items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            raise StaleError(f"{path.name} is stale: run `python -m benchmarks page`.")


def _written(page, folder):
    """``{path: text}`` of all that is made from the results."""
    found = results.read(folder)
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise StaleError(f"{page.name} must hold the markers {BEGIN} and {END}.")
    texts = {page: f"{before}{BEGIN}\n{short(found)}\n{END}{after}"}
    for device in _devices(found):
        texts[folder / f"{device}.md"] = whole(found, device)
    return texts


def _devices(found):
    return list(dict.fromkeys(device for device, _, _ in found))


# --- the short table ----------------------------------------------------------------------------

LOSSES = (
    "cross_entropy_loss",
    "focal_loss",
    "dice_loss",
    "jaccard_loss",
    "tversky_loss",
    "dice_cross_entropy_loss",
    "lovasz_softmax_loss",
    "lovasz_hinge_loss",
)


class Column(NamedTuple):
    """A column of the short table: the first of `workloads` that a loss is measured on."""

    title: str
    library: str
    workloads: tuple[str, ...]
    compiled: bool = False


COLUMNS = (
    Column("torch, W1", "torch", ("W1",)),
    Column("W2", "torch", ("W2",)),
    Column("W3", "torch", ("W3",)),
    Column("W4", "torch", ("W4",)),
    Column("torch.compile", "torch", ("W1", "W2"), compiled=True),
    Column("jax.jit", "jax", ("W1", "W2"), compiled=True),
    Column("NumPy", "numpy", ("W1", "W2")),
    Column("CuPy", "cupy", ("W1", "W2")),
)


def short(found):
    """For each device the main losses, forward + backward, beside the fastest peer of the same number."""
    parts = []
    for device in _devices(found):
        cells = {loss: [_beside(found, device, loss, column) for column in COLUMNS] for loss in LOSSES}
        kept = [i for i, _ in enumerate(COLUMNS) if any(row[i] for row in cells.values())]
        table = [["", *(COLUMNS[i].title for i in kept)]]
        table += [[f"`{loss}`", *(row[i] for i in kept)] for loss, row in cells.items() if any(row)]
        about = [content["about"] for key, content in found.items() if key[0] == device]
        last = max(about, key=lambda about: about["date"])
        parts.append(f"{device}: {_machine(last)} ([whole tables](../benchmarks/results/{device}.md))")
        parts.append(_markdown(table))
    return "\n\n".join(parts) or NOTHING


def _beside(found, device, loss, column):
    """A cell: the ratio to the fastest peer, who that is, and both peaks; empty without such a peer."""
    for workload in column.workloads:
        content = found.get((device, column.library, workload), {"rows": []})
        for row in content["rows"]:
            if (row["loss"], row["backward"], row["compiled"]) == (loss, True, column.compiled):
                entries = {entry["name"]: entry for entry in row["entries"]}
                return _cell(row, entries, targets.fastest(entries, same_number=True))
    return ""


def _cell(row, entries, best):
    if best is None:
        return ""
    peer = entries[best]
    ours = entries[peer["against"]]
    times = ratio(peer["seconds"], ours["seconds"]).median
    text = f"{times:.2f}× {best}"
    if "peak" in peer and "peak" in ours:
        text += f", {ours['peak'] / row['size']:.1f} / {peer['peak'] / row['size']:.1f} L"
    return f"**{text}**" if times < 1 else text


# --- whole tables -------------------------------------------------------------------------------


def whole(found, device):
    """Everything that was measured on a device, in Markdown."""
    parts = [
        f"# Results, {device}",
        "Made by `python -m benchmarks page`; [how it is measured, and how to read it](../README.md).",
        f"## Targets\n\n{targets_table(targets.verdicts(found, device))}",
    ]
    for key, content in found.items():
        if key[0] == device:
            about = content["about"]
            quick = " A quick run: the times are rough." if about["quick"] else ""
            versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
            parts.append(f"## {', '.join(key[1:])}")
            parts.append(f"{_machine(about)}, {versions}.{quick}")
            parts.append(_table(content["rows"]))
    return "\n\n".join(parts) + "\n"


def targets_table(verdicts):
    """One row for each number of a target."""
    table = [["what", "", "target", "measured", ""]]
    for verdict in verdicts:
        sign = "≥" if verdict.at_least else "≤"
        measured = "" if verdict.measured is None else f"{verdict.measured:.3g}"
        outcome = str(verdict) if verdict.met is not False else f"**{verdict}**"
        table.append([verdict.target, verdict.what, f"{sign} {verdict.required:.3g}", measured, outcome])
    return _markdown(table)


def _machine(about):
    return f"{about['machine']}, {about['threads']} threads, Python {about['python']}, {about['date']}"


def _table(rows):
    found = tables.lines(rows)
    passes = [key for key in tables.PASSES if any(key in line.cells for line in found)]
    table = [["", *(tables.PASSES[key] for key in passes), "notes"]]
    for title, group in groupby(found, key=lambda line: line.title):
        table.append([f"`{title}`", *("" for _ in passes), ""])
        for line in group:
            cells = [line.cells.get(key) for key in passes]
            shown = ("" if cell is None else f"**{cell}**" if cell.slower else str(cell) for cell in cells)
            table.append([line.name, *shown, "; ".join(line.notes)])
    return _markdown(table)


def _markdown(table):
    head, *body = (f"| {' | '.join(row)} |" for row in table)
    rule = f"| {' | '.join(':--' for _ in table[0])} |"
    return "\n".join((head, rule, *body))

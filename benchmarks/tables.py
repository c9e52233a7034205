"""The results as tables: one line for each contestant, one cell for each pass."""

from statistics import median
from typing import NamedTuple

from .rounds import Ratio, ratio
from .workloads import GROWING

PASSES = {
    (False, False): "forward",
    (True, False): "forward + backward",
    (False, True): "forward, compiled",
    (True, True): "forward + backward, compiled",
}


class Cell(NamedTuple):
    """What one pass of one contestant took; the ratio is to agnoloss's call that computes the same."""

    milliseconds: float
    ratio: Ratio | None
    peak: float | None  # in units of the scores' size
    floors: float

    @property
    def slower(self):
        """Whether agnoloss is the slower one."""
        return self.ratio is not None and self.ratio.median < 1

    def __str__(self):
        parts = [f"{self.milliseconds:.3g} ms"]
        if self.ratio:
            parts.append(f"{self.ratio.median:.2f}× ({self.ratio.low:.2f} to {self.ratio.high:.2f})")
        if self.peak is not None:
            parts.append(f"{self.peak:.2f} L")
        if self.ratio is None:
            parts.append(f"{self.floors:.3g} floors")
        return ", ".join(parts)


class Line(NamedTuple):
    """A contestant: its cells by pass, and what must be said of it."""

    title: str  # of the lines that belong together
    name: str
    cells: dict[tuple[bool, bool], Cell]
    notes: tuple[str, ...]


def lines(rows):
    """The lines of a file's rows, in their order."""
    found = {}
    for row in rows:
        title = row["loss"] + (f", {row['workload']} scores" if row["workload"] in GROWING else "")
        entries = {entry["name"]: entry for entry in row["entries"]}
        for entry in row["entries"]:
            key = (title, entry["name"])
            line = found.setdefault(key, Line(*key, {}, ()))
            notes = dict.fromkeys((*line.notes, *_notes(entry)))
            cells = dict(line.cells)
            if "seconds" in entry:
                cells[row["backward"], row["compiled"]] = _cell(entry, entries, row)
            found[key] = line._replace(cells=cells, notes=tuple(notes))
    order = list(dict.fromkeys(title for title, _ in found))
    return sorted(found.values(), key=lambda line: order.index(line.title))


def _cell(entry, entries, row):
    seconds = entry["seconds"]
    against = None if entry["ours"] else ratio(seconds, entries[entry["against"]]["seconds"])
    peak = entry["peak"] / row["size"] if "peak" in entry else None
    return Cell(1e3 * median(seconds), against, peak, ratio(seconds, row["floor"]).median)


def _notes(entry):
    if "missing" in entry:
        yield f"not installed: {entry['missing']}"
    elif "failed" in entry:
        yield f"fails: {entry['failed']}"
    elif not entry["ours"] and entry["other"]:
        yield f"other formula: {entry['other']}"
    elif not entry["ours"] and not entry["agrees"]:
        yield f"not agnoloss's number, but {entry['value']:.6g}"
    if "gradient_error" in entry:
        yield f"gradient error {entry['gradient_error']:.1e}"

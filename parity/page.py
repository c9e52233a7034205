"""docs/parity.md as rows to run."""

import re
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

PAGE = Path(__file__).resolve().parent.parent / "docs" / "parity.md"
ROWS = ("peer", "agnoloss", "notes")
FAULTS = ("fault", "peer", "agnoloss")


class PageError(ValueError):
    """The page holds something that cannot be run."""


class Row(NamedTuple):
    """A row of a table: the line it stands on, and its cells."""

    line: int
    section: str
    cells: tuple[str, ...]

    def code(self, column):
        """The code of a cell, which holds nothing else."""
        match = re.fullmatch(r"`([^`]+)`", self.cells[column])
        if not match:
            raise PageError(f"line {self.line}: a cell must be one piece of code; it is {self.cells[column]}")
        return match[1]

    @property
    def peer(self):
        return self.code(0)

    @property
    def ours(self):
        return self.code(1)

    @property
    def notes(self):
        return self.cells[2]

    @property
    def on_jax(self):
        return bool(re.search(r"\b(optax|keras|jax|jnp|K)\.", self.peer)) or "keras_" in self.peer

    def wanted(self):
        """The version of a peer that the row is about, such as `keras<=3.15.1`, if it is not installed."""
        for text in re.findall(r"`([a-z-]+[<>=]=?[0-9.]+)`", " ".join(self.cells)):
            requirement = Requirement(text)
            if version(requirement.name) not in requirement.specifier:
                return f"about {text}; {version(requirement.name)} is installed"
        return None


@cache
def text():
    return PAGE.read_text(encoding="utf-8")


def tables(page):
    """(header, rows) of every table of a page."""
    found, section, header = [], "", None
    fenced = False
    for number, line in enumerate(page.splitlines(), 1):
        fenced ^= line.startswith("```")
        if fenced:
            continue
        if line.startswith("#"):
            section = line.lstrip("# ")
        if not line.startswith("|"):
            header = None
            continue
        cells = tuple(cell.strip() for cell in line.strip().strip("|").split(" | "))
        if header is None:
            header = cells
            found.append((header, []))
        elif set(line) - set("|:- "):
            if len(cells) != len(header):
                raise PageError(f"line {number}: {len(cells)} cells below {len(header)} heads")
            found[-1][1].append(Row(number, section, cells))
    return found


def rows(page, header):
    """The rows of all tables with this header."""
    return [row for head, group in tables(page) if head == header for row in group]


def code_blocks(page):
    """The Python code between the tables."""
    return re.findall(r"^```py\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)

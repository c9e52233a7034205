"""Every law a loss obeys, and who is exempt from which.

A loss says in its entry of the registry which laws it does not obey, by name, and why; "minimum with
label_smoothing" exempts it with that option only. An exemption that names no law, or a law that the
loss obeys after all, is an error: `needless` finds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..suite.cases import Case
from ..suite.libraries import Library
from ..suite.registry import Entry
from . import of_computing, of_numbers, of_pixels, of_values
from .law import Law

OF_ANY_LOSS: tuple[Law, ...] = (*of_numbers.LAWS, *of_computing.LAWS)
"""Laws about any loss of predictions and targets, whatever its options; `check_loss` asks these."""

LAWS: tuple[Law, ...] = (
    *of_pixels.LAWS,
    *of_values.LAWS,
    *OF_ANY_LOSS,
    *of_numbers.OF_ARGUMENTS,
    of_numbers.CONFIDENT,
)

BY_NAME = {law.name: law for law in LAWS}


@dataclass(frozen=True)
class Breach:
    """A case that breaks a law.

    Attributes
    ----------
    law : Law
        The law.
    exemption : str
        Name under which a loss would be exempt from it.
    case : Case
        The case.
    library : str
        Where.
    complaint : str
        How.
    """

    law: Law
    exemption: str
    case: Case
    library: str
    complaint: str

    def __str__(self) -> str:
        return (
            f"{self.case.entry.name} breaks the law {self.law.name!r} ({self.law.statement}) on "
            f"{self.library}; {self.case.name}: {self.complaint}"
        )


def breaches(law: Law, entry: Entry, library: Library, thorough: bool = True) -> Iterator[Breach]:
    """Every case of a loss, see `Law.cases`, that breaks a law on an active library, exempt or not."""
    if not law.speaks_of(library) or entry.name in library.refuses:
        return
    for exemption, case in law.cases(entry, thorough):
        complaint = law.broken(case, library)
        if complaint:
            yield Breach(law, exemption, case, library.name, complaint)


def excused(entry: Entry, breach: Breach) -> bool:
    """Whether the loss's entry says that this is so."""
    return not entry.exempt.keys().isdisjoint((breach.law.name, breach.exemption))


def needless(entry: Entry, libraries: Sequence[Library]) -> Iterator[str]:
    """Say which exemptions of a loss name no law, or one that it obeys on all of these libraries."""
    for name in entry.exempt:
        law = BY_NAME.get(name.partition(" with ")[0])
        names = {exemption for exemption, _ in law.cases(entry)} if law else set()
        if law is None or name not in names:
            yield f"{entry.name} is exempt from {name!r}, which is no law about it"
            continue
        asked = [library for library in libraries if law.speaks_of(library)]
        found = (breach for library in asked for breach in breaches(law, entry, library))
        if asked and not any(name in (law.name, breach.exemption) for breach in found):
            yield f"{entry.name} is exempt from {name!r}, and obeys it"

"""The losses the suite knows, one entry for each: what is not already said by their signatures.

Which of the common words (`classes`, `per_image`, `from_logits`, ...) a loss takes is read from its
signature; that the signature is the one promised is checked against `references`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import agnoloss

MODES = ("multiclass", "multilabel", "binary")
TWO_SIDED = ("multilabel", "binary")


@dataclass(frozen=True)
class Entry:
    """A loss.

    Parameters
    ----------
    function : callable
        The loss.
    modes : tuple of str
        Modes it has a meaning in.
    options : tuple of dicts
        Its own options to try, each by itself and mixed with the others. A key ``mode`` (a
        tuple of str) restricts a dict to some modes.
    reductions : tuple of str
        Reductions besides the mean.
    unit : float
        What the value is a difference from: 1 for one minus a score, which is rounded as a number
        of size 1 however small it is; 0 for a sum of positive terms.
    exempt : mapping
        Laws that do not hold for it, each with the reason.
    """

    function: Callable[..., Any]
    modes: tuple[str, ...] = MODES
    options: tuple[Mapping[str, Any], ...] = ()
    reductions: tuple[str, ...] = ("sum", "none")
    unit: float = 0.0
    exempt: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.function.__name__

    def takes(self, option: str) -> bool:
        """Whether the loss has an option."""
        return option in inspect.signature(self.function).parameters


SMOOTH_IS_NOT_SCALED = {"doubling": "weights scale the counts and not `smooth`: exact at smooth=0 only"}
NO_TERMS = {"splitting": "a sort is no sum over pixels"}

ENTRIES = (
    Entry(
        agnoloss.cross_entropy_loss,
        options=(
            {"label_smoothing": 0.125},
            {"pos_weight": 2.5, "mode": TWO_SIDED},
            {"pos_weight": "per class", "mode": TWO_SIDED},
        ),
        exempt={"minimum": "holds at label_smoothing=0 only: smoothing moves the minimum"},
    ),
    Entry(
        agnoloss.balanced_cross_entropy_loss,
        modes=TWO_SIDED,
        options=({"beta": 0.75}, {"beta": "per class below one"}),
    ),
    Entry(
        agnoloss.focal_loss,
        options=(
            {"gamma": 0.0},
            {"gamma": 0.5},
            {"gamma": 3},
            {"alpha": 0.25, "mode": TWO_SIDED},
            {"alpha": "per class below one"},
        ),
    ),
    Entry(agnoloss.dice_loss, options=({"squared": True},), unit=1.0, exempt=SMOOTH_IS_NOT_SCALED),
    Entry(agnoloss.jaccard_loss, options=({"squared": True},), unit=1.0, exempt=SMOOTH_IS_NOT_SCALED),
    Entry(
        agnoloss.tversky_loss,
        options=({"alpha": 0.75, "beta": 0.25}, {"alpha": 1.0, "beta": 0.0}),
        unit=1.0,
        exempt=SMOOTH_IS_NOT_SCALED,
    ),
    Entry(agnoloss.lovasz_softmax_loss, unit=1.0, exempt=NO_TERMS),
    Entry(agnoloss.lovasz_hinge_loss, modes=TWO_SIDED, unit=1.0, exempt=NO_TERMS),
    Entry(
        agnoloss.dice_cross_entropy_loss,
        options=(
            {"dice_weight": 0.25, "cross_entropy_weight": 2.0},
            {"squared": True},
            {"label_smoothing": 0.125},
            {"pos_weight": 2.5, "mode": TWO_SIDED},
        ),
        reductions=("sum",),
        unit=1.0,
        exempt=SMOOTH_IS_NOT_SCALED,
    ),
)


def matching(patterns: str) -> tuple[Entry, ...]:
    """Entries whose names match one of a comma list of shell patterns; ``_loss`` may be left out.

    Raises
    ------
    ValueError
        If a pattern matches nothing.
    """
    chosen: dict[str, Entry] = {}
    for pattern in (part.strip() for part in patterns.split(",")):
        found = [
            entry
            for entry in ENTRIES
            if fnmatchcase(entry.name, pattern) or fnmatchcase(entry.name, f"{pattern}_loss")
        ]
        if not found:
            names = ", ".join(entry.name for entry in ENTRIES)
            raise ValueError(f"No loss matches {pattern!r}; there are {names}.")
        chosen |= {entry.name: entry for entry in found}
    return tuple(entry for entry in ENTRIES if entry.name in chosen)

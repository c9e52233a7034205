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
    amplifies : float
        How much more than the tolerance a gradient may be off, where the formula itself amplifies
        the rounding of probabilities; with the reason beside it.
    exempt : mapping
        Laws that do not hold for it, each with the reason.
    leaves_out : mapping
        Keys of settings (see `cases`) that say nothing about it, each with the reason.
    required : mapping
        Options that every call needs.
    confident : mapping, optional
        Options with which it is exact relative to itself where all pixels are certain, see the law of that
        name; None if nobody promises that, as of one minus a score of nearly 1.
    neighbours : bool
        Whether pixels have neighbours: its images are then larger, and have a spatial axis.
    of_pixels : bool
        Whether it has a loss for each pixel, or a term with one: `class_weights` of binary mode are then
        weights of 0 and of 1. Others refuse them.
    """

    function: Callable[..., Any]
    modes: tuple[str, ...] = MODES
    options: tuple[Mapping[str, Any], ...] = ()
    reductions: tuple[str, ...] = ("sum", "none", "per_image")
    unit: float = 0.0
    amplifies: float = 1.0
    exempt: Mapping[str, str] = field(default_factory=dict)
    leaves_out: Mapping[str, str] = field(default_factory=dict)
    required: Mapping[str, Any] = field(default_factory=dict)
    confident: Mapping[str, Any] | None = None
    neighbours: bool = False
    of_pixels: bool = False

    @property
    def name(self) -> str:
        """Name of the function."""
        return getattr(self.function, "__name__", repr(self.function))

    def takes(self, option: str) -> bool:
        """Whether the loss has an option."""
        return option in inspect.signature(self.function).parameters

    def has_meaning(self, mode: str, setting: Mapping[str, Any]) -> bool:
        """Whether the loss takes in a mode what a setting asks for."""
        return self.of_pixels or mode != "binary" or "class_weights" not in setting


SMOOTH_IS_NOT_SCALED = {"doubling": "weights scale the counts and not `smooth`: exact at smooth=0 only"}
NO_TERMS = {"splitting": "a sort is no sum over pixels"}
NO_BACKGROUND = {"permutation": "class 0 is the background, which it leaves out by default"}
SMOOTHED_LABELS = {"minimum with label_smoothing": "smoothing moves the minimum away from the labels"}

SATURATED = {"scale": "where p is 0 or 1 the exact gradient is smaller than floats can tell from 0"}
NEIGHBOURS = {
    "ignoring": "a pixel that is left out leaves a hole between its neighbours",
    "splitting": "neighbours lie on both sides of a split",
}

ENTRIES = (
    Entry(
        agnoloss.cross_entropy_loss,
        of_pixels=True,
        options=(
            {"label_smoothing": 0.125},
            {"pos_weight": 2.5, "mode": TWO_SIDED},
            {"pos_weight": "per class", "mode": TWO_SIDED},
        ),
        exempt=SMOOTHED_LABELS,
        confident={},
    ),
    Entry(
        agnoloss.balanced_cross_entropy_loss,
        of_pixels=True,
        modes=TWO_SIDED,
        options=({"beta": 0.75}, {"beta": "per class below one"}),
    ),
    Entry(
        agnoloss.focal_loss,
        of_pixels=True,
        options=(
            {"gamma": 0.0},
            {"gamma": 0.5},
            {"gamma": 3},
            {"alpha": 0.25, "mode": TWO_SIDED},
            {"alpha": "per class below one"},
            {"label_smoothing": 0.125},
            {"pos_weight": 2.5, "mode": TWO_SIDED},
            {"pos_weight": "per class", "mode": TWO_SIDED},
        ),
        exempt=SMOOTHED_LABELS,
        confident={},
    ),
    Entry(agnoloss.dice_loss, options=({"squared": True},), unit=1.0, exempt=SMOOTH_IS_NOT_SCALED),
    Entry(agnoloss.jaccard_loss, options=({"squared": True},), unit=1.0, exempt=SMOOTH_IS_NOT_SCALED),
    Entry(
        agnoloss.tversky_loss,
        options=({"alpha": 0.75, "beta": 0.25}, {"alpha": 1.0, "beta": 0.0}),
        unit=1.0,
        exempt=SMOOTH_IS_NOT_SCALED,
    ),
    Entry(
        agnoloss.lovasz_softmax_loss,
        unit=1.0,
        exempt=NO_TERMS,
        leaves_out={"scale": "saturated probabilities are equal, and equal errors have no one order"},
    ),
    Entry(agnoloss.lovasz_hinge_loss, modes=TWO_SIDED, unit=1.0, exempt=NO_TERMS),
    Entry(
        agnoloss.dice_cross_entropy_loss,
        of_pixels=True,
        options=(
            {"dice_weight": 0.25, "cross_entropy_weight": 2.0},
            {"squared": True},
            {"label_smoothing": 0.125},
            {"pos_weight": 2.5, "mode": TWO_SIDED},
        ),
        reductions=("sum", "per_image"),
        unit=1.0,
        exempt=SMOOTH_IS_NOT_SCALED | SMOOTHED_LABELS,
    ),
    Entry(
        agnoloss.cost_sensitive_cross_entropy_loss,
        of_pixels=True,
        modes=("multiclass",),
        required={"cost_matrix": ((0.5, 2.0, 1.0), (3.0, 0.25, 1.5), (1.0, 4.0, 0.0))},
    ),
    Entry(
        agnoloss.top_k_cross_entropy_loss,
        of_pixels=True,
        options=({"k": 0.5}, {"k": 1.0}),
        exempt=NO_TERMS,
    ),
    Entry(
        agnoloss.conservative_loss,
        of_pixels=True,
        modes=("multiclass",),
        options=({"lam": 2.0}, {"base": 2.0}, {"eps": 0.0625}),
        unit=5.0,  # lam, the size of terms of both signs
    ),
    Entry(
        agnoloss.focal_tversky_loss,
        options=({"gamma": 0.75}, {"alpha": 0.75, "beta": 0.25}),
        unit=1.0,
        exempt=SMOOTH_IS_NOT_SCALED,
    ),
    Entry(agnoloss.log_cosh_dice_loss, options=({"squared": True},), unit=1.0, exempt=SMOOTH_IS_NOT_SCALED),
    Entry(
        agnoloss.generalized_dice_loss,
        options=({"weighting": "simple"}, {"weighting": "uniform"}),
        unit=1.0,
    ),
    Entry(
        agnoloss.combo_loss,
        of_pixels=True,
        options=({"alpha": 0.25}, {"beta": 0.75}),
        reductions=("sum", "per_image"),
        unit=1.0,
        exempt=SMOOTH_IS_NOT_SCALED
        | {
            "alpha": "its alpha is the share of the cross entropy",
            "two classes": "its cross entropy has an element for each class, so for both of two",
        },
    ),
    Entry(
        agnoloss.exponential_logarithmic_loss,
        of_pixels=True,
        options=(
            {"dice_weight": 0.5, "cross_entropy_weight": 1.0},
            {"gamma_dice": 1.0, "gamma_cross_entropy": 0.5},
        ),
        reductions=("sum", "per_image"),
        unit=1.0,
        amplifies=3.0,  # x**0.3 has the slope 0.3 x**-0.7, and x = -ln p near 0 has few exact digits
        exempt=SMOOTH_IS_NOT_SCALED
        | {
            "unit class weights": "without `class_weights` classes weigh sqrt(sum T / T_c), as published",
            "doubling class weights": "its cross entropy is a plain mean over pixels, as published",
        },
        confident={"dice_weight": 0.0},  # -ln Dice of a Dice near 1 has the digits of 1 - Dice
    ),
    Entry(
        agnoloss.boundary_loss,
        options=({"spacing": 0.5}, {"spacing": (2.0, 1.0)}),
        neighbours=True,
        unit=1.0,
        exempt=NEIGHBOURS | NO_BACKGROUND,
        leaves_out=SATURATED,
    ),
    Entry(
        agnoloss.boundary_f1_loss,
        options=({"theta0": 5}, {"theta": 3}),
        neighbours=True,
        unit=1.0,
        exempt=NEIGHBOURS
        | {
            "doubling": "eps in its ratios is not scaled",
            "gradient of targets": "targets of 0 and 1 are equal, and the first of equal pixels gets it all",
            "minimum with theta0": "where the window is all of the image, eps is more than a wrong pixel",
        },
        leaves_out={
            "scale": "saturated probabilities are equal, and the first of equal pixels gets the gradient"
        },
    ),
    Entry(
        agnoloss.active_contour_loss,
        options=({"weight": 0.5}, {"eps": 0.0625}),
        neighbours=True,
        exempt=NEIGHBOURS | {"minimum": "the length of the contour is minimised too, and a target has one"},
        leaves_out=SATURATED,
    ),
    Entry(
        agnoloss.dice_boundary_loss,
        options=({"alpha": 0.25}, {"weighting": "simple"}, {"spacing": (2.0, 1.0)}),
        reductions=("sum", "per_image"),
        neighbours=True,
        unit=1.0,
        exempt=NEIGHBOURS | NO_BACKGROUND,
        leaves_out=SATURATED,
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

"""What a law is: something that every loss promises, checked on one case and one library."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np

from ..suite.agreement import tolerance
from ..suite.cases import Case, make_case
from ..suite.differentiation import gradients
from ..suite.libraries import Library
from ..suite.registry import MODES, Entry

Check = Callable[[Case, Library], str]
"""Says how a case breaks the law, or nothing if it does not."""


@dataclass(frozen=True)
class Law:
    """Something that losses promise.

    Attributes
    ----------
    name, statement : str
        What to call it, and what it says, in one line.
    check : callable
        Complains about a case on an active library, or returns an empty string.
    settings : tuple of dicts
        The cases it is tried on, in the words of `cases`.
    modes : tuple of str
        Modes in which it says something.
    needs : tuple of str
        Options without which a loss cannot obey; one that lacks them is exempt or breaks the law.
    concerns : callable
        Whether it says anything about a loss at all.
    libraries : tuple of str
        Those it says something about; empty for all.
    own_options : bool
        Whether it is tried with each of the loss's own options too.
    """

    name: str
    statement: str
    check: Check
    settings: tuple[Mapping[str, Any], ...] = ({},)
    modes: tuple[str, ...] = MODES
    needs: tuple[str, ...] = ()
    concerns: Callable[[Entry], bool] = lambda entry: True
    libraries: tuple[str, ...] = ()
    own_options: bool = False

    def speaks_of(self, library: Library) -> bool:
        """Whether it says anything about a library."""
        return not self.libraries or library.name in self.libraries

    def broken(self, case: Case, library: Library) -> str:
        """Say how a case breaks the law: what `check` complains of, or what was raised."""
        missing = [option for option in self.needs if not case.entry.takes(option)]
        if missing:
            return f"it takes no `{missing[0]}`"
        try:
            return self.check(case, library)
        except Exception as error:  # whatever a loss raises is what is wrong with it
            return f"raised {type(error).__name__}: {error}"

    def cases(self, entry: Entry, thorough: bool = True) -> Iterator[tuple[str, Case]]:
        """Cases of a loss, each with the name under which it may be exempt.

        Parameters
        ----------
        entry : Entry
            The loss.
        thorough : bool
            Whether to make them in every mode, not in one that depends on the names of law and loss.
        """
        modes = [mode for mode in entry.modes if mode in self.modes and self.concerns(entry)]
        if modes and not thorough:
            modes = [modes[crc32(f"{self.name} {entry.name}".encode()) % len(modes)]]
        for mode in modes:
            for setting in self.settings:
                optional = setting.keys() & {"from_logits", "smooth", "per_image"}
                if all(map(entry.takes, optional)) and entry.has_meaning(mode, setting):
                    yield self.name, make_case(entry, mode, dict(setting))
            for own in entry.options if self.own_options else ():
                if mode in own.get("mode", (mode,)):
                    own = {key: value for key, value in own.items() if key != "mode"}
                    yield f"{self.name} with {', '.join(own)}", make_case(entry, mode, own)


@dataclass(frozen=True)
class Outcome:
    """Value of a loss, and the gradient of `differentiation.one_number` of it, as NumPy arrays."""

    value: np.ndarray
    gradient: np.ndarray


def evaluate(case: Case, library: Library, wrap: Callable[[Any], Any] | None = None) -> Outcome:
    """Compute a case: the value, and the gradient by the calls that users make, which must be one.

    Parameters
    ----------
    case : Case
        The case.
    library : Library
        An active library.
    wrap : callable, optional
        Makes another function, compiled say, of the loss with its options.

    Raises
    ------
    AssertionError
        If two calls give different values or gradients.
    """
    value, found = by_call(case, library, wrap)
    first = Outcome(value, found["value_and_grad"].gradient)
    for call, other in found.items():
        complaint = "" if _same(other, first) else unlike(other, first, case)
        if complaint:
            raise AssertionError(f"by {call} and the loss itself or another call, {complaint}")
    return first


def by_call(
    case: Case, library: Library, wrap: Callable[[Any], Any] | None = None
) -> tuple[np.ndarray, dict[str, Outcome]]:
    """The value of the loss itself, and what each call gives that differentiates it; see `evaluate`."""
    loss, options = case.entry.function, library.options(case.options)
    if wrap is not None:
        given, loss, options = options, wrap(lambda p, t: case.entry.function(p, t, **given)), {}
    predictions, targets = library.array(case.predictions), library.array(case.targets)
    value = loss(predictions, targets, **options)
    found = {
        call: Outcome(library.numpy(value if tuple(value.shape) else number), library.numpy(gradient))
        for call, number, gradient in gradients(loss, library, predictions, targets, options, value)
    }
    return library.numpy(value), found


def _same(one: Outcome, other: Outcome) -> bool:
    """Whether nothing differs, NaN and infinities included."""
    pairs = (one.value, other.value), (one.gradient, other.gradient)
    return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def value_of(case: Case, library: Library) -> np.ndarray:
    """Compute the value alone."""
    predictions, targets = library.array(case.predictions), library.array(case.targets)
    return library.numpy(case.entry.function(predictions, targets, **library.options(case.options)))


def changed(case: Case, predictions: Any = None, targets: Any = None, **options: Any) -> Case:
    """The case with other predictions, targets or options."""
    return replace(
        case,
        predictions=case.predictions if predictions is None else predictions,
        targets=case.targets if targets is None else targets,
        options=case.options | options,
    )


def unlike(one: Outcome, other: Outcome, case: Case) -> str:
    """Say how far apart two outcomes are that should be the same, if more than by rounding."""
    terms = max(case.predictions.size, 1)
    return apart("values", one.value, other.value, terms, case.entry.unit) or apart(
        "gradients", one.gradient, other.gradient, terms
    )


def apart(what: str, one: np.ndarray, other: np.ndarray, terms: int, unit: float = 0.0) -> str:
    """Say how far apart two arrays are, each of which may be off by `agreement.tolerance`."""
    if np.shape(one) != np.shape(other):
        return f"{what} have shapes {np.shape(one)} and {np.shape(other)}"
    dtype = min(np.asarray(one).dtype, np.asarray(other).dtype, key=lambda dtype: dtype.itemsize)
    info, (one, other) = np.finfo(dtype), (np.asarray(x, np.float64) for x in (one, other))
    scale = max(float(np.max(np.abs(x), initial=0.0)) for x in (one, other))
    scale = float(info.eps) * max(scale, unit, float(info.tiny))
    error = float(np.max(np.abs(one - other), initial=0.0)) / scale
    allowed = 2 * tolerance(dtype.name, terms)
    if error <= allowed:
        return ""
    at = np.unravel_index(int(np.argmax(np.nan_to_num(np.abs(one - other), nan=np.inf))), np.shape(one))
    where = f" at {tuple(map(int, at))}" if at else ""
    return (
        f"{what}{where} are {one[at]:.9g} and {other[at]:.9g}, {error:.3g} ulp apart ({allowed:.3g} allowed)"
    )

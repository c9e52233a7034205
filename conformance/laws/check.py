"""`check_loss`: the laws about any loss, asked of somebody else's."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..suite.cases import Case
from ..suite.inputs import Arrays
from ..suite.libraries import COMPARED, LIBRARIES, Library, requested
from ..suite.registry import Entry
from .all_laws import OF_ANY_LOSS, Breach
from .law import Law
from .of_numbers import Agreement
from .shrink import smallest

Pair = tuple[np.ndarray, np.ndarray]

KINDS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("scores (N, C, H, W) and labels (N, H, W)", "multiclass", {}),
    ("scores and one-hot targets (N, C, H, W)", "multiclass", {"targets": "one-hot float"}),
    ("scores and targets (N, H, W) of 0 and 1", "binary", {"targets": "float"}),
)
"""What a loss may take, if nothing is said: a name, a mode and the words of `inputs`."""


LOOKED_UP = "Dynamo detected a call to a `functools.lru_cache`"
"""PyTorch's warning about ``array_api_compat.array_namespace``, which is right all the same."""


@dataclass(frozen=True)
class Checked:
    """What was checked.

    Attributes
    ----------
    libraries : tuple of str
        Each with its version.
    laws : tuple of str
        Names of the laws that say something about these libraries.
    notes : tuple of str
        What could not be checked, and why.
    """

    libraries: tuple[str, ...]
    laws: tuple[str, ...]
    notes: tuple[str, ...] = ()


def check_loss(
    loss: Callable[..., Any],
    cases: Sequence[Pair] | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    libraries: str = "",
    unit: float = 1.0,
    seconds: float = 20.0,
) -> Checked:
    """Check any loss of ``(predictions, targets)`` that is written in the array API standard.

    On each library: value and gradient against 50-digit arithmetic in float64 and float32, dtype and
    device of both; the gradient against central differences, at kinks, and in half precision; extreme
    scores; ``jax.jit``, ``torch.compile``, ``vmap``; and that nothing waits for an accelerator.

    Parameters
    ----------
    loss : callable
        ``loss(predictions, targets, **options)``, to an array.
    cases : sequence of pairs of arrays, optional
        NumPy arrays to try it on; predictions all within [0, 1] are taken for probabilities, for which
        there are no extremes. Cases should be small, and away from kinks. By default, scores with
        labels, one-hot targets, and targets of 0 and 1, as far as the loss takes them.
    options : mapping, optional
        Keyword arguments of every call; NumPy arrays in it become each library's own.
    libraries : str, default all that are installed
        Comma list, as of ``python -m conformance --backend``.
    unit : float, default 1
        What the value is a difference from, if that is larger than the value: 1 for one minus a score.
    seconds : float, default 20
        How long to look for a smaller input that fails; 0 to show the given one.

    Returns
    -------
    Checked
        What was checked, and what could not be.

    Raises
    ------
    AssertionError
        If a law is broken: names the library, the law, the error and the smallest failing input.
    """
    names = libraries or ",".join(name for name in COMPARED if LIBRARIES[name].installed)
    chosen = requested(names)
    entry, notes = Entry(loss, modes=(), unit=unit), []
    with ExitStack() as stack:
        for library in {id(library): library for library in (LIBRARIES["numpy"], *chosen)}.values():
            stack.enter_context(library.active())
        stack.enter_context(np.errstate(all="ignore"))  # an overflow may be on its way to the right limit
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", LOOKED_UP)
        if cases is None:
            made, notes = _made_for(entry, dict(options or {}))
        else:
            made = [_given(entry, i, pair, dict(options or {})) for i, pair in enumerate(cases)]
        if not made:
            raise ValueError("`cases` must hold a pair (predictions, targets) at least; got none.")
        agreement = Agreement()
        laws = [replace(law, check=agreement) if law.name == "agreement" else law for law in OF_ANY_LOSS]
        found = [breach for law in laws for library in chosen for breach in _first(law, library, made)]
        if found:
            raise AssertionError(_message(found, seconds))
    notes += [
        f"{name}: compared with NumPy's float64, for with 50 digits it raised {why}"
        for name, why in agreement.without_digits.items()
    ]
    notes += [
        f"{library.name}: {what} left out: {why}" for library in chosen for what, why in _refused(library)
    ]
    return Checked(
        tuple(library.version() for library in chosen),
        tuple(law.name for law in laws if any(map(law.speaks_of, chosen))),
        tuple(notes),
    )


def check_named(path: str, libraries: str = "") -> Checked:
    """`check_loss` of ``package.module:function``, with default cases.

    Raises
    ------
    ValueError
        If there is no such function.
    AssertionError
        If it breaks a law.
    """
    module, _, name = path.partition(":")
    try:
        loss = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"A loss is named package.module:function; {path!r} has none: {error}.") from error
    return check_loss(loss, libraries=libraries)


def _given(entry: Entry, number: int, pair: Pair, options: dict[str, Any]) -> Case:
    predictions, targets = pair
    wide = np.asarray(predictions, np.float64)
    return Case(f"case {number}", entry, wide, np.asarray(targets), options, exact=False)


def _made_for(entry: Entry, options: dict[str, Any]) -> tuple[list[Case], list[str]]:
    """Cases of the kinds that the loss takes, and what it said of the others."""
    made, refused = [], []
    for name, mode, words in KINDS:
        arrays = Arrays(mode, words | {"precision": "full"}, name)
        case = Case(name, entry, arrays.predictions, arrays.targets, options, exact=False)
        try:
            entry.function(case.predictions, case.targets, **options)
        except Exception as error:  # it may take one kind of targets only; all are in the notes
            refused.append(f"not tried on {name}: {''.join(traceback.format_exception_only(error)).strip()}")
        else:
            made.append(case)
    if not made:
        raise AssertionError("\n".join([f"{entry.name} takes none of the default cases on numpy:", *refused]))
    return made, refused


def _refused(library: Library) -> list[tuple[str, str]]:
    return [(what, why) for what, why in library.refuses.items() if what == "float16"]


def _first(law: Law, library: Library, cases: list[Case]) -> list[Breach]:
    """The first case that breaks a law on a library, if any."""
    for case in cases if law.speaks_of(library) else ():
        complaint = law.broken(case, library)
        if complaint:
            return [Breach(law, law.name, case, library.name, complaint)]
    return []


def _message(found: list[Breach], seconds: float) -> str:
    first, *others = found
    case, complaint = first.case, first.complaint
    hint = ""
    if seconds > 0 and find_spec("hypothesis") is None:
        hint = " (install hypothesis to have it made smaller)"
    elif seconds > 0:
        library = LIBRARIES[first.library]
        case, complaint = smallest(first.law, library, case, complaint, seconds)
    lines = [str(replace(first, case=case, complaint=complaint)), f"Smallest failing input{hint}:"]
    lines += [f"  predictions = {_code(case.predictions)}", f"  targets = {_code(case.targets)}"]
    if case.options:
        lines.append(f"  options = {case.options}")
    if others:
        lines += ["It also breaks:"]
        lines += [f"  {breach.law.name!r} on {breach.library}: {breach.complaint}" for breach in others]
    return "\n".join(lines)


def _code(array: np.ndarray) -> str:
    """Source that makes a small array; of a large one its first numbers."""
    if array.size > 256:
        return f"shape {array.shape}, {array.dtype}: {array.reshape(-1)[:8].tolist()} ..."
    return f"np.asarray({array.tolist()}, {array.dtype.name!r})"

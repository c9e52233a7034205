"""Failures that are known: which comparisons a library does not pass, and why.

They are strict. What was expected to fail and agrees is an error, as is a failure of another kind than
the one expected, and an expectation that nothing in a whole run fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .agreement import Result


@dataclass(frozen=True)
class Expected:
    """Comparisons that a library is known to fail.

    Parameters
    ----------
    why : str
        What it lacks, for people to read.
    raises : str
        What the message of the failure holds: another failure of the same cases is not excused.
    losses, cases : tuple of str
        Shell patterns of names, one of which must match.
    unless : tuple of str
        Shell patterns of cases that it does not speak of.
    dtypes : tuple of str
        Of the predictions; empty for all.
    """

    why: str
    raises: str
    losses: tuple[str, ...] = ("*",)
    cases: tuple[str, ...] = ("*",)
    unless: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()

    def speaks_of(self, result: Result) -> bool:
        """Whether it expects a comparison to fail."""
        return (
            _any(result.loss, self.losses)
            and _any(result.case, self.cases)
            and not _any(result.case, self.unless)
            and (not self.dtypes or result.dtype in self.dtypes)
        )

    def excuses(self, result: Result) -> bool:
        """Whether a comparison failed, and in just the way that was expected."""
        return bool(result.fault) and self.raises in result.fault


def _any(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def judged(result: Result, expected: Sequence[Expected]) -> Result:
    """The result, excused if it fails as expected, at fault if it agrees although it should not."""
    spoken = [each for each in expected if each.speaks_of(result)]
    if spoken and result.agrees:
        return replace(result, fault=f"agrees, and was expected to fail: {spoken[0].why}")
    return replace(result, expected=next((each.why for each in spoken if each.excuses(result)), ""))


def needless(results: Iterable[Result], expected: Sequence[Expected]) -> Iterator[str]:
    """Say which expectations nothing in a whole run of one library fits."""
    results = list(results)
    for each in expected:
        if not any(each.speaks_of(result) for result in results):
            losses, cases = ", ".join(each.losses), " or ".join(map(repr, each.cases))
            yield f"was expected to fail {losses} in {cases}, which fits no comparison: {each.why}"

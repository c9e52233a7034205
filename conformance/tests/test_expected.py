"""Expected failures are strict: what agrees, what fails otherwise and what fits nothing are errors."""

import dataclasses

import pytest
from typer.testing import CliRunner

import agnoloss

from .. import __main__ as command_line
from ..suite import registry, run
from ..suite.agreement import Result
from ..suite.expected import Expected, judged, needless
from ..suite.libraries import LIBRARIES
from ..suite.registry import ENTRIES

DICE = next(entry for entry in ENTRIES if entry.name == "dice_loss")
SORTS = Expected("it cannot sort", raises="no argsort", losses=("dice_*",), cases=("multiclass: *",))


def result(**changes):
    fine = Result("dice_loss", "multiclass: defaults", "strict", "float32", value=0.0, gradient=0.0)
    return dataclasses.replace(fine, **changes)


def compare(*arguments):
    words = ["--backend", "strict", "--loss", "dice", "--dtype", "float64", "--jobs", "1", *arguments]
    return CliRunner().invoke(command_line.app, words, env={"COLUMNS": "200"})


@pytest.fixture
def fails_on_strict(monkeypatch):
    """A Dice that strict cannot compute, in place of the registry's."""

    def function(predictions, targets, **options):
        if "strict" in f"{type(predictions)}":
            raise TypeError("no argsort here")
        return agnoloss.dice_loss(predictions, targets, **options)

    function.__name__ = "dice_loss"
    monkeypatch.setattr(registry, "ENTRIES", (dataclasses.replace(DICE, function=function),))


def test_what_fails_as_expected_is_excused():
    known = judged(result(fault="raised TypeError: no argsort here"), (SORTS,))
    assert known.expected == "it cannot sort"
    assert not known.agrees
    assert not known.wrong


@pytest.mark.parametrize(
    "other",
    [
        {"fault": "raised MemoryError"},
        {"value": 1e9},
        {"fault": "no argsort", "case": "binary: defaults"},
        {"fault": "no argsort", "loss": "focal_loss"},
    ],
)
def test_another_failure_is_not_excused(other):
    assert judged(result(**other), (SORTS,)).wrong


def test_what_was_expected_to_fail_and_agrees_is_wrong():
    found = judged(result(), (SORTS,))
    assert found.wrong
    assert found.fault == "agrees, and was expected to fail: it cannot sort"


def test_an_expectation_of_one_dtype_says_nothing_of_others():
    narrow = dataclasses.replace(SORTS, dtypes=("float64",))
    assert judged(result(fault="no argsort"), (narrow,)).wrong
    assert not judged(result(), (narrow,)).wrong


def test_an_expectation_says_nothing_of_cases_it_leaves_out():
    narrow = dataclasses.replace(SORTS, unless=("*defaults",))
    assert judged(result(fault="no argsort"), (narrow,)).wrong
    assert not judged(result(), (narrow,)).wrong
    assert not judged(result(fault="no argsort", case="multiclass: axis=0"), (narrow,)).wrong


def test_an_expectation_that_fits_nothing_is_named():
    results = [result(), result(fault="no argsort")]
    assert list(needless(results, (SORTS,))) == []
    (said,) = needless(results, (dataclasses.replace(SORTS, cases=("binary: *",)),))
    assert said == "was expected to fail dice_* in 'binary: *', which fits no comparison: it cannot sort"


def test_a_run_with_expected_failures_passes_and_says_so(monkeypatch, fails_on_strict):
    monkeypatch.setattr(LIBRARIES["strict"], "expected", (SORTS,))
    outcome = compare("--case", "multiclass: defaults")
    assert outcome.exit_code == 0, outcome.output
    assert "1 xfail" in outcome.output
    assert "array-api-strict fails 1 as expected: it cannot sort" in outcome.output


def test_a_run_where_an_expected_failure_agrees_fails(monkeypatch):
    monkeypatch.setattr(LIBRARIES["strict"], "expected", (SORTS,))
    outcome = compare("--case", "multiclass: defaults")
    assert outcome.exit_code == 1
    assert "agrees, and was expected to fail: it cannot sort" in outcome.output
    assert "--loss dice_loss --backend strict --dtype float64 --case 'multiclass: defaults'" in outcome.output


def test_a_whole_run_where_an_expectation_fits_nothing_fails(monkeypatch, tmp_path):
    # All there is, made small: one loss, one case.
    monkeypatch.setattr(registry, "ENTRIES", (DICE,))
    first = run.cases_of(DICE)[:1]
    monkeypatch.setattr(run, "cases_of", lambda entry: first)
    absent = Expected("it cannot sort", raises="no argsort", cases=("quaternary: *",))
    monkeypatch.setattr(LIBRARIES["strict"], "expected", (absent,))
    words = ["--backend", "strict", "--jobs", "1"]

    def compare_all(*more):
        return CliRunner().invoke(command_line.app, [*words, *more], env={"COLUMNS": "200"})

    said = "was expected to fail * in 'quaternary: *', which fits no comparison: it cannot sort"
    outcome = compare_all("--dtype", "float64,float32,float16", "--report", str(tmp_path))
    assert outcome.exit_code == 1
    assert f"array-api-strict {said}" in outcome.output
    assert said in (tmp_path / "report.json").read_text(encoding="utf-8")
    # A part of the run says nothing about the rest.
    assert compare_all("--dtype", "float64").exit_code == 0


@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
def test_declarations_fit_something_that_is_compared(library):
    results = [
        Result(entry.name, case.name, library.name, dtype)
        for entry in ENTRIES
        for case in run.cases_of(entry)
        for dtype in ("float16", "float32", "float64")
        if dtype not in library.refuses
    ]
    assert list(needless(results, library.expected)) == []

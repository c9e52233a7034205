"""The suite finds what is broken on purpose, says so, and exits as it should."""

import dataclasses

import numpy as np
import pytest
from typer.testing import CliRunner

import agnoloss

from .. import __main__ as command_line
from ..suite import readme, registry
from ..suite.agreement import Result, compare, tolerance
from ..suite.cases import cases_of, make_case
from ..suite.libraries import LIBRARIES, MissingLibrary, requested
from ..suite.oracle import truth
from ..suite.registry import ENTRIES
from .test_laws import library_of, reversed_gradient

DICE = next(entry for entry in ENTRIES if entry.name == "dice_loss")
CASE = make_case(DICE, "multiclass", {})


def broken(function):
    """The registry's Dice with another function under its name."""
    function.__name__ = "dice_loss"
    return dataclasses.replace(DICE, function=function)


def wrong_value(predictions, targets, **options):
    return agnoloss.dice_loss(predictions, targets, **options) * (1 + 1e-4)


def wrong_on_strict(predictions, targets, **options):
    value = agnoloss.dice_loss(predictions, targets, **options)
    return value * 1.001 if library_of(predictions) == "array_api_strict" else value


def wrong_sign_of_the_gradient(predictions, targets, **options):
    return reversed_gradient(agnoloss.dice_loss(predictions, targets, **options))


def wrong_dtype(predictions, targets, **options):
    value = agnoloss.dice_loss(predictions, targets, **options)
    return value.__array_namespace__().astype(value, value.__array_namespace__().float32)


def wrong_shape(predictions, targets, **options):
    value = agnoloss.dice_loss(predictions, targets, **options)
    return value.__array_namespace__().reshape(value, (1,))


def raising(predictions, targets, **options):
    raise RuntimeError("out of order")


def run(*arguments):
    return CliRunner().invoke(command_line.app, [*arguments, "--jobs", "1"], env={"COLUMNS": "200"})


@pytest.fixture
def registered(monkeypatch):
    """Put entries in place of the registry's."""
    return lambda *entries: monkeypatch.setattr(registry, "ENTRIES", entries)


QUICK = ("--loss", "dice", "--dtype", "float64", "--case", "multiclass: defaults")


def test_what_is_right_passes():
    outcome = run(*QUICK, "--backend", "numpy,strict")
    assert outcome.exit_code == 0, outcome.output
    assert "All agree" in outcome.output
    assert "array-api-strict" in outcome.output


@pytest.mark.parametrize(
    ("function", "library", "complaint"),
    [
        (wrong_on_strict, "strict", "1 of 2 comparisons disagree"),
        (wrong_sign_of_the_gradient, "numpy", "the tape's gradient is not the central difference"),
        (wrong_dtype, "strict", "the value is float32 instead of float64"),
        (raising, "mparray", "with 50 digits it raised RuntimeError: out of order"),
    ],
)
def test_what_is_broken_is_found(registered, function, library, complaint):
    registered(broken(function))
    outcome = run(*QUICK, "--backend", "numpy,strict")
    assert outcome.exit_code == 1, outcome.output
    assert complaint in outcome.output
    repeat = f"--loss dice_loss --backend {library} --dtype float64 --case 'multiclass: defaults'"
    assert repeat in outcome.output


def test_a_wrong_value_is_found():
    """Against the truth of the right loss: a formula wrong everywhere is for `references` to find."""
    exact = truth(CASE)
    numpy = LIBRARIES["numpy"]
    with numpy.active():
        right = compare(CASE, exact, numpy, "float64")
        off = compare(dataclasses.replace(CASE, entry=broken(wrong_value)), exact, numpy, "float64")
        other = compare(dataclasses.replace(CASE, entry=broken(wrong_shape)), exact, numpy, "float64")
    assert right.agrees, str(right)
    assert not off.agrees
    assert off.value > 1e9
    assert "has shape (1,) instead of ()" in other.fault


def test_differences_overrule_the_tape():
    case = dataclasses.replace(CASE, entry=broken(wrong_sign_of_the_gradient))
    exact, overruled = truth(CASE), truth(case)
    assert exact.tape_confirmed
    assert not overruled.tape_confirmed
    # Central differences along each coordinate give the gradient to more digits than float64 has.
    np.testing.assert_array_equal(overruled.gradient.high, exact.gradient.high)
    np.testing.assert_array_equal(overruled.value.high, exact.value.high)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--backend", "numpy,fortran"), "got fortran"),
        (("--loss", "cubic*"), "No loss matches 'cubic*'"),
        (("--dtype", "float8"), "got float8"),
        (("--case", "nothing like this"), "No case has"),
    ],
)
def test_errors_of_use(arguments, complaint):
    outcome = run(*arguments)
    assert outcome.exit_code == 2
    assert complaint in outcome.output


def test_a_library_that_is_missing_is_an_error_of_use(monkeypatch):
    monkeypatch.setattr(LIBRARIES["torch"], "module", "torch_that_is_not_there")
    with pytest.raises(MissingLibrary, match="torch was asked for and cannot be imported"):
        requested("numpy,torch")
    assert run("--backend", "torch").exit_code == 2


def test_nan_and_faults_never_agree():
    names = ("dice_loss", "multiclass: defaults", "numpy", "float64")
    assert Result(*names, value=0.0, gradient=0.0).agrees
    assert not Result(*names, value=float("nan"), gradient=0.0).agrees
    assert not Result(*names, value=0.0, gradient=0.0, fault="on the wrong device").agrees


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_cases_have_names_of_their_own_and_few_digits(entry):
    cases = cases_of(entry)
    assert len({case.name for case in cases}) == len(cases)
    for case in (case for case in cases if case.exact):
        arrays = [case.predictions, case.targets, *case.options.values()]
        for array in (array for array in arrays if isinstance(array, np.ndarray)):
            np.testing.assert_array_equal(array.astype(np.float16).astype(array.dtype), array)


def test_tolerance_grows_with_terms_and_with_coarser_numbers():
    assert tolerance("float64", 4) < tolerance("float64", 400)
    assert tolerance("float64", 4) <= tolerance("float32", 4)


def test_the_table_in_the_readme_is_made_from_the_registry(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- losses:begin -->\nold\n<!-- losses:end -->\nafter\n")
    with pytest.raises(readme.StaleError, match="is stale"):
        readme.check(page)
    readme.write(page)
    readme.check(page)
    assert page.read_text().startswith("before\n<!-- losses:begin -->\n| loss |")
    assert page.read_text().endswith("<!-- losses:end -->\nafter\n")


def test_a_readme_without_markers_is_stale(tmp_path):
    page = tmp_path / "README.md"
    for text in ("", "only <!-- losses:begin -->"):
        page.write_text(text)
        with pytest.raises(readme.StaleError, match="must hold the markers"):
            readme.check(page)


def test_the_readme_is_not_stale():
    readme.check()

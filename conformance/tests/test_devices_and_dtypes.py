"""``--device`` and ``--dtype``: where arrays lie, bfloat16, and what is said where there is none."""

import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from .. import __main__ as command_line
from ..suite import floats
from ..suite.agreement import Result, compare, tolerance
from ..suite.cases import cases_of, make_case
from ..suite.floats import MissingDtype, numpy_dtype
from ..suite.library import MissingLibrary
from ..suite.oracle import truth
from ..suite.registry import ENTRIES

DICE = next(entry for entry in ENTRIES if entry.name == "dice_loss")
IN_EACH_MODE = ("cross_entropy_loss", "dice_loss")
QUICK = ("--loss", "dice", "--case", "multiclass: defaults", "--jobs", "1")


def run(*arguments):
    return CliRunner().invoke(command_line.app, [*QUICK, *arguments], env={"COLUMNS": "200"})


@pytest.fixture
def placed(backend):
    """A library with devices to choose from, put back on its usual one afterwards."""
    if not backend.devices:
        pytest.skip(f"{backend.title} has no devices to choose from")
    yield backend
    backend.choose("")


def test_libraries_of_the_host_alone_refuse_a_device():
    outcome = run("--backend", "numpy,strict", "--device", "cuda")
    assert outcome.exit_code == 2
    assert "--device is for torch, jax, cupy; numpy, strict compute on the host alone" in outcome.output


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_a_device_that_is_not_there_is_an_error_of_use(placed, device):
    with pytest.raises(MissingLibrary, match=f"{placed.name} finds no device '{device}' of "):
        placed.choose(device)
    outcome = run("--backend", f"numpy,{placed.name}", "--device", device)
    assert outcome.exit_code == 2
    assert f"{placed.name} finds no device '{device}'" in outcome.output


def test_what_holds_no_numbers_is_no_device(placed):
    if placed.name == "torch":
        with pytest.raises(MissingLibrary, match="finds no device 'meta'"):
            placed.choose("meta")


def test_arrays_are_made_where_asked(placed):
    device = "cuda:0" if placed.name == "cupy" else "cpu"
    outcome = run("--backend", f"numpy,{placed.name}", "--device", device, "--dtype", "float32")
    assert outcome.exit_code == 0, outcome.output
    assert "NumPy: on the host, having no other device" in outcome.output
    assert placed.chosen == device
    assert placed.device(placed.array(np.zeros(2))) == (
        placed.xp.cuda.Device(0) if placed.name == "cupy" else placed.find("cpu")
    )
    result = Result("dice_loss", "multiclass: defaults", placed.name, "float32", device=device)
    assert f"--device {device} --dtype float32" in result.repeat


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_bfloat16_is_float32_rounded_once(backend, entry):
    """Value, and gradient in bfloat16, of the plainest case; of the simplest losses in each mode."""
    if "bfloat16" in backend.refuses:
        pytest.skip(f"{backend.title}: {backend.refuses['bfloat16']}")
    for mode in entry.modes if entry.name in IN_EACH_MODE else entry.modes[:1]:
        case = make_case(entry, mode, {})
        result = compare(case, truth(case.rounded("bfloat16")), backend, "bfloat16")
        assert result.agrees, str(result)


def test_arrays_of_every_dtype_come_back_as_they_were(backend):
    for name in floats.DTYPES:
        if name not in backend.refuses:
            values = np.asarray([0.25, -3.0, 1e30 if name != "float16" else 6e4]).astype(numpy_dtype(name))
            array = backend.array(values)
            assert backend.dtype(array) == name
            assert backend.owns(array)
            found = backend.numpy(array)
            np.testing.assert_array_equal(found.astype(np.float64), values.astype(np.float64))


def test_what_refuses_bfloat16_says_why():
    outcome = run("--backend", "strict", "--dtype", "bfloat16,float32")
    assert outcome.exit_code == 0, outcome.output
    assert "array-api-strict leaves out bfloat16: the standard has no half precision" in outcome.output


def test_what_nobody_asked_for_is_not_said_to_be_left_out():
    outcome = run("--backend", "strict", "--dtype", "float32")
    assert outcome.exit_code == 0, outcome.output
    assert "leaves out" not in outcome.output


def test_a_loss_of_somebody_elses_is_checked_where_asked(placed):
    device = "cuda:0" if placed.name == "cupy" else "cpu"
    words = [
        "--loss",
        "conformance.tests.test_check_loss:right",
        "--backend",
        placed.name,
        "--device",
        device,
    ]
    outcome = CliRunner().invoke(command_line.app, words, env={"COLUMNS": "200"})
    assert outcome.exit_code == 0, outcome.output
    assert placed.chosen == device
    outcome = CliRunner().invoke(command_line.app, [*words[:-1], "abacus"], env={"COLUMNS": "200"})
    assert outcome.exit_code == 2
    assert "finds no device 'abacus'" in outcome.output


def test_bfloat16_needs_ml_dtypes(monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    numpy_dtype.cache_clear()
    with pytest.raises(MissingDtype, match="pip install ml_dtypes"):
        numpy_dtype("bfloat16")
    outcome = run("--backend", "numpy", "--dtype", "bfloat16")
    assert outcome.exit_code == 2
    assert "bfloat16 needs ml_dtypes" in outcome.output


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_bfloat16_holds_the_numbers_of_the_cases(entry):
    for case in (case for case in cases_of(entry) if case.exact):
        for array in (case.predictions, case.targets, *case.options.values()):
            if isinstance(array, np.ndarray):
                rounded = array.astype(numpy_dtype("bfloat16")).astype(array.dtype)
                if array.dtype.kind == "f":
                    np.testing.assert_array_equal(rounded, array)


def test_a_gradient_that_is_stored_in_bfloat16_is_judged_in_its_ulp():
    assert tolerance("float32", 36, stored="bfloat16") < tolerance("float32", 36, stored="float16") < 0.6

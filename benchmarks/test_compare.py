"""Two versions in one process: which calls, and that a difference is seen."""

import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks import compare
from benchmarks.__main__ import app
from benchmarks.compare import Case, cases, compared
from benchmarks.workloads import FIXED, WORKLOADS

PACKAGE = Path(__file__).resolve().parent.parent / "agnoloss"
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from Linux's /proc")

TWICE = """
import agnoloss
from agnoloss import value_and_grad

def dice_loss(z, y, **options):
    return 2 * agnoloss.dice_loss(z, y, **options)
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the package."""
    ignored = shutil.ignore_patterns("__pycache__", "showcase")
    return shutil.copytree(PACKAGE, tmp_path_factory.mktemp("other") / "agnoloss", ignore=ignored)


def test_a_copy_is_another_package_and_agrees(copy):
    other = compare.version(copy)
    assert Path(other.__file__).parent == copy
    assert other.dice_loss is not compare.version(None).dice_loss
    found = compared(Case("numpy", "cpu", WORKLOADS["W4"], "dice_loss"), copy, quick=True)
    assert found.agree
    assert found.ratio.median > 0
    assert found.peaks is None  # too small


def test_another_value_is_seen(tmp_path):
    (tmp_path / "__init__.py").write_text(TWICE)
    found = compared(Case("numpy", "cpu", WORKLOADS["W4"], "dice_loss"), tmp_path, quick=True)
    assert not found.agree
    (note,) = compare.table("", [found]).columns[-1].cells
    assert note == "values differ"


@needs_linux
def test_peaks_are_of_one_version_each(copy):
    found = compared(Case("numpy", "cpu", WORKLOADS["W1"].halved(), "dice_loss"), copy, quick=True)
    assert min(found.peaks) > 0.9  # a gradient is 1


def test_cases():
    found = list(cases(("torch", "jax", "numpy"), FIXED, "*", "cpu", False, True))
    assert list(dict.fromkeys(case.library for case in found)) == ["numpy", "jax", "torch"]
    assert all(case.compiled for case in found if case.library == "jax")
    assert {case.workload.name for case in found if case.library == "torch" and case.compiled} == {"W1"}
    varied = [case for case in found if case.changing]
    assert {(case.library, case.workload.name) for case in varied} == {("numpy", "W4"), ("torch", "W4")}
    hinge = {case.workload.name for case in found if case.loss == "lovasz_hinge_loss"}
    assert hinge == {"W2"}


def test_command(copy):
    arguments = ["compare", str(copy), "--quick", "--workload=W4", "--library=numpy", "--loss=dice*"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "numpy W4" in result.output
    assert "dice_loss, another smooth" in result.output

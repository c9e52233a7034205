"""``--blocks``: what is cut and what is not, and that a fault of blocks alone is found."""

import numpy as np
import pytest
from typer.testing import CliRunner

import agnoloss
from agnoloss import blocks, closed_blocks

from .. import __main__ as command_line
from ..suite import run
from ..suite.blocks import SIZES, in_blocks
from ..suite.cases import make_case
from ..suite.registry import ENTRIES

ENTRY = {entry.name: entry for entry in ENTRIES}
IN_BLOCKS = ("numpy", "torch", "cupy")


def compare(backend, *arguments):
    words = ["--backend", backend.name, "--loss", "dice", "--jobs", "1", *arguments]
    return CliRunner().invoke(command_line.app, words, env={"COLUMNS": "200"})


@pytest.fixture
def cuts(monkeypatch):
    """How many blocks each sum was made of, of those that were cut."""
    counts = []

    def counting(kind):
        vector = kind.vector

        def counted(self):
            counts.append(sum(map(len, getattr(self, "_parts", [self.slices]))))
            return vector(self)

        monkeypatch.setattr(kind, "vector", counted)

    counting(blocks.Blocks)
    counting(closed_blocks.ClosedBlocks)
    return counts


@pytest.mark.parametrize("mode", ["multiclass", "multilabel", "binary"])
@pytest.mark.parametrize("loss", ["cross_entropy_loss", "dice_loss", "dice_cross_entropy_loss"])
def test_on_cuts_every_case_and_off_cuts_none(backend, loss, mode, cuts):
    case = make_case(ENTRY[loss], mode, {})
    arguments = [backend.array(array) for array in (case.predictions, case.targets)]
    with in_blocks("on"):
        agnoloss.value_and_grad(case.entry.function)(*arguments, **case.options)
    if backend.name in IN_BLOCKS:
        assert cuts
        assert min(cuts) > 2
    else:
        assert not cuts
    cuts.clear()
    many = np.zeros((1, 2, 100_000), np.float32), np.zeros((1, 100_000), np.int64)
    with in_blocks("off"):
        agnoloss.dice_loss(*map(backend.array, many))
    assert not cuts


def test_a_fault_of_blocks_alone_is_found(backend, monkeypatch):
    quick = ("--case", "multiclass: defaults", "--dtype", "float64")
    added = blocks.Blocks.added
    monkeypatch.setattr(
        blocks.Blocks, "added", lambda self, by_part, parts: 0.99 * added(self, by_part, parts)
    )
    assert compare(backend, *quick, "--blocks", "off").exit_code == 0
    outcome = compare(backend, *quick, "--blocks", "on")
    assert outcome.exit_code == (backend.name in IN_BLOCKS), outcome.output
    if backend.name in IN_BLOCKS:
        repeat = f"--backend {backend.name} --blocks on --dtype float64 --case 'multiclass: defaults'"
        assert repeat in outcome.output


def test_in_blocks_the_whole_run_says_so(backend):
    request = run.Request("dice", (backend.name,), ("float64",), "multiclass: defaults", True, blocks="on")
    (result,) = run.run(request, 1, lambda count: None)
    assert result.blocks == "on"


def test_another_word_is_an_error_of_use(backend):
    outcome = compare(backend, "--blocks", "some")
    assert outcome.exit_code == 2
    assert f"--blocks is {' or '.join(SIZES)}; got 'some'" in outcome.output


def test_nothing_left_to_weigh_divides_by_nothing(backend):
    """Warnings are errors: the root of rarity has no slope at 0."""
    setting = {"ignore_index": 255, "ignored": "everything"}
    case = make_case(ENTRY["exponential_logarithmic_loss"], "multilabel", setting)
    arguments = [backend.array(array) for array in (case.predictions, case.targets)]
    with in_blocks("on"):
        value, gradient = agnoloss.value_and_grad(case.entry.function)(*arguments, **case.options)
    assert backend.numpy(value) == 0
    np.testing.assert_array_equal(backend.numpy(gradient), 0)

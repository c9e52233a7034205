"""The mutation run itself: what it breaks, what it leaves alone, and its list of accepted survivors."""

import sys
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from .. import __main__ as command_line
from ..mutation import forks, mutate
from ..mutation.mutants import mutants

FILE = "statistics/class_sums.py"

SOURCE = '''"""1 + 1"""

def score(xp, a: "x + y", b=2.0):
    """a - b"""
    if a is None:
        raise ValueError(f"{1 + 2}" + "b")
    return xp.where(a < b, -a, a * 0.5) or not b

PAIRS = zip(a, b, strict=True)
RULES = lambda xp, g: g / g  # é
'''

EXPECTED = {
    "score: 2.0 -> 3.0",
    "score: a is None -> a is not None",
    "score: xp.where(a < b, -a, a * 0.5) or not b -> xp.where(a < b, -a, a * 0.5) and (not b)",
    "score: xp.where(a < b, -a, a * 0.5) -> xp.where(a < b, a * 0.5, -a)",
    "score: a < b -> a <= b",
    "score: a < b -> a > b",
    "score: -a -> a",
    "score: a * 0.5 -> a / 0.5",
    "score: 0.5 -> 1.5",
    "score: not b -> b",
    ": g / g -> g * g",
}


def test_every_formula_is_broken():
    found = mutants("file.py", SOURCE)
    assert {mutant.name for mutant in found} == {f"file.py:{name}" for name in EXPECTED}
    for mutant in found:
        broken = mutant.source(SOURCE)
        compile(broken, "file.py", "exec")
        assert f"({mutant.new})" in broken
        assert sum(a != b for a, b in zip(SOURCE.split("\n"), broken.split("\n"), strict=True)) == 1


def test_equal_formulas_are_told_apart():
    names = [mutant.name for mutant in mutants("file.py", "a + b\na + b\n")]
    assert names == ["file.py:: a + b -> a - b", "file.py:: a + b -> a - b (2)"]


def test_accepted_survivors_are_still_there():
    """And each with a reason."""
    known = mutate.accepted()
    assert all(len(reason) > 20 for reason in known.values())
    assert not mutate.stale(known, [], [])
    everything = mutate.chosen(())
    assert len({mutant.name for mutant in everything}) == len(everything) > 1000


def test_what_is_caught_or_gone_is_stale():
    caught, survived, *_ = mutate.chosen((FILE,))
    known = {caught.name: "", survived.name: "", f"{FILE}:gone: a -> b": ""}
    assert mutate.stale(known, [caught, survived], [survived]) == [caught.name, f"{FILE}:gone: a -> b"]


@pytest.mark.parametrize(
    ("kept", "known", "said", "code"),
    [
        (0, 0, "2 mutants, 2 caught, 0 accepted, 0 survived", 0),
        (1, 0, "2 mutants, 1 caught, 0 accepted, 1 survived", 1),
        (1, 1, "2 mutants, 1 caught, 1 accepted, 0 survived", 0),
        (0, 1, f"stale in survivors.toml: {FILE}:", 1),
    ],
)
def test_the_command(monkeypatch, kept, known, said, code):
    found = mutate.chosen((FILE,), sample=2)
    monkeypatch.setattr(mutate, "survivors", lambda tried, *_: iter(tried[:kept]))
    monkeypatch.setattr(mutate, "accepted", lambda: {mutant.name: "" for mutant in found[:known]})
    result = CliRunner().invoke(command_line.app, ["mutate", "--file", FILE, "--sample", "2"])
    assert said in result.output
    assert result.exit_code == code


def test_a_file_without_formulas():
    result = CliRunner().invoke(command_line.app, ["mutate", "--file", "blocks.txt"])
    assert result.exit_code == 2
    assert "No file of formulas fits" in result.output


def test_a_survivor_is_found_and_a_broken_formula_caught(monkeypatch):
    """On files of a few lines, tested by a word in them."""
    found = mutate.chosen((FILE,), sample=4)
    monkeypatch.setattr(mutate, "COPIED", ("agnoloss",))
    texts = {mutant.source((mutate.PACKAGE / mutant.file).read_text("utf-8")): mutant for mutant in found}

    class ByText:
        def __init__(self, checkout):
            self.file = checkout / "agnoloss" / FILE

        def complaint(self, tests, timeout):
            text = self.file.read_text("utf-8")
            return "" if text not in texts or texts[text] in found[:2] else "caught"

        def close(self):
            pass

    monkeypatch.setattr(mutate, "Tester", ByText)
    ticks = []
    survived = mutate.survivors(found, jobs=2, timeout=1.0, advance=lambda: ticks.append(1))
    assert {mutant.name for mutant in survived} == {mutant.name for mutant in found[:2]}
    assert len(ticks) == 4
    monkeypatch.setattr(ByText, "complaint", lambda *_: "it fails")
    with pytest.raises(RuntimeError, match="fail as it is:\nit fails"):
        list(mutate.survivors(found, 1, 1.0, lambda: None))


def test_what_caught_a_mutant_is_tried_first_on_the_next(monkeypatch, tmp_path):
    one, other = mutate.chosen((FILE,), sample=2)
    asked = []

    class Failing:
        def __init__(self, checkout):
            pass

        def complaint(self, arguments, timeout):
            asked.append(arguments[len(mutate.OPTIONS) :])
            return "1 failed\nFAILED test_a.py::test_b[c - d] - AssertionError: 1\n"

    monkeypatch.setattr(mutate, "COPIED", ("agnoloss",))
    monkeypatch.setattr(mutate, "Tester", Failing)
    copy = mutate.Copy(tmp_path / "copy")
    for mutant in (one, other):
        assert copy.complaint(mutant, True, 1.0)
    assert asked == [[mutate.REFERENCES], ["test_a.py::test_b[c - d]", mutate.BOTH]]


def test_a_test_that_pytest_does_not_know_catches_nothing(monkeypatch, tmp_path):
    class Lost:
        def __init__(self, checkout):
            pass

        def complaint(self, arguments, timeout):
            return "ERROR: not found: test_a.py::test_b[c]\n(no match in any of [<Module test_a.py>])\n"

    monkeypatch.setattr(mutate, "COPIED", ("agnoloss",))
    monkeypatch.setattr(mutate, "Tester", Lost)
    (mutant,) = mutate.chosen((FILE,), sample=1)
    with pytest.raises(RuntimeError, match="does not know a test"):
        mutate.Copy(tmp_path / "copy").complaint(mutant, True, 1.0)


def test_tests_of_a_loss_come_before_those_of_its_file():
    mutant = next(m for m in mutate.chosen(("losses/region.py",)) if m.place == "jaccard_loss")
    source = "def dice_loss(): pass\ndef jaccard_loss(): pass\ndef helper(): pass\n"
    (*first, _, word), short, (*_, words) = mutate.runs(mutant, source)
    assert (first, word, words) == ([mutate.REFERENCES], "jaccard_loss", "dice_loss or jaccard_loss")
    assert short == [*mutate.SHORT]
    (*_, words), *_ = mutate.runs(replace(mutant, place="helper"), source)
    assert words == "dice_loss or jaccard_loss"


def test_files_that_all_libraries_share_are_tested_where_values_cannot_be_looked_at():
    (mutant, *_) = mutate.chosen(("batch/values.py",))
    *_, rest = mutate.runs(mutant, "def check(): pass\n")
    assert rest[-1] == mutate.BOTH


@pytest.mark.parametrize("way", ["forks", "processes"])
def test_a_run_sees_the_files_as_they_are(way, tmp_path, monkeypatch):
    """What passes says nothing; what fails, never ends or tests another package says so."""
    package, test = tmp_path / "agnoloss.py", tmp_path / "test_it.py"
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    if way == "forks":
        tester = forks.Tester(tmp_path)  # forks where it can
        run = tester.complaint
    else:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        run = forks._in_process
    test.write_text("import agnoloss, time\n\ndef test_it():\n    assert agnoloss.VALUE == 1\n")
    package.write_text("VALUE = 1\n")
    assert run(["test_it.py"], 60) == ""
    package.write_text("VALUE = 2\n")
    assert "assert 2 == 1" in run(["test_it.py"], 60)
    assert "nowhere.py" in run(["nowhere.py"], 60)
    assert run(["test_it.py", "-k", "nothing"], 60) == ""  # no test, no complaint
    package.write_text("import time\ntime.sleep(60)\n")
    assert run(["test_it.py"], 1) == "no end after 1 s"
    test.write_text("def test_it(): pass\n")
    if way == "forks":
        assert "tested None instead of" in run(["test_it.py"], 60)
        tester.close()

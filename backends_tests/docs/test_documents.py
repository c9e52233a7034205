"""The Python blocks of README and docs: they run, and what follows ``>>>`` prints what the page says."""

import doctest
import sys
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

# Between <!--- skip: start --> and <!--- skip: end --> nothing runs.
SYBIL = Sybil(parsers=[PythonCodeBlockParser(doctest_optionflags=FLAGS), SkipParser()])


@pytest.fixture(autouse=True)
def conformance_as_the_wheel_has_it(monkeypatch):
    """Pages say `agnoloss.conformance`; that the wheel has it is tested with the wheel."""
    import conformance

    for name in [name for name in sys.modules if name.partition(".")[0] == conformance.__name__]:
        monkeypatch.setitem(sys.modules, f"agnoloss.{name}", sys.modules[name])


# torch's own: its compiler calls what it has deprecated
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_examples(page):
    for example in SYBIL.parse(page).examples():
        example.evaluate()

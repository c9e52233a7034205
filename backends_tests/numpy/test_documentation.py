"""Every loss is documented: a section of its family's page, and a docstring with all its parts."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import agnoloss
from agnoloss import losses
from agnoloss.backends import Backend
from agnoloss.docstrings import documented

DOCS = Path(__file__).parents[2] / "docs"
LOSSES = [name for name in agnoloss.__all__ if name.endswith("_loss")]
FUNCTIONS = [getattr(agnoloss, name) for name in agnoloss.__all__ if name not in ("Counts", "maps")]
FUNCTIONS += [agnoloss.maps.signed_distance_map, agnoloss.maps.unet_weight_map]
NUMPYDOC = ("Parameters", "Returns", "Raises", "Notes", "References", "Examples")


def written(function):
    """The docstring in the source, which an editor shows."""
    return ast.get_docstring(ast.parse(inspect.getsource(function)).body[0])


def described(doc):
    """Names of the entries below Parameters, in order."""
    found = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n-+$|\Z)", doc, flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^(\w[^:\n]*) : \S", found[1] if found else "", flags=re.MULTILINE)
    return [name for head in heads for name in head.split(", ")]


def sections(page):
    """Text before the first heading of a page, and below each."""
    first, *others = re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return first, dict(section.split("\n", 1) for section in others)


@pytest.mark.parametrize("name", LOSSES)
def test_a_section_tells_what_it_punishes_its_formula_and_when_to_take_it(name):
    pages = [page for page in DOCS.glob("*.md") if name in sections(page)[1]]
    assert len(pages) == 1, "there is one page for each family"
    first, others = sections(*pages)
    section = others[name]
    assert section.lstrip().startswith("Punishes ")
    assert "```math" in section or "$`" in section
    assert "**Take it** " in section or "**Take them** " in first
    assert "![" in first + section, "the page has a picture"
    if len([other for other in others if other in LOSSES]) > 1:
        assert f"[`{name}`](#{name})" in first


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_a_docstring_has_all_its_parts(function):
    doc = inspect.getdoc(function)
    of_losses = ["Raises", "References"] if function.__name__ in LOSSES else []
    titles = re.findall(r"^(\w[\w ]*)\n-+$", doc, flags=re.MULTILINE)
    of_all = ["Parameters", "Returns"] if inspect.signature(function).parameters else []
    assert {*of_all, *of_losses, "Examples"} <= set(titles)
    assert titles == [title for title in NUMPYDOC if title in titles], "each once, in numpydoc's order"
    assert described(doc) == list(inspect.signature(function).parameters), "each once, in order"


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_a_docstring_reads_well_in_the_source(function):
    doc = written(function)
    assert re.match(r"[A-Z][^\n]+\.\n(\n|\Z)", doc), "one line says what it is for"
    assert not re.search(r"\{\w+\}", doc), "a placeholder is no text"
    parameters, own = list(inspect.signature(function).parameters), described(doc)
    assert own == [name for name in parameters if name in own], "its own parameters, in order"
    if own != parameters:
        assert re.search(r"^Words shared .* `agnoloss\.(losses|metrics)`\.$", doc, flags=re.MULTILINE)


@pytest.mark.parametrize("name", LOSSES)
def test_the_words_of_all_losses_are_explained_beside_them(name):
    loss = getattr(agnoloss, name)
    shared = set(inspect.signature(loss).parameters) - set(described(written(loss)))
    assert {"predictions", "targets", "axis"} <= shared
    assert shared <= set(re.findall(r"^(\w+)\n    \S", losses.__doc__, flags=re.MULTILINE))


def test_which_losses_have_no_sums_to_add_up_is_said():
    """With the reason, where `all_reduce` is explained."""
    lacking = {
        name for name in LOSSES if "all_reduce" not in inspect.signature(getattr(agnoloss, name)).parameters
    }
    section = sections(DOCS / "metrics.md")[1]["Several devices"].partition("have no `all_reduce`")[2]
    assert set(re.findall(r"`(\w+_loss)`", section)) == lacking


def test_what_a_docstring_leaves_out_is_added_as_the_signature_has_it():
    @documented
    def example(predictions, *, low=0.0, high=1.0, smooth=0.5, per_image=True, class_weights=None):
        """Serve as an example.

        Parameters
        ----------
        low, high : float
            Bounds.
        smooth : float, default 1/2
            Its own.

        Notes
        -----
        The last.
        """

    doc = example.__doc__
    assert described(doc) == list(inspect.signature(example).parameters)
    assert doc.startswith("Serve as an example.\n\nParameters\n----------\npredictions : array, real")
    assert "smooth : float, default 1/2\n    Its own.\nper_image : bool, default True\n    Whether" in doc
    assert re.search(r"^class_weights : .*, optional$", doc, flags=re.MULTILINE)
    assert doc.endswith("\n\nNotes\n-----\nThe last.")


def test_a_function_without_docstring_stays_without():
    @documented
    def example(predictions):
        return predictions

    assert example.__doc__ is None  # all are so under python -OO


def test_every_hook_of_the_backend_layer_is_in_the_table_of_its_page():
    hooks = [name for name, hook in vars(Backend).items() if inspect.isfunction(hook) and name[0] != "_"]
    page = (DOCS / "backends.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE)
    assert rows == hooks

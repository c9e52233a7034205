"""Every loss is documented: a section of its family's page, and a docstring with all its parts."""

import inspect
import re
from pathlib import Path

import pytest

import agnoloss

DOCS = Path(__file__).parents[2] / "docs"
LOSSES = [name for name in agnoloss.__all__ if name.endswith("_loss")]
FUNCTIONS = [getattr(agnoloss, name) for name in agnoloss.__all__ if name not in ("Counts", "maps")]
FUNCTIONS += [agnoloss.maps.signed_distance_map, agnoloss.maps.unet_weight_map]


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
    parts = re.findall(r"^(\w[\w ]*)\n-+$", doc, flags=re.MULTILINE)
    of_losses = ["Raises", "References"] if function.__name__ in LOSSES else []
    for part in ("Parameters", "Returns", *of_losses, "Examples"):
        assert part in parts, part
    assert not re.search(r"^\s*\{\w+\}$", doc, flags=re.MULTILINE), "a placeholder was not filled in"
    for parameter in inspect.signature(function).parameters:
        assert re.search(rf"^(\w+, )*{parameter}(, \w+)* : ", doc, flags=re.MULTILINE), parameter

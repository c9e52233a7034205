"""Each row of docs/parity.md fails once a sign of the formula it rests on is changed."""

import pytest

import agnoloss

from .page import ROWS, rows, text
from .signs import Broken, signs
from .test_page import KNOWN, compare, labelled, names_in

FORMULAS = {
    "balanced_cross_entropy_loss": ("losses/cross_entropy.py:balanced_terms",),
    "boundary_loss": ("maps.py:signed_distances",),
    "combo_loss": ("losses/compound.py:combo_loss", "losses/compound.py:_element_terms"),
    "cost_sensitive_cross_entropy_loss": ("losses/cross_entropy_variants.py:_cost_terms",),
    "cross_entropy_loss": (
        "losses/cross_entropy.py:multiclass_terms",
        "losses/cross_entropy.py:binary_terms",
    ),
    "dice_cross_entropy_loss": ("losses/compound.py:dice_cross_entropy_loss",),
    "dice_loss": ("losses/region.py:dice",),
    "dice_score": ("losses/region.py:dice",),
    "exponential_logarithmic_loss": ("losses/compound.py:exponential_logarithmic_loss",),
    "focal_loss": ("losses/focal.py:_terms.focal", "losses/focal.py:_focused"),
    "focal_modulation": ("losses/focal.py:focal_modulation",),
    "focal_tversky_loss": ("losses/region.py:tversky",),
    "generalized_dice_loss": ("losses/region_variants.py:generalized_dice",),
    "iou": ("losses/region.py:jaccard",),
    "jaccard_loss": ("losses/region.py:jaccard",),
    "log_cosh_dice_loss": ("statistics/safe_math.py:log_cosh", "losses/region.py:dice"),
    "lovasz_hinge_loss": ("backends/sorting.py:errors_and_slopes",),
    "lovasz_softmax_loss": ("losses/lovasz.py:jaccard_differences",),
    "top_k_cross_entropy_loss": ("losses/cross_entropy_variants.py:_hardest_terms",),
    "tversky_loss": ("losses/region.py:tversky",),
}
"""Where the formula of a function stands."""

ROWS_OF_THE_PAGE = rows(text(), ROWS)
PLACES = {place: [] for places in FORMULAS.values() for place in places}
for _mutant in signs():
    PLACES.get(f"{_mutant.file}:{_mutant.place}", []).append(_mutant)
BROKEN = {}


def fails(row, mutant, monkeypatch):
    """Whether a row tells the package with a changed sign from the right one."""
    broken = BROKEN.setdefault(mutant.name, Broken(mutant))
    with broken.imported() as package, monkeypatch.context() as patch:
        for name in agnoloss.__all__:
            patch.setitem(KNOWN, name, getattr(package, name))
        try:
            compare(row)
        except AssertionError:
            return True
    return False


@pytest.mark.parametrize("row", labelled(ROWS_OF_THE_PAGE, 0))
def test_a_changed_sign_is_noticed(row, monkeypatch):
    if reason := row.wanted():
        pytest.skip(reason)
    functions = sorted(names_in(row.ours) & set(FORMULAS))
    changed = [mutant for name in functions for place in FORMULAS[name] for mutant in PLACES[place]]
    assert any(fails(row, mutant, monkeypatch) for mutant in changed)


def test_every_formula_has_a_sign_and_a_row():
    assert all(PLACES.values())
    used = set().union(*(names_in(row.ours) for row in ROWS_OF_THE_PAGE))
    assert set(FORMULAS) == used & set(agnoloss.__all__)


def test_the_real_package_is_left_as_it_is(monkeypatch):
    row = next(row for row in ROWS_OF_THE_PAGE if row.ours == "dice_loss(z, y, smooth=0)")
    (mutant,) = PLACES["losses/region.py:dice"]
    assert mutant.old == "p + t"
    before = KNOWN["dice_loss"]
    assert fails(row, mutant, monkeypatch)
    assert KNOWN["dice_loss"] is before
    compare(row)
    assert agnoloss.dice_loss is before

"""Each row of docs/parity.md: the peer and agnoloss, on random input, give one number and one gradient."""

import ast
from functools import cache

import numpy as np
import pytest

import agnoloss

from .inputs import PREDICTIONS, Jax, Torch
from .page import FAULTS, ROWS, PageError, Row, code_blocks, rows, tables, text
from .peers import NAMES

SEEDS = (0, 1)
LEGENDS = (("name", "is"), ("agnoloss", "peers"))


def names_of_the_page():
    names = dict(NAMES)
    for block in code_blocks(text()):
        exec(block, names)
    return names


SNIPPETS = {
    node.name
    for block in code_blocks(text())
    for node in ast.parse(block).body
    if isinstance(node, ast.FunctionDef)
}
PARITY, SHOWN = rows(text(), ROWS), rows(text(), FAULTS)
KNOWN = names_of_the_page()


def labelled(found, column):
    return [pytest.param(row, id=f"{row.line}: {row.code(column)[:60]}") for row in found]


def names_in(code):
    return {node.id for node in ast.walk(ast.parse(code, mode="eval")) if isinstance(node, ast.Name)}


def evaluate(code, library, seed, wanted):
    """Value and gradients of a cell's code with respect to the predictions that are wanted."""
    given = library.inputs(seed)
    compiled = compile(code, f"<{code}>", "eval")

    def function(predictions):
        return eval(compiled, {**KNOWN, **given, **predictions})

    return library.value_and_gradients(function, {name: given[name] for name in wanted})


evaluate_peer = cache(evaluate)  # once for all options of a row


def tolerance(row, dtype):
    """Relative: of float64 with a few hundred terms; of float32 where the peer computes in it."""
    return 2e-5 if dtype == np.float32 or "float32" in row.notes else 1e-10


def close(peer, ours, rtol):
    """Equal up to `rtol` of the largest number, in shape as well."""
    assert ours.shape == peer.shape
    scale = np.max(np.abs(peer))
    assert np.isfinite(scale)
    assert scale > 1e-5, "too small to be compared with anything"
    np.testing.assert_allclose(ours, peer, rtol=0, atol=rtol * scale)


def compare(row, ours=None, seed=0):
    """Run both cells of a row, or `ours` instead of the second."""
    library = Jax if row.on_jax else Torch
    wanted = tuple(sorted(names_in(row.peer) & set(PREDICTIONS)))
    assert wanted, "a row predicts something"
    value, gradients = evaluate_peer(row.peer, library, seed, wanted)
    our_value, our_gradients = evaluate(ours or row.ours, library, seed, wanted)
    rtol = tolerance(row, value.dtype)
    close(value, our_value, rtol)
    if gradients is None:
        assert "no gradient" in row.notes
        assert our_gradients is None or not any(np.any(g) for g in our_gradients.values())
        return
    assert our_gradients is not None
    for name in wanted:
        close(gradients[name], our_gradients[name], rtol)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("row", labelled(PARITY, 0))
def test_row(row, seed):
    if reason := row.wanted():
        pytest.skip(reason)
    compare(row, seed=seed)


def without_one_option(code):
    """The code with one keyword argument of one call of agnoloss left out, for each of them."""
    tree = ast.parse(code, mode="eval")
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in calls:
        if isinstance(call.func, ast.Name) and call.func.id in agnoloss.__all__:
            given = list(call.keywords)
            for keyword in given:
                call.keywords = [other for other in given if other is not keyword]
                yield keyword.arg, ast.unparse(tree)
            call.keywords = given


OPTIONS = [
    pytest.param(row, code, id=f"{row.line}: {option}")
    for row in PARITY
    for option, code in without_one_option(row.ours)
]


@pytest.mark.parametrize(("row", "code"), OPTIONS)
def test_every_option_is_needed(row, code):
    """So the random input exercises it, and a change of what it does is found."""
    if reason := row.wanted():
        pytest.skip(reason)
    with pytest.raises((AssertionError, TypeError, ValueError)):
        compare(row, code)


@pytest.mark.parametrize("row", labelled(SHOWN, 1))
def test_fault(row):
    """What the page says is wrong with a peer is so, and is not so here."""
    if reason := row.wanted():
        pytest.skip(reason)
    given = {**KNOWN, **(Jax if names_in(row.code(1)) & {"jnp", "keras", "optax"} else Torch).inputs(0)}
    assert bool(eval(row.code(1), dict(given)))
    assert bool(eval(row.code(2), dict(given)))


# --- the page itself --------------------------------------------------------------------------


def test_every_table_is_known():
    """A table whose header is misspelt would not be run."""
    for header, group in tables(text()):
        assert header in (ROWS, FAULTS, *LEGENDS), header
        assert group
    assert len(PARITY) > 100
    assert all("```" not in block for block in code_blocks(text()))


def test_no_row_twice():
    codes = [row.peer for row in PARITY]
    assert not {code for code in codes if codes.count(code) > 1}


def test_the_inputs_are_those_of_the_legend():
    (legend,) = (group for header, group in tables(text()) if header == ("name", "is"))
    said = {name for row in legend for name in row.cells[0].replace("`", "").split(", ")}
    assert set(Torch.inputs(0)) == set(Jax.inputs(0)) == said


def test_every_row_calls_agnoloss_alone():
    """Nor does a peer's cell call agnoloss."""
    for row in PARITY:
        peer, ours = names_in(row.peer), names_in(row.ours)
        assert ours & set(agnoloss.__all__), row
        assert not peer & set(agnoloss.__all__), row
        assert not ours & {"F", "smp", "monai", "kornia", "berman", "optax", "keras", "K"}, row
        assert not ours & set(SNIPPETS) - {"product_counts"}, row


# --- that a row can fail ------------------------------------------------------------------------

GOOD = Row(1, "", ("`F.cross_entropy(z, y)`", "`cross_entropy_loss(z, y)`", ""))


@pytest.mark.parametrize(
    "ours",
    [
        "-cross_entropy_loss(z, y)",
        "cross_entropy_loss(z, y) * (1 + 1e-8)",
        "cross_entropy_loss(z, y).detach() + 0 * z.sum()",  # the value alone
        "cross_entropy_loss(z, y) + (z - z.detach()).sum()",
        "cross_entropy_loss(z, y)[None]",
        "cross_entropy_loss(z, y).detach()",
        "cross_entropy_loss(z, y, reduction='none')",
        "cross_entropy_loss(z.float(), y)",
        "cross_entropy_loss(z, y) + float('nan')",
    ],
)
def test_a_wrong_row_fails(ours):
    compare(GOOD)
    with pytest.raises((AssertionError, AttributeError)):
        compare(GOOD, ours)


@pytest.mark.parametrize("cell", ["cross_entropy_loss(z, y)", "`a` or `b`", "", "see `a`"])
def test_a_cell_that_is_no_code(cell):
    with pytest.raises(PageError, match="line 3"):
        _ = Row(3, "", (cell, cell, "")).peer


def test_a_row_with_a_cell_too_few():
    with pytest.raises(PageError, match="line 3"):
        tables("| peer | agnoloss | notes |\n| --- | --- | --- |\n| `a` | `b` |")


def test_a_version_that_is_not_installed():
    assert Row(1, "", ("", "", "`numpy<1.0`")).wanted()
    assert Row(1, "", ("", "", "`numpy>1.0`")).wanted() is None

"""`check_loss` on losses of somebody else's: a right one, and some that are wrong in one way."""

import re
import sys

import array_api_compat
import numpy as np
import pytest
from typer.testing import CliRunner

import agnoloss

from .. import __main__ as command_line
from ..laws import check
from ..laws.check import check_loss
from .test_laws import is_half, library_of, reversed_gradient

RNG = np.random.default_rng(5)
P, Y = RNG.normal(size=(2, 3)), RNG.integers(0, 2, (2, 3)).astype(float)
CASES = [(P, Y)]


def right(p, t):
    """Binary cross entropy of scores: softplus(z) - y z."""
    xp = array_api_compat.array_namespace(p)
    half = is_half(p)
    z, y = (xp.astype(x, xp.float32) if half else x for x in (p, t))
    y = xp.astype(y, z.dtype)
    softplus = xp.where(z > 0, z, 0.0) + xp.log1p(xp.exp(-xp.where(z > 0, z, -z)))
    return xp.mean(softplus - y * z)


def ascends_in_float16(p, t):
    return reversed_gradient(right(p, t)) if "float16" in str(p.dtype) else right(p, t)


def looks_at_its_value(p, t):
    value = right(p, t)
    return value if float(value) < 100 else 0 * value


def branches(p, t):
    return right(p, t) if (p > -100).all() else right(-p, t)


def constant_on_the_default_device(p, t):
    xp = array_api_compat.array_namespace(p)
    return right(p, t) * xp.asarray(1.0, dtype=p.dtype)


def picks_pixels(p, t):
    """The sum over the positive pixels, and over the others: right, in shapes that depend on values."""
    count = p.shape[0] * p.shape[1]
    xp = array_api_compat.array_namespace(p)
    positive = xp.nonzero(xp.reshape(t, (-1,)) > 0)[0]
    return right(p, t) + 0 * xp.sum(xp.take(xp.reshape(p, (-1,)), positive)) / count


def has_a_kink(p, t):
    return right(p, t) + array_api_compat.array_namespace(p).sum(abs(p))


def wrong_on_strict(p, t):
    return right(p, t) * (1.001 if library_of(p) == "array_api_strict" else 1)


def ascends(p, t):
    return reversed_gradient(right(p, t))


def overflows(p, t):
    xp = array_api_compat.array_namespace(p)
    z, y = (xp.astype(x, xp.float32) if is_half(p) else x for x in (p, t))
    q = 1 / (1 + xp.exp(-z))
    return -xp.mean(y * xp.log(q) + (1 - y) * xp.log(1 - q))


def test_a_right_loss_passes(backend):
    checked = check_loss(right, cases=CASES, libraries=backend.name)
    assert checked.libraries == (backend.version(),)
    assert {"agreement", "gradient", "half", "extremes"} <= set(checked.laws)
    assert ("jit" in checked.laws) == ("vmap" in checked.laws) == (backend.name in ("torch", "jax"))
    assert ("no wait" in checked.laws) == (backend.name == "strict")
    assert not [note for note in checked.notes if "float16" not in note]


def test_losses_of_the_package_pass():
    labels = RNG.integers(0, 3, (2, 4))
    cases = [(RNG.normal(size=(2, 3, 4)), labels)]
    options = {"pixel_weights": RNG.uniform(0.5, 1, (2, 4)), "class_weights": [1.0, 2.0, 3.0]}
    check_loss(agnoloss.dice_loss, cases, options=options, libraries="numpy")


@pytest.mark.parametrize(
    ("loss", "libraries", "law", "words"),
    [
        (ascends_in_float16, "numpy torch jax cupy", "half", "float16 the gradient is"),
        (looks_at_its_value, "strict", "no wait", "Python number or bool"),
        (looks_at_its_value, "torch jax", "jit", "raised"),
        (branches, "torch jax", "jit", "raised"),
        (constant_on_the_default_device, "strict", "agreement", "raised"),
        (picks_pixels, "strict", "agreement", "data-dependent|data_dependent"),
        (picks_pixels, "jax", "jit", "raised"),
        (has_a_kink, "jax", "kinks", "at predictions of 0, here and with NumPy"),
        (wrong_on_strict, "strict", "agreement", "value off by .* ulp"),
        (ascends, "numpy torch jax cupy strict", "gradient", "the central difference"),
        (overflows, "numpy torch jax cupy strict", "extremes", "is not finite at scores of 1e.04"),
    ],
)
def test_what_is_wrong_is_named(backend, loss, libraries, law, words):
    if backend.name not in libraries.split():
        return
    with pytest.raises(AssertionError) as caught:
        check_loss(loss, CASES, libraries=backend.name, seconds=0)
    message = str(caught.value)
    assert loss.__name__ in message
    assert re.search(rf"'{law}'.* on {backend.name}.*: .*({words})", message), message
    assert "predictions = np.asarray([[" in message


def test_wrong_in_one_way_breaks_one_law():
    for loss, law in ((ascends_in_float16, "half"), (overflows, "extremes")):
        with pytest.raises(AssertionError, match=f"^{loss.__name__} breaks the law '{law}'") as caught:
            check_loss(loss, CASES, libraries="numpy", seconds=0)
        assert "It also breaks" not in str(caught.value)


def wrong_above_one(p, t):
    """Wrong where a score is above 1."""
    xp = array_api_compat.array_namespace(p)
    return right(p, t) + xp.sum(xp.where(p > 1, (p - 1) * (0.0 if library_of(p) == "mparray" else 1.0), 0.0))


def test_the_failing_input_is_made_small():
    large = RNG.normal(size=(3, 5)) + 0.25
    with pytest.raises(AssertionError) as caught:
        check_loss(wrong_above_one, [(large, np.ones((3, 5)))], libraries="numpy")
    found = re.search(r"predictions = np.asarray\((\[.*\]), 'float64'\)", str(caught.value))
    small = np.asarray(eval(found[1]))
    assert small.shape == (1, 1)
    assert small[0, 0] > 1


def test_without_hypothesis_the_given_input_is_shown(monkeypatch):
    monkeypatch.setattr(check, "find_spec", lambda name: None)
    with pytest.raises(AssertionError, match="install hypothesis") as caught:
        check_loss(ascends, CASES, libraries="numpy")
    assert str(P.tolist()) in str(caught.value)


def unknown_to_mparray(p, t):
    if library_of(p) == "mparray":
        raise NotImplementedError("no such digits")
    return right(p, t)


def test_without_digits_numpy_is_the_reference():
    checked = check_loss(unknown_to_mparray, CASES, libraries="numpy,strict")
    (note,) = (note for note in checked.notes if "float16" not in note)
    assert note.startswith("case 0: compared with NumPy's float64")
    assert note.endswith("with 50 digits it raised NotImplementedError: no such digits")


def test_default_cases():
    checked = check_loss(right, libraries="numpy")
    refused = [note for note in checked.notes if note.startswith("not tried on")]
    assert len(refused) == 1
    assert "labels (N, H, W): ValueError: operands could not be broadcast" in refused[0]
    with pytest.raises(AssertionError, match="takes none of the default cases"):
        check_loss(lambda p: p, libraries="numpy")


@pytest.mark.parametrize(("libraries", "cases"), [("fortran", CASES), ("numpy", [])])
def test_errors_of_use(libraries, cases):
    with pytest.raises(ValueError, match=r"Backends are|`cases` must"):
        check_loss(right, cases, libraries=libraries)


def test_from_the_shell(tmp_path):
    def run(*arguments):
        return CliRunner().invoke(command_line.app, [*arguments], env={"COLUMNS": "200"})

    module = sys.modules[__name__]
    names = {loss: f"{module.__name__}:{loss}" for loss in ("right", "ascends", "nothing")}
    good = run("--loss", names["right"], "--backend", "numpy")
    assert good.exit_code == 0, good.output
    assert "right obeys agreement, gradient" in good.output
    bad = run("--loss", names["ascends"], "--backend", "numpy")
    assert bad.exit_code == 1
    assert "ascends breaks the law 'agreement'" in bad.output
    assert "'gradient' on numpy" in bad.output
    for unknown in (names["nothing"], "no_such_package.module:loss"):
        outcome = run("--loss", unknown, "--backend", "numpy")
        assert outcome.exit_code == 2
        assert "package.module:function" in outcome.output
    for option, value in (
        ("--dtype", "float32"),
        ("--case", "defaults"),
        ("--report", str(tmp_path / "out")),
    ):
        refused = run("--loss", names["right"], "--backend", "numpy", option, value)
        assert refused.exit_code == 2
        assert (
            f"{option} is for the losses of this package. Leave it out for {names['right']}" in refused.output
        )
    assert not (tmp_path / "out").exists()

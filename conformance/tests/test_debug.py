"""`agnoloss.debug()`: what is out of range is named where it would only be NaN, and nothing else changes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import agnoloss
from agnoloss import cross_entropy_loss, dice_loss

from .losses import MULTICLASS
from .test_input_values import refused

RNG = np.random.default_rng(41)
Z = RNG.normal(size=(2, 3, 4))
Y = RNG.integers(0, 3, (2, 4))
MARKED = np.where(np.arange(8).reshape(2, 4) == 5, 255, Y)
P = np.full((2, 4), 0.5)

multiclass_losses = pytest.mark.parametrize("loss", MULTICLASS.values(), ids=MULTICLASS)

WRONG = [
    ((Z, MARKED), {}, "`targets` must hold labels from 0 to 2; got 255."),
    ((Z, MARKED.astype(np.uint8)), {}, "`targets` must hold labels from 0 to 2; got 255."),
    ((Z, Y - 1), {"ignore_index": 7}, "`targets` must hold labels from 0 to 2 or (7,); got -1."),
    ((Z[:, 0], 3 * Y), {"mode": "binary"}, "`targets` must hold labels from 0 to 1; got "),
    (
        (Z, np.full(Z.shape, np.nan)),
        {"mode": "multilabel"},
        "`targets` must hold values from 0 to 1; got nan.",
    ),
    (
        (Z, np.ones(Z.shape)),
        {},
        "`targets` of the shape of `predictions` must sum to 1 at most over the classes",
    ),
    ((P + 1, Y > 0), {"mode": "binary", "from_logits": False}, "must be probabilities, from 0 to 1, with"),
    ((Z, Y), {"pixel_weights": Y - 1.5}, "`pixel_weights` must not be negative; got -1.5."),
]
wrong = pytest.mark.parametrize(
    ("arrays", "options", "sentence"), WRONG, ids=[sentence for *_, sentence in WRONG]
)


def of(backend, arrays, options):
    options = {key: backend.array(x) if isinstance(x, np.ndarray) else x for key, x in options.items()}
    return [backend.array(x) for x in arrays], options


@wrong
def test_what_is_out_of_range_is_named(backend, arrays, options, sentence):
    arrays, options = of(backend, arrays, options)
    with agnoloss.debug():
        for loss in (cross_entropy_loss, dice_loss):
            for call in (loss, agnoloss.grad(loss)):
                with refused(ValueError, sentence):
                    call(*arrays, **options)


@multiclass_losses
def test_every_loss_looks(backend, loss):
    z, y = backend.array(Z), backend.array(MARKED)
    with agnoloss.debug(), refused(ValueError, "`targets` must hold labels from 0 to 2; got 255."):
        loss(z, y)


@multiclass_losses
@pytest.mark.parametrize(
    ("y", "options"),
    [(Y, {}), (MARKED, {"ignore_index": 255}), (MARKED, {"pixel_weights": 1.0 * (MARKED < 3)})],
)
def test_nothing_changes_where_all_is_right(backend, loss, y, options):
    arrays, options = of(backend, (Z, y), options)
    usual = agnoloss.value_and_grad(loss)(*arrays, **options)
    with agnoloss.debug():
        found = agnoloss.value_and_grad(loss)(*arrays, **options)
    for one, other in zip(found, usual, strict=True):
        assert type(one) is type(other)
        np.testing.assert_array_equal(backend.numpy(one), backend.numpy(other))


def test_an_empty_batch(backend):
    z, y = backend.array(Z[:0]), backend.array(Y[:0])
    with agnoloss.debug():
        assert float(backend.numpy(dice_loss(z, y))) == 0


def test_it_ends_with_its_block():
    """Also after an error, and one within another."""
    strict = pytest.importorskip("array_api_strict")
    z, y = strict.asarray(Z), strict.asarray(MARKED)
    with agnoloss.debug():
        with agnoloss.debug(), pytest.raises(ValueError, match="got 255"):
            dice_loss(z, y)
        with pytest.raises(ValueError, match="got 255"):
            dice_loss(z, y)
    assert np.isnan(float(dice_loss(z, y)))
    with pytest.raises(ValueError, match="got 255"), agnoloss.debug():
        dice_loss(z, y)
    assert np.isnan(float(dice_loss(z, y)))


@pytest.mark.parametrize(("value", "looks"), [("1", True), ("0", False), ("", False)])
def test_the_environment(value, looks):
    script = "import array_api_strict as xp, agnoloss; agnoloss.dice_loss(xp.zeros((1, 3)), xp.asarray([7]))"
    environment = {**os.environ, "AGNOLOSS_DEBUG": value, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert ("labels from 0 to 2; got 7." in done.stderr) == looks == bool(done.returncode)

"""Losses of one's own, written as those of the package are: called anew each time, whatever the size.

Small inputs are computed at once, large ones in chunks; both see what changed since the last call.
"""

import numpy as np
import pytest

from agnoloss import value_and_grad
from agnoloss.batch import Batch
from agnoloss.statistics.reductions import over_pixels

SIZES = pytest.mark.parametrize("size", [4, 400], ids=["small", "large"])
MODES = pytest.mark.parametrize("mode", ["multiclass", "multilabel"])
FACTOR = 1.0


def own(predictions, targets, *options, terms, mode):
    batch = Batch(
        predictions, targets, mode=mode, from_logits=True, axis=1, ignore_index=None, pixel_weights=None,
        class_weights=None, reduction="mean",
    )  # fmt: skip
    return over_pixels(batch, terms, *options)


def surprise(p):
    """-log p of what is true."""
    if p.batch.multiclass:
        return -p.over_targets(lambda side: side.log_p)
    return -p.over_sides(lambda side: side.log_p)


def inputs(size, mode):
    rng = np.random.default_rng(size)
    predictions = rng.normal(size=(2, 3, size, size))
    labels = rng.integers(0, 3, (2, size, size))
    return predictions, labels if mode == "multiclass" else np.moveaxis(np.eye(3, dtype=int)[labels], -1, 1)


@SIZES
@MODES
def test_a_global_that_changes(monkeypatch, size, mode):
    def terms(p):
        return FACTOR * surprise(p), None

    z, y = inputs(size, mode)
    one, of_one = value_and_grad(own)(z, y, terms=terms, mode=mode)
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    three, of_three = value_and_grad(own)(z, y, terms=terms, mode=mode)
    np.testing.assert_allclose(three, 3 * one, rtol=1e-14)
    np.testing.assert_allclose(of_three, 3 * of_one, rtol=1e-13)


@SIZES
@MODES
def test_a_random_number(size, mode):
    rng = np.random.default_rng(0)

    def terms(p):
        return rng.uniform() * surprise(p), None

    z, y = inputs(size, mode)
    values = {float(value_and_grad(own)(z, y, terms=terms, mode=mode)[0]) for _ in range(4)}
    assert len(values) == 4


@SIZES
@MODES
def test_an_array_that_is_closed_over(size, mode):
    factor = np.asarray(2.0)

    def terms(p):
        return surprise(p) * factor, None

    z, y = inputs(size, mode)
    plain, of_plain = value_and_grad(own)(z, y, terms=lambda p: (surprise(p), None), mode=mode)
    twice, of_twice = value_and_grad(own)(z, y, terms=terms, mode=mode)
    np.testing.assert_allclose(twice, 2 * plain, rtol=1e-14)
    np.testing.assert_allclose(of_twice, 2 * of_plain, rtol=1e-13)


@SIZES
@MODES
def test_an_option_is_differentiated(size, mode):
    def terms(p, factor):
        return surprise(p) * factor, None

    z, y = inputs(size, mode)
    value, of_factor = value_and_grad(own, argnums=2)(z, y, np.asarray(2.0), terms=terms, mode=mode)
    np.testing.assert_allclose(of_factor, value / 2, rtol=1e-13)


@SIZES
@MODES
def test_a_branch_on_values(size, mode):
    def terms(p):
        loss = surprise(p)
        return (loss if p.xp.any(loss > 0) else 0 * loss), None

    z, y = inputs(size, mode)
    value, gradient = value_and_grad(own)(z, y, terms=terms, mode=mode)
    expected, of_expected = value_and_grad(own)(z, y, terms=lambda p: (surprise(p), None), mode=mode)
    assert value == expected == own(z, y, terms=terms, mode=mode)
    np.testing.assert_array_equal(gradient, of_expected)


@SIZES
def test_what_a_chunk_of_labels_does_not_know_is_an_error_not_a_wrong_gradient(size):
    def terms(p):
        return p.xp.sum(-p.log_probs, axis=1), None

    z, y = inputs(size, "multiclass")
    if size == 4:
        value_and_grad(own)(z, y, terms=terms, mode="multiclass")
    else:
        with pytest.raises(AssertionError, match="no derivative but that of its label's log p"):
            value_and_grad(own)(z, y, terms=terms, mode="multiclass")

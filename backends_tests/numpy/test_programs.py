"""Programs: what a loss does, noted once and repeated on other numbers."""

from functools import partial

import numpy as np
import pytest

import agnoloss
from agnoloss import programs, recorder
from agnoloss.backends import backend_of
from agnoloss.programs import Program, Tracer, signature
from backends_tests.blocks import in_blocks

NUMPY = backend_of(np.zeros(()), "x")


def noted(function, *arrays):
    """The program of a function of boxes."""
    tracer = Tracer(NUMPY)
    found = function(tracer, *tracer.take(arrays))
    return Program(tracer, list(found))


def test_a_program_gives_what_the_function_gives_for_other_numbers():
    def function(xp, x, y):
        both = xp.stack([x, y], axis=0)
        low, high = both[0, 1:], both[1, 1:]
        return xp.sum(xp.exp(low) / (2.0 - high), axis=0, keepdims=True), xp.where(x > y, x, 0.0)

    made = noted(lambda tracer, *boxes: function(tracer.xp, *boxes), np.ones((3, 2)), np.zeros((3, 2)))
    x, y = np.random.default_rng(0).normal(size=(2, 3, 2))
    for found, expected in zip(made([x, y]), function(NUMPY.xp, x, y), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_operations_that_lead_nowhere_are_left_out():
    calls = []

    def costly(x):
        calls.append(x)
        return x + 1.0

    def function(tracer, x):
        tracer.call(costly, x)
        return (x * 2.0,)

    made = noted(function, np.ones(2))
    calls.clear()
    np.testing.assert_array_equal(made([np.ones(2)])[0], [2.0, 2.0])
    assert not calls


def test_a_program_keeps_no_array():
    """Of all that was seen on the way: a program lives on after its call."""
    import gc
    import weakref

    class Watched(np.ndarray):
        pass

    seen = []

    def watched(x):
        result = (np.asarray(x) * 3.0).view(Watched)
        seen.append(weakref.ref(result))
        return result

    def function(tracer, x):
        triple = tracer.call(watched, x)
        return tracer.xp.sum(triple * x, axis=0), tracer.xp.stack([triple, triple])

    made = noted(function, np.ones(4))
    made([np.ones(4)])
    gc.collect()
    assert len(seen) == 2
    assert [ref() for ref in seen] == [None, None]


def test_an_array_from_elsewhere_is_refused():
    with pytest.raises(RuntimeError, match="neither its input nor its constant"):
        noted(lambda tracer, x: (tracer.xp.where(x > 0, x, tracer.box(np.ones(2))),), np.ones(2))


def test_what_decides_the_operations_decides_the_signature():
    def loss(x, power):
        return x**power

    like = [
        partial(loss, power=2), partial(loss, power=2.0), partial(loss, power=True), partial(loss, power=3),
        partial(loss, power=np.ones(2)), partial(loss, power=np.ones(3)),
        partial(loss, power=np.ones(2, "f4")),
        partial(loss, 2), partial(noted, power=2), loss,
    ]  # fmt: skip
    assert len({signature(value) for value in like}) == len(like)
    assert signature(partial(loss, power=np.ones(2))) == signature(partial(loss, power=np.zeros(2)))
    for knows_more in (lambda x: loss(x, like), like.append):
        with pytest.raises(TypeError, match="may depend on more"):
            signature(knows_more)


def values(**options):
    rng = np.random.default_rng(1)
    scores, labels = rng.normal(size=(2, 3, 8)), rng.integers(0, 3, (2, 8))
    loss = agnoloss.value_and_grad(agnoloss.focal_loss)
    return loss(scores, labels, **options)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"class_weights": [1.0, 2.0, 3.0]}, {"class_weights": [3.0, 1.0, 1.0]}),
        ({"alpha": [0.1, 0.2, 0.3]}, {"alpha": [0.3, 0.9, 0.1]}),
        ({"gamma": 2.0}, {"gamma": 3.0}),
        ({}, {"class_weights": [3.0, 1.0, 1.0]}),
        ({}, {"ignore_index": 1}),
        ({"ignore_index": 1}, {"ignore_index": 2}),
        ({}, {"pixel_weights": np.arange(16.0).reshape(2, 8)}),
        ({"pixel_weights": np.ones((2, 8))}, {"pixel_weights": np.arange(16.0).reshape(2, 8)}),
        ({"pixel_weights": np.ones((2, 8))}, {"pixel_weights": np.arange(16).reshape(2, 8)}),
    ],
)
def test_a_program_of_one_call_does_not_serve_another(first, second):
    """The second call finds programs of the first and must not repeat its numbers."""
    with in_blocks("off"):
        expected = values(**second)
    with in_blocks("on"):
        values(**first)
        found = values(**second)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-12, atol=1e-16)


def test_programs_are_remembered_and_forgotten(monkeypatch):
    monkeypatch.setattr(recorder, "_known", {})
    monkeypatch.setattr(programs, "KEPT", 5)
    with in_blocks("on"):
        values()
        known = dict(recorder._known)
        assert known
        values()
        assert recorder._known == known
        for gamma in range(10):
            values(gamma=float(gamma))
    assert len(recorder._known) <= 5


def test_tracing_is_not_repeated(monkeypatch):
    with in_blocks("on"):
        values()
        monkeypatch.setattr(programs, "Tracer", None)
        monkeypatch.setattr(recorder, "Tracer", None)
        values()

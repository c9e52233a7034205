"""What is compared is what users call: `value_and_grad` of the loss itself, on PyTorch `backward()` too."""

import functools

import pytest

import agnoloss

from ..laws.law import evaluate
from ..suite.agreement import compare
from ..suite.cases import make_case
from ..suite.oracle import truth
from ..suite.registry import ENTRIES

DICE = next(entry for entry in ENTRIES if entry.name == "dice_loss")
CASE = make_case(DICE, "multiclass", {"ignore_index": 255})
BY_CLASS = make_case(DICE, "multiclass", {"reduction": "none"})


@pytest.fixture
def exact():
    return truth(CASE)


def test_the_loss_itself_is_differentiated(backend, exact, monkeypatch):
    given, value_and_grad = [], agnoloss.value_and_grad
    monkeypatch.setattr(agnoloss, "value_and_grad", lambda f: given.append(f) or value_and_grad(f))
    assert compare(CASE, exact, backend, "float64").agrees
    evaluate(CASE, backend)
    assert given == [agnoloss.dice_loss, agnoloss.dice_loss]
    assert compare(BY_CLASS, truth(BY_CLASS), backend, "float64").agrees
    assert given[2] is not agnoloss.dice_loss  # three numbers: their weighted sum


@pytest.mark.parametrize("wrong", ["value", "gradient"])
def test_a_fault_of_value_and_grad_alone_is_found(backend, exact, monkeypatch, wrong):
    def spoilt(f):
        @functools.wraps(f)
        def call(*args, **options):
            value, gradient = value_and_grad(f)(*args, **options)
            return (1.001 * value, gradient) if wrong == "value" else (value, 1.001 * gradient)

        return call

    value_and_grad = agnoloss.value_and_grad
    monkeypatch.setattr(agnoloss, "value_and_grad", spoilt)
    result = compare(CASE, exact, backend, "float64")
    assert not result.agrees
    assert "value_and_grad" in str(result)
    assert (result.value > result.allowed) == (wrong == "value")
    if wrong == "value":
        with pytest.raises(AssertionError, match=r"by value_and_grad and .* values are"):
            evaluate(CASE, backend)


def test_a_fault_of_backward_alone_is_found(backend, exact, monkeypatch):
    if backend.name != "torch":
        pytest.skip(f"{backend.name} has no backward()")
    backward = backend.xp.Tensor.backward
    monkeypatch.setattr(backend.xp.Tensor, "backward", lambda number: backward(1.001 * number))
    result = compare(CASE, exact, backend, "float64")
    assert result.gradient > result.allowed_gradient
    assert str(result).endswith("by backward")
    with pytest.raises(AssertionError, match=r"by backward and .* gradients at"):
        evaluate(CASE, backend)

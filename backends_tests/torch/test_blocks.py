"""Blocks of tensors, as on a GPU; in host memory, where blocks are of NumPy's views otherwise."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import agnoloss
from agnoloss.backends import torch as backend
from backends_tests.blocks import in_blocks

LOSSES = {
    "cross entropy": agnoloss.cross_entropy_loss,
    "focal": agnoloss.focal_loss,
    "Dice": agnoloss.dice_loss,
    "squared Dice": lambda *a, **k: agnoloss.dice_loss(*a, squared=True, **k),
    "Dice and cross entropy": agnoloss.dice_cross_entropy_loss,
    "exponential": agnoloss.exponential_logarithmic_loss,
}


@pytest.fixture(autouse=True)
def on_tensors(monkeypatch):
    monkeypatch.setattr(backend, "_in_host_memory", lambda tensor: False)


def inputs(mode, seed=0):
    made = torch.Generator().manual_seed(seed)
    shape = (3, 1 if mode == "binary" else 4, 3, 5)
    scores = torch.randn(shape, generator=made, dtype=torch.float64)
    if mode == "multilabel":
        return scores, torch.randint(0, 2, shape, generator=made)
    labels = torch.randint(0, 4 if mode == "multiclass" else 2, (3, 3, 5), generator=made)
    labels[torch.rand(labels.shape, generator=made) < 0.2] = 255
    return scores, labels


def value_and_gradient(loss, scores, labels, **options):
    scores = scores.clone().requires_grad_()
    value = loss(scores, labels, **options)
    return value.detach(), torch.autograd.grad(value, scores)[0]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("mode", ["multiclass", "binary", "multilabel"])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_blocks_give_what_the_whole_gives(loss, mode, weighted):
    scores, labels = inputs(mode)
    options = {"mode": mode, "ignore_index": 255}
    if weighted:
        options["pixel_weights"] = torch.arange(45, dtype=torch.float64).reshape(3, 3, 5) % 4
    found = {}
    for blocks in ("on", "off"):
        with in_blocks(blocks):
            found[blocks] = value_and_gradient(loss, scores, labels, **options)
            without = loss(scores, labels, **options)
        torch.testing.assert_close(without, found[blocks][0])
    torch.testing.assert_close(found["on"], found["off"], rtol=1e-12, atol=1e-15)


def test_blocks_are_made(monkeypatch):
    made = []
    monkeypatch.setattr(backend.torch_blocks, "look", lambda *a: made.append(a) or 1 / 0)
    with in_blocks("on"), pytest.raises(ZeroDivisionError):
        agnoloss.cross_entropy_loss(*inputs("multiclass"), ignore_index=255)
    assert made


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([1e4, float("nan"), float("inf"), -float("inf")]), st.booleans())
def test_scores_of_ignored_pixels_leave_no_trace(score, sums):
    loss = agnoloss.dice_loss if sums else agnoloss.cross_entropy_loss
    scores, labels = inputs("multiclass")
    ignored = (labels == 255)[:, None].expand(scores.shape)
    with in_blocks("on"):
        value, gradient = value_and_gradient(loss, scores, labels, ignore_index=255)
        other = value_and_gradient(loss, scores.masked_fill(ignored, score), labels, ignore_index=255)
    torch.testing.assert_close(other, (value, gradient))
    assert (gradient[ignored] == 0).all()


@pytest.mark.parametrize("loss", [agnoloss.cross_entropy_loss, agnoloss.dice_loss])
def test_the_gradient_has_a_gradient(loss):
    scores, labels = inputs("multiclass")
    with in_blocks("on"):
        hessian = torch.autograd.functional.hessian(lambda z: loss(z, labels, ignore_index=255), scores)
        assert torch.autograd.gradgradcheck(
            lambda z: loss(z, labels, ignore_index=255), scores.requires_grad_(), atol=1e-6
        )
    assert hessian.abs().max() > 0


def test_a_second_backward_pass_gives_the_same_gradient():
    scores, labels = inputs("multiclass")
    scores.requires_grad_()
    with in_blocks("on"):
        value = agnoloss.dice_loss(scores, labels, ignore_index=255)
        first, second = (torch.autograd.grad(value, scores, retain_graph=True)[0] for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert first.data_ptr() != second.data_ptr()

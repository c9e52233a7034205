"""PyTorch: autograd in and out of `value_and_grad`, forward mode, and derivatives of any order."""

import gc
import inspect
import weakref

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.fx.experimental.proxy_tensor import make_fx

from agnoloss import (
    cross_entropy_loss,
    dice_loss,
    grad,
    jaccard_loss,
    tversky_loss,
    value_and_grad,
)
from conformance.tests.losses import LOSSES, mode_of

losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def inputs(loss, dtype=torch.float64, size=(2, 3, 4, 2), seed=0):
    """Predictions, targets and the mode."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(size, dtype=torch.float64, generator=generator).to(dtype)
    y = torch.randint(0, size[1], (size[0], *size[2:]), generator=generator)
    if mode_of(loss) == "multilabel":
        y = torch.nn.functional.one_hot(y, size[1]).movedim(-1, 1)
    return z, y, mode_of(loss)


@losses
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_backward_is_value_and_grad(loss, dtype):
    z, y, mode = inputs(loss, dtype)
    value, gradient = value_and_grad(loss)(z, y, mode=mode)
    leaf = z.clone().requires_grad_()
    direct = loss(leaf, y, mode=mode)
    assert direct.requires_grad
    assert (value.dtype, value.shape, gradient.dtype, gradient.shape) == (dtype, (), dtype, z.shape)
    direct.backward()
    assert torch.equal(value, direct.detach())
    assert torch.equal(gradient, leaf.grad)


@losses
def test_grad_is_untouched_and_results_are_detached(loss):
    z, y, mode = inputs(loss)
    leaf = z.clone().requires_grad_()
    inside = leaf * 2  # not a leaf: differentiation starts anew at the argument
    for at in (leaf, inside):
        value, gradient = value_and_grad(loss)(at, y, mode=mode)
        assert not value.requires_grad
        assert not gradient.requires_grad
        assert value.grad_fn is None
        assert gradient.grad_fn is None
        torch.testing.assert_close(gradient, grad(loss)(at.detach(), y, mode=mode), rtol=0, atol=0)
    assert leaf.grad is None
    assert not z.requires_grad
    leaf.grad = marker = torch.ones_like(leaf)
    grad(loss)(leaf, y, mode=mode)
    assert leaf.grad is marker
    assert torch.equal(marker, torch.ones_like(z))


def test_a_trainable_weight_passed_along_gets_no_grad():
    z, y, _ = inputs(dice_loss)
    weights = torch.ones(2, 4, 2, dtype=z.dtype, requires_grad=True)
    _, gradient = value_and_grad(dice_loss)(z, y, pixel_weights=weights)
    assert not gradient.requires_grad
    assert weights.grad is None
    dice_loss(z, y, pixel_weights=weights).backward()
    assert torch.all(weights.grad != 0)


@losses
def test_no_grad(loss):
    z, y, mode = inputs(loss)
    leaf = z.clone().requires_grad_()
    with torch.no_grad():
        assert not loss(leaf, y, mode=mode).requires_grad
        inside = value_and_grad(loss)(leaf, y, mode=mode)  # asks for a gradient, and gets it
    with torch.inference_mode():
        assert torch.equal(loss(z, y, mode=mode), inside[0])
    outside = value_and_grad(loss)(z, y, mode=mode)
    assert all(torch.equal(one, other) for one, other in zip(inside, outside, strict=True))


# The first forward-mode derivative in a process compiles torch's own decompositions with torch.jit.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@losses
def test_gradcheck(loss):
    """Against central differences, forward mode too, and the second derivative's."""
    z, y, mode = inputs(loss, size=(2, 3, 2, 2), seed=1)

    def value(scores):
        return loss(scores, y, mode=mode)

    z.requires_grad_()
    assert gradcheck(value, z, check_forward_ad=True, check_batched_grad=True)
    assert gradgradcheck(value, z, atol=1e-4)


@pytest.mark.parametrize("loss", [cross_entropy_loss, dice_loss, jaccard_loss, tversky_loss])
@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_gradcheck_of_every_argument(loss, reduction):
    """Soft targets, pixel weights and class weights carry gradients as predictions do."""
    z, _, mode = inputs(loss, size=(2, 3, 3))
    y = torch.softmax(torch.randn(2, 3, 3, dtype=z.dtype, generator=torch.Generator().manual_seed(2)), 1)
    weights = torch.linspace(0.5, 2, 6, dtype=z.dtype).reshape(2, 3)
    class_weights = torch.tensor([0.5, 1.0, 2.0], dtype=z.dtype)

    def value(scores, targets, pixel_weights, of_classes):
        return loss(
            scores,
            targets,
            mode=mode,
            pixel_weights=pixel_weights,
            class_weights=of_classes,
            reduction=reduction,
        )

    assert gradcheck(value, tuple(x.requires_grad_() for x in (z, y, weights, class_weights)))


@losses
def test_gradient_of_the_gradient(loss):
    """`create_graph` through the loss itself: a gradient penalty."""
    z, y, mode = inputs(loss)
    z.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(z, y, mode=mode), z, create_graph=True)
    if not gradient.requires_grad:  # the hinge is linear between its kinks
        assert loss.__name__ == "lovasz_hinge_loss"
        return
    (second,) = torch.autograd.grad((gradient**2).sum(), z)
    assert torch.all(torch.isfinite(second))
    assert second.abs().max() > 0


def test_soft_targets_that_require_grad():
    """A teacher is trained through its soft targets."""
    z, _, _ = inputs(dice_loss)
    teacher = torch.randn(z.shape, dtype=z.dtype, generator=torch.Generator().manual_seed(3)).requires_grad_()
    for loss in (cross_entropy_loss, dice_loss):
        loss(z, torch.softmax(teacher, 1)).backward()
        assert torch.all(teacher.grad != 0)
        teacher.grad = None


def test_gradients_of_sums_that_are_reduced():
    """`all_reduce` sees every sum, and what it does is differentiated: doubled sums are a doubled batch."""
    z, y, _ = inputs(dice_loss)
    twice = torch.cat([z, z]), torch.cat([y, y])
    for loss in LOSSES.values():
        if "all_reduce" not in inspect.signature(loss).parameters:
            continue  # a sort, or a ratio of each image, is no sum over pixels
        mode, at = mode_of(loss), z.clone().requires_grad_()
        targets = y if mode == "multiclass" else torch.nn.functional.one_hot(y, 3).movedim(-1, 1)
        both = targets.repeat(2, *[1] * (targets.ndim - 1))
        seen = []

        def double(sums, seen=seen):
            seen.append(sums.shape)
            return 2 * sums

        value = loss(at, targets, mode=mode, class_weights="balanced", all_reduce=double)
        value.backward()
        whole, gradient = value_and_grad(loss)(twice[0], both, mode=mode, class_weights="balanced")
        torch.testing.assert_close(value.detach(), whole, rtol=1e-14, atol=0)
        torch.testing.assert_close(at.grad, gradient[:2] + gradient[2:], rtol=1e-12, atol=1e-18)
        assert seen
        # of one number for each class, or each of a class's two sides
        assert all(max((0, *shape)) <= 3 for shape in seen), "sums are per class, not per pixel"


@losses
def test_nothing_is_kept_alive(loss):
    """A value that is dropped frees its graph and inputs without the cycle collector."""
    z, y, mode = inputs(loss)
    kept = torch.nn.Parameter(z)
    alive = weakref.ref(kept)
    gc.collect()
    gc.disable()
    try:
        value_and_grad(loss)(kept, y, mode=mode)
        loss(kept, y, mode=mode).backward()
        del kept
        assert alive() is None
    finally:
        gc.enable()


@losses
@pytest.mark.parametrize("size", [4, 200])
def test_a_graph_that_is_kept_gives_the_same_gradient_again(loss, size):
    """A rule gives away what it kept for the first backward pass, and computes it anew for the second."""
    z, y, mode = inputs(loss, size=(1, 3, size, size))
    z.requires_grad_()
    value = loss(z, y, mode=mode)
    (gradient,) = torch.autograd.grad(3 * value, z, retain_graph=True)
    (again,) = torch.autograd.grad(3 * value, z)
    assert torch.equal(again, gradient)
    without = loss(z.detach(), y, mode=mode)
    assert not without.requires_grad
    assert torch.equal(without, value.detach())


@pytest.mark.parametrize("size", [4, 200])
def test_what_is_changed_before_the_backward_pass_is_noticed_or_of_no_account(size):
    z, y = torch.randn(1, 3, size, size, requires_grad=True), torch.zeros(1, size, size, dtype=torch.int64)
    expected = grad(cross_entropy_loss)(z, y)
    value = cross_entropy_loss(z, y)
    y.fill_(1)
    if size == 4:  # labels are copied
        (found,) = torch.autograd.grad(value, z)
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
    else:  # chunks look at the targets as they were given
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            torch.autograd.grad(value, z)
    scores = 2 * z
    value = cross_entropy_loss(scores, y)
    with torch.no_grad():
        scores += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(value, z)


@pytest.mark.parametrize("size", [4, 200])
def test_traced_graphs_hold_no_number(size):
    z, y = torch.randn(1, 3, size, size), torch.zeros(1, size, size, dtype=torch.int64)
    other = torch.randn(1, 3, size, size)
    traced = make_fx(lambda z, y: cross_entropy_loss(z, y))(z, y)
    torch.testing.assert_close(traced(other, y), cross_entropy_loss(other, y))

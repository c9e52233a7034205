"""PyTorch: torch.func over the losses. Expected values come from loops and from autograd."""

import pytest
import torch
from torch.func import functional_call, grad, grad_and_value, hessian, jacfwd, jacrev, jvp, vjp, vmap

from agnoloss import cross_entropy_loss, dice_loss, value_and_grad
from conformance.tests.losses import LOSSES, MULTICLASS, REDUCTIONS, mode_of

losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
# The first forward-mode derivative in a process compiles torch's own decompositions with torch.jit.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

TASKS = 3


def inputs(loss, size=(2, 3, 2, 3)):
    """Predictions and targets of several tasks, and the loss with its mode."""
    generator = torch.Generator().manual_seed(4)
    z = torch.randn((TASKS, *size), dtype=torch.float64, generator=generator)
    y = torch.randint(0, size[1], (TASKS, size[0], *size[2:]), generator=generator)
    if mode_of(loss) == "multilabel":
        y = torch.nn.functional.one_hot(y, size[1]).movedim(-1, 2)
    return z, y, lambda z, y, **options: loss(z, y, mode=mode_of(loss), **options)


def close(one, other, rtol=1e-12):
    torch.testing.assert_close(one, other, rtol=rtol, atol=1e-16)


@losses
def test_grad(loss):
    z, y, call = inputs(loss)
    gradient, value = grad_and_value(call)(z[0], y[0])
    expected = value_and_grad(call)(z[0], y[0])
    close((value, gradient), expected)
    close(grad(call)(z[0], y[0]), expected[1])
    value, pull = vjp(lambda z: call(z, y[0]), z[0])
    close((value, pull(torch.ones_like(value))[0]), expected)


@losses
def test_vmap(loss):
    z, y, call = inputs(loss)
    close(vmap(call)(z, y), torch.stack([call(z[i], y[i]) for i in range(TASKS)]))
    close(vmap(call, in_dims=(0, None))(z, y[0]), torch.stack([call(z[i], y[0]) for i in range(TASKS)]))
    last = vmap(call, in_dims=(-1, 0))(z.movedim(0, -1), y)
    close(last, vmap(call)(z, y))


@losses
def test_vmap_of_options(loss):
    """Pixel weights, class weights and ignored labels, one set for each task."""
    z, y, call = inputs(loss)
    weights = torch.linspace(0, 2, TASKS * 12, dtype=z.dtype).reshape(TASKS, 2, 2, 3)
    of_classes = torch.linspace(0.5, 2, TASKS * 3, dtype=z.dtype).reshape(TASKS, 3)

    def each(z, y, u, w):
        return call(z, y, pixel_weights=u, class_weights=w, ignore_index=(1, 255))

    loop = [each(z[i], y[i], weights[i], of_classes[i]) for i in range(TASKS)]
    close(vmap(each)(z, y, weights, of_classes), torch.stack(loop))
    close(
        vmap(lambda z, y: call(z, y, class_weights="balanced"))(z, y),
        torch.stack([call(z[i], y[i], class_weights="balanced") for i in range(TASKS)]),
    )


@losses
def test_vmap_of_grad(loss):
    """A gradient for each sample, through torch.func and through agnoloss's own call."""
    z, y, call = inputs(loss)
    expected = torch.stack([value_and_grad(call)(z[i], y[i])[1] for i in range(TASKS)])
    close(vmap(grad(call))(z, y), expected)
    value, gradient = vmap(value_and_grad(call))(z, y)
    close(gradient, expected)
    close(value, vmap(call)(z, y))


@losses
def test_grad_of_vmap(loss):
    z, y, call = inputs(loss)
    gradient = grad(lambda z: vmap(call)(z, y).sum())(z)
    close(gradient, torch.stack([value_and_grad(call)(z[i], y[i])[1] for i in range(TASKS)]))


@losses
def test_jacobians(loss):
    """Forward and reverse mode agree, also of values per pixel or class."""
    z, y, call = inputs(loss)
    reduction = "none" if "none" in REDUCTIONS[loss] else "sum"

    def values(z):
        return call(z, y[0], reduction=reduction)

    reverse = jacrev(values)(z[0])
    assert reverse.shape == (*values(z[0]).shape, *z[0].shape)
    close(jacfwd(values)(z[0]), reverse)
    tangent = torch.linspace(-1, 1, z[0].numel(), dtype=z.dtype).reshape(z[0].shape)
    value, push = jvp(values, (z[0],), (tangent,))
    close(value, values(z[0]))
    close(push, (reverse * tangent).sum((-4, -3, -2, -1)), rtol=1e-10)


@losses
def test_hessian(loss):
    """Forward over reverse against reverse over reverse, and against differences of gradients."""
    z, y, call = inputs(loss, (1, 3, 2))

    def value(z):
        return call(z, y[0])

    second = hessian(value)(z[0])
    size = z[0].numel()
    close(second, jacrev(jacrev(value))(z[0]), rtol=1e-10)
    flat = second.reshape(size, size)
    close(flat, flat.T, rtol=1e-9)
    step = 1e-5 * torch.eye(size, dtype=z.dtype).reshape(size, *z[0].shape)
    differences = [(grad(value)(z[0] + e) - grad(value)(z[0] - e)).reshape(-1) / 2e-5 for e in step]
    torch.testing.assert_close(flat, torch.stack(differences), rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", MULTICLASS)
def test_a_label_out_of_range_is_nan_under_vmap(name):
    """One task's mistake is seen, and does not spoil the others."""
    z, y, call = inputs(MULTICLASS[name])
    expected = vmap(call)(z, y)
    y[1, 0, 0, 0] = 3
    values = vmap(call)(z, y)
    assert values.isnan().tolist() == [False, True, False]
    close(values[[0, 2]], expected[[0, 2]])
    assert vmap(lambda z, y: call(z, y, ignore_index=3))(z, y).isfinite().all()


def test_functional_call():
    """Gradients for the parameters of a stateless model, one for each image."""
    torch.manual_seed(0)
    model = torch.nn.Conv2d(2, 3, 1).double()
    x, y = torch.randn(4, 1, 2, 5, 5, dtype=torch.float64), torch.randint(0, 3, (4, 1, 5, 5))
    parameters = dict(model.named_parameters())

    def loss(parameters, x, y):
        return dice_loss(functional_call(model, parameters, x), y)

    each = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, x, y)
    for i in range(4):
        model.zero_grad()
        dice_loss(model(x[i]), y[i]).backward()
        for name, parameter in model.named_parameters():
            close(each[name][i], parameter.grad)


def test_aux_under_vmap():
    z, y, call = inputs(dice_loss)

    def step(z, y):
        return value_and_grad(lambda z: (call(z, y), {"entropy": cross_entropy_loss(z, y)}), has_aux=True)(z)

    (values, parts), gradients = vmap(step)(z, y)
    for i in range(TASKS):
        (value, part), gradient = step(z[i], y[i])
        close((values[i], parts["entropy"][i], gradients[i]), (value, part["entropy"], gradient))
        assert not part["entropy"].requires_grad
        assert not step(z[i].clone().requires_grad_(), y[i])[0][1]["entropy"].requires_grad


def test_value_and_grad_inside_a_transformation():
    """agnoloss's gradient differentiated by torch.func: a second derivative."""
    z, y, call = inputs(cross_entropy_loss)
    mixed = grad(lambda z: (value_and_grad(call)(z, y[0])[1] ** 2).sum())(z[0])
    leaf = z[0].clone().requires_grad_()
    (first,) = torch.autograd.grad(call(leaf, y[0]), leaf, create_graph=True)
    (expected,) = torch.autograd.grad((first**2).sum(), leaf)
    close(mixed, expected, rtol=1e-10)

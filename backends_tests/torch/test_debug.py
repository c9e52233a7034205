"""PyTorch: `agnoloss.debug()` under compilers and transformations."""

import re

import numpy as np
import pytest
import torch

import agnoloss
from agnoloss import cross_entropy_loss, dice_loss, value_and_grad
from conformance.tests.losses import MULTICLASS
from conformance.tests.test_debug import MARKED, Y, Z, wrong

# What PyTorch warns about itself, while it compiles
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:torch", "ignore:`torch.jit.script`:DeprecationWarning"
)

RIGHT = np.where(MARKED == 255, 2, MARKED)


@pytest.fixture(autouse=True)
def _fresh():
    torch._dynamo.reset()


def compiled(function, backend="aot_eager", **options):
    """In one graph; without Inductor, which takes its time."""
    return torch.compile(function, fullgraph=True, backend=backend, **options)


def exported(z, y):
    class Model(torch.nn.Module):
        def forward(self, z, y):
            return dice_loss(z, y)

    return torch.export.export(Model(), (z, torch.zeros_like(y))).module()(z, y)


TRANSFORMED = {
    "compile": compiled(dice_loss, backend="inductor"),
    "compile, dynamic": compiled(dice_loss, dynamic=True),
    "compile(value_and_grad)": compiled(value_and_grad(dice_loss)),
    "func.grad": torch.func.grad(dice_loss),
    "vmap": lambda z, y: torch.func.vmap(dice_loss)(z[:, None], y[:, None]),
    "vmap(grad)": lambda z, y: torch.func.vmap(torch.func.grad(dice_loss))(z[:, None], y[:, None]),
    "captured": lambda z, y: torch.func.grad(lambda q: dice_loss(q, y))(z),
    "hessian": torch.func.hessian(dice_loss),
    "compile(vmap)": lambda z, y: compiled(torch.func.vmap(dice_loss))(z[:, None], y[:, None]),
    "export": exported,
}


@pytest.mark.parametrize("call", TRANSFORMED.values(), ids=TRANSFORMED)
def test_transformations(call):
    z, wrong_labels, right = torch.tensor(Z), torch.tensor(MARKED), torch.tensor(RIGHT)
    usual = call(z, right)
    with agnoloss.debug():
        with pytest.raises(ValueError, match=r"`targets` must hold labels from 0 to 2; got 255\."):
            call(z, wrong_labels)
        looked = call(z, right)
    torch.testing.assert_close(looked, usual, rtol=0, atol=0)


@wrong
def test_all_that_has_a_range(arrays, options, sentence):
    options = {key: torch.tensor(x) if isinstance(x, np.ndarray) else x for key, x in options.items()}
    call = compiled(lambda z, y: cross_entropy_loss(z, y, **options))
    with agnoloss.debug(), pytest.raises(ValueError, match=re.escape(sentence)):
        call(*map(torch.tensor, arrays))


@pytest.mark.parametrize("loss", MULTICLASS.values(), ids=MULTICLASS)
def test_every_loss_looks(loss):
    call = compiled(loss, backend="eager")
    with agnoloss.debug(), pytest.raises(ValueError, match="`targets` must hold labels from 0 to 2; got 255"):
        call(torch.tensor(Z), torch.tensor(MARKED))


def test_what_was_compiled_before_looks_too():
    call = compiled(dice_loss, backend="eager")
    z, y = torch.tensor(Z), torch.tensor(MARKED)
    assert torch.isnan(call(z, y))
    with agnoloss.debug(), pytest.raises(ValueError, match="got 255"):
        call(z, y)
    assert torch.isnan(call(z, y))


def test_the_backward_pass():
    z, y = torch.tensor(Z, requires_grad=True), torch.tensor(Y)
    (usual,) = torch.autograd.grad(compiled(dice_loss)(z, y), z)
    with agnoloss.debug():
        (looked,) = torch.autograd.grad(compiled(dice_loss)(z, y), z)
    torch.testing.assert_close(looked, usual, rtol=0, atol=0)

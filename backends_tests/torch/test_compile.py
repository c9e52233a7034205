"""PyTorch: torch.compile in one graph, export, fake and meta tensors, which have no data to look at."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch._dynamo.testing import CompileCounter
from torch._subclasses.fake_tensor import FakeTensorMode

import agnoloss
from agnoloss import cross_entropy_loss, dice_loss, value_and_grad
from conformance.tests.losses import LOSSES, MULTICLASS, mode_of, takes

ROOT = Path(__file__).parents[2]
losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
# The compiler's own: it imports and calls what torch has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")


@pytest.fixture(autouse=True)
def _fresh():
    torch._dynamo.reset()
    dice_loss(torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64))  # the first call of all has its own test


FIRST_CALL = """
import torch, agnoloss
logits, labels = torch.zeros(2, 3, 4), torch.zeros(2, 4, dtype=torch.int64)
value = torch.compile(agnoloss.cross_entropy_loss, fullgraph=True, backend="eager")(logits, labels)
assert abs(value.item() - 1.0986123) < 1e-6
"""


def test_the_first_call_of_all_may_be_compiled():
    """In a new process, where agnoloss has not met a tensor yet."""
    done = subprocess.run(
        [sys.executable, "-c", FIRST_CALL], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


def inputs(loss, size=(2, 3, 4, 5), dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(size, dtype=torch.float64, generator=generator).to(dtype)
    y = torch.randint(0, size[1], (size[0], *size[2:]), generator=generator)
    if mode_of(loss) == "multilabel":
        y = torch.nn.functional.one_hot(y, size[1]).movedim(-1, 1)
    return z, y


def every_option(loss):
    """Options that change what is traced, all at once."""
    options = {
        "mode": mode_of(loss),
        "ignore_index": (1, 255),
        "pixel_weights": torch.linspace(0.0, 2.0, 40, dtype=torch.float64).reshape(2, 4, 5),
        "class_weights": [0.5, 1.0, 2.0],
        "classes": (0, 2),
        "smooth": (0.5, 1.0),
        "label_smoothing": 0.1,
        "alpha": [0.25, 0.5, 0.75] if loss is agnoloss.focal_loss else 0.3,
    }
    return {name: value for name, value in options.items() if takes(loss, name)}


def agrees(compiled, loss, z, y, options, rtol=1e-12):
    leaf = z.clone().requires_grad_()
    value = compiled(leaf, y, **options)
    value.backward()
    expected, gradient = value_and_grad(loss)(z, y, **options)
    torch.testing.assert_close(value.detach(), expected, rtol=rtol, atol=0)
    torch.testing.assert_close(leaf.grad, gradient, rtol=rtol, atol=1e-16)


# AOTAutograd takes 10 s a loss; one of each family shows that it can follow.
FAMILIES = ("cross_entropy_loss", "focal_loss", "dice_loss", "lovasz_softmax_loss", "boundary_loss")
followed = pytest.mark.parametrize("loss", [LOSSES[name] for name in FAMILIES], ids=FAMILIES)


@losses
def test_one_graph(loss):
    """With every option; without any, below, where sizes change."""
    compiler = "aot_eager" if loss.__name__ in FAMILIES else "eager"
    agrees(torch.compile(loss, fullgraph=True, backend=compiler), loss, *inputs(loss), every_option(loss))


@pytest.mark.parametrize("name", ["dice_cross_entropy_loss", "lovasz_softmax_loss"])
def test_inductor(name):
    z, y = inputs(LOSSES[name])
    compiled = torch.compile(LOSSES[name], fullgraph=True)
    agrees(compiled, LOSSES[name], z, y, every_option(LOSSES[name]))


@followed
def test_every_size_is_one_graph(loss):
    counter = CompileCounter()
    compiled = torch.compile(loss, fullgraph=True, backend=counter)
    for height, width in ((4, 5), (6, 7), (8, 9), (5, 12)):
        z, y = inputs(loss, (2, 3, height, width))
        for array in (z, y):
            torch._dynamo.mark_dynamic(array, array.ndim - 2)
            torch._dynamo.mark_dynamic(array, array.ndim - 1)
        compiled(z, y, mode=mode_of(loss))
    assert counter.frame_count == 1


@losses
def test_sizes_found_dynamic_by_the_compiler_itself(loss):
    """dynamic=None: the second size makes a general graph, and no other size a third, nor a wrong label."""
    counter, options = CompileCounter(), {"mode": mode_of(loss)}
    compiled = torch.compile(loss, fullgraph=True, backend=counter)
    for batch, size in ((2, 4), (3, 6), (4, 7), (5, 9)):
        z, y = inputs(loss, (batch, 3, size, size + 1))
        agrees(compiled, loss, z, y, options)
    assert counter.frame_count <= 2
    for label in (3, -1, 255):  # looking would break the graph; a number would hide the mistake
        y[1, ..., 2, 3] = label
        assert compiled(z.requires_grad_(), y, **options).isnan()
    assert counter.frame_count <= 2


@followed
def test_gradients_inside_the_graph(loss):
    z, y = inputs(loss)
    options = {"mode": mode_of(loss)}
    compiled = torch.compile(
        lambda z, y: value_and_grad(loss)(z, y, **options), fullgraph=True, backend="aot_eager"
    )
    for one, other in zip(compiled(z, y), value_and_grad(loss)(z, y, **options), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-16)


def test_aux_inside_the_graph():
    def with_aux(z, y):
        return dice_loss(z, y), {"cross entropy": cross_entropy_loss(z, y), "shape": [y]}

    z, y = inputs(dice_loss)
    for argnums in (0, (0,), ()):
        step = value_and_grad(with_aux, argnums, has_aux=True)
        torch.testing.assert_close(torch.compile(step, fullgraph=True, backend="eager")(z, y), step(z, y))


@pytest.mark.parametrize("loss", MULTICLASS.values(), ids=MULTICLASS)
def test_a_label_out_of_range_may_be_ignored(loss):
    """And no other with it. Every label is a constant of its own graph: the others for one loss alone."""
    z, y = inputs(loss)
    compiled = torch.compile(loss, fullgraph=True, backend="eager")
    for label in (3, -1, 255) if loss is cross_entropy_loss else (255,):
        y[1, 2, 3] = label
        assert compiled(z, y, ignore_index=label).isfinite()
        y[1, 2, 3] = 4
        assert compiled(z, y, ignore_index=label).isnan()


def test_wrong_shapes_are_errors_while_compiling_too():
    z, y = inputs(dice_loss)
    compiled = torch.compile(dice_loss, backend="eager")
    with pytest.raises(ValueError, match=r"`targets` must have shape \(2, 4, 5\)"):
        compiled(z, y[:, :3])


def test_a_model_with_its_loss():
    """One graph for both, trained for a few steps."""
    torch.manual_seed(0)
    model = torch.nn.Conv2d(2, 3, 3, padding=1)
    x, y = torch.randn(2, 2, 6, 6), torch.randint(0, 3, (2, 6, 6))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)

    @torch.compile(fullgraph=True, backend="aot_eager")
    def step(x, y):
        return agnoloss.dice_cross_entropy_loss(model(x), y, ignore_index=255)

    curve = []
    for _ in range(8):
        optimizer.zero_grad()
        value = step(x, y)
        value.backward()
        optimizer.step()
        curve.append(value.item())
    assert all(later < earlier for earlier, later in pairwise(curve))


@losses
def test_export(loss):
    """With sizes that are known at run time only."""
    options = {"mode": mode_of(loss)}

    class Module(torch.nn.Module):
        def forward(self, z, y):
            return loss(z, y, **options)

    z, y = inputs(loss)
    # from 4 on: the interior of a contour has 2 cells less, and one of length 1 is its own graph
    height, width = (torch.export.Dim(name, min=4, max=64) for name in ("height", "width"))
    shapes = tuple({array.ndim - 2: height, array.ndim - 1: width} for array in (z, y))
    exported = torch.export.export(Module(), (z, y), dynamic_shapes=shapes).module()
    for size in ((4, 5), (7, 6)):
        z, y = inputs(loss, (2, 3, *size))
        torch.testing.assert_close(exported(z, y), loss(z, y, **options), rtol=1e-13, atol=0)


@losses
def test_meta(loss):
    z, y = inputs(loss)
    options = {name: (v.to("meta") if torch.is_tensor(v) else v) for name, v in every_option(loss).items()}
    for given in ({"mode": mode_of(loss)}, options):
        value, gradient = value_and_grad(loss)(z.to("meta"), y.to("meta"), **given)
        assert (value.device.type, value.shape, value.dtype) == ("meta", (), torch.float64)
        assert (gradient.device.type, gradient.shape) == ("meta", z.shape)


@losses
def test_fake(loss):
    with FakeTensorMode() as mode:
        z, y = (mode.from_tensor(array) for array in inputs(loss))
        value = loss(z, y, mode=mode_of(loss))
    assert (value.shape, value.dtype) == ((), torch.float64)


def test_a_graph_holds_no_copy_of_the_options():
    """A number per class is a constant of the graph: another list is another graph, the same list is none."""
    counter = CompileCounter()
    compiled = torch.compile(cross_entropy_loss, fullgraph=True, backend=counter)
    z, y = inputs(cross_entropy_loss)
    for weights in ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]):
        compiled(z, y, class_weights=weights)
    assert counter.frame_count == 1


@pytest.mark.parametrize("name", ["cross_entropy_loss", "dice_cross_entropy_loss"])
def test_what_ignored_pixels_hold_leaves_no_trace(name):
    z, y = inputs(LOSSES[name])
    y[0, :2] = 255
    z[0, :, 0], z[0, 1, 1] = torch.nan, torch.inf
    compiled = torch.compile(LOSSES[name], fullgraph=True, backend="aot_eager")
    agrees(compiled, LOSSES[name], z, y, {"ignore_index": 255})
    weights = torch.ones(y.shape, dtype=z.dtype).masked_fill(y == 255, 0.0)
    agrees(compiled, LOSSES[name], z, y.clamp(0, 2), {"pixel_weights": weights})


@pytest.mark.parametrize("name", ["cross_entropy_loss", "dice_loss"])
def test_transformations_inside_the_graph(name):
    """Second derivatives, and gradients of a batch: dynamo has no rule for those of a Function."""
    z, y = inputs(LOSSES[name])

    def curvature(z):
        return (torch.func.grad(LOSSES[name])(z, y) ** 2).sum()

    def gradients(z):
        return torch.vmap(lambda z, y: torch.func.grad(LOSSES[name])(z[None], y[None]))(z, y)

    for function in (torch.func.grad(curvature), gradients):
        compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(z), function(z), rtol=1e-12, atol=1e-16)


def test_gradient_for_weights_inside_the_graph():
    z, y = inputs(dice_loss)
    compiled = torch.compile(dice_loss, fullgraph=True, backend="aot_eager")
    gradients = []
    for loss in (compiled, dice_loss):
        weights = torch.linspace(0, 2, y.numel(), dtype=z.dtype).reshape(y.shape).requires_grad_()
        loss(z, y, pixel_weights=weights).backward()
        gradients.append(weights.grad)
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("label", [2**40 + 1, -(2**40), 2**31])
def test_labels_beyond_32_bits(label):
    """They stop at the largest and the smallest: none becomes a class."""
    z, y = inputs(cross_entropy_loss)
    expected = cross_entropy_loss(z, y.masked_fill(y == 1, 255), ignore_index=255)
    y[y == 1] = label
    compiled = torch.compile(cross_entropy_loss, fullgraph=True, backend="eager")
    assert compiled(z, y).isnan()
    torch.testing.assert_close(compiled(z, y, ignore_index=label), expected, rtol=1e-12, atol=0)

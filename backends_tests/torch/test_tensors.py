"""PyTorch: dtypes, autocast, and every kind of tensor that people have in hand."""

import re

import pytest
import torch

from agnoloss import cross_entropy_loss, dice_loss, focal_loss, lovasz_softmax_loss, value_and_grad
from conformance.tests.losses import LOSSES, MULTICLASS, mode_of

losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
multiclass_losses = pytest.mark.parametrize("loss", MULTICLASS.values(), ids=MULTICLASS)
HALF = {torch.float16: 2.0**-10, torch.bfloat16: 2.0**-7}  # distance of neighbouring numbers at 1


def inputs(loss, dtype=torch.float32, size=(2, 3, 4, 5), seed=5):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(size, dtype=torch.float64, generator=generator).to(dtype)
    y = torch.randint(0, size[1], (size[0], *size[2:]), generator=generator)
    if mode_of(loss) == "multilabel":
        y = torch.nn.functional.one_hot(y, size[1]).movedim(-1, 1)
    return z, y, mode_of(loss)


# Half precision


@losses
@pytest.mark.parametrize("dtype", HALF)
def test_half_precision(loss, dtype):
    """Computed in float32: the value is that of the upcast input, the gradient rounded once."""
    z, y, mode = inputs(loss, dtype)
    value, gradient = value_and_grad(loss)(z, y, mode=mode)
    wide, wide_gradient = value_and_grad(loss)(z.float(), y, mode=mode)
    assert (value.dtype, gradient.dtype) == (torch.float32, dtype)
    torch.testing.assert_close(value, wide, rtol=0, atol=0)
    torch.testing.assert_close(gradient.float(), wide_gradient, rtol=HALF[dtype], atol=2.0**-24)
    leaf = z.clone().requires_grad_()
    loss(leaf, y, mode=mode).backward()
    torch.testing.assert_close(leaf.grad, gradient, rtol=0, atol=0)


@multiclass_losses
@pytest.mark.parametrize("dtype", HALF)
def test_half_soft_targets_and_weights(loss, dtype):
    z, _, _ = inputs(loss, dtype)
    soft = torch.softmax(inputs(loss, torch.float32, seed=6)[0], 1).to(dtype)
    weights = torch.linspace(0.5, 2, 40).reshape(2, 4, 5).to(dtype)
    of_classes = torch.tensor([0.5, 1, 2], dtype=dtype)
    value = loss(z, soft, pixel_weights=weights, class_weights=of_classes)
    wide = loss(z.float(), soft.float(), pixel_weights=weights.float(), class_weights=of_classes.float())
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, wide, rtol=0, atol=0)


@losses
@pytest.mark.parametrize("dtype", HALF)
def test_autocast(loss, dtype):
    """Autocast cannot make a float32 loss less exact."""
    z, y, mode = inputs(loss)
    expected = value_and_grad(loss)(z, y, mode=mode)
    with torch.autocast("cpu", dtype):
        value, gradient = value_and_grad(loss)(z, y, mode=mode)
    assert (value.dtype, gradient.dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close((value, gradient), expected, rtol=0, atol=0)


def test_a_model_under_autocast():
    """Its output is bfloat16, the loss float32, and the float32 parameters get their gradients."""
    torch.manual_seed(0)
    model = torch.nn.Conv2d(2, 3, 1)
    x, y = torch.randn(2, 2, 4, 5), torch.randint(0, 3, (2, 4, 5))
    with torch.autocast("cpu", torch.bfloat16):
        scores = model(x)
        value = dice_loss(scores, y)
    assert (scores.dtype, value.dtype) == (torch.bfloat16, torch.float32)
    value.backward()
    assert model.weight.grad.dtype == torch.float32
    by_autocast = model.weight.grad.clone()
    model.weight.grad = None
    dice_loss(model(x), y).backward()
    torch.testing.assert_close(by_autocast, model.weight.grad, rtol=0.05, atol=2.0**-9)


@losses
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_full_precision_stays(loss, dtype):
    z, y, mode = inputs(loss, dtype)
    value, gradient = value_and_grad(loss)(z, y, mode=mode)
    assert (value.dtype, gradient.dtype) == (dtype, dtype)


# Labels


@multiclass_losses
@pytest.mark.parametrize(
    "dtype",
    [
        *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
        *(torch.uint16, torch.uint32, torch.uint64),
    ],
)
def test_labels_of_every_integer_dtype(loss, dtype):
    z, y, _ = inputs(loss)
    expected = value_and_grad(loss)(z, y)
    torch.testing.assert_close(value_and_grad(loss)(z, y.to(dtype)), expected, rtol=0, atol=0)


def test_bool_labels():
    z, y, _ = inputs(cross_entropy_loss, size=(2, 2, 4, 5))
    torch.testing.assert_close(cross_entropy_loss(z, y.bool()), cross_entropy_loss(z, y), rtol=0, atol=0)


# Kinds of tensors


class Tagged(torch.Tensor):
    """A subclass, as fastai, MONAI and kornia have them."""


@losses
def test_parameters_and_subclasses(loss):
    z, y, mode = inputs(loss)
    expected = value_and_grad(loss)(z, y, mode=mode)
    parameter = torch.nn.Parameter(z.clone())
    torch.testing.assert_close(value_and_grad(loss)(parameter, y, mode=mode), expected, rtol=0, atol=0)
    loss(parameter, y, mode=mode).backward()
    torch.testing.assert_close(parameter.grad, expected[1], rtol=0, atol=0)
    for tagged in (
        (z.as_subclass(Tagged), y),
        (z, y.as_subclass(Tagged)),
        (z.as_subclass(Tagged), y.as_subclass(Tagged)),
    ):
        # A subclass may do something of its own in each operation: torch's are used, not NumPy's.
        value, gradient = value_and_grad(loss)(*tagged, mode=mode)
        torch.testing.assert_close(torch.Tensor(value.as_subclass(torch.Tensor)), expected[0])
        torch.testing.assert_close(gradient.as_subclass(torch.Tensor), expected[1])


@losses
def test_layouts_in_memory(loss):
    z, y, mode = inputs(loss)
    expected = value_and_grad(loss)(z, y, mode=mode)
    padded = torch.full((2, 3, 8, 15), float("nan"))
    padded[:, :, ::2, ::3] = z
    for same in (
        z.contiguous(memory_format=torch.channels_last),
        z.permute(3, 1, 0, 2).contiguous().permute(2, 1, 3, 0),
        padded[:, :, ::2, ::3],
        z[:, :, :, :1].expand(z.shape) * 0 + z,
    ):
        value, gradient = value_and_grad(loss)(same, y, mode=mode)
        torch.testing.assert_close(value, expected[0], rtol=1e-6, atol=0)
        torch.testing.assert_close(gradient, expected[1], rtol=1e-5, atol=1e-9)
    repeated = z[:1, :, :1, :1].expand(z.shape)
    torch.testing.assert_close(
        loss(repeated, y, mode=mode), loss(repeated.contiguous(), y, mode=mode), rtol=1e-6, atol=0
    )


@losses
def test_inputs_are_never_written_to(loss):
    z, y, mode = inputs(loss)
    versions = z._version, y._version
    value_and_grad(loss)(z, y, mode=mode)
    loss(z, y, mode=mode)
    assert (z._version, y._version) == versions


@losses
def test_deterministic_algorithms(loss):
    """The same bits in every run, also where torch refuses what is not deterministic."""
    z, y, mode = inputs(loss, size=(2, 3, 64, 64))
    first = value_and_grad(loss)(z, y, mode=mode)
    torch.use_deterministic_algorithms(True)
    try:
        second = value_and_grad(loss)(z, y, mode=mode)
    finally:
        torch.use_deterministic_algorithms(False)
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_the_default_dtype_plays_no_part():
    z, y, _ = inputs(lovasz_softmax_loss)
    expected = value_and_grad(lovasz_softmax_loss)(z, y, class_weights=[1, 2, 3])
    torch.set_default_dtype(torch.float64)
    try:
        changed = value_and_grad(lovasz_softmax_loss)(z, y, class_weights=[1, 2, 3])
    finally:
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(changed, expected, rtol=0, atol=0)


def test_the_default_device_plays_no_part():
    z, y, _ = inputs(dice_loss)
    expected = value_and_grad(dice_loss)(z, y, class_weights=[1, 2, 3], classes=(0, 2))
    with torch.device("meta"):
        inside = value_and_grad(dice_loss)(z, y, class_weights=[1, 2, 3], classes=(0, 2))
    torch.testing.assert_close(inside, expected, rtol=0, atol=0)


def test_torch_s_own_losses():
    """An independent implementation: values and gradients of torch.nn.functional."""
    z, y, _ = inputs(cross_entropy_loss, torch.float64)
    y[0, 0] = -100
    weights = torch.tensor([0.5, 1.0, 2.0], dtype=z.dtype)
    for smoothing in (0.0, 0.1):
        own = {"ignore_index": -100, "label_smoothing": smoothing, "class_weights": weights}
        theirs = {"ignore_index": -100, "label_smoothing": smoothing, "weight": weights}
        for reduction in ("mean", "sum", "none"):
            ours, other = (
                f(z, y, reduction=reduction, **options)
                for f, options in (
                    (cross_entropy_loss, own),
                    (torch.nn.functional.cross_entropy, theirs),
                )
            )
            torch.testing.assert_close(ours, other, rtol=1e-13, atol=1e-15)
    t = (y[:, None] == torch.arange(3)[:, None, None]).double()
    positive = torch.tensor([1.0, 2.0, 3.0], dtype=z.dtype)
    ours = cross_entropy_loss(z, t, mode="multilabel", pos_weight=positive)
    other = torch.nn.functional.binary_cross_entropy_with_logits(z, t, pos_weight=positive[:, None, None])
    torch.testing.assert_close(ours, other, rtol=1e-13, atol=0)


# Tensors that are none


def test_a_number_goes_with_any_device():
    """As torch has it: a 0-d tensor in host memory, scores elsewhere."""
    z, y = torch.zeros(2, 4, device="meta"), torch.zeros(2, 4, dtype=torch.int64, device="meta")
    assert focal_loss(z, y, mode="binary", alpha=torch.tensor(0.25)).device == z.device


SPARSE = [
    (lambda x: x.to_sparse(), "layout torch.sparse_coo", "{}.to_dense()"),
    (lambda x: x.flatten(1).to_sparse_csr(), "layout torch.sparse_csr", "{}.to_dense()"),
    (lambda x: torch.nested.nested_tensor(list(x)), "a nested one", "torch.nested.to_padded_tensor({}, 0)"),
    (
        lambda x: torch.nested.nested_tensor(list(x), layout=torch.jagged),
        "a nested one",
        "torch.nested.to_padded_tensor({}, 0)",
    ),
    (lambda x: torch.masked.masked_tensor(x, x == x), "a MaskedTensor", "`get_data()`"),
]


# torch says itself that these are prototypes
@pytest.mark.filterwarnings("ignore::UserWarning")
@losses
@pytest.mark.parametrize(("strange", "what", "way"), SPARSE)
def test_sparse_nested_and_masked_tensors_are_refused(loss, strange, what, way):
    z, y, mode = inputs(loss)
    given = {
        "predictions": z,
        "targets": y,
        "pixel_weights": torch.ones(2, 4, 5),
        "class_weights": torch.ones(3, 2),
    }
    for name, array in given.items():
        with pytest.raises(
            TypeError, match=f"^`{name}` must be a .*; got {what}.*{re.escape(way.format(name))}"
        ):
            loss(**{**given, name: strange(array)}, mode=mode)
    with pytest.raises(TypeError, match=f"must be a .*; got {what}"):
        value_and_grad(loss)(strange(z), y, mode=mode)

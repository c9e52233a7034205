"""What a loss refuses, and that the message names the argument, what was expected and what came.

Shapes, dtypes and choices; values are in `test_input_values.py`.
"""

import inspect
import re

import array_api_strict
import numpy as np
import pytest

import agnoloss

from .losses import BINARY, LOSSES, MULTICLASS, MULTILABEL, takes

RNG = np.random.default_rng(7)
Z = RNG.normal(size=(2, 3, 4))  # (N, C, *S) = (2, 3, 4)
Y = RNG.integers(0, 3, (2, 4))
ONE_HOT = np.eye(3)[Y].transpose(0, 2, 1)
B = RNG.integers(0, 2, (2, 3, 4))  # dense, multilabel

losses = pytest.mark.parametrize("loss", MULTILABEL.values(), ids=MULTILABEL)
binary_losses = pytest.mark.parametrize("loss", BINARY.values(), ids=BINARY)
multiclass_losses = pytest.mark.parametrize("loss", MULTICLASS.values(), ids=MULTICLASS)


def refused(kind, *words):
    """The error, with each of the words in its message."""
    return pytest.raises(kind, match="(?s)" + "".join(f"(?=.*{re.escape(word)})" for word in words))


# Shapes


@losses
def test_the_sentence_about_shapes(backend, loss):
    z = backend.array(np.zeros((4, 19, 64, 64), np.float32))
    y = backend.array(np.zeros((4, 64, 32), np.int64))
    sentence = (
        "`targets` must have shape (4, 64, 64) for predictions of shape (4, 19, 64, 64) with axis=1; "
        "got (4, 64, 32)."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        loss(z, y, mode="multilabel")


@multiclass_losses
@pytest.mark.parametrize(
    ("shape", "axis", "right"),
    [((2, 5, 6, 3), 1, -1), ((2, 3, 5, 6), -1, 1), ((2, 5, 3, 6), 1, 2)],
)
def test_an_axis_that_explains_the_shapes_is_named(backend, loss, shape, axis, right):
    z = np.zeros(shape)
    y = np.zeros(np.delete(shape, right), np.int64)
    assert loss(z, y, axis=right).shape == ()
    hint = f"axis={axis}; got {y.shape}. With axis={right} these shapes would fit."
    with refused(ValueError, "`targets`", str(shape), hint):
        loss(backend.array(z), backend.array(y), axis=axis)


@multiclass_losses
@pytest.mark.parametrize(
    "shape",
    [(1, 1, 4), (1, 4), (2, 5), (2,), (), (4,), (2, 2, 4), (3, 3, 4), (2, 3, 1), (2, 4, 3), (1, 2, 3, 4)],
    ids=str,
)
def test_targets_are_never_broadcast(backend, loss, shape):
    with refused(ValueError, "`targets`", "(2, 4)", "(2, 3, 4)", f"got {shape}"):
        loss(backend.array(Z), backend.array(np.zeros(shape, np.int64)))


@binary_losses
@pytest.mark.parametrize(
    ("of_predictions", "of_targets"),
    [
        ((2, 4, 4), (2, 1, 4, 4)),  # a class axis that only the targets have
        ((2, 3, 4), (2, 4)),  # three channels are no binary problem
        ((2, 1, 4), (2, 5)),
        ((4, 1), (1, 4)),
        ((4,), (4, 1)),
        ((2, 4), (2, 1)),
        ((2, 4), (4,)),
        ((2, 4), ()),
    ],
    ids=str,
)
def test_binary_targets_are_never_broadcast(backend, loss, of_predictions, of_targets):
    z, y = backend.array(np.zeros(of_predictions)), backend.array(np.zeros(of_targets))
    with refused(ValueError, "`targets`", str(of_predictions), f"got {of_targets}"):
        loss(z, y, mode="binary")


@multiclass_losses
def test_one_class_is_binary(backend, loss):
    with refused(ValueError, "`predictions`", "two classes", "(2, 1, 4)", 'mode="binary"'):
        loss(backend.array(Z[:, :1]), backend.array(Y * 0))


@losses
@pytest.mark.parametrize("axis", [3, -4, 7])
def test_an_axis_outside(backend, loss, axis):
    with refused(ValueError, "`predictions`", f"axis={axis}", "(2, 3, 4)"):
        loss(backend.array(Z), backend.array(B), mode="multilabel", axis=axis)


@losses
@pytest.mark.parametrize("axis", [1.0, "1", None, (1,), True])
def test_an_axis_that_is_no_int(backend, loss, axis):
    with refused(TypeError, "`axis`", "int", repr(axis)):
        loss(backend.array(Z), backend.array(B), mode="multilabel", axis=axis)


@pytest.mark.parametrize(
    ("loss", "mode"),
    [*((x, "multiclass") for x in MULTICLASS.values()), *((x, "multilabel") for x in MULTILABEL.values())],
)
def test_no_class_axis(backend, loss, mode):
    with refused(ValueError, "`predictions`", "class axis", "(4,)"):
        loss(backend.array(Z[0, 0]), backend.array(Y[0]), mode=mode)


@binary_losses
def test_a_number_has_no_batch(backend, loss):
    with refused(ValueError, "`predictions`", "()"):
        loss(backend.array(np.asarray(0.5)), backend.array(np.asarray(1)), mode="binary")


# Dtypes and what is no array


@losses
@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool", "complex128"])
def test_predictions_are_floating(backend, loss, dtype):
    with refused(TypeError, "`predictions`", "floating", dtype):
        loss(backend.array(np.ones((2, 3, 4), dtype)), backend.array(B), mode="multilabel")


@losses
def test_complex_targets(backend, loss):
    with refused(TypeError, "`targets`", "complex"):
        loss(backend.array(Z), backend.array(B + 0j), mode="multilabel")


@multiclass_losses
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_labels_are_integers(backend, loss, dtype):
    way = {
        "torch": "targets.long()",
        "jax": "targets.astype(int)",
        "strict": "array_api_strict.asarray(targets, dtype=array_api_strict.int64)",
    }.get(backend.name, f"{backend.name}.asarray(targets, dtype={backend.name}.int64)")
    targets = backend.array(Y.astype(dtype))
    with refused(TypeError, "`targets`", "integer or bool", dtype, f"for example with {way}."):
        loss(backend.array(Z), targets)
    names = {"targets": targets, "numpy": np, "cupy": backend.xp, "array_api_strict": array_api_strict}
    assert backend.numpy(loss(backend.array(Z), eval(way, names))).shape == ()


@losses
@pytest.mark.parametrize("wrong", [[[0, 1]], 0.5, None, "cat", range(4), np.float64, np])
def test_what_is_no_array(backend, loss, wrong):
    name = type(wrong).__name__
    with refused(TypeError, "`predictions`", "array", name):
        loss(wrong, backend.array(B), mode="multilabel")
    if wrong is None and loss is agnoloss.boundary_loss:  # which can do without, given distance maps
        with refused(ValueError, "`targets`", "distance_maps", "None"):
            loss(backend.array(Z), None, mode="multilabel")
        return
    with refused(TypeError, "`targets`", "array", name):
        loss(backend.array(Z), wrong, mode="multilabel")


@losses
def test_pixel_weights_that_are_no_array(backend, loss):
    with refused(TypeError, "`pixel_weights`", "array", "list"):
        loss(backend.array(Z), backend.array(B), mode="multilabel", pixel_weights=[[1.0] * 4] * 2)


@losses
def test_complex_pixel_weights(backend, loss):
    weights = backend.array(np.ones((2, 4), complex))
    with refused(TypeError, "`pixel_weights`", "real", "complex"):
        loss(backend.array(Z), backend.array(B), mode="multilabel", pixel_weights=weights)


# Two libraries in one call


def foreign(backend, values):
    """An array of NumPy, or of array-api-strict where NumPy's own would do, and its library's name."""
    if backend.name in ("numpy", "jax"):
        return array_api_strict.asarray(values), "array_api_strict"
    return values, "numpy"


OWN = {"strict": "array_api_strict"}
HINT = {"torch": "torch.as_tensor(", "jax": "jax.numpy.asarray("}


@losses
@pytest.mark.parametrize("argument", ["targets", "pixel_weights", "class_weights"])
def test_two_libraries(backend, loss, argument):
    z, y = backend.array(Z), backend.array(B)
    values = {"targets": B, "pixel_weights": np.ones((2, 4)), "class_weights": np.ones(3)}[argument]
    options = {"mode": "multilabel"}
    other, library = foreign(backend, values)
    own = OWN.get(backend.name, backend.name)
    if argument == "class_weights" and library == "numpy":
        loss(z, y, class_weights=other, **options)  # one number for each class: as good as a list
        return
    if argument == "targets":
        y = other
    else:
        options[argument] = other
    with refused(TypeError, f"`{argument}`", f"got one of {library}", own, HINT.get(own, f"{own}.asarray(")):
        loss(z, y, **options)


# Choices

WRONG_CHOICES = [
    ({"mode": "softmax"}, ValueError, ["`mode`", '"multilabel"', "'softmax'"]),
    ({"mode": None}, ValueError, ["`mode`", "None"]),
    ({"reduction": "average"}, ValueError, ["`reduction`", '"mean" or "sum"', "'average'"]),
    ({"reduction": None}, ValueError, ["`reduction`", "None"]),
    ({"class_weights": "auto"}, ValueError, ["`class_weights`", '"balanced"', "'auto'"]),
    ({"ignore_index": 1.0}, TypeError, ["`ignore_index`", "int", "1.0"]),
    ({"ignore_index": "255"}, TypeError, ["`ignore_index`", "int", "'255'"]),
    ({"ignore_index": True}, TypeError, ["`ignore_index`", "int", "got True"]),
    ({"ignore_index": [255, False]}, TypeError, ["`ignore_index`", "int", "got [255, False]"]),
    ({"ignore_index": [255, 0.5]}, TypeError, ["`ignore_index`", "int", "0.5"]),
]


@losses
@pytest.mark.parametrize(("options", "kind", "words"), WRONG_CHOICES)
def test_wrong_choices(backend, loss, options, kind, words):
    with refused(kind, *words):
        loss(backend.array(Z), backend.array(B), **{"mode": "multilabel", **options})


@pytest.mark.parametrize("name", [name for name in LOSSES if name not in MULTICLASS])
def test_no_multiclass(backend, name):
    with refused(ValueError, "`mode`", '"binary" or "multilabel"', "'multiclass'"):
        LOSSES[name](backend.array(Z), backend.array(Y), mode="multiclass")


@pytest.mark.parametrize("loss", [x for x in MULTILABEL.values() if takes(x, "from_logits")])
@pytest.mark.parametrize("wrong", ["no", 0, None, np.bool_(True)])
def test_from_logits_is_a_bool(backend, loss, wrong):
    with refused(TypeError, "`from_logits`", "True or False", repr(wrong)):
        loss(backend.array(Z), backend.array(B), mode="multilabel", from_logits=wrong)


def test_the_hinge_takes_scores_only(backend):
    with refused(TypeError, "from_logits"):
        agnoloss.lovasz_hinge_loss(backend.array(Z[:, 0]), backend.array(B[:, 0]), from_logits=True)


def test_a_compound_has_no_values_per_pixel(backend):
    with refused(ValueError, "`reduction`", '"mean" or "sum"', "'none'"):
        agnoloss.dice_cross_entropy_loss(backend.array(Z), backend.array(Y), reduction="none")


@multiclass_losses
def test_dense_multiclass_targets_have_no_label_to_ignore(backend, loss):
    with refused(ValueError, "`ignore_index`", "dense", "255", "`pixel_weights`"):
        loss(backend.array(Z), backend.array(ONE_HOT), ignore_index=255)


# How they are called


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_every_loss_takes_the_same_words(loss):
    parameters = inspect.signature(loss).parameters
    names = list(parameters)
    assert names[:3] == ["predictions", "targets", "mode"]
    assert all(parameters[name].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for name in names[:2])
    assert all(parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in names[2:])
    common = ["mode", "from_logits", "axis", "ignore_index", "pixel_weights", "class_weights", "reduction"]
    if loss is agnoloss.lovasz_hinge_loss:
        common.remove("from_logits")
    assert [name for name in names if name in common] == common
    sorts = ("lovasz_softmax_loss", "lovasz_hinge_loss", "top_k_cross_entropy_loss")
    of_sums = loss.__name__ not in (*sorts, "boundary_f1_loss")  # which has one ratio for each image
    assert (names[-1] == "all_reduce") == of_sums


@losses
def test_only_predictions_and_targets_by_position(backend, loss):
    z, y = backend.array(Z), backend.array(B)
    with pytest.raises(TypeError, match="positional"):
        loss(z, y, "multilabel")
    with pytest.raises(TypeError, match="unexpected keyword"):
        loss(z, y, ignore_label=255)


@multiclass_losses
def test_predictions_and_targets_by_keyword(backend, loss):
    z, y = backend.array(Z.reshape(2, 3, 2, 2)), backend.array(Y.reshape(2, 2, 2))
    assert float(loss(targets=y, predictions=z)) == float(loss(z, y))

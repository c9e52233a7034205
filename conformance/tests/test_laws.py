"""Every law on every loss and library; and for every law a loss that breaks it, which the law must catch."""

import dataclasses
import functools

import numpy as np
import pytest

import agnoloss
from agnoloss import cross_entropy_loss, dice_loss, jaccard_loss, tversky_loss
from agnoloss.compat import array_namespace

from ..laws.all_laws import BY_NAME, LAWS, breaches, excused, needless
from ..suite.libraries import requested
from ..suite.registry import ENTRIES, Entry

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # dynamo's own

ENTRY = {entry.name: entry for entry in ENTRIES}


# These have files of their own, `agreement` for every case, the others for every library.
ELSEWHERE = (
    *("agreement", "confident", "empty channel", "factor of zero"),
    *("gradient of targets", "gradient of weights"),
)


@pytest.mark.parametrize("law", [law for law in LAWS if law.name not in ELSEWHERE], ids=lambda law: law.name)
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_loss_obeys(backend, entry, law):
    # Elsewhere one mode will do: `agreement` compares every mode with 50 digits.
    all_found = breaches(law, entry, backend, thorough=backend.name == "numpy")
    found = [str(breach) for breach in all_found if not excused(entry, breach)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_no_exemption_is_needless(entry):
    libraries = requested("numpy,strict")  # one that has kinks to compare with NumPy's
    with libraries[0].active(), libraries[1].active():
        assert not list(needless(entry, libraries))


def test_needless_exemptions_are_found(backend):
    entry = ENTRY["dice_loss"]
    wrong = {
        "gravity": "no such law",
        "alpha": "a law, but not about Dice",
        "minimum with gamma": "no such option",
        "unit class weights": "it obeys this one",
    }
    found = list(needless(dataclasses.replace(entry, exempt=entry.exempt | wrong), [backend]))
    assert found == [
        "dice_loss is exempt from 'gravity', which is no law about it",
        "dice_loss is exempt from 'alpha', which is no law about it",
        "dice_loss is exempt from 'minimum with gamma', which is no law about it",
        "dice_loss is exempt from 'unit class weights', and obeys it",
    ]


def test_an_exemption_with_an_option_covers_no_more():
    entry = ENTRY["cross_entropy_loss"]
    smoothed, plain = (
        next(case for name, case in BY_NAME["minimum"].cases(entry) if ("smoothing" in name) == smoothing)
        for smoothing in (True, False)
    )
    assert "label_smoothing" in smoothed.options
    assert "label_smoothing" not in plain.options
    assert "minimum" not in entry.exempt


@pytest.mark.parametrize(
    ("loss", "score"),
    [
        (dice_loss, agnoloss.dice_score),
        (jaccard_loss, agnoloss.jaccard_score),
        (tversky_loss, agnoloss.tversky_score),
    ],
)
def test_merged_counts_give_the_loss_of_the_whole(backend, loss, score):
    rng = np.random.default_rng(3)
    z, y = rng.normal(size=(2, 3, 8)), rng.integers(0, 3, (2, 8))
    for axis in (0, -1):
        halves = [[np.take(x, half, axis) for x in (z, y)] for half in ([0], range(1, y.shape[axis]))]
        one, other = (agnoloss.confusion(*map(backend.array, half)) for half in halves)
        merged = 1 - np.mean(backend.numpy(score(one.merge(other), smooth=1.0)))
        whole = backend.numpy(loss(backend.array(z), backend.array(y)))
        np.testing.assert_allclose(merged, whole, rtol=1e-14)  # sums of 16 terms in another order


# --- losses that break one law ----------------------------------------------------------------

BROKEN = []


def breaks(law, loss):
    """Note a function as the loss, broken so that a law catches it."""

    def note(function):
        BROKEN.append((law, loss, function))
        return function

    return note


def library_of(array):
    """First word of the module of an array, or of the dtype of one under differentiation."""
    own = type(array).__module__.partition(".")[0]
    return own if own != "agnoloss" else type(array.dtype).__module__.partition(".")[0]


def is_half(array):
    return "float16" in str(array.dtype)


def reversed_gradient(value):
    """The right value with the gradient of its negative: a large number swallows it, not its slope."""
    large = 2.0**100 if "float32" in str(value.dtype) else 2.0**400
    return value + ((large - 2 * value) - large)


@breaks("ignoring", dice_loss)
def ignored_pixels_are_background(p, t, ignore_index=None, **options):
    if ignore_index is not None:
        t = array_namespace(t).where(t == ignore_index, 0, t)
    return dice_loss(p, t, **options)


@breaks("ignoring", cross_entropy_loss)
def ignored_pixels_are_in_the_divisor(p, t, ignore_index=None, **options):
    value = cross_entropy_loss(p, t, ignore_index=ignore_index, **options | {"reduction": "sum"})
    return value / t.size if isinstance(t.size, int) else value / t.numel()


@breaks("zero weight", dice_loss)
def no_weight_is_zero(p, t, pixel_weights=None, **options):
    if pixel_weights is not None:
        pixel_weights = array_namespace(pixel_weights).where(pixel_weights == 0, 0.125, pixel_weights)
    return dice_loss(p, t, pixel_weights=pixel_weights, **options)


@breaks("unit pixel weights", dice_loss)
def weights_are_doubled(p, t, pixel_weights=None, **options):
    return dice_loss(p, t, pixel_weights=None if pixel_weights is None else 2 * pixel_weights, **options)


@breaks("unit class weights", cross_entropy_loss)
def classes_weigh_unless_weighted(p, t, class_weights=None, **options):
    count = 2 if options["mode"] == "binary" else 3
    scale = 1.5 if class_weights is None else 1.0
    return scale * cross_entropy_loss(p, t, class_weights=class_weights or [1.0] * count, **options)


@breaks("doubling", cross_entropy_loss)
@breaks("doubling class weights", cross_entropy_loss)
def weights_are_not_in_the_divisor(p, t, **options):
    return cross_entropy_loss(p, t, **options | {"reduction": "sum"})


@breaks("doubling unsmoothed", dice_loss)
def smoothed_all_the_same(p, t, smooth=1.0, **options):
    return dice_loss(p, t, smooth=(smooth, smooth + 0.25), **options)


@breaks("splitting", dice_loss)
def sums_stay_here(p, t, all_reduce=None, **options):
    return dice_loss(p, t, **options)


@breaks("per image", cross_entropy_loss)
def images_share_a_divisor(p, t, reduction="mean", **options):
    value = cross_entropy_loss(p, t, reduction=reduction, **options)
    return value / p.shape[0] if reduction == "per_image" else value


@breaks("nan", cross_entropy_loss)
def nan_is_hidden(p, t, **options):
    value = cross_entropy_loss(p, t, **options)
    return array_namespace(value).where(value == value, value, 0.0)


@breaks("nan", cross_entropy_loss)
def nan_leaks_from_ignored_pixels(p, t, **options):
    return cross_entropy_loss(p, t, **options) + 0.0 * array_namespace(p).sum(p)


@breaks("axis", dice_loss)
def another_axis_is_another_loss(p, t, axis=1, **options):
    return dice_loss(p, t, axis=axis, **options) ** (1 if axis == 1 else 2)


@breaks("one-hot", cross_entropy_loss)
def one_hot_is_smoothed(p, t, **options):
    smoothing = 0.1 if t.ndim == p.ndim else 0.0
    return cross_entropy_loss(p, t, **options | {"label_smoothing": smoothing})


@breaks("permutation", dice_loss)
def background_is_left_out(p, t, **options):
    foreground = (1, 2) if options["mode"] != "binary" else "all"
    return dice_loss(p, t, **options | {"classes": foreground})


@breaks("minimum", dice_loss)
def large_scores_cost(p, t, **options):
    return dice_loss(p, t, **options) + 1e-3 * array_namespace(p).mean(p * p)


@breaks("two classes", cross_entropy_loss)
def foreground_weighs_as_background(p, t, class_weights=None, **options):
    if class_weights is not None and options["mode"] == "binary":
        class_weights = [1.0, 1.0]
    return cross_entropy_loss(p, t, class_weights=class_weights, **options)


@breaks("two classes", agnoloss.focal_loss)
def sigmoid_has_another_slope(p, t, **options):
    return agnoloss.focal_loss(2 * p if options["mode"] == "binary" else p, t, **options)


@breaks("two classes of pixels", cross_entropy_loss)
def pixels_are_not_weighted(p, t, class_weights=None, **options):
    options |= {} if options["mode"] == "binary" else {"class_weights": class_weights}
    return cross_entropy_loss(p, t, **options)


@breaks("alpha", tversky_loss)
def alpha_is_beta(p, t, alpha=0.3, beta=0.7, **options):
    return tversky_loss(p, t, alpha=beta, beta=alpha, **options)


@breaks("factor of zero", cross_entropy_loss)
def weights_multiply_what_is_infinite(p, t, class_weights=None, **options):
    value = cross_entropy_loss(p, t, class_weights=class_weights, **options)
    return value + 0.0 * cross_entropy_loss(p, t, **options)


@breaks("empty channel", dice_loss)
def nothing_valid_is_a_perfect_score(p, t, ignore_index=None, **options):
    if ignore_index is not None:
        xp = array_namespace(t)
        nothing, t = t == ignore_index, xp.where(t == ignore_index, 0, t)
        p = xp.where(nothing, -1e4, p)
    return dice_loss(p, t, **options)


@breaks("agreement", dice_loss)
def off_where_numbers_are_rounded(p, t, **options):
    value = dice_loss(p, t, **options)
    return value if library_of(p) == "mparray" else value * 1.0001


@breaks("gradient", dice_loss)
def ascends(p, t, **options):
    return reversed_gradient(dice_loss(p, t, **options))


@breaks("gradient of weights", dice_loss)
def ascends_by_weights(p, t, pixel_weights=None, **options):
    weights = None if pixel_weights is None else reversed_gradient(pixel_weights)
    return dice_loss(p, t, pixel_weights=weights, **options)


@breaks("gradient of targets", cross_entropy_loss)
def targets_of_0_have_no_slope(p, t, **options):
    if t.shape == p.shape and "float" in str(t.dtype):
        t = array_namespace(t).where(t == 0, 0.0, t)
    return cross_entropy_loss(p, t, **options)


@breaks("kinks", dice_loss)
def another_side_of_the_kink(p, t, **options):
    slope = p >= 0 if library_of(p) == "numpy" else p > 0
    xp = array_namespace(p)
    return dice_loss(p, t, **options) + xp.sum(xp.where(slope, p, 0.0))


@breaks("jit", dice_loss)
@breaks("vmap", dice_loss)
@breaks("no wait", dice_loss)
def looks_at_its_value(p, t, **options):
    value = dice_loss(p, t, **options)
    return value if float(value) < 100 else 0 * value


@breaks("half", dice_loss)
def ascends_in_half_precision(p, t, **options):
    value = dice_loss(p, t, **options)
    return reversed_gradient(value) if is_half(p) else value


@breaks("extremes", dice_loss)
def overflows(p, t, **options):
    xp = array_namespace(p)
    return dice_loss(p, t, **options) + 0 * xp.sum(xp.exp(xp.astype(p, xp.float32)))


@breaks("confident", cross_entropy_loss)
def plain_log_sum_exp(p, t, **options):
    """Right to a few ulp of 1: exact enough for every other law."""
    if options["mode"] != "multiclass":
        return cross_entropy_loss(p, t, **options)
    xp = array_namespace(p)
    true = xp.take_along_axis(p, xp.expand_dims(t, axis=1), axis=1)
    return xp.mean(xp.log(xp.sum(xp.exp(p), axis=1, keepdims=True)) - true)


@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
@pytest.mark.parametrize(
    ("law", "loss", "broken"), BROKEN, ids=[f"{law}-{broken.__name__}" for law, _, broken in BROKEN]
)
def test_a_broken_loss_is_caught(backend, law, loss, broken):
    law = BY_NAME[law]
    if not law.speaks_of(backend) or (law.name == "half" and "float16" in backend.refuses):
        return
    entry = ENTRY[loss.__name__]
    broken = functools.wraps(loss)(lambda *args, _broken=broken, **options: _broken(*args, **options))
    found = list(breaches(law, dataclasses.replace(entry, function=broken), backend))
    modes = {breach.case.options["mode"] for breach in found}
    assert modes, f"{law.name} does not catch it"
    assert all(law.name in str(breach) and backend.name in str(breach) for breach in found)
    # Without the fault it obeys: nothing else is caught.
    assert all(excused(entry, breach) for breach in breaches(law, entry, backend))


def test_every_law_has_a_loss_that_breaks_it():
    assert {law for law, _, _ in BROKEN} == BY_NAME.keys()
    assert len(BY_NAME) == len(LAWS)


def test_what_a_loss_raises_and_what_it_lacks_breaks_the_law(backend):
    def raising(predictions, targets, *, mode):
        raise RuntimeError("out of order")

    entry = Entry(raising, modes=("binary",))
    (breach,) = breaches(BY_NAME["one-hot"], dataclasses.replace(entry, modes=("multiclass",)), backend)
    assert breach.complaint == "raised RuntimeError: out of order"
    assert {b.complaint for b in breaches(BY_NAME["ignoring"], entry, backend)} == {
        "it takes no `ignore_index`"
    }

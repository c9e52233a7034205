"""Options that are numbers may be arrays of one: traced, annealed without a recompile, learnt."""

import numpy as np
import pytest

import agnoloss
from conformance.suite.libraries import LIBRARIES

RNG = np.random.default_rng(5)
Z = RNG.normal(size=(2, 3, 4, 5))
Y = RNG.integers(0, 3, (2, 4, 5))
MASK = RNG.integers(0, 2, (2, 4, 5))
NUMBERS = [
    ("cross_entropy_loss", {"label_smoothing": 0.1}, "multiclass"),
    ("cross_entropy_loss", {"label_smoothing": 0.1, "pos_weight": 2.5}, "binary"),
    ("balanced_cross_entropy_loss", {"beta": 0.7}, "binary"),
    ("focal_loss", {"gamma": 1.5, "label_smoothing": 0.2}, "multiclass"),
    ("focal_loss", {"gamma": 2.0, "alpha": 0.3, "pos_weight": 3.0}, "binary"),
    ("dice_loss", {"smooth": 0.5}, "multiclass"),
    ("jaccard_loss", {"smooth": 0.5}, "binary"),
    ("tversky_loss", {"alpha": 0.3, "beta": 0.6, "smooth": 0.5}, "multiclass"),
    ("focal_tversky_loss", {"gamma": 1.5, "alpha": 0.3, "beta": 0.6}, "multiclass"),
    ("generalized_dice_loss", {"smooth": 0.5}, "multiclass"),
    (
        "dice_cross_entropy_loss",
        {"dice_weight": 0.4, "cross_entropy_weight": 1.5, "smooth": 0.5},
        "multiclass",
    ),
    ("combo_loss", {"alpha": 0.4, "beta": 0.6, "smooth": 0.5}, "multiclass"),
    (
        "exponential_logarithmic_loss",
        {"dice_weight": 0.7, "cross_entropy_weight": 0.4, "gamma_dice": 0.5, "gamma_cross_entropy": 1.5},
        "multiclass",
    ),
    ("dice_boundary_loss", {"alpha": 0.4, "smooth": 0.5}, "multiclass"),
    ("active_contour_loss", {"weight": 3.0}, "multiclass"),
    ("conservative_loss", {"lam": 4.0}, "multiclass"),
]
numbers = pytest.mark.parametrize(
    ("name", "options", "mode"), NUMBERS, ids=[f"{n}-{m}" for n, _, m in NUMBERS]
)


def made(backend, mode):
    z, y = (Z[:, 0], MASK) if mode == "binary" else (Z, Y)
    return backend.array(z), backend.array(y)


def value(name, mode, options):
    """By NumPy, from Python's numbers."""
    z, y = (Z[:, 0], MASK) if mode == "binary" else (Z, Y)
    return float(getattr(agnoloss, name)(z, y, mode=mode, **options))


@numbers
def test_arrays_of_one_number(backend, name, options, mode):
    z, y = made(backend, mode)
    arrays = {key: backend.array(np.asarray(number)) for key, number in options.items()}
    found = getattr(agnoloss, name)(z, y, mode=mode, **arrays)
    np.testing.assert_allclose(backend.numpy(found), value(name, mode, options), rtol=1e-12)
    # NumPy's numbers are numbers in every library
    plain = {key: np.float32(number) for key, number in options.items()}
    found = getattr(agnoloss, name)(z, y, mode=mode, **plain)
    np.testing.assert_allclose(backend.numpy(found), value(name, mode, options), rtol=1e-6)


@numbers
def test_the_gradient_by_a_number_is_the_central_difference(backend, name, options, mode):
    z, y = made(backend, mode)
    loss, keys, step = getattr(agnoloss, name), list(options), 1e-5

    def of_numbers(*given):
        return loss(z, y, mode=mode, **dict(zip(keys, given, strict=True)))

    given = [backend.array(np.asarray(options[key])) for key in keys]
    found, gradients = agnoloss.value_and_grad(of_numbers, tuple(range(len(keys))))(*given)
    np.testing.assert_allclose(backend.numpy(found), value(name, mode, options), rtol=1e-12)
    for key, gradient in zip(keys, gradients, strict=True):
        ends = [value(name, mode, options | {key: options[key] + sign * step}) for sign in (1, -1)]
        np.testing.assert_allclose(
            backend.numpy(gradient), (ends[0] - ends[1]) / (2 * step), rtol=1e-6, atol=1e-9, err_msg=key
        )


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_gamma_in_an_array_at_its_edges(backend, gamma):
    """Also where the other side's probability is 0 or 1 to all digits."""
    z = backend.array(np.asarray([[60.0, 0.0, -60.0], [0.5, -0.5, 1.0]]))
    y = backend.array(np.asarray([0, 2]))

    def focal(scores, exponent):
        return agnoloss.focal_loss(scores, y, gamma=exponent)

    exponent = backend.array(np.asarray(gamma))
    found, gradient = agnoloss.value_and_grad(focal)(z, exponent)
    right, slope = agnoloss.value_and_grad(lambda s: focal(s, gamma))(z)
    np.testing.assert_allclose(backend.numpy(found), backend.numpy(right), rtol=1e-12)
    np.testing.assert_allclose(backend.numpy(gradient), backend.numpy(slope), rtol=1e-10, atol=1e-25)


def test_what_is_no_number_is_refused(backend):
    (z, y), focal = made(backend, "multiclass"), agnoloss.focal_loss
    with pytest.raises(
        ValueError, match=r"`gamma` must be a number, or an array of shape \(\); got shape \(2,\)"
    ):
        focal(z, y, gamma=backend.array(np.asarray([1.0, 2.0])))
    with pytest.raises(TypeError, match="`gamma` must be"):
        focal(z, y, gamma="2")
    if backend.name == "numpy":
        with pytest.raises(ValueError, match=r"`gamma` must be at least 0.*got -1"):
            focal(z, y, gamma=np.asarray(-1.0))


def test_scores_take_arrays_too(backend):
    counts = agnoloss.Counts(
        *(backend.array(np.asarray(part)) for part in ([3.0, 0.0], [1.0, 0.0], [1.0, 0.0]))
    )
    half = backend.array(np.asarray(0.5))
    np.testing.assert_allclose(
        backend.numpy(agnoloss.dice_score(counts, smooth=half, absent=half)), [6.5 / 8.5, 0.5]
    )
    found = agnoloss.tversky_score(counts, alpha=half, beta=half)
    np.testing.assert_allclose(backend.numpy(found), [0.75, 1.0])


@pytest.mark.skipif(not LIBRARIES["jax"].installed, reason="JAX is not installed")
def test_jax_compiles_once_for_all_numbers():
    jax = LIBRARIES["jax"].load()
    traced = []

    def loss(z, y, **given):
        traced.append(given)
        return agnoloss.dice_cross_entropy_loss(z, y, **given)

    compiled = jax.jit(loss)
    for smooth, weight in ((1.0, 0.5), (0.5, 0.25), (0.0, 1.0)):
        found = compiled(Z, Y, smooth=smooth, dice_weight=weight)
        np.testing.assert_allclose(
            found, agnoloss.dice_cross_entropy_loss(Z, Y, smooth=smooth, dice_weight=weight), rtol=1e-5
        )
    assert len(traced) == 1
    weights = jax.numpy.asarray([0.0, 0.5, 1.0])
    found = jax.vmap(lambda w: agnoloss.focal_loss(jax.numpy.asarray(Z), Y, gamma=w))(weights)
    np.testing.assert_allclose(
        found, [agnoloss.focal_loss(Z, Y, gamma=w) for w in (0.0, 0.5, 1.0)], rtol=1e-5
    )


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.skipif(not LIBRARIES["torch"].installed, reason="PyTorch is not installed")
def test_torch_compiles_once_for_all_numbers():
    torch = LIBRARIES["torch"].load()
    torch._dynamo.reset()
    graphs = []

    def count(graph, _):
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(agnoloss.focal_loss, backend=count, fullgraph=True)
    z, y = torch.from_numpy(Z), torch.from_numpy(Y)
    agnoloss.focal_loss(z, y)  # tensors are known then: a first call that compiles would have another graph
    for gamma in (0.5, 1.0, 2.0):
        found = compiled(z, y, gamma=torch.tensor(gamma))
        np.testing.assert_allclose(found, agnoloss.focal_loss(Z, Y, gamma=gamma), rtol=1e-6)
    assert len(graphs) == 1

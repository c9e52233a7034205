"""JAX without implicit promotion of dtypes and ranks, which it checks while it traces."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import agnoloss
from agnoloss import maps
from conformance.suite.registry import ENTRIES

RNG = np.random.default_rng(15)
Z = RNG.uniform(size=(2, 3, 4, 5))
LABELS = RNG.integers(0, 3, (2, 4, 5))
ONE_HOT = np.moveaxis(np.eye(3)[LABELS], -1, 1)
U = RNG.uniform(size=(2, 4, 5))


@pytest.fixture(params=["float64", "bfloat16"], autouse=True)
def dtype(request):
    """With 64 bits the sums of integers are wider than what is summed; a half is widened on the way."""
    with (
        jax.enable_x64(request.param == "float64"),
        jax.numpy_dtype_promotion("strict"),
        jax.numpy_rank_promotion("raise"),
    ):
        yield request.param


def options_of(entry, mode, u):
    """Options that lead other ways, some together."""
    of_classes = [0.5, 1.0] if mode == "binary" else [0.5, 1.0, 2.0]
    yield {}
    yield {"from_logits": False}
    yield {"pixel_weights": u, "class_weights": of_classes, "per_image": True}
    yield {"pixel_weights": u > 0.5, "ignore_index": (1, 255), "classes": "present"}
    yield {"class_weights": "balanced", "average": "micro", "reduction": "sum"}
    yield {"class_weights": jnp.asarray(of_classes, u.dtype), "classes": (0,), "squared": True}
    for own in entry.options:
        if mode in own.get("mode", (mode,)) and "per class" not in str(own):
            yield {key: value for key, value in own.items() if key != "mode"}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_value_and_gradients(entry, dtype):
    """By predictions, weights and dense targets."""
    for mode in entry.modes:
        z, u = jnp.asarray(Z if mode != "binary" else Z[:, 0], dtype), jnp.asarray(U, dtype)
        dense = ONE_HOT if mode != "binary" else ONE_HOT[:, 0]
        for y in (LABELS if mode == "multiclass" else dense.astype(int), jnp.asarray(0.75 * dense, dtype)):
            soft = y.dtype == z.dtype
            for options in options_of(entry, mode, u):
                options = {key: value for key, value in options.items() if entry.takes(key)}
                if mode == "binary" and "class_weights" in options and not entry.has_meaning(mode, options):
                    del options["class_weights"]
                if soft and mode == "multiclass":
                    options.pop("ignore_index", None)
                others = options.pop("pixel_weights", None)
                weighs = others is not None and others.dtype == z.dtype
                arguments = (0, *([1] if soft else []), *([2] if weighs else []))

                def loss(z, y, u, mode=mode, options=options):
                    weights = {} if u is None else {"pixel_weights": u}
                    return entry.function(z, y, mode=mode, **entry.required, **weights, **options)

                found = jax.eval_shape(jax.value_and_grad(loss, arguments), z, jnp.asarray(y), others)
                assert found[0].shape == ()
                assert [g.dtype for g in found[1]] == [z.dtype] * len(arguments)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_other_reductions(reduction, dtype):
    for entry in ENTRIES:
        if reduction in ("mean", *entry.reductions):
            mode = entry.modes[0]
            y = LABELS if mode == "multiclass" else ONE_HOT
            z, y = jnp.asarray(Z if mode != "binary" else Z[:, 0], dtype), y if mode != "binary" else y[:, 0]

            def loss(z, entry=entry, y=y, mode=mode):
                return entry.function(z, y, mode=mode, reduction=reduction, **entry.required)

            assert jax.eval_shape(loss, z).dtype == (jnp.float64 if dtype == "float64" else jnp.float32)


def test_metrics_and_maps(dtype):
    z, labels = jnp.asarray(Z, dtype), jnp.asarray(LABELS)
    for options in ({}, {"per_image": True}, {"hard": True}):
        counts = agnoloss.confusion(z, labels, **options)
        for score in (agnoloss.dice_score, agnoloss.jaccard_score, agnoloss.tversky_score):
            assert np.all(np.isfinite(score(counts, smooth=1.0)))
    for options in ({}, {"per_image": True, "class_weights": [1.0, 2.0, 3.0]}, {"classes": "present"}):
        assert 0 <= agnoloss.iou(z, labels, ignore_index=1, **options) <= 1
    assert agnoloss.focal_modulation(z, 2.0).shape == z.shape
    for spacing in (None, (2.0, 0.5)):
        assert maps.signed_distance_map(labels, 3, spacing=spacing).shape == Z.shape
    assert maps.unet_weight_map(labels).shape == LABELS.shape

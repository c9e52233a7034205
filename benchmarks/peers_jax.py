"""The peers on JAX: optax and Keras, which have the class axis last, and what one writes oneself."""

from .peer import Peer
from .workloads import IGNORED

# --- optax --------------------------------------------------------------------------------------


def optax_cross_entropy(axis):
    def make(workload):
        import jax.numpy as jnp
        from optax.losses import softmax_cross_entropy_with_integer_labels

        def call(z, y):
            valid = y != IGNORED
            losses = softmax_cross_entropy_with_integer_labels(
                z, jnp.where(valid, y, 0), axis=axis, where=jnp.expand_dims(valid, axis)
            )
            return jnp.where(valid, losses, 0).sum() / valid.sum()

        return call

    return make


def optax_region(**options):
    """Its Dice on one-hot labels, the batch pooled; other weights make it Jaccard and Tversky."""

    def make(workload):
        import jax
        from optax.losses import dice_loss

        classes = workload.shape[1]
        axes = tuple(range(len(workload.shape) - 1))
        return lambda z, y: dice_loss(z, jax.nn.one_hot(y, classes), axis=axes, **options)

    return make


def optax_dice_cross_entropy(workload):
    dice, cross_entropy = optax_region(smooth=0.5)(workload), optax_cross_entropy(-1)(workload)
    return lambda z, y: dice(z, y) + cross_entropy(z, y)


def optax_binary(name):
    """The mean of one of its losses of each element, on sigmoid."""

    def make(workload):
        import optax.losses

        loss = getattr(optax.losses, name)
        return lambda z, y: loss(z, y[:, None].astype(z.dtype)).mean()

    return make


def optax_binary_dice(workload):
    from optax.losses import binary_dice_loss

    return lambda z, y: binary_dice_loss(z, y[:, None].astype(z.dtype), smooth=0.5).mean()


# --- Keras --------------------------------------------------------------------------------------


def keras_cross_entropy(workload):
    from keras.losses import SparseCategoricalCrossentropy

    loss = SparseCategoricalCrossentropy(from_logits=True, ignore_class=IGNORED)
    return lambda z, y: loss(y, z)


def keras_one_hot(name, **options):
    """A loss of scores and one-hot labels."""

    def make(workload):
        import jax
        import keras.losses

        loss = getattr(keras.losses, name)(**options)
        return lambda z, y: loss(jax.nn.one_hot(y, workload.shape[1]), z)

    return make


def keras_region(name, **options):
    """A loss of probabilities and one-hot labels, each class by itself, the batch pooled."""

    def make(workload):
        import jax
        import keras.losses

        loss = getattr(keras.losses, name)(axis=tuple(range(len(workload.shape) - 1)), **options)
        return lambda z, y: loss(jax.nn.one_hot(y, workload.shape[1]), jax.nn.softmax(z))

    return make


def keras_binary(name, **options):
    def make(workload):
        import keras.losses

        loss = getattr(keras.losses, name)(from_logits=True, **options)
        return lambda z, y: loss(y[:, None].astype(z.dtype), z)

    return make


# --- written by oneself -------------------------------------------------------------------------


def plain(name):
    def make(workload):
        from . import plain_jax

        return getattr(plain_jax, name)

    return make


WHOLE = {"ignores": False, "last": True}
TVERSKY = {"alpha": 0.3, "beta": 0.7}
KERAS_TVERSKY = {"alpha": 0.7, "beta": 0.3}  # up to 3.15.1 alpha weighs misses
NO_SMOOTHING = {"smooth": (0, 1e-7)}

PEERS = [
    Peer("cross_entropy_loss", "optax", optax_cross_entropy(1)),
    Peer("cross_entropy_loss", "plain gather", plain("cross_entropy")),
    Peer("cross_entropy_loss", "optax channels-last", optax_cross_entropy(-1), last=True),
    Peer("cross_entropy_loss", "Keras", keras_cross_entropy, last=True),
    Peer("focal_loss", "plain gather", plain("focal")),
    Peer(
        "focal_loss",
        "Keras",
        keras_one_hot("CategoricalFocalCrossentropy", alpha=1.0, from_logits=True),
        **WHOLE,
    ),
    Peer("dice_loss", "optax", optax_region(smooth=0.5), **WHOLE),
    Peer("dice_loss", "Keras", keras_region("Dice"), options=NO_SMOOTHING, **WHOLE),
    Peer("jaccard_loss", "optax", optax_region(alpha=1.0, beta=1.0), **WHOLE),
    Peer("tversky_loss", "optax", optax_region(**TVERSKY), **WHOLE),
    Peer("tversky_loss", "Keras", keras_region("Tversky", **KERAS_TVERSKY), options=NO_SMOOTHING, **WHOLE),
    Peer("dice_cross_entropy_loss", "optax", optax_dice_cross_entropy, **WHOLE),
    Peer("lovasz_softmax_loss", "Berman's form", plain("lovasz_softmax")),
    Peer(
        "cross_entropy_loss", "optax", optax_binary("sigmoid_binary_cross_entropy"), "binary", ignores=False
    ),
    Peer("cross_entropy_loss", "Keras", keras_binary("BinaryCrossentropy"), "binary", ignores=False),
    Peer("focal_loss", "optax", optax_binary("sigmoid_focal_loss"), "binary", ignores=False),
    Peer("focal_loss", "Keras", keras_binary("BinaryFocalCrossentropy"), "binary", ignores=False),
    Peer("dice_loss", "optax", optax_binary_dice, "binary", {"per_image": True}, ignores=False),
    Peer("lovasz_hinge_loss", "Berman's form", plain("lovasz_hinge"), "binary"),
]

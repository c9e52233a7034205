"""The random input of the page's rows, on PyTorch (class axis second) or JAX (class axis last)."""

import jax.numpy as jnp
import numpy as np
import torch

IMAGES, CLASSES, SPACE = 2, 4, (5, 6)

PREDICTIONS = {"z": (IMAGES, CLASSES, *SPACE), "zb": (IMAGES, 1, *SPACE)}
"""What is differentiated."""


def arrays(seed):
    """Every input by its name on the page, in NumPy, class axis second."""
    rng = np.random.default_rng(seed)
    pixels = SPACE[0] * SPACE[1]

    def labels(low, high):
        # each class occurs in each image
        some = rng.integers(low, high, (IMAGES, pixels))
        some[:, : high - low] = np.arange(low, high)
        return rng.permuted(some, axis=1).reshape(IMAGES, *SPACE)

    y, y255, yabsent = labels(0, CLASSES), labels(0, CLASSES), labels(0, CLASSES - 1)
    y255[rng.uniform(size=y255.shape) < 0.2] = 255
    yabsent[0][yabsent[0] == 1] = 0  # class 1 is in one image alone, the last class in none
    yb = labels(0, 2)[:, None].astype(float)
    yb255 = np.where(rng.uniform(size=yb.shape) < 0.2, 255.0, labels(0, 2)[:, None])
    soft = rng.uniform(0.1, 1, PREDICTIONS["z"])
    return {
        **{name: rng.normal(0, 2, shape) for name, shape in PREDICTIONS.items()},
        "y": y,
        "y255": y255,
        "yabsent": yabsent,
        "t": _one_hot(y),
        "tabsent": _one_hot(yabsent),
        "s": soft / soft.sum(1, keepdims=True),
        "yb": yb,
        "yb255": yb255,
        "m": rng.integers(0, 2, PREDICTIONS["z"]).astype(float),
        "w": np.asarray([0.5, 1.0, 2.0, 1.5]),
        "u": rng.uniform(0.5, 3, (IMAGES, *SPACE)),
    }


def _one_hot(labels):
    return (labels[:, None] == np.arange(CLASSES)[:, None, None]).astype(float)


class Torch:
    """PyTorch, class axis second."""

    @staticmethod
    def inputs(seed):
        return {"C": CLASSES, **{name: torch.from_numpy(a) for name, a in arrays(seed).items()}}

    @staticmethod
    def value_and_gradients(function, predictions):
        """Value, and the gradients of a fixed weighted sum of it; None where it has none."""
        leaves = {name: a.clone().requires_grad_() for name, a in predictions.items()}
        value = function(leaves)
        array = value.detach().numpy()
        if not value.requires_grad:
            return array, None
        cotangent = torch.from_numpy(_weights(array.shape)).to(value.dtype)
        gradients = torch.autograd.grad((value * cotangent).sum(), leaves.values(), allow_unused=True)
        return array, {
            name: None if g is None else g.numpy() for name, g in zip(leaves, gradients, strict=True)
        }


class Jax:
    """JAX, class axis last."""

    @staticmethod
    def inputs(seed):
        given = arrays(seed)
        one_channel_less = {name for name, a in given.items() if a.ndim != 4}
        return {"C": CLASSES} | {
            name: jnp.asarray(a if name in one_channel_less else np.moveaxis(a, 1, -1))
            for name, a in given.items()
        }

    @staticmethod
    def value_and_gradients(function, predictions):
        import jax

        value, pull = jax.vjp(function, predictions)
        (gradients,) = pull(jnp.asarray(_weights(value.shape), value.dtype))
        return np.asarray(value), {name: np.asarray(g) for name, g in gradients.items()}


def _weights(shape):
    return np.asarray(np.random.default_rng(7).uniform(0.5, 1.5, shape))

"""What one writes oneself on JAX: the label's log-probability by a gather, Lovász by sorting pairs."""

import jax
import jax.numpy as jnp

from .workloads import IGNORED


def true_log_probs(z, y):
    """log p of each pixel's label, and which pixels count."""
    valid = y != IGNORED
    labels = jnp.where(valid, y, 0)[:, None]
    return jnp.take_along_axis(jax.nn.log_softmax(z, 1), labels, 1)[:, 0], valid


def cross_entropy(z, y):
    log_p, valid = true_log_probs(z, y)
    return -jnp.where(valid, log_p, 0).sum() / valid.sum()


def focal(z, y):
    log_p, valid = true_log_probs(z, y)
    return -jnp.where(valid, (1 - jnp.exp(log_p)) ** 2 * log_p, 0).sum() / valid.sum()


def extension(errors, foreground):
    """Berman's Lovász extension of one class; what is ignored has error and foreground 0."""
    order = jnp.argsort(-errors)
    foreground = foreground[order]
    total = foreground.sum()
    jaccard = 1 - (total - jnp.cumsum(foreground)) / (total + jnp.cumsum(1 - foreground))
    steps = jnp.concatenate([jaccard[:1], jnp.diff(jaccard)])
    return errors[order] @ jax.lax.stop_gradient(steps)


def lovasz_softmax(z, y):
    """The mean over the classes that are in the labels, the batch as one image."""
    classes = z.shape[1]
    p = jnp.moveaxis(jax.nn.softmax(z, 1), 1, 0).reshape(classes, -1)
    y = y.reshape(-1)
    valid = y != IGNORED

    def of_class(c, p):
        foreground = (y == c).astype(p.dtype)
        loss = extension(jnp.abs(foreground - p) * valid, foreground)
        return jnp.where(foreground.any(), loss, 0), foreground.any()

    losses, present = jax.vmap(of_class)(jnp.arange(classes), p)
    return losses.sum() / present.sum()


def lovasz_hinge(z, y):
    """The mean over images, one channel."""

    def of_image(z, y):
        foreground = (y == 1).astype(z.dtype)
        errors = jax.nn.relu(1 - z * (2 * foreground - 1)) * (y != IGNORED)
        return extension(errors, foreground)

    images = len(z)
    return jax.vmap(of_image)(z.reshape(images, -1), y.reshape(images, -1)).mean()

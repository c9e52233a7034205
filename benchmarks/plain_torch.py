"""Berman's Lovász losses on PyTorch, as one writes them from the paper: a sort, two cumulative sums."""

import torch

from .workloads import IGNORED


def jaccard_steps(foreground):
    """How the Jaccard loss of the first i pixels grows with i; `foreground` is in sorted order."""
    total = foreground.sum()
    intersection = total - foreground.cumsum(0)
    union = total + (1 - foreground).cumsum(0)
    jaccard = 1 - intersection / union
    return torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])


def extension(errors, foreground):
    ordered, order = torch.sort(errors, descending=True)
    return ordered @ jaccard_steps(foreground[order])


def lovasz_softmax(z, y):
    """The mean over the classes that are in the labels, the batch as one image."""
    classes = z.shape[1]
    p = z.softmax(1).movedim(1, -1).reshape(-1, classes)
    y = y.reshape(-1)
    valid = y != IGNORED
    p, y = p[valid], y[valid]
    losses = []
    for c in range(classes):
        foreground = (y == c).to(p.dtype)
        if foreground.sum() > 0:
            losses.append(extension((foreground - p[:, c]).abs(), foreground))
    return torch.stack(losses).mean()


def lovasz_hinge(z, y):
    """The mean over images, one channel."""
    losses = []
    for scores, labels in zip(z.flatten(1), y.flatten(1), strict=True):
        valid = labels != IGNORED
        scores, foreground = scores[valid], labels[valid].to(z.dtype)
        errors = (1 - scores * (2 * foreground - 1)).relu()
        losses.append(extension(errors, foreground))
    return torch.stack(losses).mean()

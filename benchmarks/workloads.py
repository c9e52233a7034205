"""What the losses are measured on: random scores that are mostly right, labels in patches, 5 % ignored."""

from typing import NamedTuple

import numpy as np

IGNORED = 255
SHARE_IGNORED = 0.05
PATCH = 8


class Workload(NamedTuple):
    """A shape of scores, (N, C, *S); one channel is a binary problem."""

    name: str
    shape: tuple[int, ...]

    @property
    def mode(self):
        return "binary" if self.shape[1] == 1 else "multiclass"

    def halved(self):
        """One image, half as long on each side: for a quick look."""
        return self._replace(shape=(1, self.shape[1], *(length // 2 for length in self.shape[2:])))

    @property
    def size(self):
        """Bytes of the scores: the unit L of memory."""
        return 4 * int(np.prod(self.shape))


_FIXED = (
    Workload("W1", (4, 19, 256, 256)),
    Workload("W2", (8, 1, 512, 512)),
    Workload("W3", (2, 14, 64, 96, 96)),
    Workload("W4", (8, 4, 32, 32)),
)
_GROWING = tuple(Workload(f"10^{digits}", (1, 10, 10**digits // 10)) for digits in range(4, 9))
WORKLOADS = {workload.name: workload for workload in (*_FIXED, *_GROWING)}
FIXED = tuple(workload.name for workload in _FIXED)
GROWING = tuple(workload.name for workload in _GROWING)


class Inputs(NamedTuple):
    """Float32 scores, int64 labels with some ignored, and the same labels with none."""

    logits: np.ndarray
    labels: np.ndarray
    clean: np.ndarray

    @property
    def share_valid(self):
        return float(np.mean(self.labels != IGNORED))


def inputs(workload, seed=0):
    """The same numbers on every run; low classes are more frequent than high ones."""
    rng = np.random.default_rng(seed)
    images, channels, *space = workload.shape
    classes = max(channels, 2)
    coarse = [-(-length // PATCH) for length in space]
    frequency = 1 / np.arange(1, classes + 1) ** 0.8
    clean = rng.choice(classes, (images, *coarse), p=frequency / frequency.sum())
    for axis, length in enumerate(space, 1):
        clean = np.take(np.repeat(clean, PATCH, axis), np.arange(length), axis)
    logits = 2 * rng.standard_normal(workload.shape, dtype=np.float32)
    if workload.mode == "binary":
        logits += (4 * clean[:, None] - 2).astype(np.float32)
    else:
        true = clean[:, None]
        np.put_along_axis(logits, true, np.take_along_axis(logits, true, 1) + 4, 1)
    ignored = rng.random(clean.shape, dtype=np.float32) < SHARE_IGNORED
    return Inputs(logits, np.where(ignored, IGNORED, clean), clean)

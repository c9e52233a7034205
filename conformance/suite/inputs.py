"""The arrays of a case, made from words: small, reproducible, and away from ties and kinks.

Numbers have so few digits that float16 and bfloat16 hold them exactly: then one exact value serves every
dtype.
``precision="full"`` makes numbers that every dtype rounds.
"""

from __future__ import annotations

import math
from typing import Any
from zlib import crc32

import numpy as np

CLASSES = 3
IMAGES = 2
SPACE = (2, 3)

Rng = np.random.Generator


class Arrays:
    """Predictions, targets and per-pixel or per-class options of one case.

    Parameters
    ----------
    mode : str
        Mode of the loss.
    words : dict
        What is special about the case; `WORDS` of `cases` lists what can be said.
    seed : str
        Any text; the same text gives the same numbers.
    """

    def __init__(self, mode: str, words: dict[str, Any], seed: str) -> None:
        self.mode, self.words = mode, words
        self.rng = np.random.default_rng(crc32(seed.encode()))
        self.space = words.get("space", SPACE)
        self.classes = 1 if mode == "binary" else CLASSES
        self.pixels = IMAGES * math.prod(self.space)
        dense_shape = (IMAGES, self.classes, *self.space)
        self.targets = self._targets(dense_shape)
        self.predictions = self._predictions(dense_shape)
        axis = words.get("axis", 1)
        if mode == "binary" and not words.get("channel"):
            self.predictions = self.predictions[:, 0]
        else:
            self.predictions = np.moveaxis(self.predictions, 1, axis)
        if mode == "binary":
            keep = words.get("channel") == "both"
            self.targets = np.moveaxis(self.targets, 1, axis) if keep else self.targets[:, 0]
        elif self.targets.shape == dense_shape:
            self.targets = np.moveaxis(self.targets, 1, axis)
        elif words.get("channel") == "targets":
            self.targets = np.moveaxis(self.targets[:, None], 1, axis)

    # --- predictions --------------------------------------------------------------------------

    def _predictions(self, shape: tuple[int, ...]) -> np.ndarray:
        count = math.prod(shape)
        full = self.words.get("precision") == "full"
        if self.words.get("from_logits", True):
            # Magnitudes all different, none of them 1 (kink of the hinge): odd / 64 up to 4.
            values = (2 * self.rng.choice(128, size=count, replace=False) + 1) / 64
            values *= self.rng.choice([-1.0, 1.0], size=count)
            if full:
                values *= 1 + self.rng.uniform(0, 1e-3, count)
            return values.reshape(shape) * self.words.get("scale", 1)
        # All the odd numbers of eight bits in three octaves, from 1/8 to 1: none is a soft target, nor one
        # minus another, so no two errors |y - p| are equal; differences seldom are.
        chosen = self.rng.choice(192, size=count, replace=False)
        values = (129 + 2 * (chosen % 64)) / 256 / 2 ** (chosen // 64)
        if full:
            values *= 1 - self.rng.uniform(0, 1e-3, count)
        return values.reshape(shape)

    # --- targets ------------------------------------------------------------------------------

    def _targets(self, shape: tuple[int, ...]) -> np.ndarray:
        kind = self.words.get("targets", "labels" if self.mode == "multiclass" else "dense")
        if kind in ("soft", "soft float32"):
            return self._ignored(self._soft(shape))
        if self.mode == "multiclass" or kind.startswith("labels"):
            return self._labels_or_one_hot(kind, shape)
        values = self.rng.permuted(np.arange(math.prod(shape)) % 2).reshape(shape)
        return self._ignored(values.astype({"dense": "int64", "float": "float64"}.get(kind, kind)))

    def _labels_or_one_hot(self, kind: str, shape: tuple[int, ...]) -> np.ndarray:
        choice = {"absent": (0, 2), "bool": (0, 1)}.get(kind, range(CLASSES))
        labels = self.rng.permuted(np.resize(list(choice), self.pixels))
        if kind.startswith("one-hot"):
            dense = np.eye(CLASSES, dtype="float64" if "float" in kind else "int64")[labels]
            return np.moveaxis(dense.reshape(IMAGES, *self.space, CLASSES), -1, 1)
        dtype = kind if kind in ("uint8", "int16", "int32", "bool") else "int64"
        return self._ignored(labels.reshape(IMAGES, *self.space).astype(dtype))

    def _soft(self, shape: tuple[int, ...]) -> np.ndarray:
        """Sixteenths, which sum to 1 over the classes in multiclass mode; 0 and 1 among them."""
        if self.mode != "multiclass":
            return self.rng.integers(0, 17, shape) / 16
        cuts = np.sort(self.rng.integers(0, 17, (CLASSES - 1, self.pixels)), axis=0)
        ends = np.concatenate([np.zeros((1, self.pixels)), cuts, np.full((1, self.pixels), 16)])
        parts = np.diff(ends, axis=0).reshape(CLASSES, IMAGES, *self.space) / 16
        return np.moveaxis(parts, 0, 1)

    def _ignored(self, targets: np.ndarray) -> np.ndarray:
        """Put labels to ignore in: a few of each, everywhere, or all over the first image."""
        labels = self.words.get("ignore_index")
        if labels is None:
            return targets
        labels = labels if isinstance(labels, tuple) else (labels,)
        targets = np.array(targets)
        flat = targets.reshape(-1)
        where = self.words.get("ignored", "some")
        stop = {"everything": flat.size, "first image": flat.size // IMAGES}.get(where)
        if stop is not None:
            flat[:stop] = labels[0]
        else:
            chosen = self.rng.choice(flat.size, size=2 * len(labels), replace=False)
            for i, label in enumerate(label for label in labels for _ in range(2)):
                if label not in range(CLASSES):  # a class that is ignored is there already
                    flat[chosen[i % len(chosen)]] = label
        return targets

    # --- options ------------------------------------------------------------------------------

    def pixel_weights(self, kind: str) -> np.ndarray:
        """Eighths from 1/8 to 2; a third of them 0, or bool; of images, or of elements."""
        shape = {"of images": (IMAGES,), "of elements": self.predictions.shape}
        weights = self.rng.integers(1, 17, shape.get(kind, (IMAGES, *self.space))) / 8
        if kind not in ("positive", "of images"):
            flat = weights.reshape(-1)
            flat[self.rng.choice(flat.size, size=max(1, flat.size // 3), replace=False)] = 0
        return weights != 0 if kind == "bool" else weights

    def per_class(self, kind: str, classes: int | None = None) -> Any:
        """A list of one number per class, or an array of them."""
        low, high = (2, 31) if "below one" in kind else (8, 64)
        numbers = self.rng.choice(np.arange(low, high), size=classes or self.classes, replace=False) / 32
        return numbers if "array" in kind else numbers.tolist()

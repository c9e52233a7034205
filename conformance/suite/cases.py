"""The cases: every option of every loss by itself, and some options together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np

from .floats import numpy_dtype
from .inputs import Arrays
from .registry import TWO_SIDED, Entry

WORDS = ("mode", "targets", "space", "precision", "scale", "channel", "ignored")
"""Keys of a setting that describe the arrays; every other key is an option of the loss."""

COMBINATIONS = 6
"""How many mixtures of options are tried for each loss and mode."""

ROOMY = (4, 5)
"""Shape of an image where pixels have neighbours."""

MANY = ("multiclass", "multilabel")

NEVER_MIXED = ("scale", "space")
"""Scores that leave other options nothing to do; shapes, for each of which JAX compiles anew."""

INPUTS: tuple[dict[str, Any], ...] = (
    {},
    {"precision": "full"},
    {"scale": 1024, "from_logits": True},
    {"space": ()},
    {"space": (6,)},
    {"space": (2, 1, 3)},
    {"axis": -1, "mode": MANY},
    {"axis": 2, "mode": MANY},
    {"axis": 0, "mode": MANY},
    {"channel": "predictions", "mode": ("binary",)},
    {"channel": "both", "mode": ("binary",)},
    {"channel": "predictions", "axis": -1, "mode": ("binary",)},
    {"channel": "targets", "targets": "labels", "mode": MANY},
    {"channel": "targets", "targets": "labels", "axis": -1, "mode": MANY},
    {"targets": "uint8"},
    {"targets": "int32"},
    {"targets": "bool"},
    {"targets": "one-hot", "mode": ("multiclass",)},
    {"targets": "one-hot float", "mode": ("multiclass",)},
    {"targets": "absent", "mode": ("multiclass",)},
    {"targets": "labels", "mode": "multilabel"},
    {"targets": "float", "mode": TWO_SIDED},
    {"targets": "soft"},
)

OPTIONS: tuple[dict[str, Any], ...] = (
    {"from_logits": False},
    {"from_logits": False, "precision": "full"},
    {"from_logits": False, "targets": "soft"},
    {"ignore_index": 255},
    {"ignore_index": -100},
    {"ignore_index": (255, 1)},
    {"ignore_index": 255, "targets": "uint8"},
    {"ignore_index": 255, "ignored": "everything"},
    {"pixel_weights": "positive"},
    {"pixel_weights": "some zero"},
    {"pixel_weights": "bool"},
    {"pixel_weights": "of images"},
    {"pixel_weights": "of elements", "mode": ("multilabel",)},
    {"pixel_weights": "of elements", "axis": -1, "mode": ("multilabel",)},
    {"class_weights": "per class"},
    {"class_weights": "per class, array"},
    {"class_weights": "balanced"},
    {"class_weights": "balanced", "targets": "absent", "mode": ("multiclass",)},
    {"classes": "all"},
    {"classes": "present", "targets": "absent", "mode": ("multiclass",)},
    {"classes": (2, 1), "mode": MANY},
    {"per_image": True},
    {"per_image": False},
    {"per_image": True, "ignore_index": 255, "ignored": "first image"},
    {"average": "micro"},
    {"average": "micro", "classes": (2, 1), "mode": MANY},
    {"smooth": 0.0},
    {"smooth": 0.0, "targets": "absent", "mode": ("multiclass",)},
    {"smooth": (0.5, 2.0)},
)


@dataclass(frozen=True)
class Case:
    """One call of a loss, with NumPy arrays in float64.

    Attributes
    ----------
    name : str
        Mode and setting, unique within the loss.
    entry : Entry
        The loss.
    predictions, targets : ndarray
        Its arguments; float arrays in float64.
    options : dict
        Keyword arguments, arrays among them.
    exact : bool
        Whether float16 and bfloat16 hold every number without rounding.
    """

    name: str
    entry: Entry
    predictions: np.ndarray
    targets: np.ndarray
    options: dict[str, Any]
    exact: bool

    def rounded(self, dtype: str) -> Case:
        """The case with its float arrays rounded to a dtype."""

        def cast(value: Any) -> Any:
            floating = isinstance(value, np.ndarray) and value.dtype.kind == "f"
            return value.astype(numpy_dtype(dtype)) if floating else value

        options = {key: cast(value) for key, value in self.options.items()}
        return replace(self, predictions=cast(self.predictions), targets=cast(self.targets), options=options)


def cases_of(entry: Entry) -> list[Case]:
    """Every case of a loss."""
    return [
        make_case(entry, mode, setting)
        for mode in entry.modes
        for setting in [*_alone(entry, mode), *_together(entry, mode)]
    ]


def make_case(entry: Entry, mode: str, setting: dict[str, Any]) -> Case:
    """Make the arrays and keyword arguments that a setting describes."""
    name = f"{mode}: {', '.join(f'{key}={value}' for key, value in setting.items()) or 'defaults'}"
    arrays = Arrays(mode, ({"space": ROOMY} if entry.neighbours else {}) | setting, name)
    options = {key: value for key, value in setting.items() if key not in WORDS}
    if "pixel_weights" in options:
        options["pixel_weights"] = arrays.pixel_weights(options["pixel_weights"])
    for key, value in options.items():
        if isinstance(value, str) and value.startswith("per class"):
            options[key] = arrays.per_class(value, 2 if (mode, key) == ("binary", "class_weights") else None)
    exact = setting.get("precision") != "full"
    return Case(
        name, entry, arrays.predictions, arrays.targets, {"mode": mode, **entry.required, **options}, exact
    )


def _alone(entry: Entry, mode: str) -> Iterator[dict[str, Any]]:
    """Settings of one thing each that the loss takes in a mode."""
    reductions = [{"reduction": reduction} for reduction in entry.reductions]
    if "none" in entry.reductions and entry.takes("per_image"):
        reductions.append({"reduction": "none", "per_image": True})
    if "none" in entry.reductions:
        reductions.append({"reduction": "none", "axis": -1, "mode": ("multilabel",)})
    for words in ({"class_weights": "balanced"}, {"pixel_weights": "some zero"}, {"axis": -1, "mode": MANY}):
        reductions.append({"reduction": "per_image", **words})
    for setting in (*INPUTS, *OPTIONS, *reductions, *entry.options):
        modes = setting.get("mode", (mode,))
        setting = {key: value for key, value in setting.items() if key != "mode"}
        known = all((key in WORDS or entry.takes(key)) and key not in entry.leaves_out for key in setting)
        flat = entry.neighbours and setting.get("space") == ()
        known = known and entry.has_meaning(mode, setting)
        if known and mode in modes and _possible(mode, setting) and not flat:
            yield setting


def _together(entry: Entry, mode: str) -> Iterator[dict[str, Any]]:
    """Mixtures of three to five settings, the same in every run."""
    rng = np.random.default_rng(crc32(f"{entry.name} {mode}".encode()))
    alone = [setting for setting in _alone(entry, mode) if setting and not setting.keys() & set(NEVER_MIXED)]
    found = 0
    while found < COMBINATIONS:
        picked = rng.choice(len(alone), size=rng.integers(3, 6), replace=False)
        setting = {key: value for i in picked for key, value in alone[i].items()}
        if _possible(mode, setting) and setting not in alone:
            found += 1
            yield setting


def _possible(mode: str, setting: dict[str, Any]) -> bool:
    """Whether the things in a setting go together."""
    targets = setting.get("targets", "")
    ignored = setting.get("ignore_index")
    labels = ignored if isinstance(ignored, tuple) else (ignored,)
    dense = targets.startswith(("one-hot", "soft"))
    needs_sign_or_room = (-100 in labels and targets == "uint8") or targets == "bool"
    return not (
        (ignored is not None and needs_sign_or_room)
        or (ignored is not None and dense and mode == "multiclass")
        or ("ignored" in setting and ignored is None)
        or ("axis" in setting and mode == "binary" and "channel" not in setting)
        or (setting.get("axis") == 2 and len(setting.get("space", (2, 3))) < 1)
        or ("scale" in setting and not setting.get("from_logits", True))
    )

"""What was promised, as data, and whether the results keep it."""

from statistics import median
from typing import NamedTuple

from .rounds import ratio


class Target(NamedTuple):
    """A promise about one loss.

    Parameters
    ----------
    peers : tuple of str
        Each of these, by name; if empty, every peer there is.
    ratio : float, optional
        A peer takes at least so many times longer than agnoloss's call that computes the same.
    peak : float, optional
        In units of the scores' size, at most.
    floors : float, optional
        Multiples of the time to copy the scores once, at most.
    error : float, optional
        Of the gradient, at most.
    peak_ratio : float, optional
        To the peak of the fastest peer, at most.
    """

    library: str
    workload: str
    loss: str
    backward: bool = True
    compiled: bool = False
    peers: tuple[str, ...] = ()
    ratio: float | None = None
    peak: float | None = None
    floors: float | None = None
    error: float | None = None
    peak_ratio: float | None = None

    @property
    def title(self):
        how = [] if self.backward else ["no gradient"]
        how += ["compiled"] if self.compiled else []
        return f"{self.library} {self.workload} {self.loss}" + (f" ({', '.join(how)})" if how else "")


SOFTMAX = ("cross_entropy_loss", "focal_loss", "dice_loss", "jaccard_loss", "tversky_loss")
REGION = SOFTMAX[2:]
MULTICLASS = (
    *SOFTMAX,
    "dice_cross_entropy_loss",
    "focal_tversky_loss",
    "generalized_dice_loss",
    "lovasz_softmax_loss",
    "boundary_loss",
)
OTHERS = ("MONAI", "smp", "kornia", "kornia macro")

TARGETS = [
    Target("torch", "W1", "cross_entropy_loss", peers=("torch",), ratio=2, peak=1.2, floors=5),
    Target("torch", "W3", "cross_entropy_loss", peers=("torch",), ratio=4, peak=1.2, floors=5),
    Target("torch", "W1", "focal_loss", ratio=3, peak=1.2),
    Target("torch", "W3", "focal_loss", ratio=6, peak=1.2),
    Target("torch", "W1", "dice_loss", peers=("kornia micro",), ratio=1.7),
    *(Target("torch", "W1", loss, peers=OTHERS, ratio=2.3, peak=1.3, floors=4) for loss in REGION),
    *(Target("torch", "W3", loss, ratio=3.5, peak=1.3, floors=4) for loss in REGION),
    Target("torch", "W1", "dice_cross_entropy_loss", peers=("MONAI",), ratio=3),
    Target("torch", "W1", "dice_cross_entropy_loss", peers=("agnoloss dice_loss",), ratio=1 / 1.15),
    Target("torch", "W1", "lovasz_softmax_loss", ratio=4, peak=4, error=1e-5),
    Target("torch", "W2", "lovasz_hinge_loss", ratio=4.5, peak=4, error=1e-5),
    Target("torch", "W2", "focal_loss", ratio=2.5, peak=1.6),
    Target("torch", "W2", "dice_loss", ratio=1, peak=1.6),
    Target("torch", "W2", "cross_entropy_loss", ratio=0.9, peak=1.6),
    *(
        Target("numpy", workload, loss, ratio=ratio, peak=1.2)
        for workload, loss, ratio in (
            ("W1", "cross_entropy_loss", 2.5),
            ("W1", "focal_loss", 2.5),
            ("W1", "dice_loss", 2.5),
            ("W3", "cross_entropy_loss", 3),
            ("W3", "focal_loss", 3),
            ("W3", "dice_loss", 10),
        )
    ),
    *(
        Target("torch", workload, loss, False, ratio=1.25 if loss == "cross_entropy_loss" else 1.6, peak=0.25)
        for workload in ("W1", "W3")
        for loss in SOFTMAX
    ),
    Target("jax", "W1", "cross_entropy_loss", compiled=True, peers=("optax channels-last",), ratio=1.4),
    Target("jax", "W1", "dice_loss", compiled=True, peers=("optax",), ratio=1.6),
    Target("jax", "W1", "focal_loss", compiled=True, peers=("plain gather",), ratio=3.5),
    Target("jax", "W1", "lovasz_softmax_loss", compiled=True, peers=("Berman's form",), ratio=2.5),
    *(
        Target("torch", workload, loss, compiled=True, ratio=1, peak_ratio=1)
        for workload, loss in (*(("W1", loss) for loss in MULTICLASS), ("W2", "lovasz_hinge_loss"))
    ),
    *(
        target
        for library in ("torch", "numpy")
        for target in (
            Target(library, "W4", "cross_entropy_loss", peers=("torch",), ratio=1 / 1.3),
            Target(library, "W4", "dice_loss", ratio=1 / 0.7),
        )
    ),
]


class Verdict(NamedTuple):
    """One number of a target; `measured` is None where it was not."""

    target: str
    what: str
    required: float
    at_least: bool
    measured: float | None

    @property
    def met(self):
        if self.measured is None:
            return None
        return self.measured >= self.required if self.at_least else self.measured <= self.required

    @property
    def short(self):
        """How much is missing to the target, or too much, as a share of it; 0 where it is met."""
        if self.met is not False:
            return 0.0
        return 1 - self.measured / self.required if self.at_least else self.measured / self.required - 1

    def __str__(self):
        if self.met is None:
            return "not measured"
        return "met" if self.met else f"missed by {self.short:.0%}"


def verdicts(found, device, targets=TARGETS):
    """Every number of every target, from the results as `results.read` gives them."""
    return [verdict for target in targets for verdict in _of(target, found, device)]


def _of(target, found, device):
    rows = found.get((device, target.library, target.workload), {"rows": []})["rows"]
    key = (target.loss, target.backward, target.compiled)
    row = next((row for row in rows if (row["loss"], row["backward"], row["compiled"]) == key), None)
    entries = {entry["name"]: entry for entry in row["entries"]} if row else {}
    ours = entries.get("agnoloss", {})
    best = fastest(entries, target.peers)
    if target.ratio is not None:
        who = best or " or ".join(target.peers) or "the best peer"
        measured = None
        if best:
            against = entries[entries[best]["against"]]
            measured = ratio(entries[best]["seconds"], against["seconds"]).median
        yield Verdict(target.title, f"time of {who}, ×", target.ratio, True, measured)
    if target.peak is not None:
        measured = ours["peak"] / row["size"] if "peak" in ours else None
        yield Verdict(target.title, "peak memory, L", target.peak, False, measured)
    if target.floors is not None:
        measured = median(ours["seconds"]) / median(row["floor"]) if "seconds" in ours else None
        yield Verdict(target.title, "time, × the floor", target.floors, False, measured)
    if target.error is not None:
        yield Verdict(target.title, "gradient error", target.error, False, ours.get("gradient_error"))
    if target.peak_ratio is not None:
        measured = None
        if best and "peak" in entries[best]:
            measured = entries[entries[best]["against"]]["peak"] / entries[best]["peak"]
        yield Verdict(
            target.title, f"peak, × that of {best or 'the best peer'}", target.peak_ratio, False, measured
        )


def fastest(entries, names=(), same_number=False):
    """The peer that is fastest next to agnoloss's call that it is measured against, of those that ran."""
    own = [name for name in entries if name.startswith("agnoloss")]
    chosen = names or [name for name in entries if name not in own]
    if same_number:
        chosen = [name for name in chosen if entries[name].get("agrees") and not entries[name]["other"]]
    able = [name for name in chosen if "seconds" in entries.get(name, {}) and not entries[name]["ours"]]

    def times(name):
        return ratio(entries[name]["seconds"], entries[entries[name]["against"]]["seconds"]).median

    return min(able, key=times, default=None)

"""One picture of the results: how much longer the best peer takes, and how time grows."""

from statistics import median

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from .rounds import ratio
from .targets import fastest
from .workloads import FIXED, WORKLOADS

# Okabe and Ito's colours, which the colour-blind can tell apart.
STYLES = {
    ("torch", False): ("#D55E00", "o", "torch"),
    ("torch", True): ("#E69F00", "s", "torch.compile"),
    ("jax", True): ("#0072B2", "^", "jax.jit"),
    ("numpy", False): ("#009E73", "D", "NumPy"),
    ("cupy", False): ("#009E73", "D", "CuPy"),
}


def draw(found, device, path):
    """Write the picture of one device's results."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 7), width_ratios=(3, 2), layout="constrained")
    _ratios(left, found, device)
    _growth(right, found, device)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the program's version, equal results give equal files.
    figure.savefig(path, dpi=100, metadata={"Software": None})
    plt.close(figure)


def _ratios(axes, found, device):
    points = {}
    for (where, library, workload), content in found.items():
        for row in content["rows"] if where == device and workload in FIXED else ():
            style = STYLES.get((library, row["compiled"]))
            entries = {entry["name"]: entry for entry in row["entries"]}
            best = fastest(entries)
            if style and best and row["backward"]:
                times = entries[entries[best]["against"]]["seconds"]
                label = f"{row['loss'].removesuffix('_loss').replace('_', ' ')}, {workload}"
                points.setdefault(label, []).append((style, ratio(entries[best]["seconds"], times)))
    labels = sorted(points)
    shown = set()
    for height, label in enumerate(labels):
        for (colour, marker, name), value in points[label]:
            axes.errorbar(
                value.median, height, xerr=[[value.median - value.low], [value.high - value.median]],
                color=colour, marker=marker, label=None if name in shown else name, alpha=0.85,
            )  # fmt: skip
            shown.add(name)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.set_xlabel("time of the fastest peer / time of agnoloss, forward + backward (bars: quartiles)")
    axes.grid(axis="x", which="both", alpha=0.3)
    if shown:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False)


def _growth(axes, found, device):
    for library, line in (("torch", "-"), ("numpy", "--")):
        curves = {}
        for row in found.get((device, library, "growth"), {"rows": []})["rows"]:
            for entry in row["entries"]:
                if "seconds" in entry:
                    size = WORKLOADS[row["workload"]].size // 4
                    nanoseconds = 1e9 * median(entry["seconds"]) / size
                    curves.setdefault((row["loss"], entry["name"]), []).append((size, nanoseconds))
        for colour, ((loss, name), points) in zip(
            plt.rcParams["axes.prop_cycle"], curves.items(), strict=False
        ):
            title = f"{library}: {loss.removesuffix('_loss')}, {name}"
            axes.plot(*zip(*points, strict=True), line, marker=".", label=title, **colour)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("scores")
    axes.set_ylabel("ns for each score, forward + backward")
    axes.grid(which="both", alpha=0.3)
    if axes.lines:
        axes.legend(fontsize=8)

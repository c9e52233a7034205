"""Metrics: why counts are added up before the score, and not scores averaged."""

from __future__ import annotations

from functools import reduce
from typing import Any

from ... import Counts, confusion, iou, jaccard_score
from ..style import BLUE, DASHED, FAINT, GREEN, RED, grid
from .pulls import scene


def draw_streaming(points: int) -> Any:
    """IoU of one photograph in ever smaller tiles: mean of scores, and score of added counts."""
    import numpy as np

    _, mask, scores = scene()
    rows, columns = 128, 128
    mask, scores = mask[:, :rows, :columns], scores[:, :rows, :columns]
    sides = (128, 64, 32, 16, 8)
    means: dict[float, list[float]] = {0.0: [], 1.0: []}
    merged = []
    for side in sides:
        tiles = [
            (scores[:, i : i + side, j : j + side], mask[:, i : i + side, j : j + side])
            for i in range(0, rows, side)
            for j in range(0, columns, side)
        ]
        for absent, values in means.items():
            values.append(float(np.mean([iou(*tile, mode="binary", absent=absent) for tile in tiles])))
        parts = [confusion(*tile, mode="binary", hard=True) for tile in tiles]
        merged.append(float(jaccard_score(reduce(Counts.merge, parts))[0]))
    figure, ((axes,),) = grid(1, 1, 3.3)
    number = [(128 // side) ** 2 for side in sides]
    axes.plot(number, merged, color=GREEN, marker="o", label="counts added up, then one score")
    axes.plot(number, means[1.0], color=BLUE, marker="o", ls=DASHED, label="mean of scores, absent=1")
    axes.plot(number, means[0.0], color=RED, marker="o", ls=DASHED, label="mean of scores, absent=0")
    axes.set(
        xscale="log", ylim=(0, 1), xlabel="pieces that the photograph is cut into", ylabel="IoU of coins"
    )
    axes.set_xticks(number, [str(n) for n in number])
    axes.minorticks_off()
    axes.set_title("One photograph, one prediction: the score must not depend on the batches")
    axes.margins(x=0.03)
    axes.spines["left"].set_color(FAINT)
    axes.legend(loc="lower left")
    return figure


PICTURES = {"metrics": draw_streaming}

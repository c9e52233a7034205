"""JAX: a batch over four devices is the whole batch, in value and gradient."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.losses import LOSSES, takes

ROOT = Path(__file__).parents[2]
AUTOMATIC = ["auto, jit", "auto, rows"]
BY_SUMS = ["shard_map, gradient outside", "shard_map, gradient inside"]
EXPECTED = [
    *((name, how) for name in LOSSES for how in AUTOMATIC),
    *((name, how) for name, loss in LOSSES.items() for how in BY_SUMS if takes(loss, "all_reduce")),
    *((name, "auto, eager") for name in ("dice_cross_entropy_loss", "lovasz_softmax_loss")),
]


@pytest.fixture(scope="module")
def comparisons():
    script = Path(__file__).with_name("sharded.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {(line["loss"], line["how"]): line for line in lines}


@pytest.mark.parametrize(("name", "how"), EXPECTED)
def test_shards_are_the_whole(comparisons, name, how):
    line = comparisons[name, how]
    assert line["value"] < 1e-14
    assert line["gradient"] < 1e-13

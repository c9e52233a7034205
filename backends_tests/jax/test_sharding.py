"""JAX: a batch over four devices is the whole batch, in value and gradient."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.tests.losses import LOSSES, takes

ROOT = Path(__file__).parents[2]
AUTOMATIC = ["auto, jit", "auto, rows"]
EAGER = ["auto, eager"]
BY_SUMS = ["shard_map, gradient outside", "shard_map, gradient inside"]
TOGETHER = [list(LOSSES)[i : i + 5] for i in range(0, len(LOSSES), 5)]  # to start is a third of the time


@pytest.mark.parametrize("names", TOGETHER, ids=", ".join)
def test_shards_are_the_whole(names):
    script = Path(__file__).with_name("sharded.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script), *names],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    for name in names:
        eager = EAGER if name in ("dice_cross_entropy_loss", "lovasz_softmax_loss") else []
        by_sums = BY_SUMS if takes(LOSSES[name], "all_reduce") else []
        found = sorted(line["how"] for line in lines if line["loss"] == name)
        assert found == sorted([*AUTOMATIC, *eager, *by_sums]), name
    for line in lines:
        assert line["value"] < 1e-14, line
        assert line["gradient"] < 1e-13, line

"""What is measured of whom, on NumPy, and what is said of those who cannot."""

import numpy as np
import pytest

from benchmarks import changing, measure, peers_numpy, tables
from benchmarks.peer import Peer
from benchmarks.workloads import IGNORED, WORKLOADS, Workload, inputs


def import_absent(workload):
    import a_package_that_is_absent  # noqa: F401


def refuse(z, y):
    raise ValueError("volumes are not supported\nat all")


def half(z, y):
    from agnoloss import cross_entropy_loss

    return cross_entropy_loss(z, y, ignore_index=IGNORED) / 2


PEERS = [
    Peer("cross_entropy_loss", "absent", import_absent),
    Peer("cross_entropy_loss", "refusing", lambda workload: refuse),
    Peer("cross_entropy_loss", "half", lambda workload: half),
    Peer("cross_entropy_loss", "scaled", lambda workload: half, scale=lambda classes, share: 2.0),
    Peer("cross_entropy_loss", "other", lambda workload: half, other="half of it"),
]


@pytest.fixture
def rows(monkeypatch):
    """The rows of made-up peers, on the smallest workload."""
    monkeypatch.setattr(peers_numpy, "PEERS", PEERS)
    told = []
    found = measure.measure("numpy", "W4", "*", "cpu", True, told.append)
    assert len(told) == measure.steps("numpy", "W4", "*", True) == 2
    return found


def test_a_missing_peer_is_named_with_its_reason(rows):
    notes = {line.name: line.notes for line in tables.lines(rows)}
    assert notes["absent"] == ("not installed: No module named 'a_package_that_is_absent'",)
    assert notes["refusing"] == ("fails: ValueError: volumes are not supported",)


def test_another_number_is_said_to_be_one(rows):
    notes = {line.name: line.notes for line in tables.lines(rows)}
    assert notes["half"][0].startswith("not agnoloss's number")
    assert notes["scaled"] == ()
    assert notes["other"] == ("other formula: half of it",)


def test_times_of_all_that_run(rows):
    for line in tables.lines(rows):
        assert set(line.cells) == (
            set() if line.name in ("absent", "refusing") else {(False, False), (True, False)}
        )
        for cell in line.cells.values():
            assert cell.milliseconds > 0
            assert (cell.ratio is None) == (line.name == "agnoloss")
            assert cell.peak is None  # too small


def test_agnoloss_may_not_fail(monkeypatch):
    monkeypatch.setattr(peers_numpy, "PEERS", [PEERS[2]._replace(options={"axis": 7})])
    with pytest.raises(ValueError, match="axis"):
        measure.measure("numpy", "W4", "*", "cpu", True, lambda word: None)


@pytest.mark.parametrize("workload", [WORKLOADS["W4"], Workload("binary", (3, 1, 20, 20))])
def test_inputs(workload):
    given = inputs(workload)
    assert given.logits.dtype == np.float32
    assert given.logits.shape == workload.shape
    assert given.labels.dtype == given.clean.dtype == np.int64
    assert set(np.unique(given.clean)) == set(range(max(workload.shape[1], 2)))
    assert 0.9 < given.share_valid < 0.98
    assert np.array_equal(given.labels[given.labels != IGNORED], given.clean[given.labels != IGNORED])
    assert all(np.array_equal(a, b) for a, b in zip(given, inputs(workload), strict=True))


def test_calls_whose_options_change_give_the_number_of_those_they_are_held_to(monkeypatch):
    monkeypatch.setattr(peers_numpy, "PEERS", changing.PEERS)
    found = tables.lines(measure.measure("numpy", "W4", "*", "cpu", True, lambda word: None))
    held = [line for line in found if line.name in {peer.name for peer in changing.PEERS}]
    assert len(held) == len(changing.PEERS)
    for line in held:
        assert line.notes == ()
        assert len(line.cells) == 2


@pytest.mark.parametrize("varied", changing.CHANGING, ids=lambda varied: varied.name)
def test_options_that_change(varied):
    options, z = varied.options(), np.zeros((1, 4, 2), np.float32)
    values = [options(z)[varied.option] for _ in range(3)]
    if isinstance(varied.start, tuple):
        assert values[0].dtype == z.dtype
        assert tuple(values[0]) == varied.start
        assert values[0] is values[1] is values[2]
    else:
        assert values[0] == varied.start
        assert len(set(values)) == 3


def peers_by_hand():
    found = (peer for peer in peers_numpy.PEERS if peer.name != "torch" and peer not in changing.PEERS)
    return [pytest.param(peer, id=f"{peer.loss} {peer.name}") for peer in found]


@pytest.mark.parametrize("peer", peers_by_hand())
def test_peers_by_hand_are_right(peer):
    """Value and gradient are agnoloss's, so that they are worth a comparison."""
    import agnoloss

    workload = Workload("small", (2, 1 if peer.mode == "binary" else 3, 17, 9))
    given = inputs(workload)
    z, y = given.logits.astype(np.float64), given.labels
    call = peer.make(workload)
    loss = getattr(agnoloss, peer.loss)
    value, gradient = agnoloss.value_and_grad(loss)(z, y, mode=workload.mode, ignore_index=IGNORED)
    found, slope = call.value_and_grad(z, y)
    assert [call.value(z, y), found] == pytest.approx([value, value], rel=1e-12)
    np.testing.assert_allclose(slope, gradient, rtol=1e-9, atol=1e-12 * abs(gradient).max())

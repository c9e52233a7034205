"""Targets are judged by the numbers that they are about."""

import pytest

import agnoloss
from benchmarks import contest, targets
from benchmarks.targets import TARGETS, Target, verdicts
from benchmarks.workloads import WORKLOADS

SIZE = WORKLOADS["W1"].size


def entry(name, seconds, peak, against=None):
    found = {
        "name": name,
        "ours": against is None,
        "seconds": seconds,
        "peak": int(peak * SIZE),
        "value": 1.0,
    }
    return found if against is None else {**found, "against": against, "other": "", "agrees": True}


ENTRIES = [
    entry("agnoloss", [1.0, 1.0, 2.0], 1.1) | {"gradient_error": 1e-6},
    entry("slow", [4.0, 4.0, 8.0], 5, "agnoloss"),
    entry("quick", [3.0, 3.0, 6.0], 4, "agnoloss"),
    entry("agnoloss (axis=-1)", [10.0, 10.0, 20.0], 2),
    # in seconds it is slower than all, but not for what it computes
    entry("other", [20.0, 20.0, 40.0], 1, "agnoloss (axis=-1)"),
    {"name": "absent", "ours": False, "missing": "No module named 'absent'"},
]
ROW = {
    "loss": "dice_loss",
    "workload": "W1",
    "backward": True,
    "compiled": False,
    "size": SIZE,
    "floor": [0.5, 0.5, 1.0],
}
FOUND = {("cpu", "torch", "W1"): {"rows": [{**ROW, "entries": ENTRIES}]}}
DICE = Target("torch", "W1", "dice_loss")


def judge(**numbers):
    (verdict,) = verdicts(FOUND, "cpu", [DICE._replace(**numbers)])
    return verdict


def test_best_peer_is_the_quickest_beside_its_own_call_of_agnoloss():
    verdict = judge(ratio=2)
    assert verdict.measured == 2
    assert verdict.met
    assert "other" in verdict.what


def test_named_peers_alone():
    verdict = judge(peers=("slow", "quick", "absent"), ratio=4)
    assert (verdict.measured, verdict.met) == (3, False)
    assert str(verdict) == "missed by 25%"


@pytest.mark.parametrize(
    ("numbers", "measured"),
    [({"peak": 1.0}, 1.1), ({"floors": 1.0}, 2), ({"error": 1e-7}, 1e-6), ({"peak_ratio": 1}, 2)],
)
def test_numbers_at_most(numbers, measured):
    verdict = judge(**numbers)
    assert verdict.measured == pytest.approx(measured, rel=1e-6)
    assert verdict.met is False
    assert verdict.short == pytest.approx(measured / verdict.required - 1, rel=1e-6)


def test_several_numbers():
    found = verdicts(FOUND, "cpu", [DICE._replace(ratio=1, peak=2, floors=3)])
    assert [str(verdict) for verdict in found] == ["met"] * 3


@pytest.mark.parametrize(
    "target",
    [
        DICE._replace(workload="W3", ratio=1, peak=1, floors=1, error=1, peak_ratio=1),
        DICE._replace(compiled=True, ratio=1),
        DICE._replace(peers=("absent",), ratio=1),
        DICE._replace(loss="focal_loss", peak=1),
    ],
)
def test_what_is_not_there_is_not_measured(target):
    for verdict in verdicts(FOUND, "cpu", [target]):
        assert (verdict.met, verdict.short, str(verdict)) == (None, 0, "not measured")
    assert verdicts(FOUND, "cuda", [DICE._replace(ratio=1)])[0].met is None


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.title)
def test_every_target_is_of_something_that_is_measured(target):
    found = contest.contests(target.library, target.workload)
    key = (target.loss, target.backward, target.compiled)
    (measured,) = (c for c in found if (c.loss, c.backward, c.compiled) == key)
    contestants = measured.contestants()
    assert set(target.peers) <= set(contestants) or set(target.peers) == set(targets.OTHERS)
    assert set(target.peers) & set(contestants) or not target.peers
    assert any(number is not None for number in target[6:])


def test_every_peer_is_of_a_loss():
    for library in contest.PEERS_OF:
        for workload in WORKLOADS.values():
            for peer in contest.peers_on(library, workload):
                assert peer.loss in agnoloss.__all__

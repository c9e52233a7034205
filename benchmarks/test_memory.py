"""The probe of memory sees what is known to be allocated."""

import sys

import pytest

from benchmarks.memory import allocate, in_fresh_process, peak_of

MEGABYTES = 50
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from Linux's /proc")


@needs_linux
def test_known_allocation():
    assert peak_of(lambda: allocate(MEGABYTES)) == pytest.approx(MEGABYTES * 2**20, rel=0.2)


@needs_linux
def test_what_is_freed_within_the_call_counts():
    def two_at_once():
        one, other = allocate(MEGABYTES), allocate(MEGABYTES)
        return (one + other).sum()

    assert peak_of(two_at_once) == pytest.approx(3 * MEGABYTES * 2**20, rel=0.2)


@needs_linux
def test_what_was_there_before_does_not_count():
    kept = allocate(MEGABYTES)
    assert peak_of(lambda: kept.sum()) < 0.2 * kept.nbytes


@needs_linux
@pytest.mark.parametrize("preload", [(), ("benchmarks.memory",)])
def test_in_a_fresh_process(preload):
    found = in_fresh_process("benchmarks.memory", "peak_of_allocation", MEGABYTES, preload=preload)
    assert found == pytest.approx(MEGABYTES * 2**20, rel=0.2)


def test_a_failure_comes_back():
    with pytest.raises(RuntimeError, match=r"TypeError.*unsupported operand"):
        in_fresh_process("benchmarks.memory", "allocate", "many")

"""Work in threads, for functions that release the interpreter's lock."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

MOST = 8
"""Beyond a few cores memory is the limit."""

_local = threading.local()
_pools: dict[int, ThreadPoolExecutor] = {}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pools.clear)  # threads stay behind in the parent


def thread_count() -> int:
    """How many threads to use: the variable AGNOLOSS_NUM_THREADS, else one for each core, at most 8."""
    asked = os.environ.get("AGNOLOSS_NUM_THREADS", "")
    return int(asked) if asked.isdecimal() and int(asked) else min(CORES, MOST)


def in_threads(
    work: Callable[[_Part], _Result], parts: Sequence[_Part], threads: int | None = None
) -> list[_Result]:
    """Do the work for each part, in at most so many threads, this one included; results in order."""
    count = min(threads or thread_count(), len(parts))
    if count < 2 or getattr(_local, "busy", False):  # parts of parts would wait for each other's threads
        return [work(part) for part in parts]

    def share(first: int) -> list[_Result]:
        _local.busy = True
        try:
            return [work(part) for part in parts[first::count]]
        finally:
            _local.busy = False

    if count not in _pools:
        _pools[count] = ThreadPoolExecutor(count - 1, thread_name_prefix="agnoloss")
    helpers = [_pools[count].submit(share, i) for i in range(1, count)]
    try:
        shares = [share(0)]
    finally:
        wait(helpers)  # none is at work when this returns or raises
    shares += [helper.result() for helper in helpers]
    results: list[_Result] = [None] * len(parts)  # type: ignore[list-item]
    for i, found in enumerate(shares):
        results[i::count] = found
    return results

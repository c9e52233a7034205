"""Peak memory of one call, in a process of its own."""

import ctypes
import gc
import importlib
import multiprocessing
import traceback
from pathlib import Path

import numpy as np

PROCESS = Path("/proc/self")


class MemoryUnknown(RuntimeError):
    """The peak of a process cannot be read here."""


def peak_of(call):
    """Bytes by which a process's memory grows during a call, at its largest (Linux)."""
    if not (PROCESS / "clear_refs").exists():
        raise MemoryUnknown("the peak of a process is read from /proc, which only Linux has")
    gc.collect()
    # Memory that was freed and kept would be used again, and not be seen.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)
    (PROCESS / "clear_refs").write_text("5")  # the peak starts anew: proc_pid_clear_refs(5)
    before = _status("VmRSS")
    result = call()
    peak = _status("VmHWM")
    del result
    return peak - before


def _status(name):
    for line in (PROCESS / "status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise MemoryUnknown(f"/proc/self/status has no {name}")


def allocate(megabytes):
    """An array whose size is known."""
    return np.ones(megabytes * 2**20 // 8)


def peak_of_allocation(megabytes):
    """What `peak_of` finds for it."""
    return peak_of(lambda: allocate(megabytes))


def in_fresh_process(module, name, *arguments, preload=()):
    """What a function returns in a process that ran nothing before; if it fails, a RuntimeError.

    Parameters
    ----------
    module, name : str
        Of the function.
    preload : sequence of str
        Modules that all such processes have imported from the start; they must not have started threads.
    """
    context = multiprocessing.get_context("forkserver" if preload else "spawn")
    if preload:
        context.set_forkserver_preload(list(preload))
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(theirs, module, name, arguments))
    process.start()
    theirs.close()
    try:
        answer, failure = ours.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"{name}{arguments}: the process ended with {process.exitcode}") from None
    process.join()
    if failure:
        raise RuntimeError(f"{name}{arguments}: {failure}")
    return answer


def _answer(connection, module, name, arguments):
    try:
        connection.send((getattr(importlib.import_module(module), name)(*arguments), ""))
    except Exception:
        connection.send((None, traceback.format_exc()))

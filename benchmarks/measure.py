"""Measures one library on one workload: times in turn, values that must agree, peaks of memory."""

import gc
import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from . import accuracy
from .contest import PEERS_OF, Contest, contests
from .libraries import LIBRARIES, THREADS
from .memory import in_fresh_process
from .rounds import FULL, QUICK, in_turn
from .workloads import inputs

TOLERANCE = 1e-3

PRELOAD = {"torch": ("torch", "monai.losses", "kornia.losses"), "jax": ("jax", "optax", "keras")}
"""What takes seconds to import, and starts no threads: forkserver leaves out what is not there."""

SMALLEST = 10**6
"""Bytes of scores below which a peak is made of other things than arrays."""


def measure(library, workload, pattern, device, quick, tell):
    """Measure all contests of one library on one workload.

    Parameters
    ----------
    pattern : str
        Of the losses' names.
    quick : bool
        Whether to take small inputs, few rounds, and compile nothing for torch.
    tell : callable
        Takes a word of progress after each of `steps`.

    Returns
    -------
    list of dict
        One row for each contest, as it is kept in a file.
    """
    prepare()
    runner, rows, found = LIBRARIES[library](device), [], contests(library, workload, pattern, quick)
    given = inputs(found[0].shown)
    exact = accuracy.Exact(given)
    for contest in found:
        rows.append(_compare(contest, runner, given, exact, QUICK if quick else FULL))
        tell(f"{workload} {contest.loss}")
    _add_peaks(rows, library, device, tell)
    return rows


def steps(library, workload, pattern, quick):
    """How often `measure` tells of progress."""
    found = contests(library, workload, pattern, quick)
    probed = [contest for contest in found if not contest.compiled and contest.shown.size >= SMALLEST]
    return len(found) + sum(len(contest.contestants()) for contest in probed)


def prepare():
    """Make the settings that must be made before a library or a peer is imported."""
    os.environ["KERAS_BACKEND"] = "jax"  # one for each process, and it is compared with JAX
    os.environ["OMP_NUM_THREADS"] = str(THREADS)
    warnings.simplefilter("ignore")  # what peers warn of is their business


def run_of(contest, who, runner, given):
    """What is timed: a call without arguments that computes the value, or the value and gradient."""
    call = who.make(contest.shown)
    z = runner.array(np.moveaxis(given.logits, 1, -1).copy() if who.last else given.logits)
    y = runner.array(given.labels if who.ignores else given.clean)
    return (runner.both if contest.backward else runner.forward)(call, z, y, contest.compiled)


def _compare(contest, runner, given, exact, effort):
    """The row of a contest: who took part, values, times by round; who could not, and why."""
    found, entries, runs = contest.contestants(), {}, {}
    runner.forget()
    for name, who in found.items():
        entry = entries[name] = {"name": name, "ours": who.is_ours, "ignores": who.ignores}
        try:
            run = run_of(contest, who, runner, given)
            result = run()
            runner.wait(result)
        except ImportError as error:
            entry["missing"] = str(error)
        except Exception as error:
            if who.is_ours:
                raise
            # That a peer cannot do it is a result too, and the tables say so.
            entry["failed"] = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
        else:
            runs[name] = run
            _describe(entry, entries, who, result, contest, runner, given)
            if contest.backward and exact.knows(contest):
                gradient = np.moveaxis(runner.to_numpy(result[1]), -1 if who.last else 1, 1)
                entry["gradient_error"] = _short(exact.error(contest.loss, gradient, who))
            del result
    gc.collect()
    z = runner.array(given.logits)
    seconds = in_turn({**runs, "floor": runner.floor(z)}, runner.wait, effort)
    for name in runs:
        entries[name]["seconds"] = [_short(time) for time in seconds[name]]
        if contest.compiled and contest.shown.size >= SMALLEST:
            # It would have to be compiled again in a process of its own. The median, since what earlier
            # calls leave may be freed during one.
            entries[name]["peak"] = sorted(runner.peak(runs[name]) for _ in range(3))[1]
    floor = [_short(time) for time in seconds["floor"]]
    return {
        **contest._asdict(),
        "size": contest.shown.size,
        "floor": floor,
        "entries": list(entries.values()),
    }


def _describe(entry, entries, who, result, contest, runner, given):
    """What a call computed: its value, whether agnoloss's is the same."""
    entry["value"] = float(result[0] if contest.backward else result)
    if not who.is_ours:
        share_valid = given.share_valid if who.ignores else 1.0
        value = entry["value"] * who.scale(given.logits.shape[1], share_valid)
        ours = entries[who.against]["value"]
        entry |= {"against": who.against, "other": who.other}
        entry["agrees"] = bool(abs(value - ours) <= TOLERANCE * abs(ours))


def _add_peaks(rows, library, device, tell):
    """The peak memory of each that ran, each in a process of its own, on a CPU two at a time."""
    preload = [f"{__package__}.peak", f"{__package__}.{PEERS_OF[library]}", *PRELOAD.get(library, ())]

    def add(pair):
        row, entry = pair
        if "seconds" in entry:
            contest = {name: row[name] for name in Contest._fields}
            entry["peak"] = in_fresh_process(
                f"{__package__}.peak", "probe", contest, entry["name"], device, preload=preload
            )
        tell(f"{row['workload']} {row['loss']}, memory")

    with ThreadPoolExecutor(2 if device == "cpu" else 1) as pool:
        eager = [row for row in rows if not row["compiled"] and row["size"] >= SMALLEST]
        found = [(row, entry) for row in eager for entry in row["entries"]]
        list(pool.map(add, found))  # a list, so that what is raised there is raised here


def _short(number):
    """Four digits: the others are noise, and would fill the files."""
    return float(f"{number:.4g}")

"""The losses of the registry by mode, for tests that call every loss alike."""

import inspect

from ..suite.registry import ENTRIES


def _called_alike(entry):
    """Whether predictions and targets are enough (a loss with a required option has its own tests)."""
    parameters = inspect.signature(entry.function).parameters.values()
    return sum(parameter.default is inspect.Parameter.empty for parameter in parameters) == 2


LOSSES = {entry.name: entry.function for entry in ENTRIES if _called_alike(entry)}
MODES = {entry.function: entry.modes for entry in ENTRIES if _called_alike(entry)}
REDUCTIONS = {entry.function: ("mean", *entry.reductions) for entry in ENTRIES if _called_alike(entry)}
WITHOUT_NEIGHBOURS = {
    entry.name: entry.function for entry in ENTRIES if _called_alike(entry) and not entry.neighbours
}
MULTICLASS = {name: loss for name, loss in LOSSES.items() if "multiclass" in MODES[loss]}
MULTILABEL = {name: loss for name, loss in LOSSES.items() if "multilabel" in MODES[loss]}
BINARY = {name: loss for name, loss in LOSSES.items() if "binary" in MODES[loss]}


def mode_of(loss):
    """Multiclass where the loss has a meaning in it."""
    return "multiclass" if "multiclass" in MODES[loss] else "multilabel"


def takes(loss, option):
    """Whether a loss has an option."""
    return option in inspect.signature(loss).parameters

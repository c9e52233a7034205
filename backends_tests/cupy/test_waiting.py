"""No loss waits for the device, by CuPy's own detector of transfers to the host."""

import cupy
import cupyx
import pytest

import agnoloss
from conformance.suite.cases import make_case
from conformance.suite.registry import ENTRIES

# CuPy cannot detect every wait, and says so.
pytestmark = pytest.mark.filterwarnings("ignore:cupyx.allow_synchronize will be removed")

SETTINGS = (
    {},
    {"ignore_index": 255},
    {"class_weights": "balanced", "pixel_weights": "some zero"},
    {"from_logits": False},
)


def test_waiting_is_detected(backend):
    numbers = cupy.ones(3)
    for wait in (float, bool, cupy.asnumpy, lambda number: cupy.nonzero(number > 0)):
        with pytest.raises(RuntimeError, match="synchronization"), cupyx.allow_synchronize(False):
            wait(cupy.sum(numbers, keepdims=wait not in (float, bool)))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_no_loss_waits(backend, entry):
    settings = [s for s in SETTINGS if all(map(entry.takes, s)) and not s.keys() & entry.leaves_out.keys()]
    for mode in entry.modes:
        for setting in (s for s in settings if entry.has_meaning(mode, s)):
            case = make_case(entry, mode, setting)
            arguments = [backend.array(array) for array in (case.predictions, case.targets)]
            options = backend.options(case.options)
            with cupyx.allow_synchronize(False):
                entry.function(*arguments, **options)
                agnoloss.value_and_grad(entry.function)(*arguments, **options)

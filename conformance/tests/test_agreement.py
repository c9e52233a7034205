"""Every loss, with every option, against 50-digit arithmetic on the library at hand."""

import pytest

from ..suite.floats import IN_TURN
from ..suite.registry import ENTRIES
from ..suite.run import Request, examine_part


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_values_and_gradients_are_exact_up_to_rounding(backend, entry):
    request = Request(entry.name, (backend.name,), IN_TURN)
    results = [r for mode in entry.modes for r in examine_part(request, entry, mode, lambda count: None)]
    assert results
    wrong = [f"{result}\n    {result.repeat}" for result in results if result.wrong]
    assert not wrong, "\n".join([f"{len(wrong)} of {len(results)} disagree", *wrong[:10]])

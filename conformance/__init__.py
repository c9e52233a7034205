"""What every loss promises on every array library: the same values and gradients.

``python -m conformance`` compares each loss of the registry, with each of its options, on each
installed library with 50-digit arithmetic, and prints how far it is off. `check_loss` asks the same of a
loss of somebody else's. The folder is carried by the wheel as ``agnoloss.conformance``.

What everybody can run is in `suite` (losses, cases, oracle, comparison, report) and `laws`; what only this
project runs, with pytest and a checkout, in `references`, `tests` and `mutation`. Imports go from `tests` and
`mutation` to `laws`, from there to `suite`, and never back.
"""

from .laws.check import Checked, check_loss

__all__ = ["Checked", "check_loss"]

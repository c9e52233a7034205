"""What every loss promises on every array library: the same values and gradients.

``python -m conformance`` compares each loss of the registry, with each of its options, on each
installed library with 50-digit arithmetic, and prints how far it is off. The folder is carried by
the wheel as ``agnoloss.conformance``; its own tests need pytest and a checkout.

`check_loss` asks the same of a loss of somebody else's.
"""

from .laws.check import Checked, check_loss

__all__ = ["Checked", "check_loss"]

"""Every loss on every library against 50-digit arithmetic: losses, cases, oracle, comparison and report."""

PROGRAM = __package__.rpartition(".")[0]
"""What ``python -m`` runs: ``conformance`` in a checkout, ``agnoloss.conformance`` from a wheel."""

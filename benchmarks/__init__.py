"""Speed and memory of every loss against its peers, in ratios: ``nox -s bench`` or ``python -m benchmarks``.

docs/performance.md says what is measured, how, and how to read it.
"""

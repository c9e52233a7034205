"""Speed and memory of every loss against its peers, in ratios: ``nox -s bench`` or ``python -m benchmarks``.

README.md here says what is measured, how, and how to read it; docs/performance.md is the outcome in short.
"""

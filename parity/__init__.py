"""The rows of docs/parity.md, run: a peer's loss and the call of agnoloss that gives the same number.

``nox -s parity`` installs the newest peers and runs them. The page is the source: each row of its
tables is a test, and code cells are evaluated as they stand there.
"""

"""Run pytest in forks of a process that has imported what is the same each time: half a second, not three.

`Tester` starts this file as a program of its own in a checkout. The program imports neither package nor
tests, so a fork sees the files as they are at that moment.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from importlib import import_module
from pathlib import Path

PRELOADED = (
    *("pytest", "_pytest.doctest", "hypothesis.extra.numpy", "typer.testing", "tomllib"),
    *("rich.console", "rich.progress", "rich.table", "importlib.metadata"),
    *("numpy", "array_api_compat.numpy", "array_api_strict", "mparray"),
)
"""What takes long to import, and is the same whatever the checkout holds."""

NO_TESTS = 5
"""What pytest exits with if the keywords choose no test: that catches nothing."""


class Tester:
    """Runs pytest in a checkout.

    Parameters
    ----------
    checkout : path
        Where to run it.
    """

    def __init__(self, checkout: Path) -> None:
        self.program = subprocess.Popen(
            [sys.executable, "-P", __file__],
            cwd=checkout,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # threads do not survive a fork
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def complaint(self, arguments: list[str], timeout: float) -> str:
        """What pytest says if it fails or takes more than `timeout` seconds; nothing if all is well."""
        print(json.dumps({"arguments": arguments, "timeout": timeout}), file=self.program.stdin, flush=True)
        answer = self.program.stdout.readline()
        if not answer:
            raise RuntimeError("The process that runs the tests has ended.")
        return json.loads(answer)

    def close(self) -> None:
        """End the program."""
        self.program.stdin.close()
        self.program.stdout.close()
        self.program.wait()


# --- the program ------------------------------------------------------------------------------


def main() -> None:
    """Answer until there is nothing more to read."""
    for name in PRELOADED:
        import_module(name)
    run = _in_fork if hasattr(os, "fork") else _in_process
    # Compile everything once; runs on broken files write no bytecode.
    run(["--collect-only", "-q", "--backend=numpy", "conformance", "backends_tests/numpy"], 60)
    sys.dont_write_bytecode = True
    for line in sys.stdin:
        print(json.dumps(run(**json.loads(line))), flush=True)


def _in_fork(arguments: list[str], timeout: float) -> str:
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            _become_pytest(arguments, timeout, said.fileno())
        _, status = os.waitpid(child, 0)
        if status == 0 or os.waitstatus_to_exitcode(status) == NO_TESTS:
            return ""
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
            return _no_end(timeout)
        said.seek(0)
        return said.read().decode(errors="replace") or f"exit code {os.waitstatus_to_exitcode(status)}"


def _become_pytest(arguments: list[str], timeout: float, said: int) -> None:
    """Run pytest and exit, whatever happens."""
    import pytest

    code = 1
    try:
        os.dup2(said, 1)
        os.dup2(said, 2)
        signal.alarm(max(1, math.ceil(timeout)))  # ends a loop that never would
        sys.path.insert(0, os.getcwd())
        # pytest would warn that it cannot rewrite the assertions of what is imported.
        code = int(pytest.main(["-W", "ignore::pytest.PytestAssertRewriteWarning", *arguments]))
        if code == NO_TESTS:
            return
        home = str(getattr(sys.modules.get("agnoloss"), "__file__", None))
        if not home.startswith(os.path.join(os.getcwd(), "")):
            code = 1
            print(f"tested {home} instead of the files in {os.getcwd()}")
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _in_process(arguments: list[str], timeout: float) -> str:
    """Where there are no forks."""
    command = [sys.executable, "-m", "pytest", *arguments]
    if sys.dont_write_bytecode:
        command.insert(1, "-B")
    try:
        run = subprocess.run(command, timeout=timeout, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        return _no_end(timeout)
    return run.stdout + run.stderr if run.returncode not in (0, NO_TESTS) else ""


def _no_end(timeout: float) -> str:
    return f"no end after {timeout:g} s"


if __name__ == "__main__":
    main()

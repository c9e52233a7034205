"""The array libraries to test: ``pytest --backend numpy,torch``. One that is missing is a failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.suite.libraries import LIBRARIES, MissingLibrary, requested

DEFAULT = "numpy,strict"
OWN_TESTS = Path(__file__).parent / "backends_tests"


def pytest_addoption(parser):
    parser.addoption(
        "--backend",
        help=f"comma list of {', '.join(LIBRARIES)} (default: {DEFAULT}, and libraries whose folder in "
        "backends_tests is named on the command line)",
    )

    parser.addoption("--device", default="", help="where libraries compute that have devices, as cuda")


def pytest_configure(config):
    names = config.getoption("--backend")
    if names is None:
        folders = {Path(arg.partition("::")[0]).resolve() for arg in config.args}
        named = [name for name in LIBRARIES if any(_inside(f, OWN_TESTS / name) for f in folders)]
        names = ",".join([DEFAULT, *named])
    try:
        libraries = requested(names)
        config.backends = [library.name for library in libraries]
        for library in libraries:
            if library.devices:
                library.choose(config.getoption("--device"))
    except (MissingLibrary, ValueError) as error:
        raise pytest.UsageError(f"--backend={names}: {error}") from error


def pytest_report_header(config):
    return "backends: " + "; ".join(LIBRARIES[name].version() for name in config.backends)


def pytest_ignore_collect(collection_path, config):
    """Leave out what one library alone promises where that library was not asked for."""
    others = [name for name in LIBRARIES if name not in config.backends]
    if any(_inside(collection_path, OWN_TESTS / name) for name in others):
        return True
    return None


def pytest_generate_tests(metafunc):
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", metafunc.config.backends, indirect=True)


@pytest.fixture
def backend(request):
    """One of the libraries asked for (`conformance.libraries.Library`), with its settings made."""
    library = LIBRARIES[request.param]
    with library.active():
        yield library


def _inside(path, folder):
    return folder == path or folder in path.parents

"""The checks of the project: `nox` runs them all, `nox -l` lists them, `nox -s torch -- -k dice` is one."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
# virtualenv, for pip: it is pip's choice among torch's wheels that constraints.txt describes.
nox.options.default_venv_backend = "virtualenv"

PYPROJECT = nox.project.load_toml("pyproject.toml")
CONSTRAINTS = "--constraint=constraints.txt"
# The oracle of the conformance suite, mparray, needs Python 3.11.
CONFORMANCE = ("conformance",) if sys.version_info >= (3, 11) else ()

# What each library is tested for. The laws and the suite itself are tested in `core` alone; agreement
# with 50-digit arithmetic by `conformance`, on CuPy by `cupy`; that a call leaves nothing behind where
# that is this package's doing, not JAX's; what a formula means where it is cheap: JAX compiles every
# operation for every shape, and that its numbers are the formula's is `conformance`'s to say.
EACH = (
    *(
        "boundary_loss",
        "class_weights",
        "confident_pixels",
        "debug",
        "devices_and_dtypes",
        "differentiation",
        "edges",
        "errors_page",
        "focal",
        "gradient_calls",
        "input_values",
        "inputs",
        "known_numbers",
        "left_out",
        "maps",
        "metrics",
        "numbers",
        "other_gradients",
        "shapes",
        "two_devices",
    ),
    "peer_faults",
)
ON_EACH = tuple(f"{folder}/tests/test_{name}.py" for folder in CONFORMANCE for name in EACH)
FORMULAS = tuple(f"{folder}/tests/test_peer_formulas.py" for folder in CONFORMANCE)
CALLED_ANEW = tuple(f"{folder}/tests/test_called_anew.py" for folder in CONFORMANCE)
AGREEMENT = tuple(f"{folder}/tests/test_agreement.py" for folder in CONFORMANCE)

PYTEST_THEN_LOOK = """
import sys
import pytest

code = pytest.main(sys.argv[1:])
foreign = sorted({"cupy", "dask", "jax", "keras", "mlx", "ndonnx", "tensorflow", "torch"} & set(sys.modules))
sys.exit(code or (f"imported, though no array came from it: {', '.join(foreign)}" if foreign else 0))
"""

USE_THE_WHEEL = """
import importlib.metadata, pathlib, sys
import numpy as np
import agnoloss

home = pathlib.Path(agnoloss.__file__).resolve().parent
assert pathlib.Path(sys.prefix).resolve() in home.parents, f"not the installed package: {home}"
assert importlib.metadata.version("agnoloss") == agnoloss.__version__
for name in ("LICENSE", "py.typed", "conformance/__main__.py", "conformance/suite/templates/report.html"):
    assert (home / name).is_file(), f"the wheel lacks {name}"
predictions, targets = np.zeros((1, 3, 2, 2)), np.asarray([[[0, 1], [2, 1]]])
value, gradient = agnoloss.value_and_grad(agnoloss.cross_entropy_loss)(predictions, targets)
assert abs(value - np.log(3)) < 1e-15 and gradient.shape == predictions.shape
print(f"agnoloss {agnoloss.__version__} from {home}: cross entropy {value:.6f}")
"""

USE_ITS_SUITE = """
import numpy as np
import agnoloss
from agnoloss.conformance import check_loss

scores, targets = np.asarray([[[0.5, -2.0], [1.5, 0.25]]]), np.asarray([[0, 1]])
print(*check_loss(agnoloss.dice_loss, cases=[(scores, targets)], libraries="numpy").laws)
"""


# XLA compiles every eager operation for each shape: without LLVM's optimisations in a third of the time.
QUICK_COMPILER = {"XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"}


def install(session: nox.Session, *more: str, extras: str = "", groups: tuple[str, ...] = ("test",)) -> None:
    """Install the checkout (so what it depends on), what its suite needs, `extras`, groups, and `more`."""
    listed = nox.project.dependency_groups(PYPROJECT, *groups)
    extras = f"conformance,{extras}" if extras else "conformance"
    # --no-compile: what is imported is compiled then, a small part of what is installed.
    session.install("--no-compile", CONSTRAINTS, *listed, *more, "--editable", f".[{extras}]")


def run_pytest(session: nox.Session, *paths: str, backend: str, env: dict[str, str] | None = None) -> None:
    """Run the tests below `paths` on `backend`, with what follows `--` on nox's command line.

    A thread for each process, of which there is one for each core: with more, PyTorch's threads wait for each
    other in loops (test_autograd.py takes 61 s of two busy cores instead of 14).
    """
    env = {"OMP_NUM_THREADS": "1", **QUICK_COMPILER, **(env or {})}
    arguments = (*paths, f"--backend={backend}", *session.posargs)
    session.run("python", "-m", "pytest", "--numprocesses=logical", *arguments, env=env)


@nox.session
def lint(session: nox.Session) -> None:
    """Format and rules, with ruff; and which module may import which, with import-linter."""
    session.install(CONSTRAINTS, *nox.project.dependency_groups(PYPROJECT, "lint"))
    session.run("ruff", "format", "--check")
    session.run("ruff", "check")
    session.run("lint-imports", "--no-cache")


@nox.session
def typecheck(session: nox.Session) -> None:
    """Types, with mypy in strict mode."""
    session.install(CONSTRAINTS, *nox.project.dependency_groups(PYPROJECT, "typecheck"))
    session.run("mypy")


@nox.session
def core(session: nox.Session) -> None:
    """NumPy and array-api-strict, and that no other array library is imported on the way."""
    install(session, extras="demo")
    paths = ("backends_tests/numpy", "backends_tests/strict", "benchmarks", *CONFORMANCE)
    run_pytest(session, *paths, *(f"--ignore={path}" for path in AGREEMENT), backend="numpy,strict")
    # Once more without helpers of the test runner, in one process: every loss and its gradient.
    paths = ("backends_tests/strict", *(f"{folder}/tests/test_references.py" for folder in CONFORMANCE))
    few = ("-k", "strict or slope and volumes", "--backend=numpy,strict")
    session.run("python", "-c", PYTEST_THEN_LOOK, *paths, *few, log=False)


@nox.session
def torch(session: nox.Session) -> None:
    """PyTorch."""
    install(session, extras="torch")
    run_pytest(session, "backends_tests/torch", *ON_EACH, *FORMULAS, *CALLED_ANEW, backend="torch")


@nox.session
def jax(session: nox.Session) -> None:
    """JAX."""
    install(session, extras="jax")
    run_pytest(session, "backends_tests/jax", *ON_EACH, backend="jax")


@nox.session
def cupy(session: nox.Session) -> None:
    """CuPy on a GPU, or whichever CuPy the variable AGNOLOSS_CUPY names: a requirement, a wheel's path."""
    requirement = os.environ.get("AGNOLOSS_CUPY", "")
    if not requirement and not has_gpu():
        session.skip("no NVIDIA GPU here, and AGNOLOSS_CUPY names no CuPy that does without")
    install(session, requirement or "cupy-cuda12x")
    paths = ("backends_tests/cupy", *ON_EACH, *FORMULAS, *CALLED_ANEW)
    if not requirement.endswith(".whl"):
        run_pytest(session, *paths, *AGREEMENT, backend="cupy")
        return
    # A wheel stands for CuPy on an emulated CUDA. Its second device finds code that forgets the input's
    # device; memory filled with 171 finds code that reads what it never wrote.
    run_pytest(session, *paths, backend="cupy", env={"CUPY_CPUEMU_DEVICES": "2"})
    poison = {"CUPY_CPUEMU_DEVICES": "2", "CUPY_CPUEMU_POISON": "171"}
    run_pytest(session, *AGREEMENT, backend="cupy", env=poison)


@nox.session(default=False)
def triton(session: nox.Session) -> None:
    """Triton's kernels on a CPU, by its interpreter: by themselves, and behind every loss."""
    install(session, "triton", extras="torch")
    env = {"AGNOLOSS_KERNELS": "triton", "TRITON_INTERPRET": "1"}
    run_pytest(session, "backends_tests/triton", backend="torch", env=env)
    few = ("--case=defaults", "--dtype=float32")
    session.run("python", "-m", "conformance", "--backend=torch", *few, env=env)


@nox.session
def conformance(session: nox.Session) -> None:
    """Every loss on every library against 50-digit arithmetic, as a table."""
    if not CONFORMANCE:
        session.skip("its 50-digit oracle, mparray, needs Python 3.11")
    install(session, extras="torch,jax")
    session.run("python", "-m", "conformance", *session.posargs, env=QUICK_COMPILER)
    if not session.posargs:  # the rules as the standard has them
        without = {"AGNOLOSS_KERNELS": "0"}
        session.run("python", "-m", "conformance", "--backend=numpy,torch", env=without)


@nox.session(default=False)
def partial(session: nox.Session) -> None:
    """Libraries that follow the standard in part: what they pass, and that they fail just what is listed."""
    if not CONFORMANCE:
        session.skip("the suite's 50-digit oracle, mparray, needs Python 3.11")
    install(session, "dask", "mlx[cpu]", "ndonnx", "onnxruntime")
    if session.posargs:
        session.run("python", "-m", "conformance", *session.posargs)
        return
    session.run("python", "-m", "conformance", "--backend=ndonnx,mlx")
    # Dask builds a graph for every case: all of them take a quarter of an hour (`-- --backend dask`).
    session.run("python", "-m", "conformance", "--backend=dask", "--case=defaults", "--dtype=float64")


@nox.session
def mlx(session: nox.Session) -> None:
    """MLX by the backend that docs/backends.md adds."""
    if not CONFORMANCE or sys.platform == "win32":
        session.skip("MLX has no wheel for Windows, and the suite's 50-digit oracle needs Python 3.11")
    install(session, "mlx[cpu]", groups=("test", "docs"))
    run_pytest(session, "backends_tests/mlx", backend="mlx")


@nox.session(default=False)
def report(session: nox.Session) -> None:
    """The page of `python -m conformance --report` in Chromium, which must be installed."""
    if not CONFORMANCE:
        session.skip("the suite's 50-digit oracle, mparray, needs Python 3.11")
    install(session, groups=("test", "browser"))
    run_pytest(session, "backends_tests/report", backend="numpy")


@nox.session(default=False)
def mutants(session: nox.Session) -> None:
    """Formulas broken in one place at a time: which do tests let pass? An hour without `--file`."""
    install(session)
    session.run("python", "-m", "conformance", "mutate", *session.posargs)


@nox.session
def parity(session: nox.Session) -> None:
    """The rows of docs/parity.md: the newest peers, and the calls that give the same numbers."""
    if sys.version_info < (3, 11):
        session.skip("the newest Keras, kornia and JAX need Python 3.11")
    install(session, extras="torch,jax", groups=("parity",))
    # Its losses need torch alone; what it depends on (torchvision, timm, a model hub) is for its encoders.
    session.install("--no-deps", CONSTRAINTS, "segmentation-models-pytorch")
    run_pytest(session, "parity", backend="torch,jax")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Time and memory of every loss against its peers: docs/performance.md. `-- --quick` takes a minute."""
    if sys.version_info < (3, 11):
        session.skip("the newest Keras, kornia and JAX need Python 3.11")
    install(session, extras="torch,jax", groups=("bench",))
    # As in `parity`: its losses need torch alone.
    session.install("--no-deps", CONSTRAINTS, "segmentation-models-pytorch")
    if has_gpu():
        session.install("cupy-cuda12x")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def doctest(session: nox.Session) -> None:
    """The examples in docstrings, README and docs."""
    install(session, extras="demo,jax,torch", groups=("test", "docs"))
    unavailable = (
        "--ignore=agnoloss/backends/cupy.py",
        "--ignore=agnoloss/backends/kernels/triton.py",
        "--ignore=agnoloss/keras.py",
    )
    session.run("python", "-m", "pytest", "--doctest-modules", *unavailable, "agnoloss", *session.posargs)
    session.run("python", "-m", "pytest", "backends_tests/docs", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """The built wheel, used far from the checkout: bare, then with the demo and the conformance suite."""
    elsewhere = Path(session.create_tmp()).resolve()  # the checkout would shadow what is installed
    dist = elsewhere / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.install("build")
    session.run("python", "-m", "build", "--outdir", str(dist))  # the wheel comes from the sdist
    (built,) = dist.glob("*.whl")
    session.install(str(built), "numpy")
    with session.chdir(elsewhere):
        session.run("python", "-c", USE_THE_WHEEL, log=False)
        answer = session.run("python", "-m", "agnoloss", "--help", silent=True, success_codes=[0, 1, 2])
        if "agnoloss[demo]" not in str(answer) or "Traceback" in str(answer):
            session.error(f"without its extra, the command line should name it; it says: {answer}")
        session.install(f"{built}[demo,conformance]")
        session.run("agnoloss", "demo", "--steps=20")
        for folder in CONFORMANCE:
            session.run("python", "-c", USE_ITS_SUITE, log=False)
            few = ("--loss=dice,lovasz_softmax", "--case=defaults", "--backend=numpy")
            session.run("python", "-m", f"agnoloss.{folder}", *few)


def has_gpu() -> bool:
    """Whether NVIDIA's driver can be loaded."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True

"""The package works as a folder copied into someone's tree, under any name, without metadata."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import array_api_compat
import pytest

import agnoloss

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "agnoloss"
SOURCES = sorted(PACKAGE.rglob("*.py"))
NO_CACHES = shutil.ignore_patterns("__pycache__")
NOT_COPIED = shutil.ignore_patterns("__pycache__", "showcase")  # nothing else may need the showcase

USE = """
import sys
import numpy as np
from research import segloss

predictions, targets = np.zeros((1, 4, 2)), np.asarray([[3, 0]])
for loss in (segloss.cross_entropy_loss, segloss.dice_loss, segloss.lovasz_softmax_loss):
    value, gradient = segloss.value_and_grad(loss)(predictions, targets)
    assert np.isfinite(value) and gradient.shape == predictions.shape
assert "agnoloss" not in sys.modules
print(segloss.__file__, segloss.__version__, segloss.cross_entropy_loss(predictions, targets))
"""


@pytest.mark.parametrize("with_compat", [False, True], ids=["compat installed", "compat copied"])
def test_a_copy_under_another_name_works(tmp_path, with_compat):
    copy = tmp_path / "research" / "segloss"
    shutil.copytree(PACKAGE, copy, ignore=NOT_COPIED)
    script = USE
    if with_compat:
        installed = Path(array_api_compat.__file__).parent
        shutil.copytree(installed, copy / "_vendored" / "array_api_compat", ignore=NO_CACHES)
        (copy / "_vendored" / "__init__.py").touch()
        script = 'import sys; sys.modules["array_api_compat"] = None  # as if not installed\n' + USE
    command = [sys.executable, "-W", "error", "-c", script]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    file, version, value = run.stdout.split()
    assert Path(file) == copy / "__init__.py"
    assert version == agnoloss.__version__
    assert float(value) == pytest.approx(1.3862943611198906, rel=1e-15)  # log 4


def test_a_copy_carries_licence_and_types():
    assert (PACKAGE / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (PACKAGE / "py.typed").is_file()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_modules_import_each_other_relatively(path):
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [node.module]
        else:
            continue
        own = [module for module in modules if module.partition(".")[0] in {"agnoloss", "conformance"}]
        assert not own, f"line {node.lineno} imports {own[0]} by its full name"


def test_the_version_is_a_literal_which_the_build_reads():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" in project["project"]["dynamic"]
    source = ROOT / project["tool"]["hatch"]["version"]["path"]
    assert source == PACKAGE / "__init__.py"
    literals = [
        ast.literal_eval(node.value)  # raises for anything but a literal
        for node in ast.parse(source.read_bytes()).body
        if isinstance(node, ast.Assign) and [ast.unparse(name) for name in node.targets] == ["__version__"]
    ]
    assert literals == [agnoloss.__version__]

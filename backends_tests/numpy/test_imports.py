"""Which libraries agnoloss imports, and when. Each test asks a new interpreter."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import agnoloss

ROOT = Path(__file__).parents[2]

# Goes before a script: notes the first import of every array library, successful or not.
WATCH = """
import sys

class Watch:
    libraries = {
        "array_api_strict", "cupy", "cupyx", "dask", "jax", "jaxlib", "keras", "ml_dtypes", "mlx",
        "ndonnx", "numpy", "scipy", "sparse", "tensorflow", "torch",
    }
    tried = []

    def find_spec(self, name, path=None, target=None):
        if name in self.libraries:
            self.tried.append(name)

sys.meta_path.insert(0, Watch())
"""


def libraries_tried(script):
    """The array libraries that a new interpreter tries to import while it runs `script`."""
    program = WATCH + textwrap.dedent(script) + "\nprint(*Watch.tried)\n"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


def test_the_watch_sees_imports():
    assert {"numpy", "cupy"} <= libraries_tried(
        """
        import numpy
        try:
            import cupy
        except Exception:
            pass
        """
    )


def test_import_agnoloss_imports_no_array_library():
    assert libraries_tried("import agnoloss") == set()


def test_looking_around_imports_no_array_library():
    """Not even `agnoloss.torch`, which is there for whoever asks for it."""
    script = """
    import inspect
    import agnoloss

    assert len(inspect.getmembers(agnoloss)) > len(agnoloss.__all__)
    """
    assert libraries_tried(script) == set()


def test_names_that_are_shown_are_public():
    assert set(dir(agnoloss)) == {*agnoloss.__all__, "__version__"}
    assert dir(agnoloss.maps) == ["signed_distance_map", "unet_weight_map"]
    assert all(hasattr(agnoloss.maps, name) for name in dir(agnoloss.maps))


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("DiceLoss", "dice_loss"), ("CrossEntropyLoss", "cross_entropy_loss"), ("IoU", "iou")],
)
def test_a_wrong_name_is_answered_with_a_right_one(wrong, right):
    with pytest.raises(
        AttributeError, match=f"'agnoloss' has no attribute '{wrong}'; did you mean {right}\\?"
    ):
        getattr(agnoloss, wrong)
    with pytest.raises(AttributeError, match=r"has no attribute 'xyz'$"):
        _ = agnoloss.xyz


def test_every_public_name_is_there_without_an_array_library():
    script = """
    import agnoloss

    for name in agnoloss.__all__:
        getattr(agnoloss, name)
    """
    assert libraries_tried(script) == set()


def test_only_the_command_line_imports_the_showcase():
    package = ROOT / "agnoloss"
    rest = [path for path in package.rglob("*.py") if package / "showcase" not in path.parents]
    naming = [path.name for path in rest if re.search(r"(?m)^ *(from|import) .*showcase", path.read_text())]
    assert naming == ["__main__.py"]


def test_only_the_modules_of_one_library_import_it():
    """Demo and gallery import what they draw with as they draw."""
    of_one = r"(torch|keras|backends/(kernels/)?(torch|jax|numpy|cupy|triton)\w*).py"
    files = [path.relative_to(ROOT / "agnoloss") for path in (ROOT / "agnoloss").rglob("*.py")]
    modules = [file.with_suffix("").parts for file in files if not re.fullmatch(of_one, file.as_posix())]
    names = [".".join(("agnoloss", *parts)).removesuffix(".__init__") for parts in modules]
    assert {
        "agnoloss",
        "agnoloss.showcase.demo.training",
        "agnoloss.showcase.style",
        "agnoloss.maps",
    } <= set(names)
    script = f"""
    from importlib import import_module

    for name in {names}:
        import_module(name)
    for name in ("matplotlib", "rich", "skimage", "typer"):
        assert name not in sys.modules
    """
    assert libraries_tried(script) == set()


@pytest.mark.parametrize("loss", ["cross_entropy_loss", "dice_loss", "focal_loss", "lovasz_softmax_loss"])
def test_on_numpy_no_other_library_is_imported(loss):
    script = f"""
    import agnoloss
    import numpy as np

    predictions = np.asarray([[[0.5, -1.0, 2.0], [1.0, 0.0, -0.5]]])
    targets = np.asarray([[0, 1, 0]])
    value, gradient = agnoloss.value_and_grad(agnoloss.{loss})(predictions, targets)
    assert value == agnoloss.{loss}(predictions, targets)
    assert isinstance(gradient, np.ndarray)
    """
    assert libraries_tried(script) <= {"numpy", "scipy"}

"""`agnoloss demo`: the numbers, the table, the picture, and what it says when something is missing."""

import importlib.util
import math
import os
import re
import subprocess
import sys
from importlib.machinery import ModuleSpec
from io import StringIO
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from agnoloss.__main__ import build_app
from agnoloss.showcase import demo
from agnoloss.showcase.demo import libraries
from agnoloss.showcase.demo.outcome import show
from agnoloss.showcase.demo.scene import coins
from agnoloss.showcase.demo.training import intersection_over_union

LOSSES = ["cross_entropy_loss", "dice_loss", "lovasz_hinge_loss"]
STEPS = 6


@pytest.fixture(scope="module")
def printed_and_outcome():
    console = Console(file=StringIO(), width=80, force_terminal=False)
    outcome = demo.run(["array-api-strict"], STEPS, console=console)
    return console.file.getvalue(), outcome


@pytest.fixture
def outcome(printed_and_outcome):
    return printed_and_outcome[1]


def command(*arguments):
    return CliRunner(env={"COLUMNS": "100"}).invoke(build_app(), arguments, catch_exceptions=False)


def words(text):
    """What is left of a terminal's output without colours, frames and line breaks."""
    return " ".join(re.sub("\x1b\\[[0-9;]*m", "", text).replace("│", " ").split())


def printed(outcome):
    console = Console(file=StringIO(), width=80, force_terminal=False)
    show(outcome, console)
    return console.file.getvalue()


# What is computed


def test_scene():
    scene = coins()
    assert scene.photo.shape == scene.mask.shape == scene.features.shape[:2] == (303, 384)
    assert set(np.unique(scene.mask)) == {0, 1}
    assert 0.3 < scene.mask.mean() < 0.4
    np.testing.assert_allclose(scene.features[..., :-1].mean((0, 1)), 0.0, atol=1e-12)
    assert np.all(scene.features[..., -1] == 1.0)
    for features, targets, shape in (
        (*scene.seen(), (1, 152, 96)),
        (*scene.unseen(), (1, 303, 192)),
    ):
        assert targets.shape == shape
        assert features.shape == (*shape, scene.features.shape[-1])


def test_every_loss_falls_and_coins_are_found(outcome):
    assert [(run.loss, run.library) for run in outcome.runs] == [
        (loss, library) for library in ("numpy", "array-api-strict") for loss in LOSSES
    ]
    for run in outcome.runs:
        assert len(run.curve) == STEPS + 1
        assert run.curve[-1] < 0.5 * run.curve[0]
        assert 0.5 < run.iou < 1.0
        assert run.seconds > 0.0
        assert [weight.shape for weight in run.weights] == [(10, 8), (8, 1), (1,)]


def test_the_libraries_start_alike_and_agree(outcome):
    assert outcome.agree
    assert outcome.biggest_distance <= outcome.tolerance
    assert outcome.tolerance == STEPS * 152 * 96 * np.finfo(np.float64).eps
    for reference, other in outcome.by_loss.values():
        assert outcome.distances(reference) == [0.0] * (STEPS + 1)
        assert other.curve[0] == pytest.approx(reference.curve[0], rel=1e-13)


@pytest.mark.parametrize("wrong", [1e-6, math.nan])
@pytest.mark.parametrize("number", [0, -1], ids=["reference", "other"])
def test_a_wrong_value_at_one_step_is_disagreement(outcome, wrong, number):
    runs = list(outcome.runs)
    curve = list(runs[number].curve)
    curve[2] += wrong
    runs[number] = runs[number]._replace(curve=tuple(curve))
    broken = outcome._replace(runs=tuple(runs))
    assert not broken.agree
    assert "The libraries disagree." in printed(broken)


def test_intersection_over_union():
    targets = np.asarray([1, 1, 0, 0])
    assert intersection_over_union(np.asarray([1.0, -1.0, 1.0, -1.0]), targets) == 1 / 3
    assert intersection_over_union(np.asarray([-1.0]), np.asarray([0])) == 1.0


# What is printed


def test_table(printed_and_outcome):
    text, outcome = printed_and_outcome
    for run in outcome.runs:
        assert run.loss in text
        assert f"{run.curve[0]:.4f}" in text
        assert f"{run.curve[-1]:.10f}" in text
        assert f"{run.iou:.4f}" in text
    assert "Left out: torch, jax, cupy: not asked for." in text
    assert f"Took part: numpy {np.__version__}, array-api-strict" in text
    assert f"at any step: {outcome.biggest_distance:.1e}" in text
    assert "The libraries agree." in text
    assert "…" not in text, "a column is too wide for 80 characters"


def test_numpy_alone_claims_no_agreement(outcome):
    alone = outcome._replace(runs=outcome.runs[:3], libraries=outcome.libraries[:1])
    assert alone.agree
    assert "nothing to compare" in printed(alone)
    assert "The libraries agree" not in printed(alone)


# Who takes part


def fake_module(monkeypatch, name, **attributes):
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    vars(module).update(attributes)
    monkeypatch.setitem(sys.modules, name, module)


def fail(*_):
    raise RuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected\nmore")


def test_left_out_with_the_reason(monkeypatch):
    fake_module(monkeypatch, "cupy", ones=fail, sum=sum)
    find_spec = importlib.util.find_spec
    absent = {"torch", "jax", "array_api_strict"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda x: None if x in absent else find_spec(x))
    used, left_out = libraries.choose()
    assert [library.name for library in used] == ["numpy"]
    assert left_out == {
        "torch": "not installed",
        "jax": "not installed",
        "cupy": "no usable device: cudaErrorNoDevice: no CUDA-capable device is detected",
        "array-api-strict": "not installed",
    }


def test_a_broken_library_is_left_out_with_the_reason(monkeypatch):
    def broken(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: ModuleSpec("torch", None))
    monkeypatch.setattr(libraries.importlib, "import_module", broken)
    with pytest.raises(libraries.LibraryUnusableError, match="cannot be imported: torch: cannot open"):
        libraries.find_library("torch")


def test_numpy_takes_part_once_and_first():
    used, left_out = libraries.choose(["array-api-strict", "numpy", "array-api-strict"])
    assert [library.name for library in used] == ["numpy", "array-api-strict"]
    assert set(left_out) == {"torch", "jax", "cupy"}


# The command line


def test_command_with_plot(tmp_path):
    picture = tmp_path / "out.png"
    result = command("demo", "--libraries", "numpy", "--steps", "2", "--plot", str(picture))
    assert result.exit_code == 0, result.output
    assert all(loss in result.output for loss in LOSSES)
    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_plot_that_compares(outcome, tmp_path):
    from agnoloss.showcase.demo.plot import save

    save(tmp_path / "out.svg", coins(), outcome)
    assert "<svg" in (tmp_path / "out.svg").read_text(encoding="utf-8")


def test_exit_code_1_where_libraries_disagree(outcome, monkeypatch):
    wrong = outcome.runs[-1]._replace(curve=(math.nan,) * (STEPS + 1))
    broken = outcome._replace(runs=(*outcome.runs[:-1], wrong))
    monkeypatch.setattr(demo, "run", lambda *_: broken)
    assert command("demo").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--libraries", "tensorflow"], "got 'tensorflow'"),
        (["--libraries", "numpy,torch"], "torch cannot take part: not installed"),
        (["--steps", "0"], "--steps"),
        (["--plot", "no_such_folder/out.png"], "must lie in a folder that exists"),
        (["--plot", "out.xyz"], "must end in one of"),
    ],
)
def test_refusals(arguments, message, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda x: None if x == "torch" else find_spec(x))
    result = command("demo", *arguments)
    assert result.exit_code == 2
    assert message in words(result.output)


def test_flags_take_no_value():
    lines = [line.strip() for line in command("--help").output.splitlines()]
    assert {"--version  Say which.", "--help     Show this message and exit."} <= set(lines)


def test_run_refuses_no_steps():
    with pytest.raises(demo.RequestError, match="`steps` must be 1 or more; got 0"):
        demo.run(["numpy"], steps=0)


def run_without(blocked, *arguments):
    """Run the command line in a fresh interpreter where the modules `blocked` cannot be imported."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({list(blocked)!r})); "
        f"sys.argv[1:] = {list(arguments)!r}; from agnoloss.__main__ import main; main()"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )


@pytest.mark.parametrize("arguments", [["--help"], ["demo"], []])
def test_without_typer_it_says_what_to_install(arguments):
    result = run_without(["typer", "rich", "numpy"], *arguments)
    assert result.returncode == 1
    assert result.stderr == 'The command line needs typer: pip install "agnoloss[demo]"\n'


def test_without_the_rest_it_says_what_to_install():
    result = run_without(["skimage", "numpy"], "demo")
    assert result.returncode == 1
    assert result.stderr == 'The demo needs numpy, skimage: pip install "agnoloss[demo]"\n'


def test_matplotlib_is_for_the_plot_alone(tmp_path):
    assert run_without(["matplotlib"], "demo", "--libraries", "numpy", "--steps", "1").returncode == 0
    result = run_without(["matplotlib"], "demo", "--plot", str(tmp_path / "out.png"))
    assert result.stderr == 'The demo needs matplotlib: pip install "agnoloss[demo]"\n'


def test_help_and_version_import_no_array_library():
    blocked = ["numpy", "torch", "jax", "cupy", "array_api_strict"]
    assert "demo" in run_without(blocked, "--help").stdout
    assert run_without(blocked, "--version").stdout.startswith("agnoloss ")

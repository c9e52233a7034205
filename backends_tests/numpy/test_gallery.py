"""`agnoloss gallery`: the pictures, and that the pages show each of them and no other."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from agnoloss import cross_entropy_loss, dice_loss
from agnoloss.__main__ import build_app
from agnoloss.showcase import gallery

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
FAMILIES = ("cross_entropy", "focal", "region", "lovasz", "boundary", "compound", "metrics")
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures") / "made" / "by draw"
    reported = []
    saved = gallery.draw(folder, dpi=20, points=9, report=reported.append)
    assert saved == reported
    return folder, saved


def shown_on_pages():
    return {
        (page.parent / image).resolve()
        for page in PAGES
        for image in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    }


# The pictures


def test_every_picture_of_the_documentation_is_drawn_and_no_other(drawn):
    folder, saved = drawn
    assert sorted(saved) == sorted(folder.iterdir())
    images = {path.name for path in (ROOT / "docs" / "images").iterdir()}
    assert {path.name for path in saved} == images
    for path in saved:
        assert path.read_bytes().startswith(PNG)


def test_the_pages_show_every_picture_and_only_those_that_exist():
    measured = (ROOT / "benchmarks" / "results").resolve()
    drawn = {path for path in shown_on_pages() if path.parent != measured or not path.exists()}
    assert drawn == set((ROOT / "docs" / "images").resolve().iterdir())


def test_no_picture_is_large():
    for path in (ROOT / "docs" / "images").iterdir():
        assert path.stat().st_size < 200_000, path.name


def test_one_pixel_has_the_loss_and_gradient_of_the_formula():
    from agnoloss.showcase.gallery.pixel import curve

    p = np.asarray([0.1, 0.5, 0.9])
    for options in ({"mode": "binary"}, {}):
        values, gradient = curve(cross_entropy_loss, np.log(p / (1 - p)), **options)
        np.testing.assert_allclose(values, -np.log(p), rtol=1e-13)
        np.testing.assert_allclose(gradient, p - 1, rtol=1e-13)


@pytest.mark.parametrize("size", [100, 6400])
def test_four_weighted_pixels_stand_for_an_image(size):
    from agnoloss.showcase.gallery.overlap import IMAGE, SCORE, losses_of_size

    labels = (np.arange(IMAGE) < size).astype(np.int64)[None]
    for loss in (cross_entropy_loss, dice_loss):
        for ratio in (0.25, 1.0, 1.5):
            scores = np.where(np.arange(IMAGE) < ratio * size, SCORE, -SCORE)[None]
            (value,) = losses_of_size(loss, size, [ratio], mode="binary")
            assert value == pytest.approx(float(loss(scores, labels, mode="binary")), rel=1e-12)


def test_the_scene_has_the_mistakes_that_the_page_names():
    from scipy import ndimage

    from agnoloss.showcase.gallery.pulls import scene

    photo, mask, scores = scene()
    assert photo.shape == mask.shape == scores.shape
    assert ndimage.label(mask[0])[1] == 6
    found = (scores[0] > 0).astype(int)
    assert ndimage.label(found)[1] == 6  # one is missed, and one is where no coin is
    assert ndimage.label(found * (1 - ndimage.binary_dilation(mask[0], iterations=12)))[1] == 1
    assert 0.5 < (found & mask[0]).sum() / (found | mask[0]).sum() < 0.9


@pytest.mark.parametrize("panels", ["FOCALS", "COMPOUNDS"])
def test_gradients_are_shown_beside_the_scene_and_no_panel_is_empty(panels):
    from agnoloss.showcase.gallery import pulls

    losses = getattr(pulls, panels)
    *cells, _ = pulls.draw_pulls(losses).axes  # the last one is the colour bar
    titles = [axes.texts[0].get_text() for axes in cells]
    assert titles == ["Truth and prediction", *(panel.title for panel in losses)]


# The pages


def test_every_family_has_a_page_that_is_linked():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for family in (*FAMILIES, "parity"):
        assert f"({family}.md)" in index


LINKED = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *PAGES]


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", text):
        if "://" in target:
            continue
        path = (page.parent / target) if target else page
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, anchor


# The command line


def test_command(tmp_path, monkeypatch):
    def draw(folder, report):
        report(folder / "one.png")

    monkeypatch.setattr(gallery, "draw", draw)
    result = CliRunner().invoke(build_app(), ["gallery", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.output.strip() == str(tmp_path / "one.png")


def test_a_folder_that_cannot_be_made(tmp_path):
    file = tmp_path / "file"
    file.touch()
    for folder in (file, file / "below"):
        result = CliRunner().invoke(build_app(), ["gallery", str(folder)])
        assert result.exit_code == 2
    with pytest.raises(gallery.RequestError, match="`folder` must be one that can be made; got"):
        gallery.draw(file / "below")


@pytest.mark.parametrize(("dpi", "points"), [(0, 9), (20, 1)])
def test_numbers_out_of_range(tmp_path, dpi, points):
    with pytest.raises(gallery.RequestError, match="`dpi` must be 1 or more and `points` 2 or more"):
        gallery.draw(tmp_path, dpi=dpi, points=points)


def test_without_matplotlib_it_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['matplotlib'] = None; sys.argv[1:] = ['gallery', sys.argv[1]]; "
        "from agnoloss.__main__ import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "new")],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr == 'The gallery needs matplotlib: pip install "agnoloss[plot]"\n'
    assert not (tmp_path / "new").exists()

"""docs/performance.md and the tables beside the results hold what these say."""

import json
import re

import pytest

from benchmarks import page, results

from .test_targets import FOUND

ABOUT = {
    "date": "2026-01-01", "quick": False, "losses": "*", "machine": "m", "threads": 2, "python": "3.11.0",
    "versions": {"numpy": "2.0"},
}  # fmt: skip
ROWS = [{**FOUND["cpu", "torch", "W1"]["rows"][0], "library": "torch"}]


@pytest.fixture
def written(tmp_path):
    results.write(results.path_of(tmp_path, "cpu", "torch", "W1"), ABOUT, ROWS)
    where = tmp_path / "page.md"
    where.write_text(f"Before.\n\n{page.BEGIN}\nold\n{page.END}\n\nAfter.\n")
    return where, tmp_path


def test_the_pages_are_of_the_results():
    page.check()


def test_the_page_is_short():
    """At most 25 rows of tables, without their heads."""
    lines = [line for line in page.PAGE.read_text().splitlines() if line.startswith("|")]
    heads = [line for line in lines if set(line) <= set("|:- ")]
    assert len(lines) - 2 * len(heads) <= 25


def test_no_path_of_a_machine_in_the_results():
    for path in results.FOLDER.glob("*.json"):
        assert not re.search(r"(/home/|/tmp/|/root/|/Users/|site-packages)", path.read_text())


def test_a_stale_page_is_found_and_written(written):
    where, folder = written
    with pytest.raises(page.StaleError, match="python -m benchmarks page"):
        page.check(where, folder)
    page.write(where, folder)
    page.check(where, folder)
    (folder / "cpu.md").unlink()
    with pytest.raises(page.StaleError, match=r"cpu\.md is stale"):
        page.check(where, folder)
    page.write(where, folder)
    assert where.read_text().startswith("Before.\n\n")
    assert where.read_text().endswith("\n\nAfter.\n")
    path = results.path_of(folder, "cpu", "torch", "W1")
    content = json.loads(path.read_text())
    content["rows"][0]["entries"][1]["seconds"] = [0.5, 0.5, 1.0]
    path.write_text(json.dumps(content))
    with pytest.raises(page.StaleError):
        page.check(where, folder)


def test_a_page_without_markers(tmp_path):
    (tmp_path / "page.md").write_text("nothing")
    with pytest.raises(page.StaleError, match="markers"):
        page.check(tmp_path / "page.md", tmp_path)


def test_slower_is_bold(written):
    where, folder = written
    entries = [dict(entry) for entry in ROWS[0]["entries"]]
    entries[1]["seconds"] = [0.5, 0.5, 1.0]
    results.write(results.path_of(folder, "cpu", "torch", "W1"), ABOUT, [{**ROWS[0], "entries": entries}])
    page.write(where, folder)
    assert "| `dice_loss` | **0.50× slow, 1.1 / 5.0 L** |" in where.read_text()
    whole = (folder / "cpu.md").read_text()
    assert "| slow | **500 ms, 0.50× (0.50 to 0.50), 5.00 L** |" in whole
    assert "| quick | 3e+03 ms, 3.00× (3.00 to 3.00), 4.00 L |" in whole
    assert "not installed: No module named 'absent'" in whole


def test_a_peer_with_another_number_is_not_in_the_short_table(written):
    where, folder = written
    entries = [dict(entry) for entry in ROWS[0]["entries"]]
    entries[1]["agrees"], entries[2]["other"] = False, "other formula"
    results.write(results.path_of(folder, "cpu", "torch", "W1"), ABOUT, [{**ROWS[0], "entries": entries}])
    page.write(where, folder)
    assert "| `dice_loss` | 2.00× other, 2.0 / 1.0 L |" in where.read_text()


def test_a_run_of_one_loss_keeps_the_others(written):
    _, folder = written
    path = results.path_of(folder, "cpu", "torch", "W1")
    results.write(path, {**ABOUT, "losses": "focal*"}, [{**ROWS[0], "loss": "focal_loss"}])
    losses = [row["loss"] for row in results.read(folder)["cpu", "torch", "W1"]["rows"]]
    assert losses == ["dice_loss", "focal_loss"]
    results.write(path, ABOUT, ROWS)
    assert len(results.read(folder)["cpu", "torch", "W1"]["rows"]) == 1

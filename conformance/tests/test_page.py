"""The report of a made-up run: the JSON holds every result, the page every loss, library and failure."""

import dataclasses
import json
import re
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from .. import __main__ as command_line
from ..suite.libraries import LIBRARIES
from ..suite.page import about, as_html, as_json, duration, headline, percent, ulp, write
from ..suite.registry import ENTRIES
from ..suite.run import Request
from .page_sample import COLUMNS, sample

LOADING = {"src", "srcset", "data", "poster", "action", "formaction", "background", "xlink:href"}
VOID = {"meta", "link", "input", "wbr", "br"}


class Page(HTMLParser):
    """What a page says, what it would load, and whether each element is closed."""

    def __init__(self, html):
        super().__init__()
        self.loads, self.text, self.open, self.ids, self.labels = [], "", [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.loads += [value for name, value in attributes if name in LOADING]
        self.loads += (
            [found["href"]] if "href" in found and not found["href"].startswith(("#", "data:")) else []
        )
        self.ids += [found["id"]] if "id" in found else []
        self.labels += [found["aria-label"]] if "aria-label" in found else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(params=[False, True], ids=["agreeing", "failing"])
def made_up(request):
    return sample(failing=request.param)


def test_json_holds_every_result(made_up):
    results, run = made_up
    report = json.loads(as_json(results, run), parse_constant=pytest.fail)  # no NaN, no Infinity
    assert len(report["results"]) == report["comparisons"] == len(results)
    assert report["disagreements"] == sum(result.wrong for result in results)
    assert report["expected_failures"] == sum(bool(result.expected) for result in results) > 0
    assert report["agrees"] == (report["disagreements"] == 0)
    for line, result in zip(report["results"], results, strict=True):
        for name in ("loss", "case", "library", "dtype", "fault", "allowed", "allowed_gradient", "agrees"):
            assert line[name] == getattr(result, name)
        assert line.get("expected", "") == result.expected
        for name in ("value", "gradient", "worst"):
            assert line[name] == (None if getattr(result, name) == float("inf") else getattr(result, name))
        assert line.get("repeat") == (None if result.agrees else result.repeat)
    assert [library["version"] for library in report["libraries"]] == [column.version for column in COLUMNS]
    assert report["made"] == "2026-01-31T12:30:00+00:00"


def test_page_holds_every_loss_and_library_and_loads_nothing(made_up):
    html = as_html(*made_up)
    page = Page(html)
    assert page.open == []
    assert page.loads == []
    assert not re.search(r"https?://|url\(|@import|\bimport\(|fetch\(|XMLHttpRequest", html)
    assert len(set(page.ids)) == len(page.ids)
    for entry in ENTRIES:
        assert sum(label.startswith(f"{entry.name} on ") for label in page.labels) == len(COLUMNS)
    for column in COLUMNS:
        assert column.version in page.text
        for what, why in column.refuses.items():
            assert f"leaves out {what}: {why}" in page.text
    for said in (
        headline(*made_up),
        "2026-01-31 12:30 UTC",
        "3 min 7 s",
        made_up[1].system,
        made_up[1].command,
    ):
        assert said in page.text


def test_a_failure_shows_up():
    results, run = sample(failing=True)
    said = f"4 of {len(results):,} comparisons disagree: 3 losses on PyTorch and CuPy."
    assert headline(results, run) == said
    html = as_html(results, run)
    page = Page(html)
    for result in results:
        if result.wrong:
            assert page.text.count(result.repeat) == 2  # in the list, and in the cell
    assert "cross_entropy_loss on PyTorch, all dtypes: value ✕ fault of what is allowed" in html
    assert "<script>alert" not in html  # the text of an exception stays text
    assert "raised ValueError: <script>alert('&')</script>" in page.text
    assert "What disagrees" not in as_html(*sample())


def test_expected_failures_are_told_apart_from_failures():
    results, run = sample()
    known = sum(bool(result.expected) for result in results)
    assert headline(results, run).startswith(f"All agree but {known} that were expected to fail: ")
    html = as_html(results, run)
    page = Page(html)
    (label,) = (label for label in page.labels if label.startswith("lovasz_hinge_loss on array-api-strict"))
    assert label.endswith(f"all dtypes: {known} of {known} fail as expected")
    assert f"fails {known} as expected: made up: it cannot sort" in page.text
    assert "xfail: made up: it cannot sort" in page.text
    assert "What disagrees" not in html


def test_an_expectation_that_nothing_fits_is_an_error():
    results, run = sample()
    run = dataclasses.replace(run, unfit=("Dask was expected to fail what is not there",))
    assert json.loads(as_json(results, run))["agrees"] is False
    assert headline(results, run).endswith("Dask was expected to fail what is not there.")
    assert "Expected failures that nothing fits" in Page(as_html(results, run)).text


@pytest.mark.parametrize("wanted", ["nothing", "one"])
def test_headlines_of_small_runs(wanted):
    results, run = sample()
    kept = [] if wanted == "nothing" else results[:1]
    said = {
        "nothing": "Nothing was compared.",
        "one": "All agree: cross_entropy_loss on NumPy, worst error 0.12 of what rounding allows.",
    }
    assert headline(kept, run) == said[wanted]
    assert said[wanted] in Page(as_html(kept, run)).text
    assert json.loads(as_json(kept, run))["agrees"] == (wanted == "one")


def test_a_long_list_of_failures_is_cut_on_the_page_alone():
    results, run = sample()
    broken = [dataclasses.replace(result, fault="broken", expected="") for result in results]
    page = Page(as_html(broken, run))
    assert f"and {len(broken) - 20} more, all in report.json" in page.text
    assert json.loads(as_json(broken, run))["disagreements"] == len(broken)


def test_numbers_in_few_characters():
    parts = {0.0: "0%", 1e-9: "<1%", 0.414: "41%", 1.0: "100%", 1.0001: "101%", 12.4: "12×", 3e8: "3e8×"}
    assert {part: percent(part) for part in parts} == parts
    assert percent(float("inf")) == ulp(float("inf")) == "∞"
    errors = {0.0: "0", 0.123: "0.12", 9.96: "10", 123.4: "123", 3.7e9: "3.7e+09"}
    assert {error: ulp(error) for error in errors} == errors
    assert [duration(s) for s in (0.0, 2.345, 59.4, 187.4)] == ["0 s", "2.3 s", "59 s", "3 min 7 s"]


def test_a_library_that_broke_the_oracle_has_a_column():
    """A loss that cannot be computed with 50 digits is a result of mparray, asked for or not."""
    request = Request("dice", ("numpy",), ("float64",))
    results, _ = sample()
    fault = dataclasses.replace(results[0], library="mparray", fault="raised")
    assert [column.name for column in about(request, [fault], 1.0).columns] == ["numpy", "mparray"]


@pytest.mark.parametrize("every", [False, True])
def test_the_command_repeats_the_run(every):
    request = Request("dice*", ("numpy", "strict"), ("float64",), "soft", every_dtype=every)
    dtype = " --dtype float64" if every else ""  # else the dtypes take turns
    said = f"python -m conformance --backend numpy,strict{dtype} --loss 'dice*' --case soft"
    for name in request.libraries:
        LIBRARIES[name].load()
    run = about(request, [], 1.0)
    assert run.command == said
    assert ("in one of the dtypes" in as_html([], run)) is not every


def test_report_from_the_command_line(tmp_path):
    folder = tmp_path / "new" / "report"
    arguments = (
        "--loss",
        "dice",
        "--backend",
        "numpy,strict",
        "--dtype",
        "float64",
        "--case",
        "multiclass: defaults",
    )
    outcome = CliRunner().invoke(
        command_line.app, [*arguments, "--jobs", "1", "--report", str(folder)], env={"COLUMNS": "200"}
    )
    assert outcome.exit_code == 0, outcome.output
    assert str(folder / "index.html") in outcome.output
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert {(r["loss"], r["library"]) for r in report["results"]} == {
        ("dice_loss", "numpy"),
        ("dice_loss", "strict"),
    }
    assert report["headline"] in (folder / "index.html").read_text(encoding="utf-8")
    # Nothing of this machine's folders.
    assert str(tmp_path) not in (folder / "index.html").read_text(encoding="utf-8") + json.dumps(report)


def test_a_folder_that_cannot_be_made_is_an_error_of_use(tmp_path):
    (tmp_path / "file").write_text("in the way")
    arguments = ["--loss", "dice", "--backend", "numpy", "--report", str(tmp_path / "file" / "report")]
    outcome = CliRunner().invoke(command_line.app, arguments, env={"COLUMNS": "200"})
    assert outcome.exit_code == 2
    assert "Not a directory" in outcome.output


def test_writing_again_replaces(tmp_path):
    write(tmp_path, *sample(failing=True))
    page = write(tmp_path, *sample())
    assert page == tmp_path / "index.html"
    assert "disagree:" not in page.read_text(encoding="utf-8")

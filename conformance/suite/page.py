"""What a run found, as a page to look at and as numbers to compute with: ``--report out/``."""

from __future__ import annotations

import json
import math
import platform
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

import agnoloss

from . import PROGRAM
from .agreement import Result
from .libraries import LIBRARIES, ORACLE_DIGITS
from .library import Library
from .run import Request

STEPS = (0.1, 0.25, 0.5, 0.75, 1.0)
"""Where one colour ends and the next begins, in parts of what is allowed."""

LISTED = 20
"""How many disagreements a list on the page holds; report.json holds them all."""


@dataclass(frozen=True)
class Column:
    """A library as the page shows it: its name, what ran, and what it cannot do and why."""

    name: str
    title: str
    version: str
    refuses: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class About:
    """How a run was made.

    Attributes
    ----------
    columns : tuple of Column
        The libraries.
    dtypes : tuple of str
        Of the predictions.
    command : str
        What repeats the run.
    made : datetime
        When it ended.
    seconds : float
        How long it took.
    system : str
        What it ran on, besides the libraries.
    every_dtype : bool
        Whether each case was compared in every dtype; otherwise each in one of them, in turn.
    unfit : tuple of str
        Expected failures that nothing in the run fits.
    """

    columns: tuple[Column, ...]
    dtypes: tuple[str, ...]
    command: str
    made: datetime
    seconds: float
    system: str
    every_dtype: bool = True
    unfit: tuple[str, ...] = ()


def about(request: Request, results: Iterable[Result], seconds: float, unfit: Iterable[str] = ()) -> About:
    """Describe a run that has just ended; its libraries are loaded."""
    found = {result.library for result in results}
    names = [*request.libraries, *(n for n in LIBRARIES if n in found and n not in request.libraries)]
    libraries = [LIBRARIES[name] for name in names]
    columns = tuple(_column(library, request) for library in libraries)
    system = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    command = ["python", "-m", PROGRAM, "--backend", ",".join(request.libraries)]
    command += ["--dtype", ",".join(request.dtypes)] if request.every_dtype else []
    command += ["--loss", request.losses]
    command += ["--case", request.case] if request.case else []
    command += ["--device", request.device] if request.device else []
    made = datetime.now(timezone.utc)
    words = shlex.join(command)
    return About(columns, request.dtypes, words, made, seconds, system, request.every_dtype, tuple(unfit))


def _column(library: Library, request: Request) -> Column:
    stayed = ", on the host, having no other device" if request.device and not library.devices else ""
    return Column(library.name, library.title, f"{library.version()}{stayed}", request.left_out(library))


def write(folder: Path, results: Sequence[Result], run: About) -> Path:
    """Write index.html and report.json into a folder, which is made; return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(as_json(results, run), encoding="utf-8")
    page = folder / "index.html"
    page.write_text(as_html(results, run), encoding="utf-8")
    return page


def as_json(results: Sequence[Result], run: About) -> str:
    """Every result with its errors, one on a line; null stands for an error that is no number."""
    head = {
        "format": 1,
        "agnoloss": agnoloss.__version__,
        "headline": headline(results, run),
        "agrees": bool(results) and not run.unfit and not any(result.wrong for result in results),
        "comparisons": len(results),
        "disagreements": sum(result.wrong for result in results),
        "expected_failures": sum(bool(result.expected) for result in results),
        "unfit": run.unfit,
        "made": run.made.isoformat(timespec="seconds"),
        "seconds": round(run.seconds, 3),
        "command": run.command,
        "system": run.system,
        "oracle_digits": ORACLE_DIGITS,
        "dtypes": run.dtypes,
        "every_dtype": run.every_dtype,
        "libraries": [{**vars(column), "refuses": dict(column.refuses)} for column in run.columns],
    }
    lines = ",\n".join(json.dumps(_plain(result), allow_nan=False) for result in results)
    start = json.dumps(head, indent=1, ensure_ascii=False, allow_nan=False).removesuffix("\n}")
    return f'{start},\n "results": [\n{lines}\n]}}\n'


def as_html(results: Sequence[Result], run: About) -> str:
    """The page: one file that loads nothing."""
    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.FunctionLoader(_template),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["percent"], environment.filters["ulp"] = percent, ulp
    rows = _rows(results, run)
    wrong = sorted((result for result in results if result.wrong), key=lambda r: -r.worst)
    return environment.get_template("report.html").render(
        headline=headline(results, run),
        version=agnoloss.__version__,
        run=run,
        made=run.made.strftime("%Y-%m-%d %H:%M UTC"),
        duration=duration(run.seconds),
        digits=ORACLE_DIGITS,
        count=len(results),
        worst=max((r for r in results if r.agrees), key=lambda r: r.worst, default=None),
        wrong=wrong,
        listed=LISTED,
        titles={column.name: column.title for column in run.columns},
        steps=STEPS,
        rows=rows,
        known=Counter((result.library, result.expected) for result in results if result.expected),
        data=[[cell["shown"] for cell in row["cells"]] for row in rows],
    )


def headline(results: Sequence[Result], run: About) -> str:
    """What the run found, in a sentence."""
    if not results:
        return "Nothing was compared."
    wrong = [result for result in results if result.wrong]
    agree = [result for result in results if result.agrees]
    titles = {column.name: column.title for column in run.columns}
    losses = list(dict.fromkeys(result.loss for result in wrong or results))
    libraries = list(dict.fromkeys(titles[result.library] for result in wrong or results))
    few = 2 if wrong else 1  # names say more where something is wrong
    where = f"{_named(losses, few, 'losses')} on {_named(libraries, few, 'libraries')}"
    if not wrong and run.unfit:
        return f"{len(run.unfit)} of the expected failures fit nothing: {run.unfit[0]}."
    if not wrong:
        known = len(results) - len(agree)
        said = f"All agree but {known:,} that were expected to fail" if known else "All agree"
        worst = max((result.worst for result in agree), default=0.0)
        return f"{said}: {where}, worst error {worst:.2g} of what rounding allows."
    comparisons = "1 comparison" if len(results) == 1 else f"{len(results):,} comparisons"
    return f"{len(wrong):,} of {comparisons} {'disagrees' if len(wrong) == 1 else 'disagree'}: {where}."


def percent(part: float) -> str:
    """A part of what is allowed, in few characters: 41%, then 12×, then 3e8×."""
    if math.isinf(part):
        return "∞"
    if part < 0.01:
        return "<1%" if part else "0%"
    if part < 9.995:
        return f"{round(part * 100) if part <= 1 else math.ceil(part * 100)}%"  # 100% is for what agrees
    return f"{part:.0f}×" if part < 999.5 else f"{part:.0e}×".replace("e+0", "e").replace("e+", "e")


def ulp(error: float) -> str:
    """An error in units in the last place."""
    if math.isinf(error):
        return "∞"
    return f"{error:.2g}" if error < 10 else f"{error:.0f}" if error < 9999.5 else f"{error:.1e}"


def duration(seconds: float) -> str:
    """A time as people say it."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.2g} s" if seconds < 10 else f"{rest} s"


def _template(name: str) -> str:
    return files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


def _plain(result: Result) -> dict[str, Any]:
    """A result for JSON, which has no infinity."""
    numbers = {**vars(result), "worst": result.worst}
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in numbers.items()}
    if not result.expected:
        del finite["expected"]
    return {**finite, "agrees": bool(result.agrees)} | ({} if result.agrees else {"repeat": result.repeat})


def _named(names: Sequence[str], few: int, many: str) -> str:
    return " and ".join(names) if len(names) <= few else f"{len(names)} {many}"


def _rows(results: Sequence[Result], run: About) -> list[dict[str, Any]]:
    """Losses with a cell for each library, and the worst of each."""
    found: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in results:
        found[result.loss, result.library].append(result)
    rows = []
    for loss in dict.fromkeys(result.loss for result in results):
        cells = [_cell(loss, column, found[loss, column.name], run.dtypes) for column in run.columns]
        halves = [cell["shown"][0][what] for cell in cells for what in ("value", "gradient")]
        rows.append({"loss": loss, "cells": cells, "worst": max(halves, key=lambda half: half["part"])})
    return rows


def _cell(loss: str, column: Column, results: Sequence[Result], dtypes: Sequence[str]) -> dict[str, Any]:
    """One loss on one library: what is shown for all dtypes and for each, and the details."""
    by_dtype = {dtype: [result for result in results if result.dtype == dtype] for dtype in dtypes}
    why = {what: column.refuses[what] for what in (loss, *dtypes) if what in column.refuses}
    wrong = sorted((result for result in results if result.wrong), key=lambda r: -r.worst)
    known = Counter(result.expected for result in results if result.expected)
    shown = [_shown(loss, column, "all dtypes", results, why.get(loss, ""))]
    for dtype, some in by_dtype.items():
        shown.append(_shown(loss, column, dtype, some, why.get(loss) or why.get(dtype, "")))
    worst = {what: _worst(results, what) for what in ("value", "gradient")}
    in_dtype = [(d, _worst(some, "value"), _worst(some, "gradient")) for d, some in by_dtype.items() if some]
    return {
        "column": column,
        "count": len(results),
        "shown": shown,
        "why": why,
        "wrong": wrong,
        "known": known,
        "worst": [(what, result, part) for what, (result, part) in worst.items() if result is not None],
        "dtypes": in_dtype,
    }


def _shown(loss: str, column: Column, dtype: str, results: Sequence[Result], why: str) -> dict[str, Any]:
    """Text and colour of a cell."""
    halves = {what: _half(*_worst(results, what), what) for what in ("value", "gradient")}
    failed = sum(result.wrong for result in results)
    known = sum(bool(result.expected) for result in results)
    state = f"{failed} of {len(results)} disagree" if failed else f"all {len(results) - known} agree"
    state = f"{known} of {len(results)} fail as expected; {state}" if known else state
    says = ", ".join(f"{what} {half['percent']} of what is allowed" for what, half in halves.items())
    says = f"{known} of {known} fail as expected" if known == len(results) else f"{says}; {state}"
    label = says if results else f"not compared{why and ': '}{why}"
    return {**halves, "failed": failed, "label": f"{loss} on {column.title}, {dtype}: {label}"}


def _half(result: Result | None, part: float, what: str) -> dict[str, Any]:
    """The value's or the gradient's half of a cell; a part of -1 sorts what was not compared last."""
    if result is None:
        return {"part": -1, "percent": "–", "ulp": "–", "level": "none"}
    if result.expected:
        return {"part": -0.5, "percent": "xfail", "ulp": "xfail", "level": "xfail"}
    level = next((str(number) for number, step in enumerate(STEPS) if part <= step), "wrong")
    texts = ("fault", "fault") if result.fault else (percent(part), ulp(getattr(result, what)))
    mark = "✕ " if level == "wrong" else ""
    return {"part": min(part, 1e300), "percent": mark + texts[0], "ulp": mark + texts[1], "level": level}


def _worst(results: Sequence[Result], what: str) -> tuple[Result | None, float]:
    """The result that uses most of what its value or gradient is allowed, and the part it uses.

    One that was expected to fail only where there is no other.
    """
    parts = [(result, _part(result, what)) for result in results]
    return max(parts, key=lambda pair: (not pair[0].expected, pair[1]), default=(None, -1.0))


def _part(result: Result, what: str) -> float:
    error, allowed = result.value, result.allowed
    if what == "gradient":
        error, allowed = result.gradient, result.allowed_gradient
    return math.inf if result.fault or math.isnan(error) else error / allowed

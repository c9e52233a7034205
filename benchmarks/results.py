"""The files of results: one for each device, library and workload."""

import json
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "results"


def path_of(folder, device, library, workload):
    return folder / f"{device}-{library}-{workload}.json"


def write(path, about, rows):
    """Write a file; of a run of some losses alone, the rows of others stay."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = {row["loss"] for row in rows}
    if about["losses"] != "*" and path.is_file():
        rows = [row for row in json.loads(path.read_text())["rows"] if row["loss"] not in new] + rows
    text = {"about": about, "rows": rows}
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in text["rows"])
    path.write_text(f'{{"about": {json.dumps(about)},\n"rows": [\n{lines}\n]}}\n', encoding="utf-8")


def write_targets(folder, device, verdicts):
    """Write what became of the targets."""
    rows = [{**verdict._asdict(), "met": verdict.met, "outcome": str(verdict)} for verdict in verdicts]
    text = json.dumps(rows, indent=0, ensure_ascii=False)
    (folder / f"targets-{device}.json").write_text(f"{text}\n", encoding="utf-8")


def read(folder):
    """Every file's content by (device, library, workload)."""
    found = {}
    for path in sorted(folder.glob("*-*-*.json")):
        found[tuple(path.stem.split("-", 2))] = json.loads(path.read_text(encoding="utf-8"))
    return found

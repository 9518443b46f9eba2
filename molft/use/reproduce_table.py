"""The table of a reproduction: published numbers beside ours, on the terminal, as CSV and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rich import box
from rich.table import Table
from rich.text import Text

from molft.data.split import PARTS
from molft.files import write_json
from molft.use.benchmark_data import NAMES
from molft.use.output import write_rows
from molft.use.published import SNAP_SETS, SOURCES, find_published, published
from molft.use.reproduce_plot import draw_results

ANSWERS = ("network", "last epoch", "forest", "gp", "blend", "answer")
PUBLISHED = ("none", "ContextPred", "best")
_RUN = ("set", "seed", "protocol", "encoder", "metric")
_FACTS = ("data_file", "data_sha256", "rows", "kept", "dropped", "published_kept", "left_out",
          "split_is_known", "encoder_sha256", "features", "first_rows", "device", "precision",
          "seconds")  # fmt: skip


def summarize(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a set, in the order of the papers, then the mean over those of the eight sets that are there.

    ``ours`` holds for each answer the mean test score, its standard deviation over the seeds (of the
    population, as NumPy's default is) and their number: per cent for shares, the labels' unit for RMSE.
    """
    rows = []
    for name in NAMES:
        own = [record for record in records if record["set"] == name]
        if not own:
            continue
        scale = 1.0 if own[0]["metric"] == "rmse" else 100.0
        ours = {answer: _spread([_test(record, answer) for record in own], scale) for answer in ANSWERS}
        known = {method: find_published(name, method) for method in PUBLISHED}
        rows.append(
            {
                "set": name,
                "metric": own[0]["metric"],
                "tasks": own[0]["tasks"],
                "scored_tasks": own[0]["scores"]["network"]["tasks"],
                "seeds": sorted(record["seed"] for record in own),
                "published": {method: vars(number) for method, number in known.items() if number},
                "ours": {answer: found for answer, found in ours.items() if found},
            }
        )
    return rows + _mean_row(rows)


def _test(record: dict[str, Any], answer: str) -> float | None:
    found = record["scores"].get(answer)
    return None if found is None else found["test"]


def _spread(values: Sequence[float | None], scale: float) -> dict[str, Any] | None:
    known = [value * scale for value in values if value is not None]
    if not known:
        return None
    spread = float(np.std(known)) if len(known) > 1 else None
    return {"mean": float(np.mean(known)), "std": spread, "seeds": len(known)}


def _mean_row(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The mean over the papers' sets; a column that lacks a set has no mean."""
    shared = [row for row in rows if row["set"] in SNAP_SETS]
    if len(shared) < 2:
        return []
    ours = {
        answer: {"mean": float(np.mean([row["ours"][answer]["mean"] for row in shared])), "std": None}
        for answer in ANSWERS
        if all(answer in row["ours"] for row in shared)
    }
    known = {
        method: {"value": float(np.mean([row["published"][method]["value"] for row in shared]))}
        for method in PUBLISHED
        if all(method in row["published"] for row in shared)
    }
    name = f"mean of {len(shared)} sets"
    return [{"set": name, "metric": "roc_auc", "seeds": [], "published": known, "ours": ours}]


def results_table(rows: Sequence[dict[str, Any]]) -> Table:
    """The rows of :func:`summarize` as a table of at most 80 columns.

    These have no room for a blend beside a Gaussian process and the answer, which nearly always is the blend.
    """
    answers = [answer for answer in ANSWERS if any(answer in row["ours"] for row in rows)]
    if {"gp", "answer"} <= set(answers):
        answers.remove("blend")
    methods = [method for method in PUBLISHED if any(method in row["published"] for row in rows)]
    heads = {"none": "none", "ContextPred": "context", "best": "best", "last epoch": "last"}
    table = Table(box=box.SIMPLE, pad_edge=False, padding=0, caption_justify="left", caption_style="")
    table.add_column("set", no_wrap=True)
    for column in (*methods, *answers):
        style = "dim" if column in methods else ""
        table.add_column(heads.get(column, column), justify="right", no_wrap=True, style=style)
    for row in rows:
        if row["set"].startswith("mean"):
            table.add_section()
        digits = 2 if row["metric"] == "rmse" else 1
        cells = [_published_text(row["published"].get(method)) for method in methods]
        cells += [_ours_text(row["ours"].get(answer), digits) for answer in answers]
        table.add_row(row["set"], *(Text(cell) for cell in cells))
    table.caption = Text(_caption(rows, methods, answers))
    return table


def _published_text(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    return _with_spread(found["value"], found.get("spread"), 1)


def _ours_text(found: dict[str, Any] | None, digits: int) -> str:
    if found is None:
        return ""
    return _with_spread(found["mean"], found["std"], digits)


def _with_spread(value: float, spread: float | None, digits: int) -> str:
    told = "" if spread is None else f"±{spread:.{digits}f}".replace("±0.", "±.")  # narrow: 80 columns
    return f"{value:.{digits}f}{told}"


def _caption(rows: Sequence[dict[str, Any]], methods: Sequence[str], answers: Sequence[str]) -> str:
    told = ["Test scores in per cent: ROC-AUC (ogbg-molpcba: average precision)."]
    if any(row["metric"] == "rmse" for row in rows):
        told = [f"{told[0][:-1]}; RMSE, lower is better, for values."]
    if methods:
        told.append("Published: none and context as in Hu, Liu et al. 2020; best is the highest known here.")
    means = {
        "network": "network: at the epoch that validation picked",
        "last epoch": "last: at the last epoch",
        "forest": "forest: on fragment counts and descriptors",
        "gp": "gp: Gaussian process, up to 2,000 molecules",
        "blend": "blend: mean of network and forest",
        "answer": "answer: the one, or their mean, that validation chose",
    }
    told.append("Ours, " + "; ".join(means[answer] for answer in answers) + "; ± over seeds.")
    sets = [row for row in rows if row["seeds"]]
    told.append("Seeds: " + ", ".join(f"{row['set']} {len(row['seeds'])}" for row in sets) + ".")
    partly = [
        f"{r['set']} {r['scored_tasks']} of {r['tasks']}" for r in sets if r["scored_tasks"] < r["tasks"]
    ]
    if partly:
        told.append(f"Tasks with both classes in test: {', '.join(partly)}.")
    best = [f"{r['set']} {r['published']['best']['method']}" for r in sets if "best" in r["published"]]
    if best:
        told.append(f"Best: {', '.join(best)}. Sources stand in results.json.")
    return " ".join(told)


def write_results(folder: Path, records: Sequence[dict[str, Any]], about: dict[str, Any]) -> None:
    """Write ``results.json``, ``records.csv``, ``table.csv`` and ``table.png`` of the finished records."""
    rows = summarize(records)
    names = [row["set"] for row in rows if row["seeds"]]
    known = {name: [vars(number) for number in published(name)] for name in names}
    found = {"options": about, "table": rows, "published": known, "sources": SOURCES}
    write_json(folder / "results.json", found | {"records": list(records)})
    if not records:
        return
    order = {name: place for place, name in enumerate(NAMES)}
    flat = [_flat_record(record) for record in sorted(records, key=lambda r: (order[r["set"]], r["seed"]))]
    _write_csv(folder / "records.csv", flat)
    _write_csv(folder / "table.csv", [_flat_row(row) for row in rows])
    draw_results(rows, folder / "table.png")


def _write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    write_rows(path, [pa.table({name: [_cell(row[name]) for row in rows] for name in rows[0]})])


def _cell(value: object) -> str:
    """A value as the text of a cell; empty for None.

    >>> [_cell(value) for value in (None, True, 3, 0.123456789123, "bbbp")]
    ['', 'yes', '3', '0.12345679', 'bbbp']
    """
    if value is None or isinstance(value, bool):
        return {None: "", True: "yes", False: "no"}[value]
    return f"{value:.8g}" if isinstance(value, float) else str(value)


def _flat_record(record: dict[str, Any]) -> dict[str, Any]:
    """A record as one line: scores as fractions (or RMSE) with all their digits, no epochs."""
    scores: dict[str, Any] = {}
    for answer in ANSWERS:
        found = record["scores"].get(answer, {})
        name = answer.replace(" ", "_")
        scores |= {f"{name}_valid": found.get("valid"), f"{name}_test": found.get("test")}
    chosen = {"chosen_answer": record["answer"], "best_epoch": " ".join(map(str, record["best_epoch"]))}
    chosen |= {"epochs": " ".join(map(str, record["epochs"]))}
    tasks = {"tasks": record["tasks"], "scored_tasks": record["scores"]["network"]["tasks"]}
    split = {f"split_{part}": record["split"][part] for part in PARTS}
    facts = {name: record[name] for name in _FACTS}
    run = {name: record[name] for name in _RUN}
    commit = {"commit": record.get("commit")}  # not in records of molft 0.3.0
    return run | scores | chosen | tasks | split | facts | record["versions"] | commit


def _flat_row(row: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {"set": row["set"], "metric": row["metric"], "seeds": len(row["seeds"])}
    flat |= {"tasks": row.get("tasks"), "scored_tasks": row.get("scored_tasks")}
    for method in PUBLISHED:
        found = row["published"].get(method, {})
        flat |= {f"published_{method}": found.get("value"), f"published_{method}_std": found.get("spread")}
        flat |= {f"published_{method}_source": _source(found)}
    for answer in ANSWERS:
        found, name = row["ours"].get(answer) or {}, answer.replace(" ", "_")
        flat |= {name: found.get("mean"), f"{name}_std": found.get("std")}
    return flat


def _source(found: dict[str, Any]) -> str:
    if "method" not in found:
        return "mean of the column" if found else ""
    return f"{found['method']}; {found['paper']}; read in: {SOURCES[found['source']]}"

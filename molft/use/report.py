"""The page a chemist reads after a fine-tuning: what the model predicts, how well, and from what.

One HTML file that loads nothing: drawings stand in it, there is no script, and its own policy forbids
any. Everything that came from the user's file is escaped by the template (``report.html.jinja``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np

import molft
from molft.chem.standardize import RECIPE
from molft.data.report import Line
from molft.data.split_summary import PartSummary, SplitSummary, summarize
from molft.train.plan import Plan
from molft.use.dataset import Dataset
from molft.use.drawings import draw_history, draw_tasks
from molft.use.evaluate import Evaluation, turn
from molft.use.metrics import LOWER_IS_BETTER
from molft.use.model import Model
from molft.use.score_rows import (
    METRIC_NAMES,
    PART_NAMES,
    chosen_metric,
    listed_tasks,
    overall,
    shown_metrics,
    shown_part,
)
from molft.use.scores import Score, Scores, score
from molft.use.text import shorten

_TEMPLATE = "report.html.jinja"
_LISTED = 3  # rows shown of each kind of curation

ANSWER_NAMES = {
    "network": "The network",
    "forest": "The random forest",
    "gp": "The Gaussian process",
    "blend": "The blend, the mean of the others,",
}
SPLIT_MEANINGS = {
    "scaffold": "whole scaffolds, largest first: test molecules have ring systems that were not trained on",
    "balanced": "whole scaffolds in random order: test molecules have ring systems that were not trained on",
    "random": "at random: test molecules resemble training molecules, so scores flatter for new chemistry",
    "stratified": "at random with equal shares of the labels: scores flatter for new chemistry",
    "butina": "whole clusters of similar molecules: test molecules resemble no training molecule closely",
}
CURATION = {
    "rejected": "Rows dropped: no molecule",
    "unlabelled": "Rows dropped: no label",
    "cells": "Labels that can't be read, taken as missing",
    "conflicts": "Rows of one molecule that disagree",
    "merged": "Rows of one molecule that agree, merged",
    "changed": "Molecules changed by standardising",
    "as_written": "Molecules left as written",
}
"""What each list of :class:`molft.data.report.Report` holds, for people."""


def render_report(
    model: Model, data: Dataset, evaluation: Evaluation, history: Sequence[Sequence[Mapping[str, Any]]]
) -> str:
    """The page as text; the same model and scores always give the same bytes.

    ``history`` holds the epochs of each network. The model's facts must hold its plan.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["count"] = "{:,}".format
    environment.filters["short"] = shorten
    source = files("molft.use").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    about, part = model.about, shown_part(evaluation)
    split = summarize(data.split, data.assay.labels, about.tasks, about.task_type)  # type: ignore[arg-type]
    return environment.from_string(source).render(
        about=about,
        report=data.assay.report,
        source=data.source,
        part=PART_NAMES[part],
        molecules=len(data.split.test if part == "test" else data.split.valid),
        verdict=_verdict(model, data, evaluation),
        score_groups=_score_groups(model, data, evaluation),
        task_rows=_task_rows(model, data, evaluation),
        answers=list(evaluation.scores[part]),
        bounds="bounds_kept" in shown_metrics(evaluation, about),
        metric=METRIC_NAMES[chosen_metric(about)],
        drawings=list(draw_tasks(model, data, evaluation)),
        learning=draw_history(model, history),
        curation=_curation(data),
        split=split,
        split_name=data.split_name,
        split_meaning=SPLIT_MEANINGS.get(data.split_name, "the parts that the table itself names"),
        split_rows=[_split_row(part) for part in split.parts],
        plan=[*_plan(model).rows(), *_networks(model)],
        provenance=_provenance(model, data, split),
    )


def _verdict(model: Model, data: Dataset, evaluation: Evaluation) -> dict[str, str]:
    """Who answers, how well, and whether that is better than guessing."""
    about, part, metric = model.about, shown_part(evaluation), chosen_metric(model.about)
    found = overall(evaluation.scores[part][about.answer])[metric]
    guess = overall(_guess(model, data, part))[metric].value
    value, _, interval = found.text.partition(" ")
    return {
        "who": ANSWER_NAMES[about.answer],
        "why": evaluation.verdict.split(": ", 1)[-1].replace(metric, METRIC_NAMES[metric]),
        "score": f"{METRIC_NAMES[metric]} {value}",
        "interval": interval,
        "guess": "" if guess is None else f"{guess:.3f}",
        "doubt": _doubt(metric, found, guess),
    }


def _doubt(metric: str, found: Score, guess: float | None) -> str:
    """What forbids to trust a score; empty when nothing does."""
    if found.value is None:
        return "This part can't judge the model: get more labelled molecules, or choose another split."
    near = turn(metric, found.high if metric in LOWER_IS_BETTER else found.low)
    if near is None:
        return "Too few molecules for an interval: the score is a hint, not a measurement."
    if guess is not None and near <= (turn(metric, guess) or 0.0):
        return "The interval includes what guessing gives: the model is not shown to work on this part."
    return ""


def _guess(model: Model, data: Dataset, part: str) -> Scores:
    """Scores of the training labels' mean as the answer for every molecule."""
    rows = data.split.test if part == "test" else data.split.valid
    train = data.assay.labels[data.split.train]
    known = np.isfinite(train)
    mean = np.where(known, train, 0).sum(axis=0, dtype=np.float64) / np.maximum(known.sum(axis=0), 1)
    return score(
        data.assay.labels[rows],
        np.tile(mean, (len(rows), 1)),
        model.about.task_type,  # type: ignore[arg-type]
        model.about.tasks,
        bounds=data.assay.bounds[rows],
        resamples=0,
    )


def _score_groups(model: Model, data: Dataset, evaluation: Evaluation) -> list[dict[str, Any]]:
    """For each part, the mean of each metric: a cell for every answer, then one for guessing."""
    groups = []
    for part in sorted(evaluation.scores, key=list(PART_NAMES).index, reverse=True):
        answers = [overall(scores) for scores in evaluation.scores[part].values()]
        guess = overall(_guess(model, data, part))
        rows = [
            {
                "metric": METRIC_NAMES[name],
                "lower": name in LOWER_IS_BETTER,
                "cells": [*(_cell(found[name]) for found in answers), _guess_cell(guess[name])],
            }
            for name in shown_metrics(evaluation, model.about)
            if name in guess
        ]
        groups.append({"part": PART_NAMES[part], "rows": rows})
    return groups


def _task_rows(model: Model, data: Dataset, evaluation: Evaluation) -> list[dict[str, Any]]:
    """For each listed task the chosen metric: a cell for every answer, then one for guessing."""
    about, part, metric = model.about, shown_part(evaluation), chosen_metric(model.about)
    answers, guess = evaluation.scores[part], _guess(model, data, part)
    place = {task: number for number, task in enumerate(about.tasks)}
    return [
        {
            "task": task,
            "labels": answers[about.answer].tasks[task][metric].rows,
            "cells": [
                *(_cell(scores.tasks[task][metric]) for scores in answers.values()),
                _guess_cell(guess.tasks[task][metric]),
            ],
            "threshold": f"{about.thresholds[place[task]]:.2f}",
        }
        for task in listed_tasks(evaluation, about)
    ]


def _cell(found: Score) -> tuple[str, str]:
    """Value, and interval or the reason why there is no value."""
    value, _, rest = found.text.partition(" ")
    return value, rest.strip("()") if found.value is None else rest.strip("[]").replace(", ", " to ")


def _guess_cell(found: Score) -> tuple[str, str]:
    """Value only: guessing has no uncertainty worth a line."""
    return "" if found.value is None else found.text, ""


def _plan(model: Model) -> Plan:
    return Plan.from_json(model.about.facts["plan"])


def _networks(model: Model) -> list[tuple[str, str]]:
    """How many there are, and what each has kept of its pre-training where that was measured."""
    members, kept = model.about.members, model.about.facts.get("retention", [])
    rows = [("networks", f"{members}, averaged" if members > 1 else "1")]
    if kept:
        rows.append(("pre-training kept", ", ".join(f"{share:.0%}" for share in kept)))
    return rows


def _curation(data: Dataset) -> list[tuple[str, int, Sequence[Line]]]:
    """What happened to how many, and the first of them."""
    report = data.assay.report
    found = [(title, getattr(report, kind)) for kind, title in CURATION.items()]
    return [(title, len(lines), lines[:_LISTED]) for title, lines in found if lines]


def _split_row(part: PartSummary) -> tuple[str, int, int, int, int]:
    return PART_NAMES[part.name], part.rows, sum(part.observed), sum(part.positive), sum(part.negative)


def _provenance(model: Model, data: Dataset, split: SplitSummary) -> list[tuple[str, str]]:
    """What has to be the same for the same numbers to come out."""
    recipe, source = model.about.recipe, data.source
    marks = ", ".join(f"{PART_NAMES[part.name]} {part.fingerprint}" for part in split.parts if part.rows)
    versions = [f"{name} {version(name)}" for name in ("rdkit", "torch", "scikit-learn", "numpy")]
    rows = [
        ("data", f"{source['file']}, {source['rows']} rows, SMILES in column {data.smiles_column}"),
        ("data sha256", str(source["sha256"])),
        ("split fingerprints", marks),
        ("seed", str(model.about.facts["seed"])),
        ("features", recipe.scheme),
        ("standardisation", RECIPE if recipe.standardize else "none, molecules as written"),
        ("versions", ", ".join([f"molft {molft.__version__}", *versions])),
    ]
    card = model.about.facts["encoder"].items()
    return rows + [(f"encoder {name}".replace("_", " "), _plain(value)) for name, value in card]


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

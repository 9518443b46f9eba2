"""A benchmark set made ready for a protocol: raw molecules, published split, and what was checked of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from molft.chem.prepare import Recipe
from molft.data.curate import Assay
from molft.data.moleculenet import SETS, Benchmark, find, load, published_split
from molft.data.ogb_sets import METRICS, evaluate_ogb, find_ogb, load_ogb
from molft.data.report import Line, Report, count_labels
from molft.data.split import PARTS, Split, fingerprint
from molft.errors import MolftError
from molft.files import sha256
from molft.use.dataset import Dataset
from molft.use.metrics import Metric, pr_auc, rmse, roc_auc
from molft.use.molecules import prepare_rows, take_rows
from molft.use.options import Reporter
from molft.use.published import KEPT, SPLITS

NAMES = (*SETS, *METRICS)
_FORMULAE: dict[str, Metric] = {"roc_auc": roc_auc, "pr_auc": pr_auc, "rmse": rmse}
_NAMED = 12  # rows that are listed by number


@dataclass(frozen=True)
class BenchmarkData:
    """Molecules, labels and split of a set, with the facts that every record of it carries."""

    name: str
    metric: str
    data: Dataset
    facts: dict[str, Any]

    def labels(self, part: str) -> NDArray[np.float32]:
        """Labels of ``train``, ``valid`` or ``test`` in their own unit, float32 [B, T], NaN is missing."""
        return self.data.assay.labels[getattr(self.data.split, part)]

    def score(self, part: str, predictions: NDArray[np.floating]) -> tuple[float | None, int]:
        """Mean metric over the tasks where it is defined, and how many these are; see :func:`mean_score`.

        OGB's sets are scored by OGB's Evaluator.
        """
        found, tasks = mean_score(self.metric, self.labels(part), predictions)
        if self.name in METRICS and found is not None and np.isfinite(predictions).all():
            found = evaluate_ogb(self.name, self.labels(part), predictions)
        return found, tasks


def mean_score(
    metric: str, labels: NDArray[np.floating], predictions: NDArray[np.floating]
) -> tuple[float | None, int]:
    """Mean of ``roc_auc``, ``pr_auc`` or ``rmse`` over the tasks where it is defined, and their number.

    A task without both classes among the rows, without labels, or with a missing prediction is left out, as
    in the SNAP code. None where there is no task.

    Shapes: labels [B, T] with NaN, predictions [B, T].
    """
    values = []
    for truth, guess in zip(labels.T, predictions.T, strict=True):
        known = np.isfinite(truth)
        if known.any() and np.isfinite(guess[known]).all():
            own, answer = truth[known].astype(np.float64), guess[known].astype(np.float64)
            if metric == "rmse" or np.ptp(own) > 0:
                values.append(_FORMULAE[metric](own, answer, np.ones((1, len(own))))[0])
    return (float(np.mean(values)) if values else None), len(values)


def read_benchmark(
    name: str,
    scheme: str,
    reporter: Reporter,
    *,
    data_dir: Path | None = None,
    rows: int | None = None,
    workers: int = 0,
) -> BenchmarkData:
    """Read a set, check it against what is known of it, and prepare its molecules for ``scheme``.

    Molecules are taken as they are written: no salt stripped, no duplicate merged. ``rows`` keeps the first
    so many of each part only, to try things out. An unknown set, and one that is neither here nor to be
    downloaded, is a :class:`MolftError`.
    """
    found, split, file = _load(name, data_dir)
    rejected = found.rejected
    if rejected:
        numbers = ", ".join(str(bad.row) for bad in rejected[:_NAMED]) + (
            ", ..." if len(rejected) > _NAMED else ""
        )
        reporter.line(f"{name}: {len(rejected)} rows dropped, which RDKit or the features refuse: {numbers}")
    facts = {
        "data_file": file.name,
        "data_sha256": sha256(file),
        "rows": len(found.smiles) + len(rejected),
        "kept": len(found.smiles),
        "dropped": len(rejected),
        "published_kept": KEPT.get(name),
        "split": {p: fingerprint(found.rows[r]) for p, r in zip(PARTS, split, strict=True)},
        "split_sizes": [len(part) for part in split],
    }
    facts["split_is_known"] = _check_split(name, facts, reporter)
    if rows is not None:
        split = Split(*(part[:rows] for part in split))
        reporter.line(f"{name}: only the first {rows} of each part are used; the scores are no results")
    return _prepare(found, split, facts, scheme, reporter, workers)


def check_names(names: list[str]) -> list[str]:
    """The names in small letters, each once; an unknown one is a :class:`MolftError`."""
    wanted = list(dict.fromkeys(name.lower() for name in names))
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        raise MolftError(f"{', '.join(unknown)}: no benchmark set of that name; there are {', '.join(NAMES)}")
    return wanted


def _load(name: str, data_dir: Path | None) -> tuple[Benchmark, Split, Path]:
    if name in METRICS:
        found, split = load_ogb(name, data_dir)
        return found, split, find_ogb(name, data_dir) / "mapping" / "mol.csv.gz"
    found = load(name, data_dir)
    return found, published_split(found), find(name, data_dir)


def _check_split(name: str, facts: dict[str, Any], reporter: Reporter) -> bool | None:
    """Tell sizes, counts and fingerprint; whether they are the known ones (None where none are known)."""
    sizes, test = tuple(facts["split_sizes"]), facts["split"]["test"]
    papers = f" (published: {facts['published_kept']})" if facts["published_kept"] else ""
    told = (
        f"{name}: {facts['kept']} of {facts['rows']} rows{papers}, split "
        f"{'/'.join(map(str, sizes))}, test rows {test}"
    )
    if name not in SPLITS:
        reporter.line(f"{told}, OGB's own split")
        return None
    same = SPLITS[name] == (sizes, test)
    known = "/".join(map(str, SPLITS[name][0])) + f", {SPLITS[name][1]}"
    reporter.line(
        f"{told}, as known"
        if same
        else f"{told}: NOT the known split ({known}); this RDKit reads some molecules differently, so the "
        "scores can't be compared with published ones"
    )
    return same


def _prepare(
    found: Benchmark, split: Split, facts: dict[str, Any], scheme: str, reporter: Reporter, workers: int
) -> BenchmarkData:
    wanted = np.sort(np.concatenate(split))
    reporter.progress(f"{found.name}: molecules", 0, len(wanted))
    block = prepare_rows(
        [found.smiles[row] for row in wanted.tolist()],
        Recipe(scheme=scheme, standardize=False, forest=True),
        workers=workers,
        on_rows=lambda done: reporter.progress(f"{found.name}: molecules", done, len(wanted)),
    )
    for bad in block.rejected:
        reporter.line(f"{found.name}: {found.smiles[wanted[bad.row]]} is left out of its part: {bad.status}")
    kept = wanted[block.index]
    place = np.full(len(found.smiles), -1, np.int64)
    place[kept] = np.arange(len(kept))
    parts = Split(*(place[rows][place[rows] >= 0] for rows in split))
    block = take_rows(block, np.arange(len(kept)))
    assay = _assay(found, kept, len(block.rejected))
    frame = pd.DataFrame({"smiles": assay.smiles})
    data = Dataset(frame, "smiles", assay, block, parts, "published scaffold split", {"file": found.name})
    facts = facts | {"left_out": len(wanted) - len(kept), "tasks": len(found.tasks)}
    return BenchmarkData(found.name, found.metric, data, facts)


def _assay(found: Benchmark, kept: NDArray[np.int64], lost: int) -> Assay:
    """The molecules as a curated assay in which nothing was curated."""
    labels = found.labels[kept]
    bounds = np.zeros(labels.shape, np.int8)
    none: tuple[Line, ...] = ()
    report = Report(
        rows=len(kept) + lost,
        molecules=len(kept),
        tasks=count_labels(labels, bounds, found.tasks, found.task_type),
        notes=(),
        rejected=none,
        unlabelled=none,
        cells=none,
        changed=none,
        as_written=none,
        merged=none,
        conflicts=none,
    )
    return Assay(
        smiles=[found.smiles[row] for row in kept.tolist()],
        labels=labels,
        bounds=bounds,
        names=found.tasks,
        task_type=found.task_type,  # type: ignore[arg-type]
        rows=[(row,) for row in range(len(kept))],
        source=np.arange(len(kept), dtype=np.int64),
        report=report,
    )

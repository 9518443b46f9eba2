"""An assay table, read, curated and split: what everything else of a fine-tuning starts from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from molft.chem.prepare import Block, Recipe
from molft.chem.smiles import Limits
from molft.data.curate import Assay, curate
from molft.data.formats import read_table
from molft.data.labels import Labels, infer_targets
from molft.data.split import Split
from molft.data.split_summary import summarize
from molft.data.table import find_smiles_column
from molft.errors import MolftError
from molft.files import sha256
from molft.train.finetune import Examples
from molft.use.molecules import prepare_rows, take_rows
from molft.use.options import Options, Reporter
from molft.use.splits import SPLITS, split_molecules

_NAMED = 12  # tasks that are listed by name


@dataclass(frozen=True)
class Dataset:
    """Curated molecules, ready to train on.

    ``block`` holds the molecules of ``assay`` in its order; ``parts`` their rows in the split.
    """

    frame: pd.DataFrame
    smiles_column: str
    assay: Assay
    block: Block
    split: Split
    split_name: str
    source: dict[str, Any]

    def examples(self, rows: NDArray[np.int64]) -> Examples:
        """Some molecules with their labels, in the labels' own unit."""
        return Examples(self.block.graphs.take(rows), self.assay.labels[rows], self.assay.bounds[rows])


def read_dataset(table: Path, options: Options, scheme: str, reporter: Reporter) -> Dataset:
    """Read, curate and split a table; what was found and done is told to ``reporter``."""
    frame = read_table(table)
    column, how = find_smiles_column(frame, options.smiles_column)
    reporter.line(f"{table}: {len(frame)} rows; SMILES in column {column!r} ({how})")
    own = _own_column(frame, options.split)
    searched = frame if own is None else frame.drop(columns=own)
    labels = infer_targets(searched, column, options.target_columns, options.task_type)
    source = {"file": table.name, "sha256": sha256(table), "rows": len(frame)}
    return build_dataset(frame, column, labels, source, options, scheme, reporter)


def build_dataset(
    frame: pd.DataFrame,
    column: str,
    labels: Labels,
    source: dict[str, Any],
    options: Options,
    scheme: str,
    reporter: Reporter,
) -> Dataset:
    """Curate and split rows whose labels are known; ``column`` holds the SMILES."""
    more = ", ..." if len(labels.names) > _NAMED else ""
    reporter.line(f"{labels.task_type} of {', '.join(labels.names[:_NAMED])}{more}")
    block = prepare_rows(
        frame[column].tolist(),
        Recipe(scheme=scheme, limits=Limits(atoms=options.max_atoms), keys=True, forest=True),
        workers=options.workers,
        on_rows=lambda done: reporter.progress("molecules", done, len(frame)),
    )
    assay = curate(frame, column, labels, block)
    reporter.line(assay.report.text(shown=0))
    own = _own_column(frame, options.split)
    split, name = split_molecules(
        options.split,
        assay.smiles,
        assay.labels,
        assay.task_type,
        sizes=options.split_sizes,
        seed=options.seed,
        column=None if own is None else _own_parts(frame[own].tolist(), assay),
    )
    if not len(split.valid):
        raise MolftError(
            f"split sizes {options.split_sizes} leave no validation part, which has to choose the epoch and "
            "the answer; give it a share, such as 0.8,0.1,0.1"
        )
    summary = summarize(split, assay.labels, assay.names, assay.task_type)
    reporter.line(f"split: {name}\n{summary.text()}")
    source = source | {"split": summary.to_json()}
    return Dataset(frame, column, assay, take_rows(block, assay.source), split, name, source)


def _own_column(frame: pd.DataFrame, split: str) -> str | None:
    """The column that holds the user's own split; None for a split by name."""
    if split not in SPLITS and split not in frame.columns:
        raise MolftError(f"split {split!r} is neither a column of the table nor one of {', '.join(SPLITS)}")
    return None if split in SPLITS else split


def _own_parts(values: list[str], assay: Assay) -> list[str]:
    """The user's part of each molecule; rows of one molecule must agree."""
    parts = [{values[row].strip().lower() for row in rows} for rows in assay.rows]
    mixed = [place for place, found in enumerate(parts) if len(found) > 1]
    if mixed:
        rows = ", ".join(str(row + 1) for row in assay.rows[mixed[0]])
        raise MolftError(
            f"the split column puts {len(mixed)} molecules on two sides, the first {assay.smiles[mixed[0]]} "
            f"(rows {rows}): give all rows of a molecule the same part"
        )
    return [found.pop() for found in parts]

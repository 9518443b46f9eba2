"""Labels of many assays for supervised pre-training: a table of molecules by tasks with gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from molft.data.formats import read_table
from molft.data.labels import infer_targets
from molft.data.table import find_smiles_column


@dataclass(frozen=True)
class LabelTable:
    """SMILES as they stand in the file, and what is known of each.

    Shapes: values float32 [L, T], NaN where missing.
    """

    smiles: list[str]
    values: NDArray[np.float32]
    tasks: tuple[str, ...]


def read_label_tables(paths: Sequence[Path], columns: Sequence[str]) -> LabelTable:
    """Read SMILES and the label ``columns`` (patterns such as ``CHEMBL*``; none to find them) of files.

    Columns of one name are one task, whatever file they are in. Rows with the same SMILES, letter by letter,
    become one, with the mean of what is known (of classes the majority, none where it is even); of other
    spellings of a molecule the corpus keeps the first.
    A bound (``>10``) is no value and counts as missing; a column without any value is passed over. What can't
    be read as labels is a :class:`MolftError` (see :func:`molft.data.labels.infer_targets`).
    """
    frames = [read_table(path) for path in paths]
    column, _ = find_smiles_column(frames[0])
    for number, frame in enumerate(frames):
        frames[number] = frame.rename(columns={find_smiles_column(frame)[0]: column})
    frame = pd.concat(frames, ignore_index=True).fillna("") if len(frames) > 1 else frames[0]
    # A pattern shall not fail for one assay without a value.
    frame = frame.loc[:, [name for name in frame.columns if frame[name].str.strip().any()]]
    labels = infer_targets(frame, column, columns or None)
    values = np.where(labels.bounds == 0, labels.values, np.nan).astype(np.float32)
    smiles = frame[column]
    if smiles.duplicated().any():
        # The mean passes over gaps; float64, or the mean of equal values might differ from them.
        merged = pd.DataFrame(values.astype(np.float64)).groupby(smiles.to_numpy(), sort=False).mean()
        means = merged.to_numpy()
        if labels.task_type == "classification":
            means = np.where(means == 0.5, np.nan, np.round(means))
        return LabelTable(merged.index.tolist(), means.astype(np.float32), labels.names)
    return LabelTable(smiles.tolist(), values, labels.names)

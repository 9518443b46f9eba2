"""Labels of many assays for supervised pre-training: a table of molecules by tasks with gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
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


def read_label_table(path: Path, columns: Sequence[str]) -> LabelTable:
    """Read SMILES and the label ``columns`` (patterns such as ``CHEMBL*``; none to find them).

    A bound (``>10``) is no value and counts as missing; a column without any value is passed over. What can't
    be read as labels is a :class:`MolftError` (see :func:`molft.data.labels.infer_targets`).
    """
    frame = read_table(path)
    column, _ = find_smiles_column(frame)
    # A pattern shall not fail for one assay without a value.
    frame = frame.loc[:, [name for name in frame.columns if frame[name].str.strip().any()]]
    labels = infer_targets(frame, column, columns or None)
    values = np.where(labels.bounds == 0, labels.values, np.nan).astype(np.float32)
    return LabelTable(frame[column].tolist(), values, labels.names)

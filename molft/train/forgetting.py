"""How much of its pre-training an encoder has forgotten, measured without the heads of pre-training.

The pretext loss itself needs the heads that predicted masked atoms and the like, and these aren't kept. What
they read was the pre-trained vectors: so as long as these can be computed, by a linear map, from the
fine-tuned vectors of the same molecules, any linear head could be repaired, and nothing it needs is lost.
"""

from __future__ import annotations

from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rdkit import RDConfig
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from molft.chem.graphs import Graphs
from molft.chem.prepare import Recipe, prepare

REFERENCES = 1000
MUCH = 0.5
"""Below this retention, more than half of what pre-training had added is gone: worth a warning."""

_NOTHING = 1e-3  # so small a share of the variance is rounding
_PENALTIES = np.logspace(-3, 3, 7)


@cache
def reference_molecules(scheme: str) -> Graphs | None:
    """The first 1,000 compounds of the National Cancer Institute's file that RDKit carries.

    They stand for the molecules of pre-training: no assay is theirs. None where RDKit came without them.
    """
    path = Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi"
    if not path.is_file():
        return None
    with path.open(encoding="utf-8") as file:
        smiles = [line.split()[0] for line in islice(file, REFERENCES) if line.strip()]
    return prepare(smiles, Recipe(scheme=scheme)).graphs


def retention(
    before: NDArray[np.float32], after: NDArray[np.float32], untrained: NDArray[np.float32]
) -> float:
    """What is left of pre-training in the vectors ``after``, from 1 (all) to 0 (none).

    The :func:`readable` share of the vectors ``before``, on a scale whose zero is what an ``untrained``
    encoder's vectors give: these already hold much of a molecule's composition. 1 where they hold all of it,
    so that there is nothing to lose.

    Shapes: [B, D] each, with row i the same molecule in all of them; B at least 4.
    """
    floor = readable(before, untrained)
    if 1 - floor < _NOTHING:
        return 1.0
    return float(np.clip((readable(before, after) - floor) / (1 - floor), 0.0, 1.0))


def readable(wanted: NDArray[np.float32], vectors: NDArray[np.float32]) -> float:
    """Share of the variance of ``wanted`` that a ridge regression reads from ``vectors``, 0 to 1.

    1 whatever invertible linear map lies between. Each half of the molecules is predicted from a regression
    on the other: on its own rows, a regression from 300 numbers would explain anything. It is the linear
    predictivity of Kornblith et al. (ICML 2019, table 1), out of sample.

    Shapes: wanted [B, D], vectors [B, D']; B at least 4.
    """
    error = total = 0.0
    even = np.arange(len(wanted)) % 2 == 0
    for fitted, judged in ((even, ~even), (~even, even)):
        inputs, targets = vectors[fitted].astype(np.float64), wanted[fitted].astype(np.float64)
        scale = StandardScaler().fit(inputs)
        model = RidgeCV(_PENALTIES).fit(scale.transform(inputs), targets)
        found = model.predict(scale.transform(vectors[judged].astype(np.float64)))
        error += float(np.square(wanted[judged] - found).sum())
        total += float(np.square(wanted[judged] - targets.mean(axis=0)).sum())
    return max(0.0, 1.0 - error / total) if total > 0 else 1.0

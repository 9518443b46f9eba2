"""What hydrogens add to Crippen's log P and molar refractivity, for a block of molecules at once.

Of Crippen's 110 patterns six are of hydrogens, and they ask only what a hydrogen is bonded to, and if that is
oxygen, what comes next. So the molecules need not be written out with their hydrogens for RDKit to match all
patterns on twice as many atoms.

Source: Wildman and Crippen, J. Chem. Inf. Comput. Sci. 39, 868 (1999), as RDKit reads them (Crippen.txt).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molft.chem.decode import Decoded

# Log P and molar refractivity of H1 (on carbon), H2 (alcohol and whatever else), H3 (amine), H4 (acid), HS.
_VALUES = np.array([(0.123, 1.057), (-0.2677, 1.395), (0.2142, 0.9627), (0.298, 1.805), (0.1125, 1.112)])
_CARBON, _ALCOHOL, _AMINE, _ACID, _OTHER = range(5)
_C, _N, _O, _S = 6, 7, 8, 16


def sum_hydrogens(block: Decoded) -> NDArray[np.float64]:
    """Log P and molar refractivity of all hydrogens, in molecules that have none as an atom of the graph.

    Shapes: B molecules -> float64 [B, 2].
    """
    values = _VALUES[_types(block)] * block.atoms.hydrogens[:, None]
    columns = [np.bincount(block.owners, column, len(block.understood)) for column in values.T]
    return np.column_stack(columns).astype(np.float64)


def _types(block: Decoded) -> NDArray[np.int64]:
    """The type of a hydrogen on each atom, int64 [N]; the first pattern that fits counts."""
    atoms = block.atoms
    number, aliphatic = atoms.number, atoms.aromatic == 0
    one, other = np.concatenate([block.ends, block.ends[:, ::-1]]).T
    double = np.tile(block.bonds.kind == int(Chem.BondType.DOUBLE), 2)

    def next_to(chosen: NDArray[np.bool_], bonds: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
        """Which atoms have a chosen one beside them, by a chosen bond."""
        found = chosen[other] if bonds is None else chosen[other] & bonds
        return np.bincount(one[found], minlength=len(number)) > 0

    carbon, chalcogen = number == _C, aliphatic & np.isin(number, (_O, _S))
    unsaturated = aliphatic & carbon & next_to(carbon | (number == _N) | chalcogen, double)
    # Beside an OH: a carbon with four bonds, an aromatic one, another element, another hydrogen.
    alkyl = carbon & (~aliphatic | (atoms.degree == 4))
    alcohol = next_to(alkyl | ~np.isin(number, (_C, _N, _O, _S))) | (atoms.hydrogens > 1)
    hydroxyl = aliphatic & (number == _O)
    return np.select(
        [
            carbon,
            (hydroxyl & alcohol) | ~np.isin(number, (_C, _N, _O)),
            (number == _N) | (hydroxyl & next_to(number == _N)),
            hydroxyl & next_to(unsaturated | chalcogen),
        ],
        [_CARBON, _ALCOHOL, _AMINE, _ACID],
        _OTHER,
    )

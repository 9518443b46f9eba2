"""Molecules and packed graphs for the tests: read, encode slowly, compare."""

from collections.abc import Sequence

import numpy as np
from rdkit import Chem

from molft.chem.features import Scheme, featurize_slowly
from molft.chem.graphs import Graphs
from molft.chem.smiles import parse_all
from molft.errors import Rejected


def read(*smiles: str) -> list[Chem.Mol]:
    """The molecules; all must be good."""
    mols = parse_all(smiles)
    assert all(mols), [mol for mol in mols if not mol]
    return mols


def slowly(mols: Sequence[Chem.Mol], scheme: Scheme) -> tuple[Graphs, list[Rejected]]:
    """The oracle of featurize: atom by atom, molecule by molecule."""
    each = [featurize_slowly(mol, scheme, row) for row, mol in enumerate(mols)]
    empty = Graphs.empty(len(scheme.atom_sizes), len(scheme.bond_sizes))
    graphs = Graphs.concatenate([empty, *(one for one in each if isinstance(one, Graphs))])
    return graphs, [one for one in each if isinstance(one, Rejected)]


def assert_same(left: Graphs, right: Graphs) -> None:
    """All arrays are equal, in type and shape too."""
    for name in Graphs.__dataclass_fields__:
        a, b = getattr(left, name), getattr(right, name)
        assert a.dtype == b.dtype, name
        np.testing.assert_array_equal(a, b, err_msg=name)

"""The chemical series that a row of a library belongs to."""

from __future__ import annotations

from rdkit import Chem, rdBase

from molft.chem.prepare import Recipe
from molft.chem.scaffold import lab_scaffold
from molft.chem.smiles import parse
from molft.chem.standardize import standardize


def name_series(smiles: str, recipe: Recipe) -> str:
    """The Murcko scaffold of the molecule as the model reads it, without stereo marks.

    An acyclic molecule is a series of its own, named by its SMILES; so is one whose scaffold RDKit
    can't make, and a text that is no molecule.

    >>> name_series("[Na+].[O-]C(=O)c1ccccc1", Recipe()), name_series("C(C)O", Recipe())
    ('c1ccccc1', 'CCO')
    """
    mol = parse(smiles, limits=recipe.limits)
    if not mol:
        return smiles
    clean = standardize(mol) if recipe.standardize else mol
    mol = mol if isinstance(clean, str) else clean
    try:
        with rdBase.BlockLogs():
            return lab_scaffold(mol)
    except (ValueError, RuntimeError):  # what RDKit raises for a scaffold that it can't make sense of
        return str(Chem.MolToSmiles(mol))

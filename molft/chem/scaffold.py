"""Scaffolds: the part of a molecule that chemists call "the series".

A Bemis-Murcko scaffold (Bemis & Murcko, J. Med. Chem. 1996, 39, 2887) is the ring systems and the chains
between them. Molecules that share one are near relatives, so a split that keeps them together asks what a
project asks: does the model work on a series it hasn't seen?

Two keys, because the two uses want different things. :func:`snap_scaffold` is the key behind the published
MoleculeNet numbers (Hu, Liu et al., ICLR 2020): it keeps stereo marks, and all acyclic molecules share the
key ``""``. :func:`lab_scaffold` is the one to trust on new data: enantiomers stay together, and acyclic
molecules don't form one big artificial series.
"""

from __future__ import annotations

from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold

from molft.chem.smiles import parse
from molft.errors import MolftError


def snap_scaffold(molecule: str | Chem.Mol, canonical: bool = False) -> str:
    """Scaffold SMILES with stereo marks, as the SNAP split groups by; acyclic molecules give ``""``.

    Ring systems of all fragments of a salt or mixture are kept. With ``canonical`` the molecule is first
    rewritten as canonical SMILES, as the SNAP code does for BBBP, ClinTox and ToxCast: cutting side chains
    can leave or lose a double-bond mark by the order of the atoms (19 molecules of ToxCast). A string that
    isn't a molecule raises :class:`~molft.errors.MolftError`.

    >>> snap_scaffold("O=C(O)C[C@H]1CCCO1")
    'C1CCOC1'
    >>> snap_scaffold("CCO")
    ''
    """
    mol = _molecule(molecule)
    if canonical:
        mol = _molecule(str(Chem.MolToSmiles(mol)))
    return str(MurckoScaffold.MurckoScaffoldSmiles(mol=mol, includeChirality=True))


def lab_scaffold(molecule: str | Chem.Mol) -> str:
    """Scaffold SMILES without stereo marks; an acyclic molecule gives its own SMILES without stereo marks.

    A scaffold always has a ring, so the two kinds of key can't collide. A string that isn't a molecule
    raises :class:`~molft.errors.MolftError`.

    >>> lab_scaffold("C[C@H](N)C(=O)O") == lab_scaffold("C[C@@H](N)C(=O)O") == "CC(N)C(=O)O"
    True
    >>> lab_scaffold("Cc1ccccc1CCl")
    'c1ccccc1'
    """
    mol = _molecule(molecule)
    scaffold = str(MurckoScaffold.MurckoScaffoldSmiles(mol=mol, includeChirality=False))
    return scaffold or str(Chem.MolToSmiles(mol, isomericSmiles=False))


def _molecule(molecule: str | Chem.Mol) -> Chem.Mol:
    if isinstance(molecule, Chem.Mol):
        return molecule
    mol = parse(molecule)
    if not isinstance(mol, Chem.Mol):
        raise MolftError(
            f"no scaffold for {molecule[:80]!r}: {mol.status}. Leave such rows out before splitting."
        )
    return mol

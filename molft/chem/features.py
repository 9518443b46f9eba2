"""Atoms and bonds as integer codes, by one of two fixed schemes.

``snap``: the features of Hu, Liu et al. (ICLR 2020), bit for bit: atomic number and chirality, bond
type and direction. Needed for released SNAP weights and for reproduction.

``ogb``: the features of the Open Graph Benchmark (Hu et al., NeurIPS 2020), equal to
``ogb.utils.smiles2graph``: nine per atom (charge, hydrogens, ring membership, ...), three per bond.

A molecule with an atom or bond that a scheme has no code for is refused, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molft.chem.decode import Atoms, Bonds, Decoded, decode, write_record
from molft.chem.graphs import Graphs
from molft.errors import MolftError, Rejected

_BAD = 255  # no scheme has that many codes


@dataclass(frozen=True)
class Scheme:
    """What the codes mean, and how many rows each embedding table needs.

    ``atom_sizes`` and ``bond_sizes`` count the reserved codes too: ``mask_atom`` and ``mask_bond``
    (hidden during pre-training), ``loop_bond`` (the self-loop that every layer adds).
    """

    name: str
    atom_sizes: tuple[int, ...]
    bond_sizes: tuple[int, ...]
    mask_atom: tuple[int, ...]
    mask_bond: tuple[int, ...]
    loop_bond: tuple[int, ...]


SNAP = Scheme("snap", (120, 3), (6, 3), mask_atom=(119, 0), mask_bond=(5, 0), loop_bond=(4, 0))
# One row more than OGB in every atom table (the mask), two more in every bond table (loop, mask).
OGB = Scheme(
    "ogb",
    (120, 6, 13, 13, 11, 7, 7, 3, 3),
    (7, 8, 4),
    mask_atom=(119, 5, 12, 12, 10, 6, 6, 2, 2),
    mask_bond=(6, 7, 3),
    loop_bond=(5, 6, 2),
)
SCHEMES = {scheme.name: scheme for scheme in (SNAP, OGB)}


def find_scheme(name: str) -> Scheme:
    """The scheme called ``name``; an unknown name is a :class:`MolftError` that lists the known ones."""
    if name not in SCHEMES:
        raise MolftError(f"feature scheme {name!r} is unknown; known: {', '.join(SCHEMES)}")
    return SCHEMES[name]


def featurize(mols: Sequence[Chem.Mol], scheme: Scheme) -> tuple[Graphs, NDArray[np.int64], list[Rejected]]:
    """Codes of all molecules that the scheme can index.

    Returns the packed graphs, the position in ``mols`` of each (int64 [B], rising), and one
    :class:`Rejected` (stage ``features``) for each of the others.
    """
    return featurize_records([write_record(mol) for mol in mols], scheme)


def featurize_records(
    records: Sequence[bytes], scheme: Scheme
) -> tuple[Graphs, NDArray[np.int64], list[Rejected]]:
    """:func:`featurize` from the molecules' binary forms (:func:`molft.chem.decode.write_record`)."""
    if not records:
        return Graphs.empty(len(scheme.atom_sizes), len(scheme.bond_sizes)), np.zeros(0, np.int64), []
    block = decode(records)
    atoms, bonds = _CODES[scheme.name](block)
    graphs = Graphs(atoms, bonds, block.bonds.ends, block.atom_ptr, block.bond_ptr)
    faulty = _owners_of_bad(graphs)
    if not faulty.any() and block.understood.all():
        return graphs, np.arange(len(records), dtype=np.int64), []
    return _finish_slowly(records, scheme, graphs, block.understood & ~faulty)


def _owners_of_bad(graphs: Graphs) -> NDArray[np.bool_]:
    """Molecules with an atom or bond that has no code, bool [B]."""
    faulty = np.zeros(len(graphs), bool)
    for codes, ptr in ((graphs.atoms, graphs.atom_ptr), (graphs.bonds, graphs.bond_ptr)):
        where = np.flatnonzero((codes == _BAD).any(axis=1))
        faulty[np.searchsorted(ptr, where, side="right") - 1] = True
    return faulty


def _finish_slowly(
    records: Sequence[bytes], scheme: Scheme, fast: Graphs, done: NDArray[np.bool_]
) -> tuple[Graphs, NDArray[np.int64], list[Rejected]]:
    """Give what the fast path left over to the slow one, and put everything back in order."""
    parts, index, rejected = [fast.take(np.flatnonzero(done))], [np.flatnonzero(done)], []
    for i in np.flatnonzero(~done):
        one = featurize_slowly(Chem.Mol(records[int(i)]), scheme, int(i))
        if isinstance(one, Rejected):
            rejected.append(one)
        else:
            parts.append(one)
            index.append(np.array([i]))
    kept = np.concatenate(index)
    order = np.argsort(kept)
    return Graphs.concatenate(parts).take(order), kept[order], rejected


def _snap_codes(block: Decoded) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    atoms, bonds = block.atoms, block.bonds
    number = np.where((atoms.number >= 1) & (atoms.number <= 118), atoms.number - 1, _BAD)
    # The table has three rows; CHI_OTHER (3) and the non-tetrahedral tags have none.
    chiral = np.where(atoms.chiral <= 2, atoms.chiral, _BAD)
    return _stack(number, chiral), _stack(_SNAP_KIND[bonds.kind], _SNAP_DIRECTION[bonds.direction])


def _ogb_codes(block: Decoded) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return _stack(*_ogb_atom_columns(block.atoms)), _stack(*_ogb_bond_columns(block.bonds))


def _ogb_atom_columns(a: Atoms) -> tuple[NDArray[np.integer], ...]:
    charge = a.charge.astype(np.int16) + 5
    return (
        np.where((a.number >= 1) & (a.number <= 118), a.number - 1, 118),
        np.where(a.chiral <= 3, a.chiral, 4),
        np.minimum(a.degree, 11),
        np.where((charge >= 0) & (charge <= 10), charge, 11),
        np.minimum(a.hydrogens, 9),
        np.minimum(a.radicals, 5),
        _OGB_HYBRID[a.hybridization],
        a.aromatic,
        a.in_ring,
    )


def _ogb_bond_columns(b: Bonds) -> tuple[NDArray[np.integer], ...]:
    return _OGB_KIND[b.kind], _OGB_STEREO[b.stereo], b.conjugated


def _stack(*columns: NDArray[np.integer]) -> NDArray[np.uint8]:
    return np.stack(columns, axis=1).astype(np.uint8)


_CODES: dict[str, Callable[[Decoded], tuple[NDArray[np.uint8], NDArray[np.uint8]]]] = {
    "snap": _snap_codes,
    "ogb": _ogb_codes,
}


def _lookup(codes: dict[int, int], other: int) -> NDArray[np.uint8]:
    table = np.full(256, other, np.uint8)
    table[list(codes)] = list(codes.values())
    return table


_BOND, _HYBRID = Chem.BondType, Chem.HybridizationType
_KINDS = {int(_BOND.SINGLE): 0, int(_BOND.DOUBLE): 1, int(_BOND.TRIPLE): 2, int(_BOND.AROMATIC): 3}
_SNAP_KIND = _lookup(_KINDS, _BAD)
_SNAP_DIRECTION = _lookup(
    {int(Chem.BondDir.NONE): 0, int(Chem.BondDir.ENDUPRIGHT): 1, int(Chem.BondDir.ENDDOWNRIGHT): 2}, _BAD
)
_OGB_KIND = _lookup(_KINDS, 4)
_OGB_STEREO = _lookup(
    {
        int(stereo): code
        for code, stereo in enumerate(
            (
                Chem.BondStereo.STEREONONE,
                Chem.BondStereo.STEREOZ,
                Chem.BondStereo.STEREOE,
                Chem.BondStereo.STEREOCIS,
                Chem.BondStereo.STEREOTRANS,
                Chem.BondStereo.STEREOANY,
            )
        )
    },
    _BAD,
)
_OGB_HYBRID = _lookup(
    {int(h): i for i, h in enumerate((_HYBRID.SP, _HYBRID.SP2, _HYBRID.SP3, _HYBRID.SP3D, _HYBRID.SP3D2))}, 5
)


def featurize_slowly(mol: Chem.Mol, scheme: Scheme, row: int = 0) -> Graphs | Rejected:
    """The same codes, atom by atom through RDKit's Python objects: the oracle of the fast path."""
    block = _decode_slowly(mol)
    atoms, bonds = _CODES[scheme.name](block)
    bad_atoms, bad_bonds = (np.flatnonzero((codes == _BAD).any(axis=1)) for codes in (atoms, bonds))
    if len(bad_atoms):
        atom = mol.GetAtomWithIdx(int(bad_atoms[0]))
        what = f"atom {atom.GetIdx()} ({atom.GetSymbol()}, {atom.GetChiralTag()})"
        return Rejected(row, "features", f"{what} has no code in scheme {scheme.name!r}")
    if len(bad_bonds):
        bond = mol.GetBondWithIdx(int(bad_bonds[0]))
        what = f"bond {bond.GetIdx()} ({bond.GetBondType()}, {bond.GetBondDir()}, {bond.GetStereo()})"
        return Rejected(row, "features", f"{what} has no code in scheme {scheme.name!r}")
    return Graphs(atoms, bonds, block.bonds.ends, block.atom_ptr, block.bond_ptr)


def _decode_slowly(mol: Chem.Mol) -> Decoded:
    atoms = np.array(
        [
            (
                a.GetAtomicNum(),
                a.GetFormalCharge(),
                int(a.GetChiralTag()),
                int(a.GetHybridization()),
                a.GetTotalNumHs(),
                a.GetNumRadicalElectrons(),
                a.GetIsAromatic(),
                a.GetTotalDegree(),
                a.IsInRing(),
            )
            for a in mol.GetAtoms()
        ],
        np.int64,
    ).reshape(-1, 9)
    bonds = np.array(
        [
            (
                b.GetBeginAtomIdx(),
                b.GetEndAtomIdx(),
                int(b.GetBondType()),
                int(b.GetBondDir()),
                int(b.GetStereo()),
                b.GetIsConjugated(),
            )
            for b in mol.GetBonds()
        ],
        np.int64,
    ).reshape(-1, 6)
    number, charge, *others = atoms.T
    return Decoded(
        Atoms(
            number.astype(np.uint8), charge.astype(np.int8), *(column.astype(np.uint8) for column in others)
        ),
        Bonds(bonds[:, :2].astype(np.uint16), *(bonds[:, i].astype(np.uint8) for i in range(2, 6))),
        np.array([0, len(atoms)]),
        np.array([0, len(bonds)]),
        np.array([True]),
    )

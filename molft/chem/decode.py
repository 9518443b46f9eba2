"""Read atoms and bonds of many molecules at once from RDKit's own binary form.

Asking RDKit for two numbers per atom through Python costs as much as parsing the SMILES.
``Mol.ToBinary()`` gives everything in one call, and the records of a block of molecules are decoded
side by side: step k reads atom k of every molecule with a handful of NumPy operations.

The layout is RDKit's pickle format 16 (MolPickler.cpp). Whatever is not surely understood (another
version, over 254 atoms, a query, an atom map) is left to the slow path of
:mod:`molft.chem.features`, which is also this module's oracle in the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molft.chem.graphs import pointers

_FORMAT = 16
_HEADER = 30  # bytes before the first atom
_ATOMS, _BONDS, _RINGS = 0x01, 0x0B, 0x42  # section tags
_PROPERTIES = int(Chem.PropertyPickleOptions.NoProps)

# Bits of an atom's flag byte and of the 32-bit word that follows; each value bit adds one byte.
_AROMATIC, _NO_IMPLICIT = 0x40, 0x20
_CHARGE, _CHIRAL, _HYBRID, _EXPLICIT_H, _EXPLICIT_VALENCE, _IMPLICIT_VALENCE, _RADICAL, _ISOTOPE = range(1, 9)
_KNOWN_VALUES = sum(1 << bit for bit in range(1, 9))
_SP3 = 4

# Bits of a bond's flag byte.
_CONJUGATED, _TYPE, _DIRECTION, _STEREO = 0x20, 0x08, 0x04, 0x02
_KNOWN_BOND = _AROMATIC | _CONJUGATED | _TYPE | _DIRECTION | _STEREO

Bytes = NDArray[np.uint8]


class Atoms(NamedTuple):
    """RDKit's values for N atoms, each uint8 [N] but for the charge, int8 [N]."""

    number: Bytes
    charge: NDArray[np.int8]
    chiral: Bytes
    hybridization: Bytes
    hydrogens: Bytes
    radicals: Bytes
    aromatic: Bytes
    degree: Bytes
    in_ring: Bytes


class Bonds(NamedTuple):
    """RDKit's enum values for M bonds, each uint8 [M]; ``ends`` uint16 [M, 2] within the molecule."""

    ends: NDArray[np.uint16]
    kind: Bytes
    direction: Bytes
    stereo: Bytes
    conjugated: Bytes


class Decoded(NamedTuple):
    """A block of B molecules; those with ``understood`` False have zeros in their place.

    Shapes: understood bool [B]; atom_ptr, bond_ptr int64 [B + 1].
    """

    atoms: Atoms
    bonds: Bonds
    atom_ptr: NDArray[np.int64]
    bond_ptr: NDArray[np.int64]
    understood: NDArray[np.bool_]

    @property
    def owners(self) -> NDArray[np.int64]:
        """Molecule of each atom, int64 [N]."""
        return np.repeat(np.arange(len(self.understood)), np.diff(self.atom_ptr))

    @property
    def ends(self) -> NDArray[np.int64]:
        """Atoms at the ends of each bond, counted over the whole block, int64 [M, 2]."""
        return self.bonds.ends + np.repeat(self.atom_ptr[:-1], np.diff(self.bond_ptr))[:, None]


def write_record(mol: Chem.Mol) -> bytes:
    """The binary form of a molecule; ``Chem.Mol`` of it is the molecule again, without its properties."""
    record: bytes = mol.ToBinary(_PROPERTIES)
    return record


def decode(records: Sequence[bytes]) -> Decoded:
    """All atoms and bonds of some molecules (:func:`write_record`), in RDKit's order."""
    start = pointers(np.fromiter(map(len, records), np.int64, len(records)))
    # Padding, so that reading past the end of a record that is not understood stays inside the buffer.
    buffer = np.frombuffer(b"".join([*records, bytes(64)]), np.uint8)
    start = start[:-1]
    n_atoms, n_bonds = _int32(buffer, start + 20), _int32(buffer, start + 24)
    atom_ptr, bond_ptr = pointers(n_atoms), pointers(n_bonds)
    # From format 16 with one byte per atom index; the count byte of a larger one has another layout.
    understood = (_int32(buffer, start + 8) == _FORMAT) & (n_atoms < 255) & (n_atoms > 0)
    understood &= buffer[start + _HEADER - 1] == _ATOMS
    position = start + _HEADER
    raw, implicit = _read_atoms(buffer, position, n_atoms, atom_ptr, understood)
    understood &= buffer[position] == _BONDS
    position += 1
    bonds = _read_bonds(buffer, position, n_bonds, bond_ptr, understood)
    understood &= buffer[position] == _RINGS
    # Misread ends may point into other molecules, whose degrees they must not change.
    bonds.ends[np.repeat(~understood, n_bonds)] = 0
    in_ring = _read_rings(buffer, position + 1, atom_ptr, understood)
    owner = np.repeat(atom_ptr[:-1], n_bonds)
    degree = np.bincount((bonds.ends + owner[:, None]).ravel(), minlength=int(atom_ptr[-1]))
    hydrogens = raw["explicit_h"] + implicit
    atoms = Atoms(
        raw["number"],
        raw["charge"].view(np.int8),
        raw["chiral"],
        raw["hybrid"],
        hydrogens,
        raw["radical"],
        raw["aromatic"],
        degree.astype(np.uint8) + hydrogens,
        in_ring,
    )
    return Decoded(atoms, bonds, atom_ptr, bond_ptr, understood)


def _int32(buffer: Bytes, at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Little-endian 32-bit integers at the byte offsets ``at``."""
    quads = buffer[at[:, None] + np.arange(4)].astype(np.int64)
    return quads @ np.array([1, 1 << 8, 1 << 16, 1 << 24])


def _active(
    counts: NDArray[np.int64], understood: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Molecules by falling count, and for each step k how many of them still have a k-th item."""
    counts = np.where(understood, counts, 0)
    order = np.argsort(-counts, kind="stable")
    steps = int(counts.max(initial=0))
    alive = np.searchsorted(-counts[order], -np.arange(steps), side="left")
    return order, alive


def _read_atoms(
    buffer: Bytes,
    position: NDArray[np.int64],
    counts: NDArray[np.int64],
    ptr: NDArray[np.int64],
    understood: NDArray[np.bool_],
) -> tuple[dict[str, Bytes], Bytes]:
    """Atom k of every molecule at step k; moves ``position`` behind the last atom."""
    n = int(ptr[-1])
    out = {
        k: np.zeros(n, np.uint8) for k in ("number", "charge", "chiral", "explicit_h", "radical", "aromatic")
    }
    out["hybrid"] = np.full(n, _SP3, np.uint8)
    implicit = np.zeros(n, np.uint8)
    fields = {
        _CHARGE: "charge",
        _CHIRAL: "chiral",
        _HYBRID: "hybrid",
        _EXPLICIT_H: "explicit_h",
        _RADICAL: "radical",
    }
    order, alive = _active(counts, understood)
    for k, count in enumerate(alive):
        mols = order[:count]
        at, place = position[mols], ptr[mols] + k
        flags = buffer[at + 1]
        values = buffer[at + 2].astype(np.int32) | (buffer[at + 3].astype(np.int32) << 8)
        known = ((flags & ~np.uint8(_AROMATIC | _NO_IMPLICIT)) == 0) & ((values & ~_KNOWN_VALUES) == 0)
        known &= (buffer[at + 4] == 0) & (buffer[at + 5] == 0)
        out["number"][place] = buffer[at]
        out["aromatic"][place] = (flags & _AROMATIC) != 0
        at = at + 6
        for bit in range(_CHARGE, _ISOTOPE):
            present = (values >> bit) & 1
            if not present.any():
                continue
            if bit == _IMPLICIT_VALENCE:
                # RDKit counts these as hydrogens unless the atom came in brackets.
                implicit[place] = buffer[at] * present * ((flags & _NO_IMPLICIT) == 0)
            elif bit in fields:
                target = out[fields[bit]]
                target[place] = np.where(present, buffer[at], target[place])
            at = at + present
        position[mols] = at + 4 * ((values >> _ISOTOPE) & 1)
        if not known.all():
            understood[mols[~known]] = False
            position[mols[~known]] = 0  # any safe place: these molecules are not read further
    return out, implicit


def _read_bonds(
    buffer: Bytes,
    position: NDArray[np.int64],
    counts: NDArray[np.int64],
    ptr: NDArray[np.int64],
    understood: NDArray[np.bool_],
) -> Bonds:
    """Bond k of every molecule at step k; moves ``position`` behind the last bond."""
    m = int(ptr[-1])
    ends = np.zeros((m, 2), np.uint16)
    kind, direction, stereo, conjugated = np.ones(m, np.uint8), *(np.zeros(m, np.uint8) for _ in range(3))
    order, alive = _active(counts, understood)
    for k, count in enumerate(alive):
        mols = order[:count]
        at, place = position[mols], ptr[mols] + k
        flags = buffer[at + 2]
        ends[place, 0], ends[place, 1] = buffer[at], buffer[at + 1]
        conjugated[place] = (flags & _CONJUGATED) != 0
        at = at + 3
        for bit, target in ((_TYPE, kind), (_DIRECTION, direction), (_STEREO, stereo)):
            present = (flags & bit) != 0
            if present.any():
                target[place] = np.where(present, buffer[at], target[place])
                # A stereo code is followed by the number of its neighbour atoms and their indices.
                at = at + present * (2 + buffer[at + 1].astype(np.int64) if bit == _STEREO else 1)
        position[mols] = at
        known = (flags & ~np.uint8(_KNOWN_BOND)) == 0
        if not known.all():
            understood[mols[~known]] = False
            position[mols[~known]] = 0
    return Bonds(ends, kind, direction, stereo, conjugated)


def _read_rings(
    buffer: Bytes, position: NDArray[np.int64], ptr: NDArray[np.int64], understood: NDArray[np.bool_]
) -> Bytes:
    """Which atoms lie in a ring; ``position`` is that of the ring count."""
    in_ring = np.zeros(int(ptr[-1]), np.uint8)
    at = position + 4
    order, alive = _active(_int32(buffer, position), understood)
    for count in alive:
        mols = order[:count]
        size = buffer[at[mols]].astype(np.int64)
        first = pointers(size)
        within = np.arange(first[-1]) - np.repeat(first[:-1], size)
        members = buffer[np.repeat(at[mols] + 1, size) + within]
        in_ring[np.repeat(ptr[mols], size) + members] = 1
        at[mols] += 1 + size
    return in_ring

"""What the forest reads: counts of circular fragments, and a fixed, named set of cheap RDKit descriptors.

Every entry of :data:`DESCRIPTORS` depends only on atoms, bonds, charges and hydrogens, never on the order
of atoms, on stereo marks or on whether stereochemistry was assigned to the RDKit molecule. Slow ones
(QED, Ipc, EState, BertzCT, chi3 and above, kappa3, Lipinski's strict acceptors) are left out on purpose.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator, rdMolDescriptors

from molft.chem.crippen import sum_hydrogens
from molft.chem.decode import Decoded, decode, write_record
from molft.errors import MolftError

DESCRIPTOR_SET = "molft-descriptors-1"
"""Name and version of the set; written beside every model that was fitted on it."""

FINGERPRINT_BITS = 2048
"""Number of counters of :func:`fingerprint_counts`."""

LARGEST = 1e5
"""Descriptors are clipped to ``[-LARGEST, LARGEST]``; only a heap of the heaviest elements gets there."""

PROPERTIES = (
    *("exactmw", "amw", "lipinskiHBA", "lipinskiHBD", "NumHBD", "NumHeavyAtoms", "NumAtoms"),
    *("NumHeteroatoms", "NumAmideBonds", "FractionCSP3", "NumRings", "NumAromaticRings"),
    *("NumAliphaticRings", "NumSaturatedRings", "NumHeterocycles", "NumAromaticHeterocycles"),
    *("NumSaturatedHeterocycles", "NumAliphaticHeterocycles", "NumSpiroAtoms", "NumBridgeheadAtoms"),
    *("labuteASA", "tpsa", "chi0v", "chi1v", "chi0n", "chi1n", "chi2n", "hallKierAlpha", "kappa1", "kappa2"),
)
"""Single numbers, by RDKit's own names (``rdMolDescriptors.Properties``)."""

# Bin edges of the van der Waals surface by atomic log P and molar refractivity (Labute 2000, RDKit's tables).
SLOGP_EDGES = (-0.4, -0.2, 0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)
SMR_EDGES = (1.29, 1.82, 2.24, 2.45, 2.75, 3.05, 3.63, 3.8, 4.0)
PEOE_BINS = 14
MQN_COUNTS = 42

DESCRIPTORS: tuple[str, ...] = (
    *PROPERTIES,
    *("CrippenClogP", "CrippenMR"),
    *(f"SlogP_VSA{i + 1}" for i in range(len(SLOGP_EDGES) + 1)),
    *(f"SMR_VSA{i + 1}" for i in range(len(SMR_EDGES) + 1)),
    *(f"PEOE_VSA{i + 1}" for i in range(PEOE_BINS)),
    *(f"MQN{i + 1}" for i in range(MQN_COUNTS)),
)
"""The columns of :func:`describe`, in order."""

_MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=FINGERPRINT_BITS)
# RDKit lists all paths of two bonds for each of these: as long as for the other 28 and all surfaces together.
_OF_PATHS = ("chi2n", "kappa2")
_OTHERS = [name for name in PROPERTIES if name not in _OF_PATHS]
_PROPERTIES = rdMolDescriptors.Properties(_OTHERS)
_PATHS = rdMolDescriptors.Properties(list(_OF_PATHS))
_OUTER = np.array([Chem.GetPeriodicTable().GetNOuterElecs(number) for number in range(119)], np.float64)


def fingerprint_counts(mols: Sequence[Chem.Mol]) -> NDArray[np.uint8]:
    """Count how often each circular fragment of up to two bonds occurs, hashed to 2,048 counters (ECFP4).

    Counts above 255 are stored as 255. Chirality is left out. The molecules must be sanitised; anything
    else raises :class:`MolftError` with its position. A molecule without atoms is a row of zeros.

    Shapes: B molecules -> uint8 [B, 2048].
    Source: Rogers and Hahn, J. Chem. Inf. Model. 50, 742 (2010).

    >>> from rdkit import Chem
    >>> sorted(fingerprint_counts([Chem.MolFromSmiles("CCC")])[0].nonzero()[0].tolist())
    [80, 294, 1057, 1344]
    """
    counts = np.zeros((len(mols), FINGERPRINT_BITS), np.uint8)
    for row, mol in enumerate(mols):
        _require_sanitised(mol, row)
        np.minimum(_MORGAN.GetCountFingerprintAsNumPy(mol), 255, out=counts[row], casting="unsafe")
    return counts


def describe(mols: Sequence[Chem.Mol], records: Sequence[bytes] | None = None) -> NDArray[np.float32]:
    """Compute the descriptors named in :data:`DESCRIPTORS`; every value is finite.

    Where RDKit has no Gasteiger parameters for an element (most metals, Se, ``*``) the charges that it
    bonds to are NaN, which RDKit counts as strongly positive; here all fourteen ``PEOE_VSA`` of such a
    molecule are 0. Any other NaN becomes 0, and infinities are clipped with the rest. The molecules must
    be sanitised; anything else raises :class:`MolftError` with its position. A molecule without atoms is
    a row of zeros. RDKit leaves its partial charges on the atoms as a property. ``records`` are the
    molecules' binary forms (:func:`molft.chem.decode.write_record`), for who has them.

    Shapes: B molecules -> float32 [B, D], D = ``len(DESCRIPTORS)``.
    Source: Labute, J. Mol. Graph. Model. 18, 464 (2000); Wildman and Crippen, J. Chem. Inf. Comput. Sci.
    39, 868 (1999); MQN: Nguyen et al., ChemMedChem 4, 1803 (2009).
    """
    for row, mol in enumerate(mols):
        _require_sanitised(mol, row)
    # What RDKit gives goes into arrays once for all molecules: one by one that takes half as long again.
    block = decode([write_record(mol) for mol in mols] if records is None else records)
    parts = (
        _properties(mols, block),
        _crippen_blocks(mols, block),
        _charge_surfaces(mols),
        _rows(map(rdMolDescriptors.MQNs_, mols), MQN_COUNTS),
    )
    values = np.nan_to_num(np.concatenate(parts, axis=1), nan=0.0, posinf=LARGEST, neginf=-LARGEST)
    return np.clip(values, -LARGEST, LARGEST).astype(np.float32)


def _properties(mols: Sequence[Chem.Mol], block: Decoded) -> NDArray[np.float64]:
    """What :data:`PROPERTIES` names, float64 [B, 30]."""
    values = np.zeros((len(mols), len(PROPERTIES)))
    values[:, [PROPERTIES.index(name) for name in _OTHERS]] = _rows(
        map(_PROPERTIES.ComputeProperties, mols), len(_OTHERS)
    )
    alpha = values[:, PROPERTIES.index("hallKierAlpha")]
    values[:, [PROPERTIES.index(name) for name in _OF_PATHS]] = _path_indices(mols, block, alpha)
    return values


def _path_indices(
    mols: Sequence[Chem.Mol], block: Decoded, alpha: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Chi2n and kappa2 by RDKit's formulas, from counts at the middle atom of each path of two bonds.

    With d = (outer electrons - hydrogens)^(-1/2) an atom is the middle of paths that add up to
    d ((sum of its neighbours' d)^2 - sum of their d^2) / 2, and of n (n - 1) / 2 paths, n being the number
    of its heavy neighbours.

    Shapes: alpha [B], out float64 [B, 2].
    Source: Hall and Kier, Rev. Comput. Chem. 2, 367 (1991).
    """
    atoms, size = block.atoms, len(mols)
    heavy = atoms.number > 1
    owner, ends = block.owners, block.ends
    ends = ends[heavy[ends].all(axis=1)]
    one, other = np.concatenate([ends, ends[:, ::-1]]).T
    spare = _OUTER[np.minimum(atoms.number, len(_OUTER) - 1)] - atoms.hydrogens
    # More hydrogens than electrons: not a number, as RDKit has it.
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(spare != 0, spare**-0.5, 0.0)
    count = np.bincount(one, minlength=len(heavy))
    total, squares = (np.bincount(one, share[other] ** power, len(heavy)) for power in (1, 2))
    chi = np.where(count > 1, share * (total**2 - squares) / 2, 0.0)
    size_and_alpha = np.bincount(owner, heavy, size) + alpha
    paths_and_alpha = np.bincount(owner, count * (count - 1) / 2, size) + alpha
    kappa = (size_and_alpha - 1) * (size_and_alpha - 2) ** 2
    kappa = np.divide(kappa, paths_and_alpha**2, out=np.zeros(size), where=paths_and_alpha != 0)
    found: NDArray[np.float64] = np.column_stack((np.bincount(owner, chi, size), kappa)).astype(np.float64)
    for row in np.flatnonzero(~block.understood):
        found[row] = _PATHS.ComputeProperties(mols[int(row)])
    return found


def _rows(found: Iterable[Iterable[float]], width: int) -> NDArray[np.float64]:
    """As many numbers of each molecule, float64 [B, width]."""
    return np.fromiter(chain.from_iterable(found), np.float64).reshape(-1, width)


def _crippen_blocks(mols: Sequence[Chem.Mol], block: Decoded) -> NDArray[np.float64]:
    """Crippen log P and MR, then SlogP_VSA and SMR_VSA, from one pass over Crippen's atom types.

    RDKit's own functions match the 110 patterns twice (with hydrogens for the sums, without for the
    surfaces), which is half of the time of :func:`describe`; the atom types are the same in both, and those
    of the hydrogens follow from what they are bonded to (:mod:`molft.chem.crippen`).

    Shapes: B molecules -> float64 [B, 2 + 12 + 10].
    """
    pairs = [rdMolDescriptors._CalcCrippenContribs(mol) for mol in mols]
    types = _rows(chain.from_iterable(pairs), 2)
    surfaces = (rdMolDescriptors._CalcLabuteASAContribs(mol)[0] for mol in mols)
    areas = np.fromiter(chain.from_iterable(surfaces), np.float64)
    owner = np.repeat(np.arange(len(mols)), [len(found) for found in pairs])

    def spread(values: NDArray[np.float64], edges: tuple[float, ...]) -> NDArray[np.float64]:
        width = len(edges) + 1
        cells = owner * width + np.searchsorted(edges, values, "right")
        return np.bincount(cells, areas, len(mols) * width).reshape(-1, width).astype(np.float64)

    log_p, refractivity = types.T
    sums = sum_hydrogens(block)
    sums += np.column_stack([np.bincount(owner, values, len(mols)) for values in (log_p, refractivity)])
    # A hydrogen that is written as an atom counts as a neighbour here, but not there.
    written = block.owners[block.atoms.number == 1]
    for row in {*np.flatnonzero(~block.understood).tolist(), *written.tolist()}:
        sums[row] = rdMolDescriptors.CalcCrippenDescriptors(mols[row])
    return np.column_stack((sums, spread(log_p, SLOGP_EDGES), spread(refractivity, SMR_EDGES)))


def _charge_surfaces(mols: Sequence[Chem.Mol]) -> NDArray[np.float64]:
    """PEOE_VSA, all zero where an atom's Gasteiger charge is NaN."""
    surfaces = _rows(map(rdMolDescriptors.PEOE_VSA_, mols), PEOE_BINS)
    # RDKit puts NaN charges in the last bin, so most molecules need no look at their atoms.
    for row in np.flatnonzero(surfaces[:, -1] > 0):
        atoms = mols[int(row)].GetAtoms()
        if np.isnan([atom.GetDoubleProp("_GasteigerCharge") for atom in atoms]).any():
            surfaces[row] = 0.0
    return surfaces


def _require_sanitised(mol: Chem.Mol, row: int) -> None:
    if not isinstance(mol, Chem.Mol):
        raise MolftError(
            f"molecule {row} is {mol!r}, expected an RDKit molecule; leave refused rows out before this step"
        )
    if mol.NeedsUpdatePropertyCache() or not _has_rings(mol):
        raise MolftError(f"molecule {row} is not sanitised; call Chem.SanitizeMol on it first")


def _has_rings(mol: Chem.Mol) -> bool:
    """Tell whether ring perception was run (RDKit has no cheaper question to ask)."""
    try:
        mol.GetRingInfo().NumRings()
    except RuntimeError:
        return False
    return True

"""What the forest reads: counts of circular fragments, and a fixed, named set of cheap RDKit descriptors.

Every entry of :data:`DESCRIPTORS` depends only on atoms, bonds, charges and hydrogens, never on the order
of atoms, on stereo marks or on whether stereochemistry was assigned to the RDKit molecule. Slow ones
(QED, Ipc, EState, BertzCT, chi3 and above, kappa3, Lipinski's strict acceptors) are left out on purpose.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator, rdMolDescriptors

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
_PROPERTIES = rdMolDescriptors.Properties(list(PROPERTIES))


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


def describe(mols: Sequence[Chem.Mol]) -> NDArray[np.float32]:
    """Compute the descriptors named in :data:`DESCRIPTORS`; every value is finite.

    Where RDKit has no Gasteiger parameters for an element (most metals, Se, ``*``) the charges that it
    bonds to are NaN, which RDKit counts as strongly positive; here all fourteen ``PEOE_VSA`` of such a
    molecule are 0. Any other NaN becomes 0, and infinities are clipped with the rest. The molecules must
    be sanitised; anything else raises :class:`MolftError` with its position. A molecule without atoms is
    a row of zeros. RDKit leaves its partial charges on the atoms as a property.

    Shapes: B molecules -> float32 [B, D], D = ``len(DESCRIPTORS)``.
    Source: Labute, J. Mol. Graph. Model. 18, 464 (2000); Wildman and Crippen, J. Chem. Inf. Comput. Sci.
    39, 868 (1999); MQN: Nguyen et al., ChemMedChem 4, 1803 (2009).
    """
    values = np.zeros((len(mols), len(DESCRIPTORS)), np.float64)
    for row, mol in enumerate(mols):
        _require_sanitised(mol, row)
        values[row] = _describe_one(mol)
    finite = np.nan_to_num(values, nan=0.0, posinf=LARGEST, neginf=-LARGEST)
    return np.clip(finite, -LARGEST, LARGEST).astype(np.float32)


def _describe_one(mol: Chem.Mol) -> NDArray[np.float64]:
    return np.concatenate(
        (
            _PROPERTIES.ComputeProperties(mol),
            _crippen_blocks(mol),
            _charge_surface(mol),
            rdMolDescriptors.MQNs_(mol),
        )
    )


def _crippen_blocks(mol: Chem.Mol) -> NDArray[np.float64]:
    """Crippen log P and MR, then SlogP_VSA and SMR_VSA, from one pass over Crippen's atom types.

    RDKit's own functions match the 110 patterns twice (with hydrogens for the sums, without for the
    surfaces), which is half of the time of :func:`describe`; the atom types are the same in both.
    """
    types = np.array(rdMolDescriptors._CalcCrippenContribs(Chem.AddHs(mol))).reshape(-1, 2)
    area = np.fromiter(rdMolDescriptors._CalcLabuteASAContribs(mol)[0], np.float64, mol.GetNumAtoms())
    log_p, refractivity = types[: len(area)].T
    return np.concatenate(
        (
            types.sum(axis=0),
            np.bincount(np.searchsorted(SLOGP_EDGES, log_p, "right"), area, len(SLOGP_EDGES) + 1),
            np.bincount(np.searchsorted(SMR_EDGES, refractivity, "right"), area, len(SMR_EDGES) + 1),
        )
    )


def _charge_surface(mol: Chem.Mol) -> NDArray[np.float64]:
    """PEOE_VSA, all zero where an atom's Gasteiger charge is NaN."""
    surface = np.array(rdMolDescriptors.PEOE_VSA_(mol))
    # RDKit puts NaN charges in the last bin, so most molecules need no look at their atoms.
    if (
        surface[-1] > 0
        and np.isnan([atom.GetDoubleProp("_GasteigerCharge") for atom in mol.GetAtoms()]).any()
    ):
        surface[:] = 0.0
    return surface


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

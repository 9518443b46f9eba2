"""One fixed recipe from the molecule as written to the molecule that is meant.

The recipe: keep the largest organic fragment, then neutralise the charges that hydrogens can neutralise.
A metal complex, a boron cluster or hydride and an inorganic salt are left as they are written, with the
reason: taking charges or fragments away would invent a molecule there (ferrocene would become a ring that
does not exist, sodium chloride hydrogen chloride). Stereo, isotopes and tautomers stay as written. The
idea of flagging instead of altering is that of the ChEMBL structure pipeline (Bento et al.,
J. Cheminform. 2020, 12, 51).
"""

from __future__ import annotations

import re

from rdkit import Chem, rdBase
from rdkit.Chem import rdqueries
from rdkit.Chem.MolStandardize import rdMolStandardize

# Stored with every model; any change in what standardize() returns needs a new name.
RECIPE = "molft-1"

_MOST_BORON = 7

_ATOM_MAP = re.compile(r":\d+\]")

# Ions of groups 1 and 2 are ordinary counter-ions; bonded, they are metals like the others.
_SALT_METALS = (3, 4, 11, 12, 19, 20, 37, 38, 55, 56, 87, 88)
_OTHER_METALS = (13, *range(21, 33), *range(39, 52), *range(57, 85), *range(89, 119))


def _any_of(*atoms: str) -> Chem.Mol:
    return Chem.MolFromSmarts(f"[{','.join(atoms)}]")


_METAL = _any_of(*(f"#{z}" for z in _OTHER_METALS), *(f"#{z}&!D0" for z in _SALT_METALS))
_CHARGED = _any_of("!+0")
_BORON = _any_of("#5")
_HYDRIDE = _any_of("#5&-&!D4")
_CARBON = _any_of("#6")
# Listing the ordinary elements instead of the metals lets the query stop at once at a carbon.
_UNUSUAL = _any_of("&".join(f"!#{z}" for z in (6, 7, 8, 16, 9, 17, 35, 15, 53)))


def _prefer_organic() -> rdMolStandardize.CleanupParameters:
    parameters = rdMolStandardize.CleanupParameters()
    parameters.preferOrganic = True
    return parameters


def _as_written() -> Chem.SmilesParserParams:
    parameters = Chem.SmilesParserParams()
    parameters.sanitize = parameters.removeHs = False
    return parameters


def _tagged_atom() -> Chem.Mol:
    query = Chem.RWMol()
    query.AddAtom(rdqueries.HasChiralTagQueryAtom())
    return query.GetMol()


_AS_WRITTEN = _as_written()
# A match takes a third of the time of GetAtomsMatchingQuery.
_TAGGED = _tagged_atom()
_LARGEST = rdMolStandardize.LargestFragmentChooser(_prefer_organic())
_UNCHARGER = rdMolStandardize.Uncharger()


def standardize(mol: Chem.Mol) -> Chem.Mol | str:
    """Return the parent molecule in its neutral form, or the reason to leave ``mol`` as it is written.

    ``mol`` is sanitised (:func:`molft.chem.smiles.parse`) and never changed; a molecule that is already
    standard is returned itself, and standardising twice changes nothing. The reason names a metal, more
    than 7 boron atoms, a borohydride, something without carbon, or a neutral form that RDKit can't make
    sense of.

    >>> Chem.MolToSmiles(standardize(Chem.MolFromSmiles("[Na+].CC(=O)[O-]")))
    'CC(=O)O'
    >>> standardize(Chem.MolFromSmiles("N[Pt](N)(Cl)Cl"))
    'metal: Pt'
    """
    fragments = len(Chem.GetMolFrags(mol))
    charged = mol.HasSubstructMatch(_CHARGED)
    unusual = mol.HasSubstructMatch(_UNUSUAL)
    if fragments == 1 and not charged and not unusual:
        return mol
    reason = _unalterable(mol) if unusual else ""
    if not mol.HasSubstructMatch(_CARBON):
        reason = reason or "inorganic: no carbon"
    if reason:
        return reason
    return _neutralise(_LARGEST.choose(mol) if fragments > 1 else mol)


def _unalterable(mol: Chem.Mol) -> str:
    """Name the element for which the recipe would invent a molecule, or give an empty text."""
    metals = {mol.GetAtomWithIdx(found[0]).GetSymbol() for found in mol.GetSubstructMatches(_METAL)}
    if metals:
        return f"metal: {', '.join(sorted(metals))}"
    boron = len(mol.GetSubstructMatches(_BORON))
    if boron > _MOST_BORON:
        return f"{boron} boron atoms"
    return "borohydride" if mol.HasSubstructMatch(_HYDRIDE) else ""


def _neutralise(mol: Chem.Mol) -> Chem.Mol | str:
    """Add and take hydrogens until no charge is left that they can balance."""
    with rdBase.BlockLogs():
        neutral = _UNCHARGER.uncharge(mol)
        # New hydrogens change conjugation and hybridisation, and can end a stereo centre.
        if Chem.SanitizeMol(neutral, catchErrors=True) != Chem.SanitizeFlags.SANITIZE_NONE:
            return "no neutral form"
        Chem.AssignStereochemistry(neutral, cleanIt=True, force=True)
    return neutral


def tag_canonically(mol: Chem.Mol, written: str = "", in_place: bool = False) -> Chem.Mol:
    """The molecule with the chiral tags that reading its canonical SMILES gives, its atoms in their order.

    A tag says how the neighbours turn in the order in which the atoms were written, so one molecule has many.
    Reading the canonical SMILES without sanitising it is enough to know them: a fifth of the time. ``mol``
    isn't changed unless ``in_place``; read from canonical SMILES (``written`` is what it was read from) it is
    returned itself.
    """
    canonical = Chem.MolToSmiles(mol)
    if canonical == written:
        return mol
    raw = Chem.MolFromSmiles(canonical, _AS_WRITTEN)
    order = mol.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"]
    tagged = mol if in_place else Chem.Mol(mol)
    for place in _tagged_places(tagged):
        tagged.GetAtomWithIdx(place).SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
    for place in _tagged_places(raw):
        tagged.GetAtomWithIdx(order[place]).SetChiralTag(raw.GetAtomWithIdx(place).GetChiralTag())
    return tagged


def _tagged_places(mol: Chem.Mol) -> list[int]:
    """Places of the atoms that have a chiral tag."""
    return [place for (place,) in mol.GetSubstructMatches(_TAGGED, maxMatches=mol.GetNumAtoms())]


def canonical_key(mol: Chem.Mol) -> str:
    """Canonical SMILES of the molecule as it stands: two rows with one key are one molecule.

    Standardise first, so that a salt and its parent share a key. Atom-map numbers don't count, stereo and
    isotopes do.

    >>> canonical_key(Chem.MolFromSmiles("C(C)[OH:7]"))
    'CCO'
    """
    key = Chem.MolToSmiles(mol)
    if not _ATOM_MAP.search(key):
        return key
    bare = Chem.Mol(mol)
    for atom in bare.GetAtoms():
        atom.SetAtomMapNum(0)
    return Chem.MolToSmiles(bare)

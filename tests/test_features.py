"""Codes of molecules that can be checked by eye, and of thousands against two slow oracles."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem

from molft.chem.features import OGB, SCHEMES, SNAP, Scheme, featurize, find_scheme
from molft.chem.graphs import Graphs
from molft.chem.smiles import parse_all
from molft.errors import MolftError, Rejected
from tests.packed import assert_same, read, slowly


def codes(smiles: str, scheme: Scheme) -> Graphs:
    """One molecule that the scheme must accept."""
    graphs, index, rejected = featurize(read(smiles), scheme)
    assert (index.tolist(), rejected) == ([0], [])
    return graphs


# --- SNAP codes by hand: (atomic number - 1, chiral tag), (bond type, direction) -----------------------


@pytest.mark.parametrize(
    ("smiles", "atoms", "bonds", "ends"),
    [
        ("C", [[5, 0]], [], []),
        ("CCO", [[5, 0], [5, 0], [7, 0]], [[0, 0], [0, 0]], [[0, 1], [1, 2]]),
        ("C=O", [[5, 0], [7, 0]], [[1, 0]], [[0, 1]]),
        ("C#N", [[5, 0], [6, 0]], [[2, 0]], [[0, 1]]),
        ("[Na+].[Cl-]", [[10, 0], [16, 0]], [], []),
        ("[2H]O", [[0, 0], [7, 0]], [[0, 0]], [[0, 1]]),  # a labelled hydrogen is an atom of its own
        ("[Og]", [[117, 0]], [], []),
        (
            "c1cc[nH]c1",
            [[5, 0]] * 3 + [[6, 0], [5, 0]],
            [[3, 0]] * 5,
            [[0, 1], [1, 2], [2, 3], [3, 4], [4, 0]],
        ),
        ("C[C@H](F)Cl", [[5, 0], [5, 2], [8, 0], [16, 0]], [[0, 0]] * 3, [[0, 1], [1, 2], [1, 3]]),
        ("C[C@@H](F)Cl", [[5, 0], [5, 1], [8, 0], [16, 0]], [[0, 0]] * 3, [[0, 1], [1, 2], [1, 3]]),
    ],
)
def test_snap_codes(smiles: str, atoms: list, bonds: list, ends: list) -> None:
    graphs = codes(smiles, SNAP)
    assert graphs.atoms.tolist() == atoms
    assert graphs.bonds.reshape(-1, 2).tolist() == bonds
    assert graphs.ends.tolist() == ends


@pytest.mark.parametrize(
    ("smiles", "directions"),
    [
        (r"F/C=C/F", [1, 0, 1]),
        (r"F/C=C\F", [1, 0, 2]),
        (r"C(/F)=C\F", [1, 0, 2]),  # the trans form, written from the carbon: the codes depend on the text
        (r"FC=CF", [0, 0, 0]),
    ],
)
def test_snap_bond_directions_are_those_of_the_text(smiles: str, directions: list[int]) -> None:
    graphs = codes(smiles, SNAP)
    assert graphs.bonds[:, 1].tolist() == directions


def test_snap_does_not_see_charges_and_hydrogens() -> None:
    assert_same(codes("[NH4+]", SNAP), codes("N", SNAP))


# --- OGB codes by hand ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("smiles", "atom", "expected"),
    [
        # number - 1, chirality, neighbours with H, charge + 5, hydrogens, radicals, hybrid, aromatic, ring
        ("CCO", 0, [5, 0, 4, 5, 3, 0, 2, 0, 0]),
        ("CCO", 2, [7, 0, 2, 5, 1, 0, 2, 0, 0]),
        ("c1ccccc1", 0, [5, 0, 3, 5, 1, 0, 1, 1, 1]),
        ("C1CC1", 0, [5, 0, 4, 5, 2, 0, 2, 0, 1]),
        ("C#N", 1, [6, 0, 1, 5, 0, 0, 0, 0, 0]),
        ("[NH4+]", 0, [6, 0, 4, 6, 4, 0, 2, 0, 0]),
        ("[O-]C", 0, [7, 0, 1, 4, 0, 0, 2, 0, 0]),
        ("[CH3]", 0, [5, 0, 3, 5, 3, 1, 2, 0, 0]),
        ("FS(F)(F)(F)(F)F", 1, [15, 0, 6, 5, 0, 0, 4, 0, 0]),
        ("FP(F)(F)(F)F", 1, [14, 0, 5, 5, 0, 0, 3, 0, 0]),
        ("[U+6]", 0, [91, 0, 0, 11, 0, 0, 5, 0, 0]),  # charges beyond 5 share a code
        ("*C", 0, [118, 0, 1, 5, 0, 0, 5, 0, 0]),
        ("[UH14]", 0, [91, 0, 11, 5, 9, 0, 5, 0, 0]),
        ("F[Pt@SP1](Cl)(Br)I", 1, [77, 4, 4, 5, 0, 0, 5, 0, 0]),
        ("Cl[C@H](/C=C/C)Br", 1, [5, 2, 4, 5, 1, 0, 2, 0, 0]),  # the example in ogb.utils.features
    ],
)
def test_ogb_atom_codes(smiles: str, atom: int, expected: list[int]) -> None:
    graphs = codes(smiles, OGB)
    assert graphs.atoms[atom].tolist() == expected


@pytest.mark.parametrize(
    ("smiles", "bond", "expected"),
    [
        # type, stereo, conjugated
        ("CCO", 0, [0, 0, 0]),
        ("C=CC=C", 0, [1, 0, 1]),
        ("C=CC=C", 1, [0, 0, 1]),
        ("C#N", 0, [2, 0, 0]),
        ("c1ccccc1", 0, [3, 0, 1]),
        (r"F/C=C/F", 1, [1, 2, 0]),
        (r"F/C=C\F", 1, [1, 1, 0]),
        ("N->[Fe]", 0, [4, 0, 0]),
        ("C$C", 0, [4, 0, 0]),
    ],
)
def test_ogb_bond_codes(smiles: str, bond: int, expected: list[int]) -> None:
    graphs = codes(smiles, OGB)
    assert graphs.bonds[bond].tolist() == expected


# --- what a scheme has no code for ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("*C", "atom 0 (*, CHI_UNSPECIFIED)"),
        ("C[*:1]", "atom 1 (*, CHI_UNSPECIFIED)"),
        ("N->[Fe]", "bond 0 (DATIVE, NONE, STEREONONE)"),
        ("C$C", "bond 0 (QUADRUPLE, NONE, STEREONONE)"),
        ("C~C", "bond 0 (UNSPECIFIED, NONE, STEREONONE)"),
        ("F[Pt@SP1](Cl)(Br)I", "atom 1 (Pt, CHI_SQUAREPLANAR)"),
        ("F[As@TB2](Cl)(Br)(N)O", "atom 1 (As, CHI_TRIGONALBIPYRAMIDAL)"),
        ("F[Co@OH3](Cl)(Br)(I)(S)N", "atom 1 (Co, CHI_OCTAHEDRAL)"),
    ],
)
def test_snap_refuses_what_its_tables_have_no_row_for(smiles: str, reason: str) -> None:
    _, index, rejected = featurize(read("CCO", smiles, "C"), SNAP)
    assert index.tolist() == [0, 2]
    assert rejected == [Rejected(1, "features", f"{reason} has no code in scheme 'snap'")]


def test_ogb_refuses_atropisomers_as_the_reference_does() -> None:
    mol = read("Cc1cccc(F)c1-c1c(C)cccc1F")[0]
    axis = mol.GetBondBetweenAtoms(7, 8)
    axis.SetStereoAtoms(1, 9)
    axis.SetStereo(Chem.BondStereo.STEREOATROPCW)
    _, index, rejected = featurize([mol], OGB)
    assert index.size == 0
    assert "STEREOATROPCW" in rejected[0].reason


def test_refused_molecules_leave_the_others_alone() -> None:
    good = read("CCO", "c1ccccc1", "C[C@H](F)Cl")
    bad = read("*C", "N->[Fe]")
    graphs, index, rejected = featurize([bad[0], good[0], good[1], bad[1], good[2]], SNAP)
    assert index.tolist() == [1, 2, 4]
    assert [one.row for one in rejected] == [0, 3]
    assert_same(graphs, featurize(good, SNAP)[0])


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=str)
def test_no_molecule_at_all(scheme: Scheme) -> None:
    graphs, index, rejected = featurize([], scheme)
    assert (len(graphs), index.tolist(), rejected) == (0, [], [])
    assert graphs.atoms.shape == (0, len(scheme.atom_sizes))
    assert graphs.bonds.shape == (0, len(scheme.bond_sizes))


def test_an_unknown_scheme_is_an_error_that_lists_the_known_ones() -> None:
    assert find_scheme("ogb") is OGB
    with pytest.raises(MolftError, match="feature scheme 'SNAP' is unknown; known: snap, ogb"):
        find_scheme("SNAP")


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda scheme: scheme.name)
def test_reserved_codes_lie_inside_the_tables_and_apart(scheme: Scheme) -> None:
    assert all(code < size for code, size in zip(scheme.mask_atom, scheme.atom_sizes, strict=True))
    assert all(code < size for code, size in zip(scheme.mask_bond, scheme.bond_sizes, strict=True))
    assert all(code < size for code, size in zip(scheme.loop_bond, scheme.bond_sizes, strict=True))
    assert scheme.mask_bond[0] != scheme.loop_bond[0]


def test_the_reserved_snap_codes_are_those_of_the_released_weights() -> None:
    assert (SNAP.atom_sizes, SNAP.bond_sizes) == ((120, 3), (6, 3))
    assert (SNAP.mask_atom, SNAP.mask_bond, SNAP.loop_bond) == ((119, 0), (5, 0), (4, 0))


# --- real molecules ------------------------------------------------------------------------------------

REAL = {  # file, column, and every how many-th row is taken
    "moleculenet/BBBP.csv": ("smiles", 2),
    "moleculenet/sider.csv.gz": ("smiles", 3),  # peptides of several hundred atoms
    "moleculenet/clintox.csv": ("smiles", 4),
    "moleculenet/tox21.csv": ("smiles", 12),  # salts, metals
    "library/broad_repurposing_library_6111.csv": ("smiles", 7),
}


@pytest.fixture(scope="module")
def real_smiles(real_data: Path) -> list[str]:
    texts = []
    for name, (column, step) in REAL.items():
        texts += pd.read_csv(real_data / name)[column].tolist()[::step]
    return texts


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda scheme: scheme.name)
def test_thousands_of_molecules_have_the_codes_of_the_slow_path(
    scheme: Scheme, real_smiles: list[str]
) -> None:
    mols = [mol for mol in parse_all(real_smiles) if mol]
    assert len(mols) > 3000
    graphs, index, rejected = featurize(mols, scheme)
    expected, refused = slowly(mols, scheme)
    assert_same(graphs, expected)
    assert rejected == refused
    assert len(index) + len(rejected) == len(mols)
    largest = np.concatenate([graphs.atoms.max(axis=0), graphs.bonds.max(axis=0)])
    assert (largest < (*scheme.atom_sizes, *scheme.bond_sizes)).all()


def test_thousands_of_molecules_have_the_codes_of_ogb(
    real_smiles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "outdated", None)  # else ogb asks the network for its newest version
    from ogb.utils.mol import smiles2graph

    texts = [text for text, mol in zip(real_smiles, parse_all(real_smiles), strict=True) if mol][::2]
    graphs, index, _ = featurize(read(*texts), OGB)
    assert index.tolist() == list(range(len(texts)))
    known = [smiles2graph(text) for text in texts]
    np.testing.assert_array_equal(graphs.atoms, np.concatenate([one["node_feat"] for one in known]))
    np.testing.assert_array_equal(graphs.bonds, np.concatenate([one["edge_feat"][::2] for one in known]))
    np.testing.assert_array_equal(graphs.ends, np.concatenate([one["edge_index"][:, ::2].T for one in known]))
    assert np.diff(graphs.atom_ptr).tolist() == [one["num_nodes"] for one in known]


def test_two_platinum_compounds_of_clintox_have_no_snap_codes(real_data: Path) -> None:
    mols = parse_all(pd.read_csv(real_data / "moleculenet/clintox.csv")["smiles"].tolist())
    _, index, rejected = featurize([mol for mol in mols if mol], SNAP)
    assert (len(index), len(rejected)) == (1478, 2)  # 1478 is the published size
    assert all("DATIVE" in one.reason for one in rejected)

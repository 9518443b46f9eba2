"""Scaffold keys on molecules whose series a chemist can see."""

import pytest
from rdkit import Chem
from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles

from molft.chem.scaffold import lab_scaffold, snap_scaffold
from molft.errors import MolftError

IBUPROFEN = "CC(C)Cc1ccc(cc1)C(C)C(=O)O"
IMATINIB = "Cc1ccc(NC(=O)c2ccc(CN3CCN(C)CC3)cc2)cc1Nc1nccc(-c2cccnc2)n1"


@pytest.mark.parametrize(
    ("smiles", "scaffold"),
    [
        (IBUPROFEN, "c1ccccc1"),
        ("O=C1CCCCC1C", "O=C1CCCCC1"),  # a double bond on a ring atom belongs to the scaffold
        ("c1ccccc1CCc1ccncc1", "c1ccc(CCc2ccncc2)cc1"),
        ("Clc1ccccc1.CC1CC1", "C1CC1.c1ccccc1"),  # the rings of all fragments
        ("C[C@H]1CCCO1", "C1CCOC1"),
        ("CCO", ""),
        ("[Na+].[Cl-]", ""),
    ],
)
def test_snap_scaffold(smiles: str, scaffold: str) -> None:
    assert snap_scaffold(smiles) == scaffold == snap_scaffold(Chem.MolFromSmiles(smiles))


def test_snap_scaffold_keeps_stereo_marks_and_lab_scaffold_does_not() -> None:
    left, right = "C[C@H]1CC[C@H](N2CCCCC2)C1", "C[C@H]1CC[C@@H](N2CCCCC2)C1"
    chiral_left, chiral_right = "O[C@@H]1CC[C@H]2CCCC[C@H]2C1", "O[C@@H]1CC[C@H]2CCCC[C@@H]2C1"
    assert snap_scaffold(chiral_left) != snap_scaffold(chiral_right)
    assert lab_scaffold(chiral_left) == lab_scaffold(chiral_right) == "C1CCC2CCCCC2C1"
    assert lab_scaffold(left) == lab_scaffold(right) == "C1CCN(C2CCCC2)CC1"


@pytest.mark.parametrize("smiles", [IBUPROFEN, IMATINIB, "C[C@H](F)Cl", "CC(C)C[C@@H](N)C(=O)O"])
def test_lab_scaffold_ignores_how_the_smiles_is_written(smiles: str) -> None:
    mol = Chem.MolFromSmiles(smiles)
    written = {Chem.MolToSmiles(mol, doRandom=True) for _ in range(20)}
    assert len(written) > 3
    assert {lab_scaffold(text) for text in written} == {lab_scaffold(mol)}


def test_lab_scaffold_gives_acyclic_molecules_their_own_key() -> None:
    assert lab_scaffold("C[C@H](N)C(=O)O") == "CC(N)C(=O)O"
    assert lab_scaffold("CCO") == "CCO"


def test_snap_scaffold_equals_rdkit_on_the_string() -> None:
    for smiles in (IBUPROFEN, IMATINIB, "C[C@H]1CC[C@@H](O)CC1", "OC[C@H]1O[C@@H](O)C(O)C1"):
        assert snap_scaffold(smiles) == MurckoScaffoldSmiles(smiles=smiles, includeChirality=True)


@pytest.mark.parametrize("scaffold", [snap_scaffold, lab_scaffold])
@pytest.mark.parametrize("text", ["", "not a molecule", "c1ccccc", "C" * 6000])
def test_a_string_that_is_no_molecule_is_refused(scaffold, text: str) -> None:  # noqa: ANN001
    with pytest.raises(MolftError, match="no scaffold for"):
        scaffold(text)

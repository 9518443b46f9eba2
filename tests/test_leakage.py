"""Molecules that are held out: found by InChI whatever salt, stereo or spelling, and nothing else."""

from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from molft.chem.features import SNAP, featurize
from molft.chem.leakage import HeldOut, fragment_key, hold_out, prepare_unseen, skeletons
from molft.chem.prepare import Recipe, prepare
from molft.data.formats import read_table
from tests.packed import read
from tests.series import pyridines

RECIPE = Recipe(scheme="snap", standardize=False, keys=True)


def known(held_out: HeldOut | None, *smiles: str, scheme: str = "snap") -> list[bool]:
    """Which of the molecules are held out; all must be readable."""
    screened = prepare_unseen(smiles, Recipe(scheme=scheme, standardize=False, keys=True), held_out)
    assert not screened.block.rejected
    return screened.known.tolist()


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("CC(N)C(=O)O", True),  # alanine itself
        ("C[C@@H](N)C(=O)O", True),  # the other hand
        ("OC(=O)C(C)N", True),  # written otherwise
        ("C[C@H]([NH3+])C(=O)[O-]", True),  # its zwitterion
        ("CC(N)C(=O)[O-].[Na+]", True),  # a salt of it
        ("[2H]C(C)(N)C(=O)O", True),  # with deuterium
        ("CC(N)C(=O)OC", False),  # its methyl ester
        ("NCCC(=O)O", False),  # an isomer
        ("CC(O)C(=O)O", False),  # lactic acid
        ("[Na+].[Cl-]", False),
    ],
)
@pytest.mark.parametrize("scheme", ["snap", "ogb"])
def test_what_counts_as_alanine(smiles: str, expected: bool, scheme: str) -> None:
    assert known(hold_out(["C[C@H](N)C(=O)O"]), smiles, scheme=scheme) == [expected]


def test_every_fragment_of_a_held_out_mixture_counts() -> None:
    held_out = hold_out(["CCO.c1ccccc1.[Na+]"])
    assert known(held_out, "CCO", "c1ccccc1C", "c1ccccc1", "CCN.CCO") == [True, False, True, True]


def test_a_metal_complex_is_looked_at_however_its_bonds_are_drawn() -> None:
    held_out = hold_out(["CC[Hg]CC"])
    assert known(held_out, "CC[Hg]CC", "CC[Hg]C") == [True, False]


def test_nothing_held_out_finds_nothing() -> None:
    assert known(None, "CCO") == known(hold_out([]), "CCO", "[Na+].[Cl-]")[:1] == [False]


def test_a_string_that_is_no_molecule_is_passed_over() -> None:
    assert hold_out(["xyz", "C(C"]).keys == frozenset()


def test_rejected_rows_are_not_asked() -> None:
    screened = prepare_unseen(["xyz", "CCO", "*C"], RECIPE, hold_out(["CCO"]))
    assert screened.known.tolist() == [True]
    assert [bad.row for bad in screened.block.rejected] == [0, 2]


def test_the_short_cut_finds_what_inchi_finds(real_data: Path) -> None:
    """Half of a real set is held out; whatever of the rest InChI knows, and no other, is found."""
    smiles = read_table(real_data / "moleculenet" / "BBBP.csv")["smiles"].tolist()[:700]
    held_out = hold_out(smiles[::2])
    screened = prepare_unseen(smiles[1::2], RECIPE, held_out)
    expected = [
        any(fragment_key(part) in held_out.keys for part in Chem.GetMolFrags(mol, asMols=True))
        for mol in map(Chem.MolFromSmiles, screened.block.keys)
    ]
    assert screened.known.tolist() == expected
    assert 5 < sum(expected) < 200


def test_a_skeleton_knows_elements_and_bonds_but_no_orders_charges_or_stereo() -> None:
    same = skeletons(featurize(read("C1CCCCC1", "c1ccccc1", "C1=CCCCC1"), SNAP)[0])
    assert len(set(same.tolist())) == 1
    distinct = skeletons(featurize(read("CCO", "CCN", "COC", "CC.O", "C1CO1"), SNAP)[0])
    assert len(set(distinct.tolist())) == 5


def test_a_skeleton_does_not_depend_on_the_block_or_the_order_of_atoms() -> None:
    smiles = pyridines(20)
    together = skeletons(prepare(smiles, RECIPE).graphs)
    alone = [skeletons(prepare([text], RECIPE).graphs)[0] for text in smiles]
    np.testing.assert_array_equal(together, alone)
    rewritten = [Chem.MolToSmiles(mol, rootedAtAtom=mol.GetNumAtoms() - 1) for mol in read(*smiles)]
    np.testing.assert_array_equal(skeletons(prepare(rewritten, RECIPE).graphs), together)

"""Blocks of SMILES: every row ends in one place, and how a molecule is written doesn't matter."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem, rdBase

from molft.chem import prepare as module
from molft.chem.descriptors import describe, fingerprint_counts
from molft.chem.graphs import Graphs
from molft.chem.prepare import Recipe, prepare
from molft.chem.smiles import Limits, parse_all
from molft.chem.standardize import standardize
from molft.errors import MolftError, Rejected
from tests.packed import assert_same, read

MIXED = ["CCO", "xyz", "[Na+].CC(=O)[O-]", "", "C*", "N[Pt](N)(Cl)Cl", "c1ccccc1O", "C" * 501]


def test_accepted_rows_keep_their_order_and_rejected_ones_their_number() -> None:
    block = prepare(MIXED, Recipe(scheme="snap", keys=True))
    assert block.index.tolist() == [0, 2, 5, 6]
    assert block.index.dtype == np.int64
    assert np.diff(block.graphs.atom_ptr).tolist() == [3, 4, 5, 7]  # acetic acid without its sodium
    assert block.keys == ["CCO", "CC(=O)O", "[NH2][Pt]([NH2])([Cl])[Cl]", "Oc1ccccc1"]
    assert block.rejected == [
        Rejected(1, "parse", "not a SMILES: 'xyz'"),
        Rejected(3, "text", "empty"),
        Rejected(4, "features", "atom 1 (*, CHI_UNSPECIFIED) has no code in scheme 'snap'"),
        Rejected(7, "size", "501 heavy atoms, at most 500 are read"),
    ]


def test_what_can_not_be_standardised_stands_as_written_with_a_note() -> None:
    block = prepare(MIXED, Recipe(scheme="snap"))
    assert block.notes == {5: "metal: Pt"}
    as_written = prepare(MIXED[5:6], Recipe(scheme="snap", standardize=False))
    assert_same(block.graphs.take([2]), as_written.graphs)


@pytest.mark.parametrize(
    ("smiles", "standard", "as_written"),
    [
        ("[Na+].CC(=O)[O-]", "CC(=O)O", "CC(=O)[O-].[Na+]"),
        ("C[NH3+].[Cl-]", "CN", "C[NH3+].[Cl-]"),
        ("C[N+](C)(C)C.[I-]", "C[N+](C)(C)C", "C[N+](C)(C)C.[I-]"),  # no hydrogen can balance this charge
        ("C[C@H](N)C(=O)O.Cl", "C[C@H](N)C(=O)O", "C[C@H](N)C(=O)O.Cl"),
    ],
)
def test_standardising_can_be_switched_off(smiles: str, standard: str, as_written: str) -> None:
    assert prepare([smiles], Recipe(keys=True)).keys == [standard]
    assert prepare([smiles], Recipe(keys=True, standardize=False)).keys == [as_written]


def test_as_written_means_the_atoms_of_the_text_in_their_order() -> None:
    block = prepare(["OC", "CO"], Recipe(scheme="snap", standardize=False))
    assert block.graphs.atoms[:, 0].tolist() == [7, 5, 5, 7]


def test_keys_and_forest_numbers_are_made_only_when_asked_for() -> None:
    bare, full = prepare(MIXED), prepare(MIXED, Recipe(keys=True, forest=True))
    assert (bare.keys, bare.counts, bare.descriptors) == ([], None, None)
    standard = read("CCO", "CC(=O)O", "C*", "N[Pt](N)(Cl)Cl", "Oc1ccccc1")  # OGB has a code for dummies
    assert full.index.tolist() == [0, 2, 4, 5, 6]
    np.testing.assert_array_equal(full.counts, fingerprint_counts(standard))
    np.testing.assert_allclose(full.descriptors, describe(standard), rtol=1e-6)
    assert_same(bare.graphs, full.graphs)


@pytest.mark.parametrize("smiles", [[], ["xyz"], ["", "*"]])
def test_a_block_without_a_good_row(smiles: list[str]) -> None:
    block = prepare(smiles, Recipe(scheme="snap", keys=True, forest=True))
    assert (len(block.graphs), block.index.tolist(), block.keys) == (0, [], [])
    assert [bad.row for bad in block.rejected] == list(range(len(smiles)))
    assert block.counts.shape == (0, 2048)
    assert block.descriptors.shape == describe([]).shape


def test_lost_rows_are_rejected_without_being_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    parse_each = module.parse_each

    def watch(smiles: list[str], limits: Limits) -> Iterator[Chem.Mol | Rejected]:
        seen.extend(smiles)
        return parse_each(smiles, limits)

    monkeypatch.setattr(module, "parse_each", watch)
    block = prepare(["CCO", "CCN", "xyz", "CCC"], Recipe(keys=True), lost={3: "timeout", 1: "crashed"})
    assert "CCN" not in seen and "CCC" not in seen
    assert block.keys == ["CCO"]
    assert [bad.status for bad in block.rejected] == [
        "crashed: reading this molecule ended the process",
        "parse: not a SMILES: 'xyz'",
        "timeout: reading this molecule took too long",
    ]


def test_limits_are_those_of_the_recipe() -> None:
    block = prepare(["CCO", "CCCO"], Recipe(limits=Limits(atoms=3)))
    assert block.index.tolist() == [0]
    assert block.rejected == [Rejected(1, "size", "4 heavy atoms, at most 3 are read")]


def test_an_unknown_scheme_is_an_error() -> None:
    with pytest.raises(MolftError, match="feature scheme 'mol2vec' is unknown; known: snap, ogb"):
        prepare(["CCO"], Recipe(scheme="mol2vec"))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(MIXED), max_size=12),
    st.dictionaries(st.integers(0, 11), st.sampled_from(["crashed", "timeout"]), max_size=3),
)
def test_every_row_ends_in_one_place(smiles: list[str], lost: dict[int, str]) -> None:
    lost = {row: stage for row, stage in lost.items() if row < len(smiles)}
    block = prepare(smiles, Recipe(scheme="snap"), lost=lost)
    bad = [one.row for one in block.rejected]
    assert sorted([*block.index.tolist(), *bad]) == list(range(len(smiles)))
    assert block.index.tolist() == sorted(block.index.tolist()) and bad == sorted(bad)
    assert len(block.graphs) == len(block.index)
    assert set(lost) <= set(bad)


@pytest.mark.parametrize("scheme", ["snap", "ogb"])
@pytest.mark.parametrize(
    "ways",
    [
        ["F/C=C/F", r"F\C=C\F", r"C(\F)=C/F", "F/C=C/F.Cl"],  # E-1,2-difluoroethene, also as hydrochloride
        [r"F/C=C\F", r"F\C=C/F", "C(/F)=C/F"],  # Z
        ["C[C@H](N)C(=O)O", "N[C@@H](C)C(O)=O", "OC(=O)[C@H](C)N", "C[C@H]([NH3+])C([O-])=O"],  # L-alanine
        ["O[C@H]1CCCC[C@@H]1C", "C[C@H]1CCCC[C@@H]1O"],
    ],
)
def test_stereo_codes_do_not_depend_on_how_the_molecule_is_written(scheme: str, ways: list[str]) -> None:
    block = prepare(ways, Recipe(scheme=scheme))
    assert block.rejected == []
    assert unordered(block.graphs) == unordered(block.graphs.take([0] * len(ways)))


@pytest.mark.parametrize(
    ("left", "right"),
    [("F/C=C/F", r"F/C=C\F"), ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"), ("C[C@H](N)CC", "CC(N)CC")],
)
@pytest.mark.parametrize("scheme", ["snap", "ogb"])
def test_stereo_isomers_have_other_codes(left: str, right: str, scheme: str) -> None:
    graphs = prepare([left, right], Recipe(scheme=scheme)).graphs
    one, other = graphs.take([0]), graphs.take([1])
    assert not (np.array_equal(one.atoms, other.atoms) and np.array_equal(one.bonds, other.bonds))


def rewrite(smiles: str, rng: random.Random) -> str:
    """The same molecule with its atoms in another order."""
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        return smiles
    order = list(range(mol.GetNumAtoms()))
    rng.shuffle(order)
    return Chem.MolToSmiles(Chem.RenumberAtoms(mol, order), canonical=False)


def unordered(graphs: Graphs) -> list[tuple[list[bytes], list[tuple[bytes, ...]]]]:
    """Of each molecule the codes of its atoms, and of its bonds with the atoms at their ends, sorted."""
    found = []
    for row in range(len(graphs)):
        one = graphs.take([row])
        atoms = [codes.tobytes() for codes in one.atoms]
        pairs = zip(one.bonds, one.ends.tolist(), strict=True)
        bonds = [(codes.tobytes(), *sorted((atoms[i], atoms[j]))) for codes, (i, j) in pairs]
        found.append((sorted(atoms), sorted(bonds)))
    return found


@pytest.mark.parametrize("scheme", ["snap", "ogb"])
def test_rewritten_drugs_have_the_same_codes_and_keys(scheme: str, real_data: Path) -> None:
    frame = pd.read_csv(real_data / "library" / "broad_repurposing_library_6111.csv")
    smiles = frame["smiles"].tolist()[::10]
    rng = random.Random(0)
    recipe = Recipe(scheme=scheme, keys=True)
    left, right = prepare(smiles, recipe), prepare([rewrite(text, rng) for text in smiles], recipe)
    assert left.index.tolist() == right.index.tolist()
    assert len(left.index) > 600
    assert left.keys == right.keys
    assert left.notes.keys() == right.notes.keys()
    assert unordered(left.graphs) == unordered(right.graphs)
    marked = [k for k, row in enumerate(left.index) if any(mark in smiles[row] for mark in "@/\\")]
    assert len(marked) > 200


def test_stereo_codes_are_those_of_the_canonical_smiles_read_anew(real_data: Path) -> None:
    frame = pd.read_csv(real_data / "library" / "broad_repurposing_library_6111.csv")
    smiles = [text for text in frame["smiles"] if "@" in text or "/" in text][::3]
    rng = random.Random(0)
    block = prepare([rewrite(text, rng) for text in smiles], Recipe(keys=True))
    again = prepare(block.keys, Recipe(standardize=False))
    assert len(block.keys) > 600
    assert unordered(block.graphs) == unordered(again.graphs)


@pytest.mark.parametrize(
    "smiles",
    [
        *(
            "C[Si](C)(C)C",
            "[2H]C",
            "OB(O)c1ccccc1",
            "b1ccccc1",
            "*CC",
            "C1.C1",
            "C[NH3+]",
            "[O-]C",
            "CC.O",
            "[Se]",
        ),
        *("[H][H]", "C[Mg]Br", "[C-]#[O+]", "[nH+]1ccccc1"),
    ],
)
def test_what_may_have_another_standard_form_is_looked_at(smiles: str) -> None:
    assert module._TO_STANDARDIZE.search(smiles)


def test_what_is_not_looked_at_is_standard(real_data: Path) -> None:
    smiles = pd.read_csv(real_data / "library" / "broad_repurposing_library_6111.csv")["smiles"]
    smiles = [*smiles, "Brc1ccccc1-c1cc[nH]c1", "C[C@@H](F)Cl", "C[C@](F)(Cl)Br", "S1C=CC=C1", "ICP", "N#N"]
    passed = [text for text in smiles if not module._TO_STANDARDIZE.search(text)]
    assert len(passed) > 4000
    for mol in parse_all(passed):
        assert isinstance(mol, Rejected) or standardize(mol) is mol

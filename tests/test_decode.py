"""The fast path against the slow one, on everything that RDKit's binary form writes differently."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from molft.chem import decode
from molft.chem.features import OGB, SCHEMES, Scheme, featurize
from tests.packed import assert_same, read, slowly

# One of everything that RDKit's binary form writes differently.
ODD = read(
    "C",
    "[2H]O[2H]",
    "[13CH4]",
    "[CH3:7]O",
    "*C",
    "C~C",
    "[Fe]1~CCC~1",
    "C$C",
    "N->[Fe]",
    "F/C=C/C=C\\F",
    "C/C(F)=C(/C)Cl",
    "F[Pt@SP1](Cl)(Br)I",
    "F[Co@OH3](Cl)(Br)(I)(S)N",
    "[CH2][CH2]",
    "[O][O]",
    "[C-8]",
    "[UH14]",
    "C[N+](=O)[O-]",
    "C12C3C4C1C5C2C3C45",
    "CC(C)C[C@H](N)C(=O)O.Cl",
    "C1CCCCCCCCCCCCCCCCCCCCCCCCCCCCC1",
    "C" * 254,
    "C" * 255,
    "C" * 300,
    "C1" + "C" * 260 + "1",
)


def _records(mols: list[Chem.Mol]) -> list[bytes]:
    return [decode.write_record(mol) for mol in mols]


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda scheme: scheme.name)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_mixture_has_the_codes_of_its_molecules_alone(scheme: Scheme, data: st.DataObject) -> None:
    mols = data.draw(st.lists(st.sampled_from(ODD), min_size=1, max_size=12))
    graphs, index, rejected = featurize(mols, scheme)
    expected, refused = slowly(mols, scheme)
    assert_same(graphs, expected)
    assert rejected == refused
    assert sorted([*index.tolist(), *(one.row for one in rejected)]) == list(range(len(mols)))


@pytest.mark.parametrize(
    ("smiles", "fast"),
    [
        ("CCO", True),
        ("[13CH4]", True),
        ("C" * 254, True),
        ("C" * 255, False),  # atom indices take more than a byte
        ("[CH3:7]O", False),  # an atom map
        ("*C", False),
        ("C~C", False),  # a query
    ],
)
def test_what_is_not_surely_understood_is_left_to_the_slow_path(smiles: str, fast: bool) -> None:
    assert decode.decode(_records(read("CC", smiles, "CC"))).understood.tolist() == [True, fast, True]


def test_a_misread_bond_does_not_change_the_degrees_of_other_molecules() -> None:
    # The ends that were read for the query bonds used to point into the molecules behind.
    mols = read("[Fe]1~CCC~1", "CCO", "CCO", "CCO")
    assert featurize(mols, OGB)[0].atoms[4:, 2].tolist() == [4, 4, 2] * 3


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda scheme: scheme.name)
def test_another_binary_format_of_rdkit_gives_the_same_codes(
    scheme: Scheme, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = featurize(ODD, scheme)
    monkeypatch.setattr(decode, "_FORMAT", 17)
    assert not decode.decode(_records(ODD)).understood.any()
    unusual = featurize(ODD, scheme)
    assert_same(usual[0], unusual[0])
    assert usual[1].tolist() == unusual[1].tolist()
    assert usual[2] == unusual[2]

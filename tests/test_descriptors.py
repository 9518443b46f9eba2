"""Run with: pytest tests/test_descriptors.py"""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdMolDescriptors

from molft.chem.descriptors import DESCRIPTORS, FINGERPRINT_BITS, PROPERTIES, describe, fingerprint_counts
from molft.errors import MolftError, Rejected

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
PENICILLIN_G = "CC1(C)S[C@@H]2[C@H](NC(=O)Cc3ccccc3)C(=O)N2[C@H]1C(=O)O"
VARIED = [
    ASPIRIN,
    PENICILLIN_G,
    "C",
    "[H][H]",
    "[2H]OC",
    "[Na+].CC(=O)[O-]",
    r"F/C=C\Cl",
    "O=[N+]([O-])c1ccccc1",
]


def mol(smiles: str) -> Chem.Mol:
    return Chem.MolFromSmiles(smiles)


def value(smiles: str, name: str) -> float:
    return float(describe([mol(smiles)])[0, DESCRIPTORS.index(name)])


def real_molecules(real_data: Path, step: int) -> list[Chem.Mol]:
    with (real_data / "moleculenet" / "Lipophilicity.csv").open(newline="") as file:
        return [mol(row["smiles"]) for row in list(csv.DictReader(file))[::step]]


def test_names_are_distinct_and_one_per_column() -> None:
    assert len(set(DESCRIPTORS)) == len(DESCRIPTORS) == 110
    assert describe([mol("CCO")]).shape == (1, 110)


def test_rdkit_returns_the_properties_in_the_order_asked_for() -> None:
    assert tuple(rdMolDescriptors.Properties(list(PROPERTIES)).GetPropertyNames()) == PROPERTIES


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("amw", 180.159),
        ("lipinskiHBD", 1),
        ("lipinskiHBA", 4),
        ("NumHeavyAtoms", 13),
        ("NumAromaticRings", 1),
        ("FractionCSP3", 1 / 9),
        ("tpsa", 63.6),
        ("CrippenClogP", 1.3101),
        ("CrippenMR", 44.7103),
        ("MQN1", 9),  # carbons
        ("MQN19", 2),  # rotatable bonds; the ester bond is not one
    ],
)
def test_aspirin(name: str, expected: float) -> None:
    assert value(ASPIRIN, name) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    "smiles",
    [
        *(
            "O",
            "C",
            "N",
            "OC",
            "OC=O",
            "OC#N",
            "OO",
            "OS",
            "ON",
            "On1cccc1",
            "c1cc[nH]c1",
            "[OH3+]",
            "[H][H]",
        ),
        *(
            "[2H]O",
            "[2H]OC",
            "[2H]C",
            "OB(O)O",
            "O[Si](C)(C)C",
            "OS(=O)(=O)O",
            "OC(=C)C",
            "OC(=N)C",
            "OC(=S)C",
        ),
        *(
            "OC(=P)C",
            "c1cc[oH+]c1",
            "[BH4-]",
            "S",
            "[NH4+]",
            "Oc1ccccc1",
            "O[N+](=O)[O-]",
            "OCl",
            "[OH-]",
            "[OH]",
        ),
        *(
            "[UH14]",
            "ON=C",
            "OOC",
            "OSC",
            "OC#C",
            "C[OH+]N",
            "[OH+](N)C=O",
            "C~C(O)C",
            "*O",
            "O[Na]",
            "c1cc[pH]c1",
        ),
    ],
)
def test_each_kind_of_hydrogen_adds_what_rdkit_says(smiles: str) -> None:
    found = describe([mol("CCO"), mol(smiles), mol("OC=O")])
    expected = rdMolDescriptors.CalcCrippenDescriptors(mol(smiles))
    start = DESCRIPTORS.index("CrippenClogP")
    assert found[1, start : start + 2] == pytest.approx(expected, rel=1e-6, abs=1e-6)


PATHS = [PROPERTIES.index("chi2n"), PROPERTIES.index("kappa2")]


def paths_of_rdkit(mols: list[Chem.Mol]) -> np.ndarray:
    found = [(rdMolDescriptors.CalcChi2n(mol), rdMolDescriptors.CalcKappa2(mol)) for mol in mols]
    return np.nan_to_num(np.array(found)).astype(np.float32)


@pytest.mark.parametrize(
    "smiles",
    [
        *(
            "C",
            "CC",
            "C1CC1",
            "C12CC1C2",
            "CC(C)(C)C",
            "C12C3C4C1C5C2C3C45",
            "[Na+].[Cl-]",
            "[2H]O[2H]",
            "[UH14]",
        ),
        *("[CH2][CH2]", "[BH4-]", "F[P-](F)(F)(F)(F)F", "CC(=O)Oc1ccccc1C(=O)O", "C~C(C)C", "*C(C)C"),
        *("C" * 300, "F[B-](F)(F)F.[H][H-][B-]1([H-][H])[n+]2ccccc2-c2cccc[n+]21"),
    ],
)
def test_indices_of_paths_equal_rdkits_own(smiles: str) -> None:
    mols = [mol("CCO"), mol(smiles), mol("CCN")]
    assert describe(mols)[:, PATHS] == pytest.approx(paths_of_rdkit(mols), rel=1e-6)


def test_indices_of_paths_equal_rdkits_own_on_real_molecules(real_data: Path) -> None:
    mols = real_molecules(real_data, step=5)
    assert describe(mols)[:, PATHS] == pytest.approx(paths_of_rdkit(mols), rel=1e-6)


@pytest.mark.parametrize("smiles", VARIED)
def test_crippen_blocks_equal_rdkits_own_functions(smiles: str) -> None:
    expected = [
        *rdMolDescriptors.CalcCrippenDescriptors(mol(smiles)),
        *rdMolDescriptors.SlogP_VSA_(mol(smiles)),
        *rdMolDescriptors.SMR_VSA_(mol(smiles)),
    ]
    start = DESCRIPTORS.index("CrippenClogP")
    assert describe([mol(smiles)])[0, start : start + 24] == pytest.approx(expected, abs=1e-4)


def test_crippen_blocks_equal_rdkits_own_functions_on_real_molecules(real_data: Path) -> None:
    mols = real_molecules(real_data, step=25)
    expected = [
        [
            *rdMolDescriptors.CalcCrippenDescriptors(m),
            *rdMolDescriptors.SlogP_VSA_(m),
            *rdMolDescriptors.SMR_VSA_(m),
        ]
        for m in mols
    ]
    start = DESCRIPTORS.index("CrippenClogP")
    np.testing.assert_allclose(describe(mols)[:, start : start + 24], expected, atol=1e-4)


@pytest.mark.parametrize("smiles", [ASPIRIN, PENICILLIN_G, "O=[N+]([O-])c1ccccc1", "C[N+](C)(C)CC([O-])=O"])
def test_nothing_changes_when_the_smiles_is_rewritten(smiles: str) -> None:
    rewritten = [mol(s) for s in Chem.MolToRandomSmilesVect(mol(smiles), 5, randomSeed=7)]
    assert (fingerprint_counts(rewritten) == fingerprint_counts([mol(smiles)])).all()
    np.testing.assert_allclose(describe(rewritten), describe([mol(smiles)] * 5), rtol=1e-5, atol=1e-4)


def test_stereo_marks_and_stereo_assignment_do_not_matter() -> None:
    bare = Chem.MolFromSmiles(PENICILLIN_G, sanitize=False)
    Chem.SanitizeMol(bare)  # as molft parses: sanitised, stereochemistry not assigned
    flat = mol(PENICILLIN_G.replace("@", ""))
    np.testing.assert_array_equal(describe([bare]), describe([mol(PENICILLIN_G)]))
    np.testing.assert_array_equal(describe([flat]), describe([mol(PENICILLIN_G)]))


@pytest.mark.parametrize("smiles", ["C[Cu]", "CC(=O)O[Na]", "[Pt](Cl)(Cl)(N)N", "c1cc[se]c1", "*CC"])
def test_charge_surface_is_zero_without_gasteiger_parameters(smiles: str) -> None:
    molecule = mol(smiles)
    assert rdMolDescriptors.PEOE_VSA_(molecule)[-1] > 0, "RDKit counts NaN charges as strongly positive"
    row = describe([molecule])[0]
    start = DESCRIPTORS.index("PEOE_VSA1")
    assert (row[start : start + 14] == 0).all()
    assert np.isfinite(row).all()


def test_charge_surface_keeps_a_truly_positive_last_bin() -> None:
    assert value("[Na+].CC(=O)[O-]", "PEOE_VSA14") > 0
    start = DESCRIPTORS.index("PEOE_VSA1")
    expected = rdMolDescriptors.PEOE_VSA_(mol(ASPIRIN))
    assert describe([mol(ASPIRIN)])[0, start : start + 14] == pytest.approx(expected, abs=1e-4)


def test_huge_values_are_clipped() -> None:
    heap = mol(".".join(["[U]"] * 500))  # 119,000 daltons
    row = describe([heap])[0]
    assert row[DESCRIPTORS.index("exactmw")] == 1e5
    assert np.isfinite(row).all()


@pytest.mark.parametrize(
    "smiles",
    ["C" * 500, "C1" + "C" * 498 + "1", "NCC(=O)" * 125, "*" + "(C)" * 120, "C(C)(C)" * 160 + "C"],
    ids=["chain", "ring", "peptide", "star", "comb"],
)
def test_the_largest_molecules_are_described(smiles: str) -> None:
    assert np.isfinite(describe([mol(smiles)])).all()


def test_counts_are_counts() -> None:
    decane = fingerprint_counts([mol("C" * 10)])[0]
    # Radius 0: 2 CH3, 8 CH2. Radius 1: 2, 2, 6. Radius 2: 2, 2, 4; C1's repeats the bonds of C2's radius 1.
    assert decane.dtype == np.uint8
    assert sorted(decane[decane > 0].tolist()) == sorted([2, 8, 2, 2, 6, 2, 2, 4])


def test_counts_stop_at_255() -> None:
    chain = fingerprint_counts([mol("C" * 400)])[0]
    assert chain.max() == 255


def test_no_molecules_and_no_atoms() -> None:
    assert fingerprint_counts([]).shape == (0, FINGERPRINT_BITS)
    assert describe([]).shape == (0, len(DESCRIPTORS))
    assert not describe([mol("")]).any()
    assert not fingerprint_counts([mol("")]).any()


@pytest.mark.parametrize("function", [describe, fingerprint_counts])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (None, "molecule 1 is None, expected an RDKit molecule"),
        (Rejected(1, "parse", "no"), "molecule 1 is Rejected"),
        ("CCO", "molecule 1 is 'CCO'"),
        (Chem.MolFromSmiles("c1ccccc1", sanitize=False), "molecule 1 is not sanitised"),
    ],
)
def test_anything_else_is_refused_with_its_position(
    function: Callable[[list[Any]], Any], bad: object, message: str
) -> None:
    with pytest.raises(MolftError, match=message):
        function([mol("CC"), bad])

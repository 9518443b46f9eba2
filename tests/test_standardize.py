"""Salts, charges, metals: what the recipe changes, what it leaves alone, and that it never invents."""

import csv
import random
from pathlib import Path

import pytest
from rdkit import Chem, RDConfig, rdBase
from rdkit.Chem.MolStandardize import rdMolStandardize

from molft.chem.smiles import parse
from molft.chem.standardize import canonical_key, standardize, tag_canonically


def read(smiles: str) -> Chem.Mol:
    mol = parse(smiles)
    assert isinstance(mol, Chem.Mol), smiles
    return mol


def key(smiles: str) -> str:
    """Key of the standard form; the reason where there is none."""
    standard = standardize(read(smiles))
    return standard if isinstance(standard, str) else canonical_key(standard)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("[Na+].CC(=O)[O-]", "CC(=O)O"),
        ("CCN.Cl", "CCN"),
        ("CC[NH3+].[Cl-]", "CCN"),
        ("CCN.Cl.Cl.O", "CCN"),
        ("[NH3+]CC(=O)[O-]", "NCC(=O)O"),
        ("c1ccccc1.OS(=O)(=O)O", "c1ccccc1"),  # organic beats heavy
        ("[Mg+2].CC(=O)[O-].CC(=O)[O-]", "CC(=O)O"),
        ("[cH-]1cccc1", "C1=CCC=C1"),
        ("C[N-]S(C)(=O)=O.[K+]", "CNS(C)(=O)=O"),
        ("F[B-](F)(F)F.CC[n+]1ccn(C)c1", "CC[n+]1ccn(C)c1"),
        ("C[C@H]([NH3+])C(=O)[O-]", "C[C@H](N)C(=O)O"),
    ],
)
def test_the_parent_is_neutral(written: str, meant: str) -> None:
    assert key(written) == meant


@pytest.mark.parametrize(
    "smiles",
    [
        "C",
        "CC(=O)Oc1ccccc1C(=O)O",
        "C[N+](=O)[O-]",
        "C[N+](C)(C)CC(=O)[O-]",
        "CN=[N+]=[N-]",
        "[2H]C([2H])[2H]",
        "F/C=C/F",
        "C[Si](C)(C)C",
        "OB(O)c1ccccc1",
        "C[S@+]([O-])c1ccccc1",
        "O=c1cc[nH]cc1",  # tautomers stay as written
        "Oc1ccncc1",
        "[CH3]",
    ],
)
def test_what_is_standard_stays(smiles: str) -> None:
    assert key(smiles) == canonical_key(read(smiles))


def test_a_standard_molecule_is_returned_itself_and_no_input_is_changed() -> None:
    ethanol, acetate = read("CCO"), read("CC(=O)[O-].[Na+]")
    assert standardize(ethanol) is ethanol
    standardize(acetate)
    assert Chem.MolToSmiles(acetate) == "CC(=O)[O-].[Na+]"


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("[Fe+2].c1cc[cH-]c1.c1cc[cH-]c1", "metal: Fe"),
        ("N[Pt](N)(Cl)Cl", "metal: Pt"),
        ("CC(=O)[O-].CC(=O)[O-].[Zn+2]", "metal: Zn"),
        ("C[Hg]C.C[Sn](C)C", "metal: Hg, Sn"),
        ("CC(=O)O[Na]", "metal: Na"),
        ("[Li]CCCC", "metal: Li"),
        ("[SbH6+3]", "metal: Sb"),
        ("[Na+].[Cl-]", "inorganic: no carbon"),
        ("[NH4+].[O-]S(=O)(=O)O", "inorganic: no carbon"),
        ("[BH3-]C#N.[Na+]", "borohydride"),
        ("C" + "B" * 8, "8 boron atoms"),
    ],
)
def test_what_would_be_invented_is_left_with_the_reason(smiles: str, reason: str) -> None:
    assert standardize(read(smiles)) == reason


def test_seven_boron_atoms_are_not_a_cluster() -> None:
    assert key("C" + "B" * 7) == "BBBBBBBC"


def test_a_neutral_form_that_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Overdone:
        def uncharge(self, mol: Chem.Mol) -> Chem.Mol:
            return Chem.MolFromSmiles("C(C)(C)(C)(C)C", sanitize=False)

    monkeypatch.setattr("molft.chem.standardize._UNCHARGER", Overdone())
    assert standardize(read("CC(=O)[O-]")) == "no neutral form"


def test_a_key_counts_stereo_and_isotopes_but_no_atom_maps() -> None:
    assert canonical_key(read("OCC")) == canonical_key(read("[CH3:1][CH2:2][OH:3]")) == "CCO"
    assert canonical_key(read("F/C=C/F")) != canonical_key(read("F/C=C\\F"))
    assert canonical_key(read("[13CH4]")) == "[13CH4]"


def column(path: Path, name: str, step: int) -> list[str]:
    with path.open(newline="") as file:
        return [row[name] for row in csv.DictReader(file)][::step]


def charged(texts: list[str]) -> list[str]:
    return [text for text in texts if "." in text or "+" in text or "-]" in text]


def nci() -> list[str]:
    """Compounds that RDKit's own package carries: salts, dyes, metal complexes."""
    with (Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi").open() as file:
        texts = [line.split()[0] for line in file]
    return texts[::20] + charged(texts)[::3]


def assays(folder: Path) -> list[str]:
    texts = column(folder / "library" / "broad_repurposing_library_6111.csv", "smiles", 60)
    texts += column(folder / "moleculenet" / "tox21.csv", "smiles", 30)
    return texts + charged(column(folder / "moleculenet" / "HIV.csv", "smiles", 5))[::6]


@pytest.fixture(scope="module", params=["nci", "assays"])
def real(request: pytest.FixtureRequest) -> list[str]:
    """Several hundred real molecules, many of them salts, charged or with metals."""
    texts = nci() if request.param == "nci" else assays(request.getfixturevalue("real_data"))
    return [text for text in texts if parse(text)]


def slow_path(mol: Chem.Mol) -> str:
    """RDKit's own steps one after the other, without any early exit."""
    parameters = rdMolStandardize.CleanupParameters()
    parameters.preferOrganic = True
    with rdBase.BlockLogs():
        parent = rdMolStandardize.LargestFragmentChooser(parameters).choose(mol)
        neutral = rdMolStandardize.Uncharger().uncharge(parent)
    return Chem.MolToSmiles(Chem.MolFromSmiles(Chem.MolToSmiles(neutral)))


def test_the_early_exit_equals_the_slow_path(real: list[str]) -> None:
    standard = [(mol, standardize(mol)) for mol in map(read, real)]
    altered = [(mol, new) for mol, new in standard if not isinstance(new, str)]
    exits = sum(new is mol for mol, new in altered)
    assert exits > 150 and len(altered) - exits > 100 and len(standard) - len(altered) > 5
    assert [canonical_key(new) for _, new in altered] == [slow_path(mol) for mol, _ in altered]


def test_standardising_twice_changes_nothing(real: list[str]) -> None:
    once = [standardize(read(text)) for text in real]
    keys = [canonical_key(mol) for mol in once if not isinstance(mol, str)]
    assert [key(text) for text in keys] == keys


def test_the_key_does_not_depend_on_how_the_molecule_is_written(real: list[str]) -> None:
    for text in random.Random(7).sample(real, 100):
        mol = read(text)
        if isinstance(standardize(mol), str):
            continue
        written = {key(again) for again in Chem.MolToRandomSmilesVect(mol, 5, randomSeed=1) if parse(again)}
        assert written == {key(text)}


def traits(mol: Chem.Mol, order: list[int]) -> tuple[list[tuple], list[tuple]]:
    """What the atom and bond features are made of, in a given atom order."""
    place = {atom: position for position, atom in enumerate(order)}
    atoms = [mol.GetAtomWithIdx(index) for index in order]
    return (
        [(a.GetFormalCharge(), a.GetTotalNumHs(), a.GetHybridization(), a.GetIsAromatic()) for a in atoms],
        sorted(
            (
                *sorted((place[b.GetBeginAtomIdx()], place[b.GetEndAtomIdx()])),
                int(b.GetBondType()),
                b.GetIsConjugated(),
                int(b.GetStereo()),
            )
            for b in mol.GetBonds()
        ),
    )


def test_the_result_is_the_molecule_that_its_smiles_says(real: list[str]) -> None:
    """So that training on standardised SMILES and screening the salts see the same features."""
    for text in real:
        mol = standardize(read(text))
        if isinstance(mol, str):
            continue
        again = read(Chem.MolToSmiles(mol))
        order = list(mol.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"])
        assert traits(mol, order) == traits(again, list(range(len(order)))), text


@pytest.mark.parametrize(
    "smiles",
    [
        ".".join("C" * 250),
        ".".join(["CC(=O)[O-]"] * 120),
        "[NH3+]CC" + "C([NH3+])C" * 150,
        "C(C[NH3+])(C[O-])" * 80 + "C",
        "C[N+](C)(C)C" + ".[O-]C" * 200,
        "[CH-]" * 400,
    ],
    ids=["fragments", "acetates", "ammonium", "zwitterions", "ion pairs", "carbanions"],
)
def test_the_worst_legal_molecules_come_back_neutral_and_whole(smiles: str) -> None:
    standard = standardize(read(smiles))
    assert isinstance(standard, Chem.Mol)
    assert len(Chem.GetMolFrags(standard)) == 1
    assert key(canonical_key(standard)) == canonical_key(standard)


@pytest.mark.parametrize(
    "smiles", ["C[C@H](N)C(=O)O", "O[C@H]1CCCC[C@@H]1C", "C[S@](=O)CC", "N[C@]12CC[C@H](C1)OC2"]
)
def test_chiral_tags_are_those_of_reading_the_canonical_smiles(smiles: str) -> None:
    canonical = Chem.MolToSmiles(read(smiles))
    expected = sorted(str(atom.GetChiralTag()) for atom in read(canonical).GetAtoms())
    ways = {Chem.MolToSmiles(read(smiles), rootedAtAtom=root) for root in range(read(smiles).GetNumAtoms())}
    assert len(ways) > 3
    for text in sorted({*ways, canonical}):
        mol = read(text)
        before = [atom.GetChiralTag() for atom in mol.GetAtoms()]
        tagged = tag_canonically(mol, text)
        assert Chem.MolToSmiles(mol) == canonical, text
        assert [atom.GetChiralTag() for atom in mol.GetAtoms()] == before
        assert [atom.GetSymbol() for atom in tagged.GetAtoms()] == [
            atom.GetSymbol() for atom in mol.GetAtoms()
        ]
        assert sorted(str(atom.GetChiralTag()) for atom in tagged.GetAtoms()) == expected
        assert (tagged is mol) == (text == canonical)

"""Which strings become molecules, and what is said of the others."""

import gc
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem, rdBase

from molft.chem.decode import write_record
from molft.chem.smiles import Limits, parse, parse_all
from molft.errors import Rejected

CUBANE = "C12C3C4C1C5C2C3C45"  # 8 atoms, 12 bonds, 5 independent rings


def refusal(smiles: str, limits: Limits = Limits()) -> str:
    """The status of a string that must be refused."""
    answer = parse(smiles, limits=limits)
    assert isinstance(answer, Rejected), f"{smiles!r} was read as {Chem.MolToSmiles(answer)}"
    return answer.status


@pytest.mark.parametrize(
    ("smiles", "canonical"),
    [
        ("OCC", "CCO"),
        (" CCO\r\n", "CCO"),
        ("\ufeffCCO\t", "CCO"),
        ("[Na+].[Cl-]", "[Cl-].[Na+]"),  # nothing is stripped here
        ("[2H]O[2H]", "[2H]O[2H]"),
        ("[CH3:1]O", "O[CH3:1]"),
        ("C[N+](C)(C)C", "C[N+](C)(C)C"),
        ("[Fe+3]", "[Fe+3]"),
        ("[13#6]", "[13C]"),
        ("[999C]", "[999C]"),
        ("C" * 500, "C" * 500),
    ],
)
def test_a_molecule_is_read(smiles: str, canonical: str) -> None:
    assert Chem.MolToSmiles(parse(smiles)) == canonical


@pytest.mark.parametrize(
    ("smiles", "heavy_atoms"),
    [
        ("CN1CCc2cccc-3c2[C@H]1Cc1ccc(O)c(O)c-31", 20),  # apomorphine, C17H17NO2
        ("CC(C)(C)OC(=O)c1ncn-2c1[C@@H]1CCCN1C(=O)c1c(Br)cccc-21", 26),  # bretazenil, C19H20BrN3O3
        ("C1CC2CCC1[NH+]-2", 7),
    ],
)
def test_a_single_bond_that_closes_two_rings_is_no_charge(smiles: str, heavy_atoms: int) -> None:
    assert parse(smiles).GetNumAtoms() == heavy_atoms


@pytest.mark.parametrize(
    ("smiles", "status"),
    [
        ("", "text: empty"),
        (" \t\r\n", "text: empty"),
        ("CCО", "text: character 'О' (U+041E) is not ASCII"),  # the last letter is Cyrillic
        ("ССO", "text: character 'С' (U+0421) is not ASCII"),
        ("“CCO”", "text: character '“' (U+201C) is not ASCII"),
        ("CC−O", "text: character '−' (U+2212) is not ASCII"),
        ("CCO ethanol", "text: blank or control character inside 'CCO ethanol'"),
        ("CCO |$a;;b$|", "text: blank or control character inside 'CCO |$a;;b$|'"),
        ("CC\tO", "text: blank or control character inside 'CC\\tO'"),
        ("CCO\0", "text: blank or control character inside 'CCO\\x00'"),
        ("C" * 5001, "text: 5001 characters, at most 5000 are read"),
        ("not-a-smiles", "parse: not a SMILES: 'not-a-smiles'"),
        ("c1ccccc", "parse: not a SMILES: 'c1ccccc'"),
        ("CC(C", "parse: not a SMILES: 'CC(C'"),
        ("C..C", "parse: not a SMILES: 'C..C'"),
        ("CC>>CO", "parse: not a SMILES: 'CC>>CO'"),
        ("C(C)(C)(C)(C)C", "sanitise: Explicit valence for atom # 0 C, 5, is greater than permitted"),
        ("CF=O", "sanitise: Explicit valence for atom # 1 F, 3, is greater than permitted"),
        ("[nH]", "sanitise: non-ring atom 0 marked aromatic"),
        ("[H][H]", "size: no heavy atom"),
        ("*", "size: no heavy atom"),
        ("C" * 501, "size: 501 heavy atoms, at most 500 are read"),
    ],
)
def test_what_is_no_molecule_is_refused_with_the_reason(smiles: str, status: str) -> None:
    assert refusal(smiles) == status


@pytest.mark.parametrize(
    "smiles",
    ["[C+256]", "[C+12]", "C[C-100]C", "[65537C]", "[1000C]", "[FeH257]", "[#262]", "[#119]", "[2#200]"],
)
def test_a_number_that_rdkit_would_wrap_around_is_refused(smiles: str) -> None:
    # RDKit reads the first as neutral carbon, [FeH257] as [FeH], and stops with a C++ fault at [2#200].
    bracket = smiles.strip("C") if smiles.startswith("C[") else smiles
    status = f"text: isotope, element, charge or hydrogens out of range in {bracket!r}"
    assert refusal(smiles) == status


@pytest.mark.parametrize("smiles", [CUBANE, CUBANE + "." + CUBANE])
def test_rings_are_bonds_less_atoms_and_parts(smiles: str) -> None:
    rings = 5 * (smiles.count(".") + 1)
    assert parse(smiles, limits=Limits(rings=rings))
    status = f"size: {rings} rings, at most {rings - 1} are read"
    assert refusal(smiles, Limits(rings=rings - 1)) == status


def cage(atoms: int) -> str:
    """Every atom bonded to every other one: text of a few thousand characters, hundreds of rings."""
    free, open_rings, text = list(range(400, 9, -1)), {}, []
    for i in range(atoms):
        text.append("[U]")
        for j in range(atoms):
            if abs(i - j) > 1:  # neighbours in the text are bonded anyway
                pair = (min(i, j), max(i, j))
                number = (
                    open_rings.pop(pair) if pair in open_rings else open_rings.setdefault(pair, free.pop())
                )
                text.append(f"%({number})")
        # Numbers are free again only behind the atom that closes them.
        free += [n for n in range(400, 9, -1) if n not in free and n not in open_rings.values()]
    return "".join(text)


def test_a_large_molecule_is_refused_before_it_is_sanitised(monkeypatch: pytest.MonkeyPatch) -> None:
    # The ring search of such a cage takes RDKit seconds and half a gigabyte.
    sanitised = []
    read = Chem.MolFromSmiles

    def watch(text: str, sanitize: bool = True) -> Chem.Mol:
        sanitised.append(sanitize)
        return read(text, sanitize=sanitize)

    monkeypatch.setattr(Chem, "MolFromSmiles", watch)
    assert refusal("C" * 700) == "size: 700 heavy atoms, at most 500 are read"
    assert refusal(cage(25)) == "size: 276 rings, at most 200 are read"
    assert sanitised == [False, False]


def test_tighter_limits_hold_for_short_strings_too() -> None:
    assert refusal("CCO", Limits(atoms=2)) == "size: 3 heavy atoms, at most 2 are read"
    assert refusal("CCO", Limits(characters=2)) == "text: 3 characters, at most 2 are read"


@pytest.mark.parametrize("missing", [None, float("nan"), 5])
def test_a_cell_that_is_no_text_is_empty(missing: object) -> None:
    assert parse(missing).status == "text: empty"  # type: ignore[arg-type]


def test_every_string_keeps_its_row() -> None:
    mols = parse_all(["CCO", "xyz", "C", "", "CCCCC"], Limits(atoms=4))
    assert [bool(mol) for mol in mols] == [True, False, True, False, False]
    assert [(bad.row, bad.stage) for bad in mols if not bad] == [(1, "parse"), (3, "text"), (4, "size")]
    assert parse("xyz", row=7) == Rejected(7, "parse", "not a SMILES: 'xyz'")


def test_rdkit_is_quiet_and_the_collector_runs_on(capfd: pytest.CaptureFixture[str]) -> None:
    parse_all(["C(C)(C)(C)(C)C", "c1ccccc", "[#200]"])
    assert capfd.readouterr().err == ""
    assert gc.isenabled()
    gc.disable()
    try:
        parse_all(["C"])
        assert not gc.isenabled()
    finally:
        gc.enable()


PIECES = (
    "C N O c n [nH] ( ) = # 1 2 3 %10 [C@H] / \\ . [Fe] -> $ ~ : * [2H] [O-] [N+] [Pt@SP1] [H] [#0]".split()
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=30), st.lists(st.sampled_from(PIECES), max_size=20).map("".join)))
def test_any_text_is_a_molecule_or_a_refusal(text: str) -> None:
    answer = parse(text, row=3)
    if isinstance(answer, Rejected):
        assert answer.row == 3 and answer.stage in ("text", "parse", "size", "sanitise") and answer.reason
    else:
        assert answer.GetNumHeavyAtoms() > 0


# Rows (from 0) that RDKit itself refuses.
REFUSED_BY_RDKIT = {
    "BBBP.csv": [59, 61, 391, 614, 642, 645, 646, 647, 648, 649, 685],
    "tox21.csv": [1322, 2290, 2297, 3558, 4565, 4649, 5538, 6723],
    "bace.csv": [],
    "sider.csv.gz": [],
    "delaney-processed.csv": [],
}


@pytest.mark.parametrize("name", REFUSED_BY_RDKIT)
def test_the_guard_loses_no_row_of_moleculenet(name: str, real_data: Path) -> None:
    frame = pd.read_csv(real_data / "moleculenet" / name)
    mols = parse_all(frame["mol" if name == "bace.csv" else "smiles"].tolist())
    bad = [mol for mol in mols if isinstance(mol, Rejected)]
    assert [mol.row for mol in bad] == REFUSED_BY_RDKIT[name]
    assert {mol.stage for mol in bad} <= {"sanitise"}


@pytest.mark.parametrize(
    "smiles",
    [
        "[H]C([H])([H])[H]",
        "[2H]C",
        "[H+]",
        "[H][H]",
        "[#1]O[#1]",
        "[#17]C",
        "[D]O",
        "C/C=C\\C",
        "CC=CC",
        "C[C@H](N)C(=O)O",
        "CC(N)C(=O)O",
        "C1CCCCC1=C",
        "c1cc[nH]c1",
        "[O-][N+](=O)c1ccccc1",
        "CN(=O)=O",
        "C[N](C)(C)C",
        "c1ccccc1-c1ccccc1",
        "O=S(C)CC",
        "CP(=O)(OC)N",
        "[CH2]C",
        "N->[Pt](Cl)(Cl)<-N",
        "c1cccc1",
        "FC(F)(F)(F)F",
        "*C(C)=C",
    ],
)
def test_the_short_way_reads_what_rdkit_reads(smiles: str) -> None:
    """Without marks of stereo nothing is lost by not looking for any, and hydrogens become implicit."""
    assert_read_as_by_rdkit([smiles])


@pytest.mark.parametrize("name", ["BBBP.csv", "tox21.csv", "sider.csv.gz"])
def test_the_short_way_reads_real_molecules_as_rdkit_does(name: str, real_data: Path) -> None:
    assert_read_as_by_rdkit(pd.read_csv(real_data / "moleculenet" / name)["smiles"].tolist())


def assert_read_as_by_rdkit(smiles: list[str]) -> None:
    """The same atoms and bonds in the same order, and the same canonical SMILES."""
    with rdBase.BlockLogs():
        wanted = [Chem.MolFromSmiles(text) for text in smiles]
    for found, own in zip(parse_all(smiles), wanted, strict=True):
        if own is None or isinstance(found, Rejected):
            assert own is None or not own.GetNumHeavyAtoms()
        else:
            assert write_record(found) == write_record(own)
            assert Chem.MolToSmiles(found) == Chem.MolToSmiles(own)


def test_the_guard_loses_no_drug_of_the_repurposing_library(real_data: Path) -> None:
    frame = pd.read_csv(real_data / "library" / "broad_repurposing_library_6111.csv")
    assert [mol for mol in parse_all(frame["smiles"].tolist()) if not mol] == []

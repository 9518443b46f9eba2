"""Every kind of file as blocks of text."""

import bz2
import csv
import gzip
import io
import lzma
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from molft.data.formats import PROBLEM, file_kind, read_blocks, read_table
from molft.errors import MolftError
from molft.files import safe_cell

DATA = Path(__file__).parent / "data"
ROWS = {
    "BBBP.csv": 2050, "bace.csv": 1513, "clintox.csv": 1484, "sider.csv.gz": 1427, "tox21.csv": 7831,
    "toxcast_data.csv.gz": 8597, "muv.csv.gz": 93127, "HIV.csv": 41127, "delaney-processed.csv": 1128,
    "SAMPL.csv": 642, "Lipophilicity.csv": 4200,
}  # fmt: skip


def write(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_blocks_join_to_the_table(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "smiles,y\n" + "".join(f"C,{row}\n" for row in range(10)))
    blocks = list(read_blocks(path, rows=4))
    assert [block.index.tolist() for block in blocks] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    pd.testing.assert_frame_equal(pd.concat(blocks), read_table(path), check_index_type=False)


def test_blocks_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    # The second block is ragged: a reader that holds the whole file would fail at the first.
    path = write(tmp_path, "a.csv", "smiles,y\n" + "C,1\n" * 300 + "C,1,2\n")
    blocks = read_blocks(path, rows=300)
    assert len(next(blocks)) == 300
    with pytest.raises(MolftError, match="line 302: 3 fields"):
        next(blocks)


def test_a_table_without_rows_has_its_columns(tmp_path: Path) -> None:
    frame = read_table(write(tmp_path, "a.csv", "smiles,y\n"))
    assert (len(frame), frame.columns.tolist()) == (0, ["smiles", "y"])


def test_rows_of_exactly_one_block(tmp_path: Path) -> None:
    path = write(tmp_path, "a.smi", "C\nCC\n")
    assert [len(block) for block in read_blocks(path, rows=2)] == [2]


def test_keep_adds_the_problem_column(tmp_path: Path) -> None:
    frame = read_table(write(tmp_path, "a.csv", "smiles,y\nC,1\nCC\n"), ragged="keep")
    assert frame[PROBLEM].tolist() == ["", "line 3: 1 fields ('CC'), expected 2"]


@pytest.mark.parametrize(
    ("ending", "compress"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)]
)
@pytest.mark.parametrize("name", ["ugly.csv", "ugly.smi", "ugly.sdf", "ugly.parquet", "ugly.xlsx"])
def test_every_kind_also_compressed(name: str, ending: str, compress: object, tmp_path: Path) -> None:
    plain = _make(name, tmp_path)
    packed = tmp_path / f"{name}.{ending}"
    packed.write_bytes(compress(plain.read_bytes()))  # type: ignore[operator]
    pd.testing.assert_frame_equal(read_table(packed), read_table(plain))
    assert read_table(plain)["smiles"].tolist() == ["CCO", "CCN"]


def _make(name: str, tmp_path: Path) -> Path:
    frame = pd.DataFrame({"smiles": ["CCO", "CCN"], "y": ["1", "2"]})
    path = tmp_path / name
    if name.endswith(".parquet"):
        frame.to_parquet(path)
    elif name.endswith(".xlsx"):
        pytest.importorskip("openpyxl", reason="the xlsx extra is not installed")
        frame.to_excel(path, index=False)
    elif name.endswith(".sdf"):
        from rdkit import Chem

        with Chem.SDWriter(str(path)) as writer:
            for smiles in frame["smiles"]:
                writer.write(Chem.MolFromSmiles(smiles))
    else:
        frame.to_csv(path, index=False, sep=" " if name.endswith(".smi") else ",")
    return path


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv.gz", gzip.compress(b"smiles,y\n" + b"CCO,1\n" * 10_000)[:60], "damaged or cut short"),
        ("a.csv.xz", lzma.compress(b"smiles,y\n" + b"CCO,1\n" * 10_000)[:60], "damaged or cut short"),
        ("a.csv", "smiles,y\n".encode("utf-16")[:-1], "not readable as text"),
        ("a.docx", b"x", r"unknown kind of file; expected a name that ends in \.csv"),
        ("a", b"x", "unknown kind of file"),
        ("a.csv", b"", "empty"),
    ],
)
def test_refused(name: str, data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(MolftError, match=message):
        read_table(path)


def test_missing_file_is_refused() -> None:
    with pytest.raises(MolftError, match=r"nowhere\.csv: no such file"):
        read_table("nowhere.csv")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("smiles,y\nCCO,1\n", ["smiles", "y"]),
        ("CCO ethanol\n", ["smiles", "name"]),
        ("CCO\tZ1\n", ["smiles", "name"]),
    ],
)
def test_standard_input(text: str, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    _pipe(text, monkeypatch)
    frame = read_table("-")
    assert (frame.columns.tolist(), frame["smiles"].tolist()) == (names, ["CCO"])


def test_empty_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _pipe("", monkeypatch)
    with pytest.raises(MolftError, match="standard input: empty"):
        read_table("-")


def _pipe(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(text.encode()))))


def test_kind_by_name(tmp_path: Path) -> None:
    assert [file_kind(Path(name)) for name in ("a.CSV", "b.tsv.xz", "v1.2.cxsmiles.bz2")] == [
        "table",
        "table",
        "smiles",
    ]
    assert file_kind(tmp_path) == "parquet"


def test_ugly_export() -> None:
    frame = read_table(DATA / "ugly.csv")
    assert frame.columns.tolist() == ["Compound ID", "Structure", "IC50 [µM]", "Comment"]
    assert frame.attrs == {"delimiter": ";"}
    assert frame.loc[0].tolist() == ["00123", "CCO", "5,3", "ethanol"]
    assert frame.loc[15, "Comment"] == "a ; inside quotes"


def test_ugly_latin1_export() -> None:
    frame = read_table(DATA / "ugly_classes.csv")
    assert frame.columns.tolist() == ["Name", "Canonical SMILES", "Dose (µM)", "hERG", "column 5"]
    assert frame["Name"].tolist()[::11] == ["1,2-ethanediol", 'quoted "name"']


# No lone surrogates, which no UTF-8 file can hold, and no NUL, which no text table does.
CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(st.tuples(CELLS, CELLS), max_size=5))
def test_what_we_write_is_what_we_read(
    rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("smiles", "y"), *([safe_cell(cell) for cell in row] for row in rows)])
    frame = read_table(path)
    assert frame["smiles"].tolist() == [row[0] for row in rows]
    assert frame["y"].tolist() == [row[1] for row in rows]


@pytest.mark.parametrize("ending", ["csv", "smi", "sdf", "parquet", "xlsx", "csv.gz"])
@settings(max_examples=40, deadline=None)
@given(
    start=st.sampled_from(
        [b"", b"smiles,y\n", b"\xff\xfe", b"\x1f\x8b\x08", b"PK\x03\x04", b"PAR1", b"x\n\n\n 1"]
    ),
    data=st.binary(max_size=200),
)
def test_any_bytes_give_rows_or_a_clear_error(
    ending: str, start: bytes, data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"junk.{ending}"
    path.write_bytes(start + data)
    try:
        frame = read_table(path)
    except MolftError as error:
        assert str(path) in str(error)
    else:
        assert all(isinstance(cell, str) for cell in frame.to_numpy().ravel())


@pytest.mark.parametrize("name", ROWS)
def test_moleculenet(name: str, real_data: Path) -> None:
    rows = sum(len(block) for block in read_blocks(real_data / "moleculenet" / name))
    assert rows == ROWS[name]

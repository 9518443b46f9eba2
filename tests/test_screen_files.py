"""Screens from several files, and to the files that screens alone write."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from rdkit import Chem
from tiny_model import MOLECULES
from typer.testing import CliRunner

from molft.cli import app
from molft.data.formats import read_table
from molft.errors import MolftError
from molft.use.screen import screen
from molft.use.sweep import Summary

pytestmark = pytest.mark.usefixtures("one_thread")

ROWS = 30


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Three files of 10 rows, one row no molecule."""
    folder = tmp_path / "library"
    folder.mkdir()
    rows = ["C1CC" if row == 12 else MOLECULES[row % len(MOLECULES)] for row in range(ROWS)]
    for number, name in enumerate(("a", "b", "c")):
        lines = [f"{rows[row]} m{row}" for row in range(10 * number, 10 * number + 10)]
        (folder / f"{name}.smi").write_text("\n".join(lines) + "\n")
    return folder


def run(model: Path, library: Path | list[Path], output: Path, **options: object) -> Summary:
    chosen: dict[str, Any] = {"block_rows": 4, "workers": 0, **options}
    return screen(model, library, output, **chosen)


def interrupt(model: Path, library: Path, output: Path) -> None:
    """Leave a run unfinished in the second file."""

    def stop(_: str, rows: int, *rest: object) -> None:
        if rows == 14:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(model, library, output, progress=stop)


def test_several_files_by_the_command(tiny_model_dir: Path, library: Path, tmp_path: Path) -> None:
    given = [str(library / "[bc].smi"), str(library / "a.smi")]
    output = tmp_path / "out.csv"
    done = CliRunner().invoke(
        app, ["screen", *given, "-m", str(tiny_model_dir), "-o", str(output), "--workers", "0"]
    )
    assert done.exit_code == 0 and "30 rows: 29 ok, 1 refused (parse 1)" in done.output, done.output
    table = read_table(output)
    assert list(table) == ["smiles", "name", "file", "status", "active"]
    assert table["name"].tolist() == [f"m{row}" for row in range(ROWS)]
    assert table["file"].tolist() == [str(library / f"{'abc'[row // 10]}.smi") for row in range(ROWS)]
    assert [row for row, text in enumerate(table["status"]) if text != "ok"] == [12]


def test_an_interrupted_run_over_a_folder_goes_on_to_the_same_bytes(
    tiny_model_dir: Path, library: Path, tmp_path: Path
) -> None:
    run(tiny_model_dir, library, tmp_path / "whole.csv")
    interrupt(tiny_model_dir, library, tmp_path / "out.csv")
    assert run(tiny_model_dir, library, tmp_path / "out.csv", resume=True).resumed == 14
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.parametrize("change", ["changed", "added", "gone"])
def test_a_folder_that_is_not_as_it_was_is_refused(
    tiny_model_dir: Path, library: Path, tmp_path: Path, change: str
) -> None:
    interrupt(tiny_model_dir, library, tmp_path / "out.csv")
    if change == "gone":
        (library / "c.smi").unlink()
    else:
        (library / {"changed": "c.smi", "added": "d.smi"}[change]).write_text("CCO ethanol\n")
    with pytest.raises(
        MolftError, match=rf"begun with something else: library: \S+[cd].smi {change}. Rows of"
    ):
        run(tiny_model_dir, library, tmp_path / "out.csv", resume=True)
    assert not (tmp_path / "out.csv").exists()


def test_the_best_as_structures(tiny_model_dir: Path, library: Path, tmp_path: Path) -> None:
    run(tiny_model_dir, library, tmp_path / "best.csv", top=5)
    run(tiny_model_dir, library, tmp_path / "best.sdf", top=5)
    expected = read_table(tmp_path / "best.csv")
    with Chem.SDMolSupplier(str(tmp_path / "best.sdf")) as supplier:
        mols = list(supplier)
    assert [mol.GetProp("_Name") for mol in mols] == expected["name"].tolist()
    assert [Chem.MolToSmiles(mol) for mol in mols] == [Chem.CanonSmiles(text) for text in expected["smiles"]]
    for name in expected:
        assert [mol.GetProp(name) for mol in mols] == expected[name].tolist()


def test_a_folder_has_the_rows_of_a_file(tiny_model_dir: Path, library: Path, tmp_path: Path) -> None:
    run(tiny_model_dir, library, tmp_path / "whole.parquet")
    interrupt(tiny_model_dir, library, tmp_path / "parts")
    assert run(tiny_model_dir, library, tmp_path / "parts", resume=True).resumed == 14
    assert not (tmp_path / "parts.parts").exists()
    parts = sorted(path.name for path in (tmp_path / "parts").glob("*.parquet"))
    # Ten rows a file in parts of four.
    assert parts == [f"part-{number:05d}.parquet" for number in range(9)]
    assert parquet.read_table(tmp_path / "parts").equals(parquet.read_table(tmp_path / "whole.parquet"))
    run(tiny_model_dir, library, tmp_path / "again")
    for name in parts:
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
    # It is a library too, of 30 rows.
    assert run(tiny_model_dir, tmp_path / "parts", tmp_path / "second.csv").rows == ROWS


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("out.sdf", {}, r"out.sdf: an SDF is for the best, .*; give --top"),
        ("out", {"top": 3}, r"out: a folder of parts is for all rows"),
        ("library", {"overwrite": True}, r"library is no folder of parts \(it holds a.smi\)"),
    ],
)
def test_an_output_that_does_not_fit_is_refused(
    tiny_model_dir: Path, library: Path, tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(MolftError, match=message):
        run(tiny_model_dir, library, tmp_path / name, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["library"]


def test_no_room_on_the_disk_in_earnest(tiny_model_dir: Path, library: Path, tmp_path: Path) -> None:
    """The system itself refuses to let a file grow: first a part (of some 3 kB), then the output (30 kB)."""
    many, whole, output = tmp_path / "many.smi", tmp_path / "whole.csv", tmp_path / "out.csv"
    many.write_text("".join((library / f"{name}.smi").read_text() for name in "abc") * 20)
    run(tiny_model_dir, many, whole, block_rows=100)
    code = (
        "import resource, sys; limit = int(sys.argv[4]); "
        "from molft.use.screen import screen; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)); "
        "screen(*sys.argv[1:4], block_rows=100, workers=0, resume=True)"
    )
    command = [sys.executable, "-c", code, str(tiny_model_dir), str(many), str(output)]
    for limit, parts, file in (("1000", 0, "part-00000.parquet"), ("12000", 6, "out.csv")):
        done = subprocess.run([*command, limit], capture_output=True, text=True, check=False)
        assert f"{file}: can't be written: File too large; free some space" in done.stderr, done.stderr
        assert len(list((tmp_path / "out.csv.parts").glob("part-*"))) == parts
        assert not output.exists() and not list(tmp_path.rglob(".tmp-*"))
    assert run(tiny_model_dir, many, output, block_rows=100, resume=True).resumed == 600
    assert output.read_bytes() == whole.read_bytes()


def test_types_of_a_folder_do_not_depend_on_its_parts(tiny_model_dir: Path, tmp_path: Path) -> None:
    """A part without any molecule has the columns of the others."""
    (tmp_path / "a.smi").write_text("C1CC\nC1CC\nCCO\n")
    run(tiny_model_dir, tmp_path / "a.smi", tmp_path / "out", block_rows=2)
    schemas = [parquet.read_schema(path) for path in sorted((tmp_path / "out").glob("part-*"))]
    assert len(schemas) == 2 and schemas[0].equals(schemas[1])
    assert schemas[0].field("active").type == pa.float64()

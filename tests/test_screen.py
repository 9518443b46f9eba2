"""Screening: each row exactly once, in order, whatever happens on the way."""

import errno
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from killed_screens import BLOCK_ROWS, OUTPUTS
from pyarrow import parquet
from tiny_model import MOLECULES, make_model, save_model

import molft.use.precision as precisions
import molft.use.screen as screening
from molft.chem.prepare import Recipe
from molft.data.formats import read_table
from molft.errors import MolftError
from molft.use.model import load
from molft.use.ray_engine import Cluster
from molft.use.screen import screen
from molft.use.series import name_series
from molft.use.sweep import Summary

pytestmark = pytest.mark.usefixtures("one_thread")

BAD = {0: "C1CC", 40: "", 41: "CCО", 99: "F(F)F(F)F"}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 rows, six blocks and a bit: first, last and middle rows are no molecules."""
    path = tmp_path_factory.mktemp("library") / "library.csv"
    lines = [
        f"{row:03d},{BAD.get(row, MOLECULES[row % len(MOLECULES)] + 'C' * (row // 29))}" for row in range(100)
    ]
    path.write_text("id,smiles\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def run(model: Path, library: Path | str, output: Path, **options: object) -> Summary:
    chosen: dict[str, Any] = {"block_rows": BLOCK_ROWS, "workers": 0, "precision": "float32", **options}
    return screen(model, library, output, **chosen)


def read(path: Path) -> pd.DataFrame:
    return parquet.read_table(path).to_pandas()


def test_one_row_for_every_row_in_order(tiny_model_dir: Path, library: Path, tmp_path: Path) -> None:
    summary = run(tiny_model_dir, library, tmp_path / "out.csv")
    table, source = read_table(tmp_path / "out.csv"), read_table(library)
    assert list(table) == ["id", "smiles", "status", "active"]
    assert table[["id", "smiles"]].equals(source)
    refused = {row: text for row, text in enumerate(table["status"]) if text != "ok"}
    assert {row: text.partition(":")[0] for row, text in refused.items()} == {
        0: "parse",
        40: "text",
        41: "text",
        99: "sanitise",
    }
    assert [row for row, cell in enumerate(table["active"]) if cell == ""] == list(BAD)
    assert summary[:5] == ("screening", 100, 96, {"parse": 1, "text": 2, "sanitise": 1}, 0)
    assert "100 rows: 96 ok, 4 refused (parse 1, sanitise 1, text 2)" in summary.text()
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_numbers_are_those_of_predict_and_bad_neighbours_do_not_change_them(
    tiny_model_dir: Path, library: Path, tmp_path: Path
) -> None:
    run(tiny_model_dir, library, tmp_path / "out.parquet")
    table = read(tmp_path / "out.parquet")
    good = table[table["status"] == "ok"]
    expected = load(tiny_model_dir).predict(good["smiles"].tolist())
    assert good["active"].to_numpy() == pytest.approx(expected["active"].to_numpy(), abs=1e-6)


def test_layers_in_16_bits_give_nearly_the_same_and_are_another_run(
    tiny_model_dir: Path, library: Path, tmp_path: Path
) -> None:
    run(tiny_model_dir, library, tmp_path / "fine.parquet")
    run(tiny_model_dir, library, tmp_path / "coarse.parquet", precision="bf16")
    fine, coarse = (read(tmp_path / name)["active"] for name in ("fine.parquet", "coarse.parquet"))
    assert coarse.to_numpy() == pytest.approx(fine.to_numpy(), abs=0.01, nan_ok=True)
    assert not coarse.equals(fine)
    interrupt(tiny_model_dir, library, tmp_path / "out.csv")
    with pytest.raises(MolftError, match=r'precision was "float32", now "bf16"'):
        run(tiny_model_dir, library, tmp_path / "out.csv", resume=True, precision="bf16")


def test_what_is_kept_from_block_to_block_changes_no_byte(
    tiny_model_dir: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twice = [library, tmp_path / "again.csv"]
    shutil.copy(library, twice[1])
    outputs = [tmp_path / "kept.csv", tmp_path / "anew.csv"]
    for output, size in zip(outputs, (screening.KEPT_BYTES, 0), strict=True):
        monkeypatch.setattr(screening, "KEPT_BYTES", size)
        run(tiny_model_dir, list(map(str, twice)), output)
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_16_bits_are_refused_where_they_can_not_be_had(library: Path, tmp_path: Path) -> None:
    model = save_model(tmp_path / "gat", "network", conv="gat")
    with pytest.raises(MolftError, match=r"needs GIN layers .* there are 'gat' layers"):
        run(model, library, tmp_path / "out.csv", precision="bf16")
    with pytest.raises(MolftError, match=r"on GPUs leave it out"):
        run(model, library, tmp_path / "out.csv", precision="bf16", ray=Cluster(gpus=1))


@pytest.mark.parametrize(
    ("units", "conv", "options", "halved"),
    [
        (True, "gin", {}, True),
        (True, "gin", {"precision": "float32"}, False),
        (True, "gat", {}, False),
        (False, "gin", {}, False),
    ],
)
def test_16_bits_are_taken_where_there_are_units_and_told(
    units: bool,
    conv: str,
    options: dict[str, str],
    halved: bool,
    library: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(precisions, "has_half_units", lambda: units)
    model, told = save_model(tmp_path / "model", "network", conv=conv), list[str]()
    run(model, library, tmp_path / "auto.csv", **{"precision": "auto", "tell": told.append, **options})
    run(model, library, tmp_path / "asked.csv", precision="bf16" if halved else "float32")
    assert any("16 bits" in line for line in told) == halved
    assert (tmp_path / "auto.csv").read_bytes() == (tmp_path / "asked.csv").read_bytes()


def test_a_run_goes_on_with_the_bits_it_was_begun_with(
    tiny_model_dir: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, resumed = tmp_path / "whole.csv", tmp_path / "resumed.csv"
    run(tiny_model_dir, library, whole)
    interrupt(tiny_model_dir, library, resumed)
    monkeypatch.setattr(precisions, "has_half_units", lambda: True)
    assert run(tiny_model_dir, library, resumed, resume=True, precision="auto").resumed
    assert resumed.read_bytes() == whole.read_bytes()


def test_worker_processes_change_no_byte(tiny_model_dir: Path, library: Path, tmp_path: Path) -> None:
    run(tiny_model_dir, library, tmp_path / "a.csv", workers=0)
    run(tiny_model_dir, library, tmp_path / "b.csv", workers=2)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


@pytest.mark.parametrize("name", ["out.csv.gz", "out.tsv", "out.parquet"])
def test_every_format_holds_the_same(tiny_model_dir: Path, library: Path, tmp_path: Path, name: str) -> None:
    run(tiny_model_dir, library, tmp_path / "out.csv")
    run(tiny_model_dir, library, tmp_path / name)
    expected, found = read_table(tmp_path / "out.csv"), read_table(tmp_path / name)
    assert found.drop(columns="active").equals(expected.drop(columns="active"))
    numbers = [pd.to_numeric(table["active"]).to_numpy() for table in (found, expected)]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-7, nan_ok=True)


@pytest.mark.parametrize("top", [1, 10, 1000])
@pytest.mark.parametrize("ascending", [False, True])
def test_the_best_are_those_of_sorting_everything(
    library: Path, tmp_path: Path, top: int, ascending: bool
) -> None:
    model = save_model(tmp_path / "model", "network", tasks=("logD", "pKa"), task_type="regression")
    run(model, library, tmp_path / "all.parquet")
    table = read(tmp_path / "all.parquet")
    table = table[table["status"] == "ok"]
    run(model, library, tmp_path / "best.parquet", top=top, by="pKa", ascending=ascending)
    expected = table.sort_values("pKa", ascending=ascending, kind="stable").head(top)
    assert read(tmp_path / "best.parquet").equals(expected.reset_index(drop=True))


@pytest.mark.parametrize("per_scaffold", [None, 2])
def test_the_best_of_each_series(library: Path, tmp_path: Path, per_scaffold: int | None) -> None:
    model = save_model(tmp_path / "model", "network")
    run(model, library, tmp_path / "all.parquet")
    table = read(tmp_path / "all.parquet")
    table = table[table["status"] == "ok"].sort_values("active", ascending=False, kind="stable")
    series = table["smiles"].map(lambda smiles: name_series(smiles, Recipe()))
    assert (series == "c1ccccc1").sum() > 2
    expected = table[series.groupby(series).cumcount() < (per_scaffold or 1)]
    for top in (10, 1000):
        options = {"top": top, "diverse": True, "per_scaffold": per_scaffold, "overwrite": True}
        run(model, library, tmp_path / "best.parquet", **options)
        assert read(tmp_path / "best.parquet").equals(expected.head(top).reset_index(drop=True))


def test_a_name_that_the_library_has_is_kept_for_the_library(tiny_model_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "assay.csv").write_text("status,active,SMILES\nold,yes,CCO\n")
    run(tiny_model_dir, tmp_path / "assay.csv", tmp_path / "out.csv")
    header, row = (tmp_path / "out.csv").read_text().splitlines()
    assert header == "status,active,SMILES,status_predicted,active_predicted"
    assert row.startswith("old,yes,CCO,ok,0.")


def test_a_formula_in_a_users_cell_is_not_run_by_a_spreadsheet(tiny_model_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('note,smiles\n"=HYPERLINK(""x"")",CCO\n')
    run(tiny_model_dir, tmp_path / "a.csv", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().splitlines()[1].startswith('"\'=HYPERLINK(""x"")",CCO,ok,')
    assert read_table(tmp_path / "out.csv")["note"][0] == '=HYPERLINK("x")'


@pytest.mark.parametrize("content", ["smiles\n", "smiles\nxyz\n,\nC1CC\n"])
@pytest.mark.parametrize("top", [None, 3])
def test_a_library_without_molecules_is_no_error(
    tiny_model_dir: Path, tmp_path: Path, content: str, top: int | None
) -> None:
    (tmp_path / "a.csv").write_text(content)
    summary = run(tiny_model_dir, tmp_path / "a.csv", tmp_path / "out.csv", top=top)
    table = read_table(tmp_path / "out.csv")
    assert list(table) == ["smiles", "status", "active"]
    assert summary.ok == 0
    assert len(table) == (summary.rows if top is None else 0)


def test_standard_input(tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "smiles,id\nCCO,1\nC1CC,2\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(text.encode()))))
    assert run(tiny_model_dir, "-", tmp_path / "out.csv").ok == 1
    with pytest.raises(MolftError, match=r"standard input can't be read a second time"):
        run(tiny_model_dir, "-", tmp_path / "other.csv", resume=True)


def test_progress_tells_rows_and_their_number(tiny_model_dir: Path, library: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    run(tiny_model_dir, library, tmp_path / "out.csv", progress=lambda *facts: told.append(facts[:3]))
    assert told == [("screening", min(row, 100), 100) for row in range(16, 113, 16)]


def test_killed_at_any_moment_and_resumed_it_gives_the_same_bytes(
    tiny_model_dir: Path, library: Path, tmp_path: Path
) -> None:
    for name, options in OUTPUTS.items():
        run(tiny_model_dir, library, tmp_path / name, **options)
    # The plan, seven parts and the output are written: nine moments to die in, and one that never comes.
    script = Path(__file__).with_name("killed_screens.py")
    command = [sys.executable, str(script), str(tiny_model_dir), str(library), str(tmp_path), "10"]
    paths = {"PYTHONPATH": str(script.parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | paths)
    assert done.stdout == "27\n", done.stderr
    for name, options in OUTPUTS.items():
        for moment in range(1, 11):
            output = tmp_path / f"{moment}-{name}"
            assert output.exists() == (moment == 10)
            if moment < 10:
                summary = run(tiny_model_dir, library, output, resume=True, **options)
                assert summary.resumed == min(max(moment - 2, 0) * BLOCK_ROWS, 100)
                assert summary[1:3] == (100, 96)
            assert output.read_bytes() == (tmp_path / name).read_bytes()
    assert not list(tmp_path.glob("*.parts"))


def test_a_full_disk_leaves_no_output_and_the_run_goes_on(
    tiny_model_dir: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tiny_model_dir, library, tmp_path / "whole.csv")
    write_table = parquet.write_table

    def fill(table: pa.Table, path: Path, **options: object) -> None:
        write_table(table, path, **options)
        if "part-00003" in path.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(parquet, "write_table", fill)
        with pytest.raises(MolftError, match=r"part-00003.parquet: can't be written: No space left"):
            run(tiny_model_dir, library, tmp_path / "out.csv")
    assert sorted(path.name for path in (tmp_path / "out.csv.parts").iterdir()) == [
        "_plan.json",
        "part-00000.parquet",
        "part-00001.parquet",
        "part-00002.parquet",
    ]
    assert not (tmp_path / "out.csv").exists()
    assert run(tiny_model_dir, library, tmp_path / "out.csv", resume=True).resumed == 48
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def interrupt(model: Path, library: Path, output: Path) -> None:
    """Leave a run unfinished after its second part."""

    def stop(_: str, rows: int, *rest: object) -> None:
        if rows == 2 * BLOCK_ROWS:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(model, library, output, progress=stop)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("library", r'library was "\w+\.\.\.", now'),
        ("model", r'model was "\w+\.\.\.", now'),
        ("top", r"top was null, now 5"),
        ("rows", r"rows of a part was 16, now 8"),
        ("column", r'SMILES column was "smiles", now "id"'),
    ],
)
def test_a_changed_run_is_not_mixed_with_the_old_one(
    tiny_model_dir: Path, library: Path, tmp_path: Path, change: str, message: str
) -> None:
    model, copy, options = tiny_model_dir, tmp_path / "library.csv", {}
    shutil.copy(library, copy)
    interrupt(model, copy, tmp_path / "out.csv")
    if change == "library":
        copy.write_text(copy.read_text(encoding="utf-8") + "100,CCO\n", encoding="utf-8")
    elif change == "model":
        model = tmp_path / "other"
        make_model(seed=1).save(model)
    else:
        options = {"top": {"top": 5}, "rows": {"block_rows": 8}, "column": {"smiles_column": "id"}}[change]
    with pytest.raises(MolftError, match=message):
        run(model, copy, tmp_path / "out.csv", resume=True, **options)
    assert not (tmp_path / "out.csv").exists()


def test_an_unfinished_run_is_resumed_or_overwritten_never_ignored(
    tiny_model_dir: Path, library: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.csv"
    interrupt(tiny_model_dir, library, output)
    with pytest.raises(MolftError, match=r"unfinished run; go on with --resume, or start anew"):
        run(tiny_model_dir, library, output)
    assert run(tiny_model_dir, library, output, overwrite=True).resumed == 0
    with pytest.raises(MolftError, match=r"out.csv is there already: choose another name"):
        run(tiny_model_dir, library, output)
    with pytest.raises(MolftError, match=r"it is finished, or not of this run"):
        run(tiny_model_dir, library, output, resume=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top": 0}, r"--top 0: it must be at least 1"),
        ({"by": "active"}, r"say how many to keep with --top"),
        ({"ascending": True}, r"say how many to keep with --top"),
        ({"top": 3, "by": "toxic"}, r"--by toxic: the model has no such task; it has active"),
        ({"diverse": True}, r"say how many to keep with --top"),
        ({"top": 3, "per_scaffold": 2}, r"--diverse keeps; give both"),
        ({"top": 3, "diverse": True, "per_scaffold": 0}, r"--per-scaffold 0: it must be at least 1"),
        ({"block_rows": 0}, r"block_rows is 0"),
        ({"precision": "int4"}, r"precision is 'int4'; expected one of auto, float32, bf16"),
        ({"smiles_column": "mol"}, r"no column 'mol' for the SMILES"),
    ],
)
def test_wrong_options_say_what_is_possible(
    tiny_model_dir: Path, library: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(MolftError, match=message):
        run(tiny_model_dir, library, tmp_path / "out.csv", **options)
    assert list(tmp_path.iterdir()) == []


def test_the_library_is_never_its_own_output(tiny_model_dir: Path, library: Path) -> None:
    with pytest.raises(MolftError, match=r"is the library itself"):
        run(tiny_model_dir, library, library, overwrite=True)


def test_a_folder_that_is_no_model_is_refused(library: Path, tmp_path: Path) -> None:
    with pytest.raises(MolftError, match=r"is no molft model"):
        run(tmp_path, library, tmp_path / "out.csv")

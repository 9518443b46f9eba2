"""Folders of finished parts."""

import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from molft.errors import MolftError
from molft.use.parts import Tally, claim, count_parts, parts_folder, publish, read_parts, write_part

ROWS = pa.table({"id": ["a", "b"], "y": [0.5, None]})
TALLY = Tally(3, 1, Counter(parse=2))


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out.csv"


def begin(output: Path, *, resume: bool = False, overwrite: bool = False, **changes: object) -> Path:
    plan = {"library": "0" * 64, "top": 5, "limits": (1, 2), **changes}
    return claim(output, plan, resume=resume, overwrite=overwrite)


def test_parts_come_back_in_order_with_their_tallies(output: Path) -> None:
    folder = begin(output)
    write_part(folder, 0, ROWS, TALLY)
    write_part(folder, 1, ROWS.slice(1), Tally(1, 1))
    assert count_parts(folder) == 2
    (first, tally), (second, other) = read_parts(folder)
    assert first.equals(ROWS) and second.equals(ROWS.slice(1))
    assert tally == TALLY and tally + other == Tally(4, 2, Counter(parse=2))


def test_only_parts_without_a_gap_count(output: Path) -> None:
    folder = begin(output)
    for number in (0, 1, 3):
        write_part(folder, number, ROWS, TALLY)
    assert count_parts(folder) == 2


def test_a_run_goes_on_with_the_same_plan_only(output: Path) -> None:
    folder = begin(output)
    write_part(folder, 0, ROWS, TALLY)
    assert begin(output, resume=True) == folder
    message = r'library was "0{19}\.\.\.", now "1{19}\.\.\."; top was 5, now null. Rows of two runs are never'
    with pytest.raises(MolftError, match=message):
        begin(output, resume=True, library="1" * 64, top=None)
    assert count_parts(folder) == 1


def test_an_option_that_the_plan_did_not_have_is_a_change(output: Path) -> None:
    begin(output)
    with pytest.raises(MolftError, match=r"extra was null, now 1"):
        begin(output, resume=True, extra=1)


def test_what_is_there_is_not_replaced_unasked(output: Path) -> None:
    folder = begin(output)
    with pytest.raises(MolftError, match=r"out.csv.parts holds an unfinished run; go on with --resume, or"):
        begin(output)
    write_part(folder, 0, ROWS, TALLY)
    assert count_parts(begin(output, overwrite=True)) == 0


@pytest.mark.parametrize(
    ("resume", "hint"), [(False, "choose another name"), (True, "it is finished, or not of this run")]
)
def test_a_finished_output_is_not_replaced_unasked(output: Path, resume: bool, hint: str) -> None:
    output.write_text("precious")
    with pytest.raises(MolftError, match=rf"out.csv is there already: {hint}; --overwrite replaces it"):
        begin(output, resume=resume)
    assert not parts_folder(output).exists()
    begin(output, overwrite=True)
    assert output.read_text() == "precious"


def test_a_run_that_replaces_an_output_can_be_resumed(output: Path) -> None:
    output.write_text("old")
    assert begin(output, overwrite=True) == begin(output, resume=True)


def test_resume_begins_where_nothing_was_begun(output: Path) -> None:
    folder = begin(output, resume=True)
    assert json.loads((folder / "_plan.json").read_text())["top"] == 5


def test_resume_and_overwrite_contradict_each_other(output: Path) -> None:
    with pytest.raises(MolftError, match=r"give one of them"):
        begin(output, resume=True, overwrite=True)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "foreign"])
def test_a_damaged_part_is_refused_by_name(output: Path, damage: str) -> None:
    folder = begin(output)
    write_part(folder, 0, ROWS, TALLY)
    part = folder / "part-00000.parquet"
    data = bytearray(part.read_bytes())
    if damage == "truncated":
        del data[-3:]
    elif damage == "flipped":
        data[data.index(b"a", 8)] ^= 1
    else:
        data = bytearray(b"id,y\n")
    part.write_bytes(data)
    with pytest.raises(MolftError, match=r"part-00000.parquet is damaged .*remove it and those after it"):
        list(read_parts(folder))


def test_of_several_files_it_is_told_which_changed(output: Path) -> None:
    begin(output, library={"a.smi": "1", "b.smi": "2", "c.smi": "3", "d.smi": "4"})
    message = r"library: b.smi, c.smi gone, e.smi added, a.smi changed. Rows of two runs"
    with pytest.raises(MolftError, match=message):
        begin(output, resume=True, library={"a.smi": "0", "d.smi": "4", "e.smi": "5"})
    with pytest.raises(MolftError, match=r'library was \{"a.smi": .*, now "2"'):
        begin(output, resume=True, library="2")


def test_parts_of_an_unknown_run_are_not_taken_for_this_one(output: Path) -> None:
    write_part(begin(output), 0, ROWS, TALLY)
    (parts_folder(output) / "_plan.json").unlink()
    for resume in (False, True):
        with pytest.raises(MolftError, match=r"holds parts of an unknown run \(no _plan.json\); --overwrite"):
            begin(output, resume=resume)
    assert count_parts(begin(output, overwrite=True)) == 0


def test_a_folder_of_parts_becomes_the_output_and_replaces_one_of_its_kind(tmp_path: Path) -> None:
    output = tmp_path / "predictions"
    for rows in (ROWS, ROWS.slice(1)):
        folder = begin(output, overwrite=True)
        write_part(folder, 0, rows, TALLY)
        write_part(folder, 1, rows, TALLY)
        publish(folder, output)
        assert [path.name for path in tmp_path.iterdir()] == ["predictions"]
        assert parquet.read_table(output).equals(pa.concat_tables([rows, rows]))
    with pytest.raises(MolftError, match=r"predictions is there already"):
        begin(output)


@pytest.mark.parametrize(
    ("name", "found"), [("thesis.docx", "it holds thesis.docx"), (None, "it has no _plan")]
)
def test_a_folder_that_holds_anything_else_is_never_replaced(
    tmp_path: Path, name: str | None, found: str
) -> None:
    output = tmp_path / "documents"
    output.mkdir()
    if name:
        write_part(output, 0, ROWS, TALLY)
        (output / "_plan.json").write_text("{}")
        (output / name).write_text("years of work")
    with pytest.raises(MolftError, match=rf"documents is no folder of parts \({found}.*not replaced"):
        begin(output, overwrite=True)
    assert not parts_folder(output).exists() and output.is_dir()

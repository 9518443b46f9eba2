"""Label tables for supervised pre-training."""

from pathlib import Path

import numpy as np
import pytest

from molft.data.assay_labels import read_label_tables
from molft.errors import MolftError

TABLE = "smiles,CHEMBL1,CHEMBL2,note\nCCO,6.5,,x\nCCN,,>7,y\nCCC,5.5,8.25,z\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text(TABLE)
    return path


def test_values_gaps_and_bounds(table: Path) -> None:
    labels = read_label_tables([table], ["CHEMBL*"])
    assert (labels.smiles, labels.tasks) == (["CCO", "CCN", "CCC"], ("CHEMBL1", "CHEMBL2"))
    np.testing.assert_array_equal(labels.values, [[6.5, np.nan], [np.nan, np.nan], [5.5, 8.25]])
    assert labels.values.dtype == np.float32


def test_classes_are_found_without_being_named(tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    path.write_text("smiles,a,b\nCCO,1,0\nCCN,0,1\nCCC,1,\n")
    assert read_label_tables([path], []).tasks == ("a", "b")


@pytest.mark.parametrize(
    ("columns", "message"), [([], "name the labels"), (["IC50"], "no label column 'IC50'")]
)
def test_columns_that_are_not_clear_or_not_there_are_refused(
    columns: list[str], message: str, table: Path
) -> None:
    with pytest.raises(MolftError, match=message):
        read_label_tables([table], columns)


def test_an_assay_without_values_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("smiles,CHEMBL1,CHEMBL2\nCCO,6.5,\nCCN,5.0, \n")
    assert read_label_tables([path], ["CHEMBL*"]).tasks == ("CHEMBL1",)
    with pytest.raises(MolftError, match="no label column 'CHEMBL2'"):
        read_label_tables([path], ["CHEMBL2"])


def test_tables_are_joined_by_the_names_of_their_columns(tmp_path: Path, table: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("canonical_smiles;CHEMBL2;CHEMBL3\nCCO;7.5;4.5\nCO;;5.5\n")
    labels = read_label_tables([table, other], ["CHEMBL*"])
    assert (labels.smiles, labels.tasks) == (["CCO", "CCN", "CCC", "CO"], ("CHEMBL1", "CHEMBL2", "CHEMBL3"))
    gap = np.nan
    expected = [[6.5, 7.5, 4.5], [gap, gap, gap], [5.5, 8.25, gap], [gap, gap, 5.5]]
    np.testing.assert_array_equal(labels.values, expected)


def test_rows_with_the_same_smiles_become_one_with_the_mean(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("smiles,CHEMBL1,CHEMBL2\nCCO,6.5,\nCCN,5.0,7.5\nCCO,7.5,8.5\n")
    labels = read_label_tables([path], ["CHEMBL*"])
    assert labels.smiles == ["CCO", "CCN"]
    np.testing.assert_array_equal(labels.values, [[7.0, 8.5], [5.0, 7.5]])


def test_of_classes_the_majority_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    path.write_text("smiles,a,b\nCCO,1,0\nCCO,1,1\nCCO,0,\nCCN,0,1\n")
    np.testing.assert_array_equal(read_label_tables([path], []).values, [[1, np.nan], [0, 1]])


def test_a_column_can_be_taken_away(table: Path) -> None:
    assert read_label_tables([table], ["CHEMBL*", "!CHEMBL2"]).tasks == ("CHEMBL1",)

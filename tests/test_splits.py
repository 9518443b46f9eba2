"""Which split a fine-tuning gets: the one it asked for, or the strictest that leaves something to measure."""

import numpy as np
import pytest

from molft.chem.scaffold import lab_scaffold
from molft.data.split import Split, leaks
from molft.errors import MolftError
from molft.use.splits import SPLITS, split_molecules
from tests.series import pyridines

SCAFFOLDS = (
    "c1ccccc1{}",
    "n1ccccc1{}",
    "c1ccoc1{}",
    "C1CCCCC1{}",
    "c1ccc2ccccc2c1{}",
    "C1CCNCC1{}",
    "c1ccsc1{}",
)
CHAINS = [SCAFFOLDS[0].format("C" * n) for n in range(1, 13)]
MIXED = [ring.format(end) for ring in SCAFFOLDS for end in ("C", "F", "Cl", "O", "N", "CC")]


def labels_of(smiles: list[str], positive: set[int] | None = None) -> np.ndarray:
    if positive is None:
        return (np.arange(len(smiles)) % 2).astype(np.float32)[:, None]
    return np.array([[float(row in positive)] for row in range(len(smiles))], np.float32)


def series_of(split: Split, smiles: list[str]) -> list[set[str]]:
    return [{lab_scaffold(smiles[row]) for row in part} for part in split]


@pytest.mark.parametrize("name", [name for name in SPLITS if name != "auto"])
def test_a_split_that_was_asked_for_is_done(name: str) -> None:
    split, told = split_molecules(name, MIXED, labels_of(MIXED), "classification", seed=1)
    assert told == name
    assert sorted(np.concatenate(split).tolist()) == list(range(len(MIXED)))
    assert all(len(part) for part in split)
    assert leaks(split, MIXED) == []


@pytest.mark.parametrize("name", ["scaffold", "balanced", "auto"])
def test_whole_series_stay_on_one_side(name: str) -> None:
    split, _ = split_molecules(name, MIXED, labels_of(MIXED), "classification")
    train, valid, test = series_of(split, MIXED)
    assert not (train & valid or train & test or valid & test)


def test_auto_takes_scaffolds_where_that_can_be_scored() -> None:
    split, told = split_molecules("auto", MIXED, labels_of(MIXED), "classification")
    assert told == "scaffold"
    expected, _ = split_molecules("scaffold", MIXED, labels_of(MIXED), "classification")
    for found, wanted in zip(split, expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_auto_takes_balanced_scaffolds_where_a_part_has_one_class() -> None:
    plain, _ = split_molecules("scaffold", MIXED, labels_of(MIXED), "classification")
    # Nothing that the plain split puts into its test part is active; everywhere else every second one is.
    labels = labels_of(MIXED)
    labels[plain.test] = 0
    split, told = split_molecules("auto", MIXED, labels, "classification", seed=0)
    assert told == "balanced"
    assert all(set(labels[part, 0]) == {0.0, 1.0} for part in split)


@pytest.mark.parametrize(
    ("smiles", "positive"),
    [
        (CHAINS + pyridines(28), set(range(0, 40, 2))),  # two series only: a part would stay empty
        (MIXED, {0, 1, 2}),  # all actives in one series
    ],
)
def test_auto_gives_up_series_only_where_it_must(smiles: list[str], positive: set[int]) -> None:
    labels = labels_of(smiles, positive)
    split, told = split_molecules("auto", smiles, labels, "classification")
    assert told == "stratified"
    assert all(set(labels[part, 0]) == {0.0, 1.0} for part in split)
    if smiles is MIXED:
        return
    with pytest.raises(MolftError, match=r"scaffold split leaves .* empty"):
        split_molecules("scaffold", smiles, labels, "classification")


@pytest.mark.parametrize("task_type", ["classification", "regression"])
def test_a_part_that_nobody_wants_need_not_be_scored(task_type: str) -> None:
    split, told = split_molecules("auto", MIXED, labels_of(MIXED), task_type, sizes=(0.8, 0.2, 0.0))
    assert told == "scaffold"
    assert len(split.test) == 0


def test_auto_asks_for_labels_in_a_regression() -> None:
    labels = labels_of(MIXED)
    plain, _ = split_molecules("scaffold", MIXED, labels, "regression")
    labels[plain.test] = np.nan
    assert split_molecules("auto", MIXED, labels, "regression")[1] != "scaffold"


def test_one_task_of_many_is_enough() -> None:
    labels = np.hstack([labels_of(MIXED), np.full((len(MIXED), 1), np.nan, np.float32)])
    assert split_molecules("auto", MIXED, labels, "classification")[1] == "scaffold"


def test_the_order_of_the_rows_changes_nothing() -> None:
    order = np.random.default_rng(0).permutation(len(MIXED))
    shuffled = [MIXED[row] for row in order]
    for name in ("scaffold", "auto", "random", "butina"):
        first, _ = split_molecules(name, MIXED, labels_of(MIXED), "classification", seed=3)
        other, _ = split_molecules(name, shuffled, labels_of(MIXED)[order], "classification", seed=3)
        for mine, theirs in zip(first, other, strict=True):
            assert {MIXED[row] for row in mine} == {shuffled[row] for row in theirs}


def test_another_seed_gives_another_split_and_the_same_the_same() -> None:
    splits = [
        split_molecules("random", MIXED, labels_of(MIXED), "classification", seed=s)[0].test.tolist()
        for s in (0, 0, 1)
    ]
    assert splits[0] == splits[1] != splits[2]


def test_a_column_of_the_table_is_taken_as_it_is() -> None:
    column = ["Train", "valid", "TEST", "train"]
    split, told = split_molecules(
        "set", ["C", "CC", "CCC", "CCCC"], labels_of(CHAINS[:4]), "classification", column=column
    )
    assert told == "column set"
    assert [part.tolist() for part in split] == [[0, 3], [1], [2]]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["train", "test", "maybe", "train"], "says 'maybe'; expected train, valid or test"),
        (["train", "test", "", "train"], "says ''"),
        (["train", "valid", "train", "train"], "no row of the split column says test"),
        (["test", "test", "test", "valid"], "no row of the split column says train"),
        (["train", "train", "test", "test"], r"1 molecules on two sides, such as 'CC'"),
    ],
)
def test_a_column_that_can_not_be_used_is_refused(column: list[str], message: str) -> None:
    with pytest.raises(MolftError, match=message):
        split_molecules(
            "set", ["C", "CC", "CC", "CCC"], labels_of(CHAINS[:4]), "classification", column=column
        )


@pytest.mark.parametrize(
    ("name", "sizes", "message"),
    [
        ("scafold", (0.8, 0.1, 0.1), "'scafold' is neither a column of the table nor one of auto, scaffold"),
        ("", (0.8, 0.1, 0.1), "neither a column"),
        ("random", (0.8, 0.1, 0.2), "three fractions that sum to 1"),
        ("auto", (0.0, 0.5, 0.5), "three fractions that sum to 1"),
    ],
)
def test_what_makes_no_split_is_refused(name: str, sizes: tuple[float, float, float], message: str) -> None:
    with pytest.raises(MolftError, match=message):
        split_molecules(name, MIXED, labels_of(MIXED), "classification", sizes=sizes)


@pytest.mark.parametrize("name", ["random", "scaffold", "auto"])
def test_too_few_molecules_are_refused_with_advice(name: str) -> None:
    with pytest.raises(MolftError, match=r"empty: 2 rows in .* Use more rows, other split sizes"):
        split_molecules(name, ["CCO", "CCN"], labels_of(["CCO", "CCN"]), "classification")

"""Splits: what stays together, what row order may change, and what is refused."""

from collections.abc import Callable

import numpy as np
import pytest

from molft.chem.cluster import fingerprints
from molft.chem.scaffold import lab_scaffold
from molft.chem.smiles import parse
from molft.data.split import (
    Split,
    balanced_scaffold_split,
    butina_split,
    column_split,
    fingerprint,
    leaks,
    random_split,
    scaffold_split,
)
from molft.errors import MolftError

# Forty molecules: four ring systems with ten chains each, the first five of each twice.
RINGS = ("c1ccccc1", "C1CCNCC1", "c1ccncc1", "C1CC1")
CHAINS = ("C", "CC", "CCC", "CO", "CN", "CCO", "CCN", "CCCC", "CF", "CCl")
SMILES = [ring + chain for ring in RINGS for chain in CHAINS + CHAINS[:5]]
SIZES = (0.5, 0.25, 0.25)


def _scaffolds(smiles: list[str]) -> list[str]:
    return [lab_scaffold(text) for text in smiles]


def _scaffold(smiles: list[str]) -> Split:
    return scaffold_split(_scaffolds(smiles), smiles, SIZES)


def _balanced(smiles: list[str]) -> Split:
    return balanced_scaffold_split(_scaffolds(smiles), smiles, SIZES, seed=3)


def _random(smiles: list[str]) -> Split:
    return random_split(smiles, SIZES, seed=3)


def _butina(smiles: list[str]) -> Split:
    return butina_split(fingerprints([parse(text) for text in smiles]), smiles, SIZES, similarity=0.4)


EVERY = pytest.mark.parametrize("make", [_scaffold, _balanced, _random, _butina])


@EVERY
def test_every_row_is_in_one_part_and_every_molecule_on_one_side(make: Callable[[list[str]], Split]) -> None:
    split = make(SMILES)
    assert sorted(np.concatenate(split).tolist()) == list(range(len(SMILES)))
    assert all(rows.dtype == np.int64 for rows in split)
    assert leaks(split, SMILES) == []


@EVERY
def test_the_order_of_the_rows_does_not_matter(make: Callable[[list[str]], Split]) -> None:
    order = np.random.default_rng(7).permutation(len(SMILES))
    shuffled = [SMILES[row] for row in order]
    before = [sorted(SMILES[row] for row in rows) for rows in make(SMILES)]
    assert [sorted(shuffled[row] for row in rows) for rows in make(shuffled)] == before


@pytest.mark.parametrize("make", [_scaffold, _balanced])
def test_no_scaffold_on_two_sides(make: Callable[[list[str]], Split]) -> None:
    assert leaks(make(SMILES), _scaffolds(SMILES)) == []


def test_scaffold_split_by_hand() -> None:
    # 10 rows: c(4) fills train to 4, b(3) to 7, e starts later than a of the same size 1 and so goes first
    scaffolds = ["a", "b", "b", "b", "c", "c", "c", "c", "d", "e"]
    split = scaffold_split(scaffolds, ties="row")
    assert [rows.tolist() for rows in split] == [[4, 5, 6, 7, 1, 2, 3, 9], [8], [0]]
    by_name = scaffold_split(scaffolds)
    assert [rows.tolist() for rows in by_name] == [[4, 5, 6, 7, 1, 2, 3, 0], [8], [9]]


def test_a_key_in_two_scaffold_groups_joins_them() -> None:
    scaffolds = ["a", "a", "b", "b", "c", "d", "e", "f"]
    keys = ["1", "2", "3", "2", "4", "5", "6", "7"]
    split = scaffold_split(scaffolds, keys, SIZES)
    assert sorted(split.train.tolist()) == [0, 1, 2, 3]


def test_leaks_names_the_molecule() -> None:
    assert leaks(Split(np.array([0]), np.array([1]), np.array([2])), ["CCO", "CCN", "CCO"]) == ["CCO"]


def test_seeds_change_the_random_splits_and_repeat() -> None:
    scaffolds = [f"ring {row // 2:02d}" for row in range(40)]
    for make in (
        lambda seed: random_split(scaffolds, SIZES, seed),
        lambda seed: balanced_scaffold_split(scaffolds, None, SIZES, seed),
    ):
        assert fingerprint(make(0).test) == fingerprint(make(0).test) != fingerprint(make(1).test)


def test_balanced_split_puts_big_groups_into_train() -> None:
    scaffolds = ["big"] * 30 + [f"ring {row:02d}" for row in range(30)]
    for seed in range(5):
        assert set(range(30)) <= set(balanced_scaffold_split(scaffolds, None, SIZES, seed).train.tolist())


def test_random_split_has_the_wanted_sizes() -> None:
    split = random_split([f"{row:03d}" for row in range(105)])
    assert [len(rows) for rows in split] == [84, 11, 10] or [len(rows) for rows in split] == [84, 10, 11]


def test_a_part_of_size_zero_stays_empty() -> None:
    assert len(random_split(SMILES, (0.8, 0.2, 0.0)).test) == 0
    assert len(random_split(SMILES, (0.8, 0.0, 0.2)).valid) == 0


def test_column_split_reads_the_usual_spellings() -> None:
    split = column_split(["Train", "train", "VALID", "test ", "val"])
    assert [rows.tolist() for rows in split] == [[0, 1], [2, 4], [3]]


def test_column_split_without_valid_draws_it_from_train() -> None:
    values = ["train"] * 20 + ["test"] * 5
    keys = [f"{row // 2:02d}" for row in range(25)]
    keys[20:] = list("abcde")
    split = column_split(values, keys)
    assert split.test.tolist() == [20, 21, 22, 23, 24]
    assert len(split.valid) == 2
    assert leaks(split, keys) == []
    assert len(column_split(values).valid) == 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["train", "", "test"], "expected train, valid or test in every row"),
        (["train", "held-out", "test"], "'held-out'"),
        (["train", "valid"], "no row of the split column says test"),
        (["test", "valid"], "no row of the split column says train"),
    ],
)
def test_column_split_refuses(values: list[str], message: str) -> None:
    with pytest.raises(MolftError, match=message):
        column_split(values)


def test_column_split_refuses_a_molecule_on_two_sides() -> None:
    with pytest.raises(MolftError, match="1 molecules on two sides, such as 'CCO'"):
        column_split(["train", "test", "valid"], ["CCO", "CCO", "CC"])


def test_one_series_only_cannot_be_split_by_scaffold() -> None:
    with pytest.raises(MolftError, match=r"leaves train and valid empty: 9 rows in 1 groups.*random split"):
        scaffold_split(["c1ccccc1"] * 9)


def test_one_molecule_cannot_be_split_at_random() -> None:
    with pytest.raises(MolftError, match="leaves valid and test empty"):
        random_split(["CCO"] * 30)


def test_no_rows() -> None:
    for make in (lambda: scaffold_split([]), lambda: random_split([]), lambda: balanced_scaffold_split([])):
        with pytest.raises(MolftError, match="no rows to split"):
            make()


def test_butina_split_wants_a_fingerprint_for_each_row() -> None:
    with pytest.raises(MolftError, match="1 fingerprints for 2 rows"):
        butina_split(fingerprints([parse("CCO")]), ["CCO", "CCN"])


def test_fingerprint_is_the_sha1_of_the_joined_sorted_rows() -> None:
    assert fingerprint([2, 0, 10]) == fingerprint(np.array([10, 2, 0])) == "f3c6c30a996b"

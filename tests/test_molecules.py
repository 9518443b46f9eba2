"""All molecules of a table at once: nothing may depend on how the table was cut, or on how many processes."""

import numpy as np
import pytest

from molft.chem.prepare import Block, Recipe, prepare
from molft.errors import MolftError
from molft.use.molecules import join_blocks, prepare_rows, take_rows
from tests.series import pyridines

EVERYTHING = Recipe(scheme="snap", keys=True, forest=True)


def ugly_rows(count: int) -> list[str]:
    """Good molecules with a bad one at every seventh place, a metal and a salt among them."""
    texts = [pyridines(225)[row % 225] for row in range(count)]
    bad = ("CCО", "", "c1ccccc", "CC(C)(C)(C)C")
    texts[3::7] = [bad[number % 4] for number in range(len(texts[3::7]))]
    texts[1], texts[260] = "N[Pt](N)(Cl)Cl", "[Na+].CC(=O)[O-]"
    return texts


def assert_same(found: Block, expected: Block) -> None:
    for name in ("atoms", "bonds", "ends", "atom_ptr", "bond_ptr"):
        np.testing.assert_array_equal(getattr(found.graphs, name), getattr(expected.graphs, name))
    np.testing.assert_array_equal(found.index, expected.index)
    assert found.index.dtype == np.int64
    assert found.rejected == expected.rejected
    assert found.keys == expected.keys
    assert found.notes == expected.notes
    for mine, theirs in ((found.counts, expected.counts), (found.descriptors, expected.descriptors)):
        assert (mine is None) == (theirs is None)
        if mine is not None and theirs is not None:
            assert mine.dtype == theirs.dtype and mine.shape == theirs.shape
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_table_in_pieces_is_the_table_at_once(workers: int) -> None:
    texts = ugly_rows(560)  # two whole pieces and a part of one
    told: list[int] = []
    block = prepare_rows(texts, EVERYTHING, workers=workers, on_rows=told.append)
    assert_same(block, prepare(texts, EVERYTHING))
    assert [bad.row for bad in block.rejected] == list(range(3, 560, 7))
    assert {bad.stage for bad in block.rejected} == {"text", "parse", "sanitise"}
    assert sorted([*block.index.tolist(), *(bad.row for bad in block.rejected)]) == list(range(560))
    assert block.notes == {1: "metal: Pt"}
    assert block.keys[block.index.tolist().index(260)] == "CC(=O)O"
    assert told == [256, 512, 560]


@pytest.mark.parametrize("texts", [["xyz"], ["", "CCО"]])
def test_a_table_of_junk_gives_an_empty_block(texts: list[str]) -> None:
    block = prepare_rows(texts, EVERYTHING, workers=0)
    assert len(block.graphs) == len(block.index) == len(block.keys) == 0
    assert [bad.row for bad in block.rejected] == list(range(len(texts)))
    assert block.counts is not None and block.counts.shape == (0, 2048)


def test_no_row_gives_what_prepare_gives() -> None:
    for recipe in (EVERYTHING, Recipe(scheme="ogb")):
        assert_same(prepare_rows([], recipe, workers=0), prepare([], recipe))


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(MolftError, match="feature scheme 'rings' is unknown"):
        prepare_rows(["CCO"], Recipe(scheme="rings"), workers=0)


def test_without_the_forest_there_are_no_fingerprints() -> None:
    block = prepare_rows(["CCO", "CCN"], Recipe(scheme="ogb"), workers=0)
    assert block.counts is None and block.descriptors is None and block.keys == []
    assert take_rows(block, np.array([1])).counts is None


def test_taken_molecules_count_from_0() -> None:
    block = prepare(["xyz", "C", "CC", "CCC"], EVERYTHING)
    taken = take_rows(block, np.array([2, 0]))
    assert np.diff(taken.graphs.atom_ptr).tolist() == [3, 1]
    assert taken.keys == ["CCC", "C"]
    assert taken.index.tolist() == [0, 1] and taken.rejected == []
    assert block.counts is not None
    np.testing.assert_array_equal(taken.counts, block.counts[[2, 0]])


def test_joined_blocks_keep_their_rows() -> None:
    first, second = prepare(["CCO"], EVERYTHING), prepare(["xyz", "C"], EVERYTHING)
    joined = join_blocks([first, second], EVERYTHING)
    assert joined.keys == ["CCO", "C"]
    assert joined.index.tolist() == [0, 1]
    assert [bad.row for bad in joined.rejected] == [0]

"""Packed graphs of ethanol, methane and cyclopropene: cut, repeated and joined."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from molft.chem.graphs import Graphs, pointers
from tests.packed import assert_same

# Ethanol C-C-O, methane, cyclopropene C=C-C1, with SNAP codes (carbon 5, oxygen 7; double bond 1).
THREE = Graphs(
    np.array([[5, 0], [5, 0], [7, 0], [5, 0], [5, 0], [5, 0], [5, 0]], np.uint8),
    np.array([[0, 0], [0, 0], [1, 0], [0, 0], [0, 0]], np.uint8),
    np.array([[0, 1], [1, 2], [0, 1], [1, 2], [2, 0]], np.uint16),
    np.array([0, 3, 4, 7]),
    np.array([0, 2, 2, 5]),
)


def test_take_gives_the_molecules_in_the_order_asked_for() -> None:
    two = THREE.take([2, 0])
    assert len(two) == 2
    assert two.atoms[:, 0].tolist() == [5, 5, 5, 5, 5, 7]
    assert two.bonds[:, 0].tolist() == [1, 0, 0, 0, 0]
    assert two.ends.tolist() == [[0, 1], [1, 2], [2, 0], [0, 1], [1, 2]]  # counted within the molecule
    assert (two.atom_ptr.tolist(), two.bond_ptr.tolist()) == ([0, 3, 6], [0, 3, 5])


def test_take_repeats_and_takes_molecules_without_bonds() -> None:
    methanes = THREE.take(np.array([1, 1]))
    assert methanes.atoms.tolist() == [[5, 0], [5, 0]]
    assert (methanes.bonds.shape, methanes.ends.shape) == ((0, 2), (0, 2))
    assert methanes.bond_ptr.tolist() == [0, 0, 0]


def test_take_nothing_is_empty_and_keeps_the_columns() -> None:
    assert_same(THREE.take([]), Graphs.empty(2, 2))
    assert len(Graphs.empty(9, 3)) == 0
    assert Graphs.empty(9, 3).atoms.shape == (0, 9) and Graphs.empty(9, 3).bonds.shape == (0, 3)


@pytest.mark.parametrize("index", [[3], [0, 1, 7], [-1], [-2, 0], [True, False, True], np.ones(3, bool)])
def test_a_molecule_that_is_not_there_is_an_error(index: list[int]) -> None:
    with pytest.raises(IndexError, match=r"out of bounds|a mask or a negative number"):
        THREE.take(index)


def test_concatenate_undoes_cutting() -> None:
    parts = [THREE.take([0]), Graphs.empty(2, 2), THREE.take([1, 2])]
    assert_same(Graphs.concatenate(parts), THREE)


def test_concatenate_refuses_nothing_and_schemes_that_differ() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Graphs.concatenate([])
    with pytest.raises(ValueError, match="dimension"):
        Graphs.concatenate([THREE, Graphs.empty(9, 3)])


@given(st.lists(st.integers(0, 2), max_size=8), st.data())
def test_take_of_take_is_one_take(index: list[int], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.integers(0, len(index) - 1), max_size=8)) if index else []
    assert_same(THREE.take(index).take(again), THREE.take([index[i] for i in again]))


@given(st.lists(st.integers(0, 2), min_size=1, max_size=8))
def test_take_is_concatenate_of_single_molecules(index: list[int]) -> None:
    assert_same(THREE.take(index), Graphs.concatenate([THREE.take([i]) for i in index]))


def test_pointers_of_no_piece_is_a_single_zero() -> None:
    assert pointers(np.zeros(0, np.int64)).tolist() == [0]

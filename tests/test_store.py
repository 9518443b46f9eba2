"""A packed store: whole or absent, refused when a bit has changed, the same graphs block by block."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from molft.chem.features import OGB, SNAP, featurize
from molft.chem.graphs import Graphs
from molft.data.store import open_store, write_store
from molft.errors import MolftError
from tests.packed import assert_same, read

SMILES = ["CCO", "C", "c1ccccc1", "C[C@H](F)Cl", "[Na+].[Cl-]", "C1CC1", "F/C=C/F"]
GRAPHS = featurize(read(*SMILES), OGB)[0]
WEIGHTS = np.arange(7, dtype=np.float32)
BITS = np.arange(21, dtype=np.uint8).reshape(7, 3)


def blocks_of(size: int) -> Iterator[tuple[Graphs, dict[str, np.ndarray]]]:
    for start in range(0, len(GRAPHS), size):
        rows = np.arange(start, min(start + size, len(GRAPHS)))
        yield GRAPHS.take(rows), {"weights": WEIGHTS[rows], "bits": BITS[rows]}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    assert write_store(tmp_path / "store", "ogb", blocks_of(3)) == 7
    return tmp_path / "store"


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_what_was_written_comes_back_however_it_was_cut(size: int, tmp_path: Path) -> None:
    assert write_store(tmp_path / "store", "ogb", blocks_of(size)) == 7
    graphs, arrays, scheme = open_store(tmp_path / "store", verify=True)
    assert_same(graphs, GRAPHS)
    assert scheme == "ogb"
    assert sorted(arrays) == ["bits", "weights"]
    np.testing.assert_array_equal(arrays["weights"], WEIGHTS)
    np.testing.assert_array_equal(arrays["bits"], BITS)


def test_the_same_molecules_give_the_same_bytes_however_they_were_cut(tmp_path: Path) -> None:
    for size in (2, 7):
        write_store(tmp_path / str(size), "ogb", blocks_of(size))
    left, right = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in "27")
    assert left == right


def test_the_bulk_stays_on_disk(store: Path) -> None:
    graphs, arrays, _ = open_store(store)
    mapped = [graphs.atoms, graphs.bonds, graphs.ends, *arrays.values()]
    assert all(isinstance(array, np.memmap) and not array.flags.writeable for array in mapped)
    assert_same(graphs.take([6, 0]), GRAPHS.take([6, 0]))


def test_other_programs_can_read_the_arrays(store: Path) -> None:
    assert np.load(store / "atom_ptr.npy").tolist() == [0, 3, 4, 10, 14, 16, 19, 23]
    assert json.loads((store / "store.json").read_text())["molecules"] == 7


def test_molecules_without_any_bond_can_be_stored(tmp_path: Path) -> None:
    methane = featurize(read("C", "N"), SNAP)[0]
    write_store(tmp_path / "store", "snap", [(methane, {})])
    assert_same(open_store(tmp_path / "store", verify=True)[0], methane)


def test_no_molecule_is_an_error_that_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(MolftError, match="no molecule to write"):
        write_store(tmp_path / "store", "ogb", [])
    assert list(tmp_path.iterdir()) == []


def test_an_existing_store_is_kept(store: Path) -> None:
    before = (store / "atoms.npy").read_bytes()
    with pytest.raises(MolftError, match="exists already; remove it or choose another place"):
        write_store(store, "ogb", blocks_of(1))
    assert (store / "atoms.npy").read_bytes() == before


@pytest.mark.parametrize(
    ("extras", "message"),
    [
        ({"weights": np.zeros(4, np.float32)}, "weights has 4 rows; one for each of 3 molecules is needed"),
        (
            {"weights": np.zeros(3)},
            r"weights has rows of \(dtype\('float64'\),\) in one block and of .*float32",
        ),
        ({"weights": np.zeros((3, 2), np.float32)}, "in one block and of"),
        ({"others": np.zeros(3, np.float32)}, r"one block has the arrays .*'others'.* another .*'weights'"),
        ({}, "one block has the arrays"),
        ({"weights": np.zeros(3, np.float32), "atoms": np.zeros(3, np.uint8)}, "atoms has 3 rows|arrays"),
    ],
)
def test_blocks_that_do_not_fit_are_refused_and_leave_nothing(
    extras: dict[str, np.ndarray], message: str, tmp_path: Path
) -> None:
    three = GRAPHS.take([0, 1, 2])
    good = (three, {"weights": np.zeros(3, np.float32)})
    with pytest.raises(MolftError, match=message):
        write_store(tmp_path / "store", "ogb", [good, (three, extras)])
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_blocks_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[tuple[Graphs, dict[str, np.ndarray]]]:
        yield from blocks_of(4)
        raise MolftError("the file ends early")

    with pytest.raises(MolftError, match="ends early"):
        write_store(tmp_path / "store", "ogb", broken())
    assert list(tmp_path.iterdir()) == []


ENDLESS = """
import sys
from pathlib import Path
from molft.data.store import write_store
from tests.test_store import GRAPHS

def blocks():
    while True:
        yield GRAPHS, {}

write_store(Path(sys.argv[1]), "ogb", blocks())
"""


def test_a_kill_in_the_middle_leaves_no_store_and_the_next_run_makes_one(tmp_path: Path) -> None:
    directory = tmp_path / "store"
    writer = subprocess.Popen([sys.executable, "-c", ENDLESS, directory], cwd=Path(__file__).parents[1])
    atoms = tmp_path / "store.partial" / "atoms.npy"
    while not (atoms.exists() and atoms.stat().st_size > 10_000):
        assert writer.poll() is None, "the writer ended by itself"
        time.sleep(0.02)
    os.kill(writer.pid, signal.SIGKILL)
    assert writer.wait() == -signal.SIGKILL
    with pytest.raises(MolftError, match="no packed store"):
        open_store(directory)
    write_store(directory, "ogb", blocks_of(3))
    assert_same(open_store(directory, verify=True)[0], GRAPHS)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


@pytest.mark.parametrize("name", ["atoms", "bonds", "ends", "atom_ptr", "bond_ptr", "weights", "bits"])
def test_a_flipped_bit_is_found(name: str, store: Path) -> None:
    path = store / f"{name}.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(MolftError, match=rf"{name}\.npy is not the file that was written"):
        open_store(store, verify=True)


@pytest.mark.parametrize("size", [0, 50, 130])
def test_a_truncated_array_is_refused_without_looking_further(size: int, store: Path) -> None:
    os.truncate(store / "bits.npy", size)
    with pytest.raises(MolftError, match=r"bits\.npy can't be read .*; make the store again"):
        open_store(store)


def test_a_missing_array_is_refused(store: Path) -> None:
    (store / "ends.npy").unlink()
    for verify in (True, False):
        with pytest.raises(MolftError, match=r"ends\.npy.*can't be read"):
            open_store(store, verify=verify)


def test_a_pickle_in_place_of_an_array_is_not_opened(store: Path) -> None:
    np.save(store / "weights.npy", np.array([{"an": "object"}]), allow_pickle=True)
    with pytest.raises(MolftError, match=r"weights\.npy can't be read"):
        open_store(store)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ('{"version": 2, "sha256": {}}', "has store version 2; this molft reads version 1"),
        ("{}", "has store version None"),
        ("not json", "not a JSON file"),
    ],
)
def test_a_manifest_that_is_not_ours_is_refused(manifest: str, message: str, store: Path) -> None:
    (store / "store.json").write_text(manifest)
    with pytest.raises(MolftError, match=message):
        open_store(store)


def test_a_folder_that_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MolftError, match="is no packed store: it has no store"):
        open_store(tmp_path)

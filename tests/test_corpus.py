"""Files of SMILES to a store: every distinct molecule once, every other row counted."""

from pathlib import Path

import numpy as np
import pytest

from molft.chem.descriptors import fingerprint_counts
from molft.chem.features import SNAP, featurize
from molft.chem.leakage import hold_out
from molft.chem.prepare import Block
from molft.data.assay_labels import LabelTable
from molft.data.corpus import CorpusCounts, Filters, pack_corpus
from molft.data.packed_corpus import Corpus, open_corpus
from molft.data.store import open_store
from molft.errors import MolftError
from tests.packed import assert_same, read


def no_extras(block: Block) -> dict[str, np.ndarray]:
    """Graphs alone."""
    return {}


def targets(block: Block) -> dict[str, np.ndarray]:
    """The fragment counts and the row in the block."""
    assert block.counts is not None
    return {"counts": block.counts, "row": block.index}


def pack(paths: list[Path], directory: Path, **options: object) -> CorpusCounts:
    """pack_corpus in this process, with SNAP codes and no extras unless said otherwise."""
    return pack_corpus(paths, directory, "snap", **({"extras": no_extras, "workers": 0} | options))


def verified(store: Path) -> Corpus:
    """The corpus, after every byte was checked."""
    open_store(store, verify=True)
    return open_corpus(store)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Ethanol three times in two spellings, a salt, pentane and benzene, and three bad rows."""
    first = tmp_path / "first.csv"
    first.write_text("id,smiles\n1,CCO\n2,OCC\n3,[Na+].CC(=O)[O-]\n4,xyz\n5,CCCCC\n")
    second = tmp_path / "second.smi"
    second.write_text(f"c1ccccc1 benzene\nCCO ethanol\n{'C' * 101} too_long\n*C dummy\n")
    return [first, second]


def test_each_molecule_is_kept_once_where_it_came_first(files: list[Path], tmp_path: Path) -> None:
    counts = pack(files, tmp_path / "store")
    assert counts == CorpusCounts(
        read=9, chosen=9, rejected={"parse": 1, "size": 1, "features": 1}, duplicates=2, kept=4
    )
    corpus = verified(tmp_path / "store")
    expected, _, _ = featurize(read("CCO", "[Na+].CC(=O)[O-]", "CCCCC", "c1ccccc1"), SNAP)
    assert_same(corpus.take(np.arange(4)), expected)  # as written: the salt keeps its sodium
    assert (corpus.arrays, corpus.scheme, corpus.labels) == ({}, SNAP, None)


def test_extras_belong_to_the_molecules_that_were_kept(files: list[Path], tmp_path: Path) -> None:
    pack(files, tmp_path / "store", extras=targets)
    _, arrays, _ = open_store(tmp_path / "store", verify=True)
    mols = read("CCO", "[Na+].CC(=O)[O-]", "CCCCC", "c1ccccc1")
    np.testing.assert_array_equal(arrays["counts"], fingerprint_counts(mols))
    assert arrays["row"].tolist() == [0, 2, 4, 0]


def test_worker_processes_give_the_same_bytes(files: list[Path], tmp_path: Path) -> None:
    counts = [pack(files, tmp_path / str(n), extras=targets, workers=n) for n in (0, 1)]
    assert counts[0] == counts[1]
    alone, helped = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in "01")
    assert alone == helped


@pytest.fixture
def alkanes(tmp_path: Path) -> Path:
    """Ninety distinct molecules, the k-th with k + 1 atoms."""
    path = tmp_path / "alkanes.smi"
    path.write_text("".join(f"{'C' * n}\n" for n in range(1, 91)))
    return path


def test_a_sample_is_the_same_for_the_same_seed(alkanes: Path, tmp_path: Path) -> None:
    chosen = {}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        counts = pack([alkanes], tmp_path / name, sample=0.4, seed=seed)
        assert counts.read == 90
        assert counts.kept == counts.chosen == len(open_store(tmp_path / name)[0])
        assert 20 < counts.kept < 52
        chosen[name] = np.diff(open_store(tmp_path / name)[0].atom_ptr).tolist()
    assert chosen["a"] == chosen["b"] != chosen["c"]


def test_progress_hears_of_every_block(files: list[Path], tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    pack(files, tmp_path / "store", progress=lambda counts: heard.append((counts.kept, counts.duplicates)))
    assert heard == [(3, 1), (4, 2)]


@pytest.mark.parametrize(("text", "sample"), [("xyz\nCC(C\n*C\n", 1.0), ("CCO\nCCN\n", 0.0)])
def test_nothing_to_keep_is_an_error_and_leaves_no_store(text: str, sample: float, tmp_path: Path) -> None:
    path = tmp_path / "bad.smi"
    path.write_text("smiles\n" + text)
    with pytest.raises(MolftError, match="no molecule to write"):
        pack([path], tmp_path / "store", sample=sample)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.smi"]


def test_a_missing_file_leaves_no_store(files: list[Path], tmp_path: Path) -> None:
    with pytest.raises(MolftError, match=r"missing\.smi"):
        pack([files[0], tmp_path / "missing.smi"], tmp_path / "store")
    assert not list(tmp_path.glob("store*"))


def test_an_existing_store_is_not_touched(files: list[Path], tmp_path: Path) -> None:
    pack(files[:1], tmp_path / "store")
    with pytest.raises(MolftError, match="exists already"):
        pack(files, tmp_path / "store")
    assert len(open_store(tmp_path / "store", verify=True)[0]) == 3


def test_every_row_of_a_real_library_is_accounted_for(real_data: Path, tmp_path: Path) -> None:
    path = real_data / "library" / "broad_repurposing_library_6111.csv"
    counts = pack([path, path], tmp_path / "store", sample=0.2)
    assert counts.read == 2 * 6111
    assert counts.chosen == counts.kept + counts.duplicates + sum(counts.rejected.values())
    assert counts.duplicates > 100  # the second reading meets a fifth of the first
    graphs, _, _ = open_store(tmp_path / "store", verify=True)
    assert len(graphs) == counts.kept
    assert np.diff(graphs.atom_ptr).max() <= 100


# ------------------------------------------------------------------------------------- filters and labels


@pytest.mark.parametrize(
    ("filters", "filtered", "kept"),
    [
        (Filters(), {}, 4),
        (Filters(elements=frozenset({6, 8})), {"elements": 1}, 3),
        (Filters(elements=frozenset({6})), {"elements": 4}, 2),
        (Filters(fewest=5), {"size": 3}, 3),
        (Filters(held_out=hold_out(["OCC", "CC(=O)O"])), {"held out": 4}, 2),
    ],
)
def test_filters_leave_out_and_count(
    filters: Filters, filtered: dict[str, int], kept: int, files: list[Path], tmp_path: Path
) -> None:
    counts = pack(files, tmp_path / "store", filters=filters)
    assert (counts.filtered, counts.kept) == (filtered, kept)
    assert counts.chosen == kept + counts.duplicates + sum(counts.filtered.values()) + sum(
        counts.rejected.values()
    )


def test_too_many_atoms_are_refused_on_reading(files: list[Path], tmp_path: Path) -> None:
    counts = pack(files, tmp_path / "store", filters=Filters(most=4))
    # Acetate, pentane and benzene beside the giant.
    assert counts.rejected == {"parse": 1, "size": 4, "features": 1}
    assert counts.kept == 1


def test_explicit_hydrogens_do_not_overflow_the_store(tmp_path: Path) -> None:
    path = tmp_path / "heavy.smi"
    path.write_text(f"CC\n{'C([2H])([2H])' * 90}C\n")  # 91 carbons, 180 deuteriums
    assert pack([path], tmp_path / "store").filtered == {"size": 1}


def test_labelled_molecules_come_first_with_their_row(files: list[Path], tmp_path: Path) -> None:
    values = np.array([[1.0], [np.nan], [0.0], [1.0]], np.float32)
    labels = LabelTable(["c1ccccc1", "bad", "CCN", "NCC"], values, ("t",))
    counts = pack(files, tmp_path / "store", labels=labels, sample=1.0)
    assert (counts.labelled, counts.kept, counts.duplicates) == (2, 5, 4)
    corpus = verified(tmp_path / "store")
    assert corpus.arrays["label_row"].tolist() == [0, 2, -1, -1, -1]
    np.testing.assert_array_equal(corpus.take_labels(np.arange(5))[:, 0], [1.0, 0.0, np.nan, np.nan, np.nan])


def test_an_ogb_corpus_takes_less_than_five_hundred_bytes_a_molecule(real_data: Path, tmp_path: Path) -> None:
    path = real_data / "library" / "Enamine_Discovery_Diversity_Set_10266.smi"

    def stored(block: Block) -> dict[str, np.ndarray]:
        bits = np.zeros((len(block.graphs), 64), np.uint8)
        return {"descriptors": block.descriptors.astype(np.float16), "bits": bits}

    counts = pack_corpus([path], tmp_path / "store", "ogb", stored, sample=0.1, workers=0)
    size = sum(file.stat().st_size for file in (tmp_path / "store").glob("*.npy"))
    assert size / counts.kept < 500

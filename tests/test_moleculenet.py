"""MoleculeNet: what is dropped, the reference splits on the real files, files that aren't the known ones."""

import hashlib
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from molft.data import moleculenet
from molft.data.download import check_sha256
from molft.data.moleculenet import SETS, Benchmark, load, published_split
from molft.data.split import Split, fingerprint
from molft.errors import MolftError

TINY = b"name,mol,y,z\na,CCO,1,0\nb,c1ccccc1,0,\nc,not a molecule,1,1\nd,[Pt]<-N,1,1\ne,NA,0,1\n"


@cache
def _loaded(name: str, folder: Path) -> tuple[Benchmark, Split]:
    benchmark = load(name, folder)
    return benchmark, published_split(benchmark)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Stand a set of five rows in for BACE, and point MOLFT_DATA and the cache at empty folders."""
    source = replace(SETS["bace"], file="tiny.csv", sha256=hashlib.sha256(TINY).hexdigest(), tasks=("z", "y"))
    monkeypatch.setitem(SETS, "bace", source)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MOLFT_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(moleculenet, "_GITHUB", "http://127.0.0.1:9/")
    return tmp_path


def test_dropped_rows_are_named_and_text_stays_text(tiny: Path) -> None:
    (tiny / "tiny.csv").write_bytes(TINY)
    benchmark = load("BACE", tiny)
    assert benchmark.smiles == ["CCO", "c1ccccc1"]
    assert benchmark.rows.tolist() == [0, 1]
    assert benchmark.tasks == ("z", "y")
    np.testing.assert_array_equal(benchmark.labels, np.array([[0, 1], [np.nan, 0]], np.float32))
    assert [(bad.row, bad.stage) for bad in benchmark.rejected] == [
        (2, "text"),
        (3, "features"),
        (4, "parse"),
    ]


@pytest.mark.parametrize("folder", ["data", "data/moleculenet", "cache/molft/moleculenet"])
def test_files_are_found_in_molft_data_and_in_the_cache(tiny: Path, folder: str) -> None:
    (tiny / folder).mkdir(parents=True)
    (tiny / folder / "tiny.csv").write_bytes(TINY)
    assert moleculenet.find("bace") == tiny / folder / "tiny.csv"


def test_a_file_of_other_content_is_refused_with_both_fingerprints(tiny: Path) -> None:
    changed = TINY.replace(b"CCO,1", b"CCO,0")
    (tiny / "tiny.csv").write_bytes(changed)
    with pytest.raises(
        MolftError, match=f"{hashlib.sha256(changed).hexdigest()}, expected {SETS['bace'].sha256}"
    ):
        load("bace", tiny)


def test_offline_says_what_to_fetch_and_where_to_put_it(tiny: Path) -> None:
    with pytest.raises(MolftError, match=rf"OpenDrugAI.*put it at {tiny}/cache/molft/moleculenet/tiny.csv"):
        load("bace")
    with pytest.raises(MolftError, match=rf"put it at {tiny}/mine/tiny.csv"):
        load("bace", tiny / "mine")


def test_an_unknown_set_lists_the_known_ones() -> None:
    with pytest.raises(
        MolftError, match="'pcba' is no MoleculeNet set known here; expected one of bbbp, tox21"
    ):
        load("pcba")


@pytest.mark.parametrize("name", list(SETS))
def test_every_file_here_is_the_known_one(real_data: Path, name: str) -> None:
    check_sha256(real_data / "moleculenet" / SETS[name].file, [SETS[name].sha256])


# Reference values of the SNAP scaffold split (RDKit 2026.09.1): sizes, first test indices among the kept
# rows, and the fingerprint of the file rows of test.
REFERENCE = [
    ("bbbp", (1631, 204, 204), (641, 637, 636, 633), "c89598201b7a"),
    ("clintox", (1182, 148, 148), (377, 374, 368, 358), "1620c6d47474"),
    ("bace", (1210, 151, 152), (240, 239, 237, 236), "a9529576f151"),
    ("sider", (1141, 143, 143), (301, 300, 298, 297), "97f3949dbd08"),
    ("tox21", (6258, 782, 783), (3266, 3265, 3263, 3262), "8625a4cbbdc7"),
    ("esol", (902, 113, 113), (650, 647, 644, 637), "43ac4fd16e57"),
    ("freesolv", (513, 64, 65), (89, 151, 558, 74), "2b1aae5bfe86"),
]


@pytest.mark.parametrize(("name", "sizes", "first", "sha1"), REFERENCE)
def test_published_split(
    real_data: Path, name: str, sizes: tuple[int, ...], first: tuple[int, ...], sha1: str
) -> None:
    benchmark, split = _loaded(name, real_data)
    assert len(benchmark.smiles) == SETS[name].kept == sum(sizes)
    assert len(benchmark.smiles) + len(benchmark.rejected) == SETS[name].rows
    assert tuple(map(len, split)) == sizes
    assert tuple(split.test[:4].tolist()) == first
    assert fingerprint(benchmark.rows[split.test]) == sha1


@pytest.mark.parametrize(
    ("name", "task", "positive", "negative"),
    [
        ("bbbp", 0, [1371, 81, 108], [260, 123, 96]),
        ("bace", 0, [480, 130, 81], [730, 21, 71]),
        ("clintox", 0, [1102, 143, 139], [80, 5, 9]),
        ("clintox", 1, [96, 6, 10], [1086, 142, 138]),
    ],
)
def test_class_counts(
    real_data: Path, name: str, task: int, positive: list[int], negative: list[int]
) -> None:
    benchmark, split = _loaded(name, real_data)
    assert [int((benchmark.labels[part, task] == 1).sum()) for part in split] == positive
    assert [int((benchmark.labels[part, task] == 0).sum()) for part in split] == negative


def test_sider_and_tox21_can_be_scored_on_every_task(real_data: Path) -> None:
    for name, tasks in (("sider", 27), ("tox21", 12)):
        benchmark, split = _loaded(name, real_data)
        test = benchmark.labels[split.test]
        assert test.shape[1] == tasks
        assert ((test == 0).any(axis=0) & (test == 1).any(axis=0)).all()
    sider, split = _loaded("sider", real_data)
    test = sider.labels[split.test]
    assert min((test == 0).sum(axis=0).min(), (test == 1).sum(axis=0).min()) == 3


def test_missing_labels_of_tox21(real_data: Path) -> None:
    benchmark, split = _loaded("tox21", real_data)
    assert [
        round(100 * float(np.isnan(benchmark.labels[part]).mean())) for part in (split.train, split.test)
    ] == [15, 25]


def test_dropped_rows_are_the_ones_rdkit_refuses(real_data: Path) -> None:
    dropped = [bad.row for bad in _loaded("bbbp", real_data)[0].rejected]
    assert dropped == [59, 61, 391, 614, 642, 645, 646, 647, 648, 649, 685]
    stages = {bad.row: bad.stage for bad in _loaded("clintox", real_data)[0].rejected}
    assert [row for row, stage in stages.items() if stage == "features"] == [
        983,
        984,
    ]  # dative bonds to platinum
    assert len(stages) == 6

"""Forgetting: what a linear map can still read, and what an untrained encoder would give anyway."""

from pathlib import Path

import numpy as np
import pytest
from rdkit import RDConfig

from molft.chem.prepare import Recipe, prepare
from molft.train.forgetting import readable, reference_molecules, retention


def vectors(seed: int, rows: int = 200, width: int = 10) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)


def test_the_same_vectors_lose_nothing() -> None:
    before = vectors(0)
    assert readable(before, before) == pytest.approx(1, abs=1e-6)
    assert retention(before, before, vectors(1)) == pytest.approx(1, abs=1e-6)


def test_turned_scaled_and_shifted_they_lose_nothing() -> None:
    before = vectors(0)
    turned = before @ vectors(1, rows=10) * 100 + 7
    assert readable(before, turned) == pytest.approx(1, abs=1e-4)


def test_unrelated_vectors_hold_nothing() -> None:
    assert readable(vectors(0), vectors(1)) < 0.05
    assert retention(vectors(0), vectors(1), vectors(2)) < 0.05


@pytest.mark.parametrize("kept", [0, 3, 7])
def test_what_is_cut_off_is_lost(kept: int) -> None:
    before = vectors(0, rows=2000)
    after = before.copy()
    after[:, kept:] = 0.0
    assert readable(before, after) == pytest.approx(kept / 10, abs=0.02)


def test_few_molecules_explain_nothing_by_heart() -> None:
    # 40 numbers for 30 molecules: on its own rows the regression would be perfect.
    assert readable(vectors(0, rows=30, width=40), vectors(1, rows=30, width=40)) < 0.2


def test_vectors_that_are_all_the_same() -> None:
    same = np.ones((20, 3), np.float32)
    assert readable(same, same) == 1.0  # there is nothing to lose
    assert readable(vectors(0, rows=20), same) == pytest.approx(0, abs=0.01)


def test_the_scale_begins_where_an_untrained_encoder_stands() -> None:
    before = vectors(0, rows=2000)
    untrained, halfway = before.copy(), before.copy()
    untrained[:, 6:] = 0.0  # 0.6 of the variance
    halfway[:, 8:] = 0.0  # 0.8
    assert retention(before, untrained, untrained) == 0.0
    assert retention(before, halfway, untrained) == pytest.approx(0.5, abs=0.05)
    # Less than an untrained one holds is nothing, not less than nothing.
    assert retention(before, vectors(1, rows=2000), untrained) == 0.0


def test_where_an_untrained_encoder_holds_all_there_is_nothing_to_lose() -> None:
    before = vectors(0)
    assert retention(before, vectors(1), before) == 1.0


@pytest.mark.parametrize("scheme", ["snap", "ogb"])
def test_the_reference_is_what_rdkit_carries(scheme: str) -> None:
    graphs = reference_molecules(scheme)
    assert graphs is not None and 980 < len(graphs) <= 1000
    with (Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi").open() as file:
        first = prepare([file.readline().split()[0]], Recipe(scheme=scheme)).graphs
    assert np.array_equal(graphs.take([0]).atoms, first.atoms)
    assert reference_molecules(scheme) is graphs  # read once


def test_without_rdkit_s_file_there_is_no_reference(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reference_molecules.cache_clear()
    monkeypatch.setattr(RDConfig, "RDDataDir", str(tmp_path))
    assert reference_molecules("snap") is None
    reference_molecules.cache_clear()
